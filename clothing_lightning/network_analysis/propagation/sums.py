"""Operations that sum over entries: reductions, norms, products, attention."""

from dataclasses import replace

from torch import Tensor

from clothing_lightning.network_analysis.joining import broadcast, merged
from clothing_lightning.network_analysis.layout import (
    AXES,
    Dim,
    Field,
    atoms,
    contracted,
    mapped,
    normalised,
    plain,
    size,
)
from clothing_lightning.network_analysis.propagation.call import (
    ATTENTION,
    Call,
    Result,
    elementwise,
    pair,
    rule,
)
from clothing_lightning.network_analysis.windows import LayoutError


@rule("mean", "sum", "amax", "amin", "max", "min", "var", "std", "var_mean", "std_mean")
@rule("linalg_vector_norm", "norm", "logsumexp", "argmax", "argmin", "prod", "all")
@rule("any", "median", "topk", "sort")
def _reduced(call: Call) -> Field:
    if "other" in call.arguments:
        return elementwise(call)
    source = call.source
    asked = call.get("dim")
    indices = range(len(source.dims)) if asked in (None, []) else pair(asked)
    gone = sorted({index % len(source.dims) for index in indices})
    result = call.summed(gone)
    if len(call.shape) < len(source.dims):
        kept = [dim for i, dim in enumerate(result.dims) if i not in gone]
        result = replace(result, dims=tuple(kept))
    elif result.shape != call.shape:  # the largest few
        result = replace(result, dims=tuple(plain(n) for n in call.shape))
    return result


@rule("softmax", "_softmax", "log_softmax", "_log_softmax")
def _normalised_along(call: Call) -> Field:
    call.summed([call["dim"]])
    return call.source


@rule("layer_norm", "native_layer_norm", "rms_norm", "_fused_rms_norm")
def _layer_normalised(call: Call) -> Result:
    count = len(call["normalized_shape"])
    call.summed(list(range(-count, 0)))
    return call.first_of(call.source)


@rule("group_norm", "native_group_norm", "instance_norm")
def _group_normalised(call: Call) -> Result:
    call.summed(list(range(1, len(call.source.dims))))
    return call.first_of(call.source)


@rule("batch_norm", "native_batch_norm", "_native_batch_norm_legit_no_training")
@rule("cudnn_batch_norm", "_native_batch_norm_legit", "_batch_norm_impl_index")
def _batch_normalised(call: Call) -> Result:
    if call.get("training", False):
        others = [i for i in range(len(call.source.dims)) if i != 1]
        call.summed(others)
    return call.first_of(call.source)


@rule("lstm", "gru")
def _recurrent(call: Call) -> Result:
    """Each step sees those before it, and those after it if it runs both ways."""
    time = 1 if call["batch_first"] else 0
    call.summed([time])
    return call.first_of(call.source.with_dim(-1, plain(call.shape[-1])))


@rule("linear")
def _linear(call: Call) -> Field:
    result = call.summed([-1])
    return result.with_dim(-1, plain(call.shape[-1]))


@rule("mm", "bmm", "matmul", "addmm", "baddbmm")
def _product(call: Call) -> Field:
    """The product of the last two tensors, to which a first of three is added."""
    *added, a, b = (v for v in call.arguments.values() if isinstance(v, Tensor))
    terms = [_multiplied(call, a, b), *map(call.field, added)]
    known = [field for field in terms if field is not None]
    return merged(known, call.shape, call.offsets_px)


def _multiplied(call: Call, a: Tensor, b: Tensor) -> Field:
    """``[..., n, c] @ [..., c, m]``."""
    left, right = call.field(a), call.field(b)
    if min(a.ndim, b.ndim) < 2:
        raise LayoutError("a product with a vector")
    if left is not None and right is not None:
        return _attended(call, left, right)
    if left is not None:
        result = call.summed([-1], left).with_dim(-1, plain(call.shape[-1]))
    else:
        result = call.summed([-2], right).with_dim(-2, plain(call.shape[-2]))
    return broadcast(result, call.shape)


def _attended(call: Call, left: Field, right: Field) -> Field:
    """The product of two tensors that both see the image, as in attention.

    Rows stay where they are; what is summed over is noted with its window.
    """
    _note_mixing(call, left, -1)
    _note_mixing(call, right, -2)
    rows, columns = left.dims[-2], right.dims[-1]
    # A square matrix takes each position's place, as it does in gating over positions.
    if _moves(right.dims[-2], rows):
        left, rows = right, right.dims[-2]
    elif _moves(left.dims[-1], columns):
        columns = left.dims[-1]
    asking = {atom.axis for atom in atoms(rows) if not atom.key}
    columns = tuple(
        tuple(a._replace(key=a.key or a.axis in asking) for a in segment)
        for segment in columns
    )
    batch = merged(
        [replace(f, dims=f.dims[:-2]) for f in (left, right)], call.shape[:-2], []
    ).dims
    result = Field((*batch, rows, columns), left.windows)
    for axis in AXES:
        if axis not in result.axes:  # those that were attended to, if any, take over
            result = mapped(result, axis, lambda atom: atom._replace(key=False))
        source = left if left.positions(axis) else right
        result = result.with_windows(axis, source.windows[axis])
    return normalised(result)


def _moves(summed: Dim, kept: Dim) -> bool:
    """Whether positions are summed over and as many entries without any are kept."""
    before = [atom for atom in atoms(summed) if atom.size > 1 and not atom.key]
    after = [atom for atom in atoms(kept) if atom.size > 1]
    return bool(before) and not after and size(summed) == size(kept)


def _note_mixing(call: Call, source: Field, index: int) -> None:
    call.mixings += contracted(source, [index])[1]


@rule(*ATTENTION)
def _attention(call: Call) -> Result:
    query, key, value = (call.field(call[name]) for name in ("query", "key", "value"))
    seen = value or key
    if seen is not None:
        _note_mixing(call, seen, -2)
    if query is not None:
        result = query.with_dim(-1, plain(call.shape[-1]))
    elif seen is not None:
        dims = tuple(plain(entries) for entries in call.shape)
        result = replace(seen, dims=dims)
    else:
        raise LayoutError("attention of something else")
    return call.first_of(result)
