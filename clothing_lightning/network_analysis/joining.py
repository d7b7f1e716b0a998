"""Tensors that meet: by elementwise operations, or one after the other."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, groupby

from clothing_lightning.network_analysis.layout import (
    AXES,
    Dim,
    Field,
    Segment,
    atoms,
    extent,
    line,
    plain,
    size,
)
from clothing_lightning.network_analysis.windows import (
    LayoutError,
    Windows,
    in_turn,
    joined,
)


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
    fields: Sequence[Field], shape: Sequence[int], offsets_px: list[float]
) -> Field:
    """What elementwise operations with broadcasting see: the hull.

    Args:
        fields: Fields of the operands that have one.
        shape: Shape of the result.
        offsets_px: Where to note how far apart the centres of paths are that are out of
            step; see `windows.joined`.

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
        seen = _windows(axis, fields, result, offsets_px)
        result = result.with_windows(axis, seen)
    return result


def _richest(dims: list[Dim]) -> Dim | None:
    """The dimension with the most positions; None if no dimension has any."""
    best = max(dims, key=lambda dim: len(atoms(dim)), default=())
    axes = {atom.axis for atom in atoms(best)}
    if any(atom.axis not in axes for dim in dims for atom in atoms(dim)):
        raise LayoutError("operands arrange their positions differently")
    return best if axes else None


def _windows(
    axis: int, fields: Sequence[Field], result: Field, offsets_px: list[float]
) -> Windows:
    """The hull over the operands that have all positions that the result has."""
    positions = sorted(result.positions(axis))
    moving = [f for f in fields if f.positions(axis)]
    whole = [f for f in moving if sorted(f.positions(axis)) == positions]
    operands = whole or moving or fields
    windows = operands[0].windows[axis]
    for other in operands[1:]:
        windows, offset = joined(windows, other.windows[axis], extent(positions))
        if whole and offset:
            offsets_px.append(offset)
    return windows


def concatenated(
    fields: Sequence[Field | None],
    shapes: Sequence[Sequence[int]],
    index: int,
    offsets_px: list[float],
) -> Field:
    """Tensors one after the other along a dimension.

    Args:
        fields: Fields of the tensors; None for those that do not depend on the image.
        shapes: Shapes of all tensors.
        index: The dimension along which they are joined.
        offsets_px: Where to note paths that are out of step, as in `merged`.
    """
    known = [field for field in fields if field is not None]
    parts = [
        field.dims[index] if field is not None else plain(shape[index])
        for field, shape in zip(fields, shapes, strict=True)
    ]
    shape = [max(entries) for entries in zip(*shapes, strict=True)]
    shape[index] = 1
    open_ends = [field.with_dim(index, plain(1)) for field in known]
    result = merged(open_ends, shape, offsets_px)
    counts = [size(part) for part in parts]
    for axis in AXES:
        if parts == [line(count, axis) for count in counts]:
            windows = [field.windows[axis] for field in known]
            seen = in_turn(list(zip(windows, counts, strict=True)))
            result = result.with_windows(axis, seen)
            return result.with_dim(index, line(sum(counts), axis))
    return result.with_dim(index, _joined_segments(chain.from_iterable(parts)))


def _joined_segments(segments: Iterable[Segment]) -> Dim:
    """Segments in their order, of which neighbours without positions become one."""
    result: list[Segment] = []
    for indexing, run in groupby(segments, lambda segment: bool(atoms((segment,)))):
        neighbours = tuple(run)
        result += neighbours if indexing else plain(size(neighbours))
    return tuple(result)
