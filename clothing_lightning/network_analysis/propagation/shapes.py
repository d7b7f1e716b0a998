"""Operations that rearrange, cut, repeat and join tensors."""

from dataclasses import replace
from itertools import accumulate

from clothing_lightning.network_analysis.joining import broadcast, concatenated
from clothing_lightning.network_analysis.layout import (
    Field,
    atoms,
    plain,
    position_atom,
    size,
)
from clothing_lightning.network_analysis.propagation.call import (
    Call,
    Result,
    elementwise,
    pair,
    rule,
)
from clothing_lightning.network_analysis.reshaping import narrowed, reshaped
from clothing_lightning.network_analysis.windows import (
    LayoutError,
    Windows,
    moved_around,
)


@rule("dropout", "feature_dropout", "alpha_dropout", "native_dropout", "contiguous")
@rule("clone", "alias", "to", "_to_copy", "detach", "type_as", "lift_fresh", "cumsum")
@rule("view_as", "reshape_as", "view", "_unsafe_view", "reshape", "flatten")
@rule("unflatten", "_reshape_alias")
def _same_entries(call: Call) -> Result:
    source = call.field(call.first)
    if source is None:  # only the wanted shape or type depends on the image
        return None
    result, mixed = reshaped(source, call.shape)
    call.mixings += mixed
    return call.first_of(result)


@rule("zeros_like", "ones_like", "full_like", "empty_like", "new_zeros", "new_ones")
@rule("new_full", "new_empty", "rand_like", "randn_like", "empty_strided")
@rule("_assert_async", "is_same_size", "sym_size")
def _constant(call: Call) -> None:
    return None


@rule("copy")
def _copied(call: Call) -> Field:
    if call.first._is_view():  # torch has no public name for it
        raise LayoutError("a part of a tensor is overwritten")
    return elementwise(call)


@rule("permute")
def _permuted(call: Call) -> Field:
    dims = call.source.dims
    return replace(call.source, dims=tuple(dims[index] for index in call["dims"]))


@rule("transpose", "t")
def _transposed(call: Call) -> Field:
    dims = list(call.source.dims)
    a, b = call.get("dim0", 0), call.get("dim1", -1)
    dims[a], dims[b] = dims[b], dims[a]
    return replace(call.source, dims=tuple(dims))


@rule("unsqueeze")
def _unsqueezed(call: Call) -> Field:
    dims = list(call.source.dims)
    dims.insert(call["dim"] % (len(dims) + 1), plain(1))
    return replace(call.source, dims=tuple(dims))


@rule("squeeze")
def _squeezed(call: Call) -> Field:
    dims = call.source.dims
    asked = call.get("dim")
    if asked is None:
        asked = range(len(dims))
    asked = {i % len(dims) for i in ([asked] if isinstance(asked, int) else asked)}
    kept = [d for i, d in enumerate(dims) if i not in asked or size(d) != 1]
    return replace(call.source, dims=tuple(kept))


@rule("expand", "expand_as", "repeat", "tile", "repeat_interleave", "broadcast_to")
def _repeated(call: Call) -> Field | None:
    source = call.field(call.first)
    return source and broadcast(source, call.shape)


@rule("index")
def _indexed(call: Call) -> Field | None:
    """Entries chosen by a constant table, along dimensions without positions."""
    source = call.field(call.first)
    if source is None:
        return None
    chosen = [i for i, index in enumerate(call["indices"]) if index is not None]
    if len(chosen) != 1 or atoms(source.dims[chosen[0]]):
        raise LayoutError("positions are chosen by a table")
    (place,) = chosen
    entries = [plain(n) for n in call["indices"][place].shape]
    return source.with_dim(place, *entries)


@rule("slice", "narrow")
def _sliced(call: Call) -> Field:
    source, index = call.source, call.get("dim", 0)
    start = call.get("start") or 0
    whole = size(source.dims[index])
    start = max(start + whole, 0) if start < 0 else min(start, whole)
    return narrowed(source, index, start, call.shape[index], call.get("step", 1))


@rule("select")
def _selected(call: Call) -> Field:
    return _picked(call.source, call["dim"], call["index"])


def _picked(source: Field, index: int, entry: int) -> Field:
    """One entry of a dimension, which vanishes."""
    entry = entry % size(source.dims[index])
    return narrowed(source, index, entry, 1).with_dim(index)


@rule("unbind")
def _unbound(call: Call) -> list[Field]:
    index = call.get("dim", 0)
    return [_picked(call.source, index, entry) for entry in range(len(call.output))]


@rule("split", "chunk", "split_with_sizes", "tensor_split", "unsafe_split")
@rule("unsafe_chunk")
def _divided(call: Call) -> list[Field]:
    index = call.get("dim", 0)
    counts = [part.shape[index] for part in call.output]
    starts = [0, *accumulate(counts)]
    return [
        narrowed(call.source, index, start, count)
        for start, count in zip(starts, counts, strict=False)
    ]


@rule("cat", "concat", "concatenate", "stack")
def _concatenated(call: Call) -> Field:
    tensors = [t for t in call["tensors"] if t.numel()]
    fields = [call.field(tensor) for tensor in tensors]
    index = call.get("dim", 0) % len(call.shape)
    shapes = [list(tensor.shape) for tensor in tensors]
    if call.name == "stack":
        for shape in shapes:
            shape.insert(index, 1)
        fields = [
            f and replace(f, dims=(*f.dims[:index], plain(1), *f.dims[index:]))
            for f in fields
        ]
    return concatenated(fields, shapes, index, call.offsets_px)


@rule("roll")
def _rolled(call: Call) -> Field:
    result = call.source
    for shift, index in zip(pair(call["shifts"]), pair(call["dims"]), strict=False):
        atom = position_atom(result.dims[index])
        if atom is not None and atom.axis is not None:
            turned = moved_around(result.windows[atom.axis], atom.size, shift)
            result = result.with_windows(atom.axis, turned)
    return result


@rule("flip")
def _flipped(call: Call) -> Field:
    result = call.source
    for index in call["dims"]:
        atom = position_atom(result.dims[index])
        if atom is not None and atom.axis is not None:
            last = atom.size - 1
            result = result.see(atom.axis, Windows((last,), (last,), -1))
    return result


@rule("pixel_shuffle")
def _shuffled(call: Call) -> Field:
    factor = call["upscale_factor"]
    batch, channels, height, width = call.source.shape
    split, _ = reshaped(
        call.source, (batch, channels // factor**2, factor, factor, height, width)
    )
    dims = tuple(split.dims[index] for index in (0, 1, 4, 2, 5, 3))
    return reshaped(replace(split, dims=dims), call.shape)[0]
