"""Tensors that meet: by elementwise operations, or one after the other."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

from clothing_lightning.network_analysis.layout import (
    AXES,
    Atom,
    Dim,
    Field,
    LayoutError,
    Segment,
    atoms,
    extent,
    line,
    plain,
    size,
)
from clothing_lightning.network_analysis.windows import Windows, in_turn, joined


class Meeting(NamedTuple):
    """Paths that were joined with their windows out of step."""

    axis: int
    offset_px: float
    same_stride: bool


def broadcast(field: Field, shape: Sequence[int]) -> Field:
    """A field with new dimensions before the others, and single entries repeated.

    Raises:
        LayoutError: If positions would be repeated.
    """
    old = [plain(1)] * (len(shape) - len(field.dims)) + list(field.dims)
    new = [
        dim if size(dim) == entries else plain(entries)
        for dim, entries in zip(old, shape, strict=True)
    ]
    for before, after in zip(old, new, strict=True):
        if before != after and any(atom.size > 1 for atom in atoms(before)):
            raise LayoutError("positions are repeated")
    return replace(field, dims=tuple(new))


def merged(
    fields: Sequence[Field], shape: Sequence[int], meetings: list[Meeting]
) -> Field:
    """What elementwise operations with broadcasting see: the hull.

    Args:
        fields: Fields of the operands that have one.
        shape: Shape of the result.
        meetings: Where to note paths whose windows are out of step.

    Raises:
        LayoutError: If operands arrange their positions differently.
    """
    dims: list[Dim] = []
    for place in range(-len(shape), 0):
        candidates = [
            field.dims[place]
            for field in fields
            if len(field.dims) >= -place and size(field.dims[place]) == shape[place]
        ]
        dims.append(_richest(candidates) or plain(shape[place]))
    result = Field(tuple(dims), fields[0].windows)
    for axis in AXES:
        seen = _windows(axis, fields, result, meetings)
        result = result.with_windows(axis, seen)
    return result


def _richest(dims: list[Dim]) -> Dim | None:
    with_positions = [dim for dim in dims if any(True for _ in atoms(dim))]
    if not with_positions:
        return None
    best = max(with_positions, key=lambda dim: sum(1 for _ in atoms(dim)))
    for dim in with_positions:
        if not {atom.axis for atom in atoms(dim)} <= {a.axis for a in atoms(best)}:
            raise LayoutError("operands arrange their positions differently")
    return best


def _windows(
    axis: int, fields: Sequence[Field], result: Field, meetings: list[Meeting]
) -> Windows:
    """The hull over the operands that have all positions that the result has."""
    positions = sorted(result.positions(axis))
    moving = [f for f in fields if f.positions(axis)]
    whole = [f for f in moving if sorted(f.positions(axis)) == positions]
    operands = whole or moving or fields
    windows = operands[0].windows[axis]
    for other in operands[1:]:
        meeting = joined(windows, other.windows[axis], extent(positions))
        windows = meeting.windows
        if whole and (meeting.offset_px or not meeting.same_stride):
            meetings.append(Meeting(axis, meeting.offset_px, meeting.same_stride))
    return windows


def concatenated(
    fields: Sequence[Field | None],
    shapes: Sequence[Sequence[int]],
    index: int,
    meetings: list[Meeting],
) -> Field:
    """Tensors one after the other along a dimension.

    Args:
        fields: Fields of the tensors; None for those that do not depend on the image.
        shapes: Shapes of all tensors.
        index: The dimension along which they are joined.
        meetings: Where to note paths whose windows are out of step.
    """
    known = [field for field in fields if field is not None]
    parts = [
        field.dims[index] if field is not None else plain(shape[index])
        for field, shape in zip(fields, shapes, strict=True)
    ]
    shape = [max(entries) for entries in zip(*shapes, strict=True)]
    shape[index] = 1
    open_ends = [field.with_dim(index, plain(1)) for field in known]
    result = merged(open_ends, shape, meetings)
    axes = {axis for axis in AXES for part in parts if part == line(size(part), axis)}
    if len(axes) == 1 and all(part == line(size(part), *axes) for part in parts):
        (axis,) = axes
        counts = [size(part) for part in parts]
        bounds = zip([field.windows[axis] for field in known], counts, strict=True)
        result = result.with_windows(axis, in_turn(list(bounds)))
        return result.with_dim(index, line(sum(counts), axis))
    return result.with_dim(index, _joined_segments(chain.from_iterable(parts)))


def _joined_segments(segments: Iterable[Segment]) -> Dim:
    result: list[Segment] = []
    for segment in segments:
        free = all(atom.axis is None for atom in segment)
        if free and result and all(atom.axis is None for atom in result[-1]):
            entries = size((result[-1],)) + size((segment,))
            result[-1] = (Atom(entries),)
        else:
            result.append(segment)
    return tuple(result)
