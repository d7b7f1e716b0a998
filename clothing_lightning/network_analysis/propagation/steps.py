"""Operations that move over positions: convolutions, pools, padding, resizes."""

from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from typing import Any

from clothing_lightning.network_analysis.layout import (
    Atom,
    Dim,
    Field,
    atoms,
    contracted,
    line,
    mapped,
    plain,
    position_atom,
    size,
)
from clothing_lightning.network_analysis.propagation.call import (
    CONVOLUTIONS,
    Call,
    Result,
    at,
    is_transposed,
    pair,
    pooled_dims,
    rule,
)
from clothing_lightning.network_analysis.reshaping import reshaped, spread_out
from clothing_lightning.network_analysis.windows import (
    LayoutError,
    Windows,
    binned,
    resampled,
    sliding,
    spreading,
)


def _stepped(source: Field, index: int, entries: int, step: Windows) -> Field:
    """Let a step move over a dimension that becomes one of so many entries."""
    source = spread_out(source, index)
    atom = position_atom(source.dims[index])
    if atom is None or atom.axis is None:
        return source.with_dim(index, plain(entries))
    if len(source.positions(atom.axis)) > 1:
        return _stepped_inside(source, index, atom, entries, step)
    return source.see(atom.axis, step).with_dim(index, line(entries, atom.axis))


def _stepped_inside(
    source: Field, index: int, atom: Atom, entries: int, step: Windows
) -> Field:
    """Let a step move inside of the windows that an axis is divided into."""
    shrinks = step.step
    if atom.weight != 1 or atom.size != entries * shrinks or step.period != 1:
        raise LayoutError("a step changes windows to another size")
    axis = atom.axis or 0
    for other in source.positions(axis):
        if other != atom and other.weight % shrinks:
            raise LayoutError("a step straddles windows")

    def shrunk(other: Atom) -> Atom:
        weight = other.weight if other == atom else other.weight // shrinks
        return other._replace(weight=weight)

    source = mapped(source, axis, shrunk).see(axis, step)
    return source.with_dim(index, ((atom._replace(size=entries),),))


@rule(*CONVOLUTIONS)
def _convolved(call: Call) -> Field:
    spatial = call["weight"].ndim - 2
    source = call.source
    first = len(source.dims) - spatial
    source = call.summed([first - 1])
    source = source.with_dim(first - 1, plain(call.shape[first - 1]))
    moving = spreading if is_transposed(call) else sliding
    for place in range(spatial):
        kernel = call["weight"].shape[2 + place]
        stride = at(call["stride"], place)
        dilation = at(call["dilation"], place)
        padding = _padding(call["padding"], place, dilation * (kernel - 1))
        if (kernel, stride, padding) == (1, 1, 0):
            continue
        step = moving(kernel, stride, padding, dilation)
        source = _stepped(source, first + place, call.shape[first + place], step)
    return source


def _padding(value: Any, place: int, reach: int) -> int:
    if isinstance(value, str):
        return reach // 2 if value == "same" else 0
    return at(value, place)


@rule("max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d")
@rule("max_pool2d_with_indices", "avg_pool3d", "max_pool3d_with_indices")
def _pooled(call: Call) -> Result:
    spatial = pooled_dims(call)
    result = call.source
    for place in range(spatial):
        index = len(result.dims) - spatial + place
        kernel = at(call["kernel_size"], place)
        stride = at(call.get("stride") or call["kernel_size"], place)
        padding = at(call["padding"], place)
        if kernel == stride and len(result.dims[index][0]) > 1:  # tokens in turn
            result = _summed_in_turn(call, result, index, kernel)
            continue
        step = sliding(kernel, stride, padding, at(call.get("dilation", 1), place))
        result = _stepped(result, index, call.shape[index], step)
    return call.first_of(result)


def _summed_in_turn(call: Call, source: Field, index: int, count: int) -> Field:
    """Sum every so many entries of a dimension, whatever lies in them."""
    shape = list(source.shape)
    split, mixed = reshaped(
        source, [*shape[:index], shape[index] // count, count, *shape[index + 1 :]]
    )
    call.mixings += mixed
    return call.summed([index + 1], split).with_dim(index + 1)


@rule("adaptive_avg_pool1d", "adaptive_avg_pool2d", "_adaptive_avg_pool2d")
@rule("adaptive_max_pool1d", "adaptive_max_pool2d", "mkldnn_adaptive_avg_pool2d")
def _adaptively_pooled(call: Call) -> Result:
    spatial = len(pair(call["output_size"]))
    places = [len(call.shape) - spatial + place for place in range(spatial)]
    result = call.summed([i for i in places if call.shape[i] == 1])
    for index in places:
        inputs, outputs = size(result.dims[index]), call.shape[index]
        if outputs > 1:
            result = _stepped(result, index, outputs, binned(inputs, outputs))
    return call.first_of(result)


REACH = {"nearest": 0, "linear": 1, "bilinear": 1, "bicubic": 2}


@rule("upsample_nearest1d", "upsample_nearest2d", "upsample_linear1d")
@rule("upsample_bilinear2d", "upsample_bicubic2d")
def _resized(call: Call) -> Field:
    kind = call.name.removeprefix("upsample_")[:-2]
    result = call.source
    factors = call.get("scale_factors")
    for place in range(len(result.dims) - 2):
        inputs, outputs = size(result.dims[2 + place]), call.shape[2 + place]
        scale = Fraction(inputs, outputs)
        corners = call.get("align_corners", False)
        if corners:
            scale = Fraction(inputs - 1, max(outputs - 1, 1))
        elif factors:
            scale = 1 / Fraction(factors[place]).limit_denominator(1000)
        step = resampled(scale, REACH[kind], centred=not corners)
        result = _stepped(result, 2 + place, outputs, step)
    return result


@rule("pad", "constant_pad_nd", "reflection_pad2d", "replication_pad2d")
@rule("reflection_pad1d", "replication_pad1d")
def _padded(call: Call) -> Field:
    amounts = call.get("pad") or call.get("padding")
    result = call.source
    for place, (before, after) in enumerate(
        zip(amounts[::2], amounts[1::2], strict=True)
    ):
        index = len(result.dims) - 1 - place
        dim = result.dims[index]
        entries = size(dim) + before + after
        atom = None
        with suppress(LayoutError):  # positions after a class token are not moved
            atom = position_atom(dim)
        if atom is not None and atom.axis is not None:
            if atom.weight != 1 and atom.size > 1:
                raise LayoutError("windows are padded")
            result = result.see(atom.axis, Windows((-before,), (-before,), 1))
            result = result.with_dim(index, line(entries, atom.axis))
        elif before or after:
            segments = (*plain(before), *dim, *plain(after))
            kept = tuple(s for s in segments if size((s,)) > 0)
            result = result.with_dim(index, kept if atoms(dim) else plain(entries))
    return result


@rule("unfold")
def _unfolded(call: Call) -> Field:
    index = call["dimension"] % len(call.source.dims)
    atom = position_atom(call.source.dims[index])
    if atom is None:
        raise LayoutError("something else than positions is unfolded")
    outer = (
        (atom._replace(size=call.shape[index], weight=atom.weight * call["step"]),),
    )
    inner = ((atom._replace(size=call["size"]),),)
    result = call.source.with_dim(index, outer)
    return replace(result, dims=(*result.dims, inner))


@rule("im2col")
def _image_to_columns(call: Call) -> Field:
    source = call.source
    batch, channels, *space = source.dims
    kernels, outputs = [], []
    for place, dim in enumerate(space):
        atom = position_atom(dim)
        kernel, dilation = call["kernel_size"][place], call["dilation"][place]
        padding, stride = call["padding"][place], call["stride"][place]
        count = (size(dim) + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        if atom is None or atom.axis is None:
            raise LayoutError("columns of something else than positions")
        source = source.see(atom.axis, Windows((-padding,), (-padding,), 1))
        kernels.append(Atom(kernel, atom.axis, dilation))
        outputs.append(Atom(count, atom.axis, stride))
    taps: Dim = ((*channels[0], *kernels),)
    return replace(source, dims=(batch, taps, (tuple(outputs),)))


@rule("col2im")
def _columns_to_image(call: Call) -> Field:
    source, _ = contracted(call.source, [1])
    height_width = []
    for place, entries in enumerate(call["output_size"]):
        kernel, stride = call["kernel_size"][place], call["stride"][place]
        padding, dilation = call["padding"][place], call["dilation"][place]
        source = source.see(place, spreading(kernel, stride, padding, dilation))
        height_width.append(line(entries, place))
    return replace(source, dims=(source.dims[0], plain(call.shape[1]), *height_width))
