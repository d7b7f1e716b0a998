"""Where in a tensor the positions of a feature map lie, through any reshape.

A dimension is a product of atoms, outermost first: channels, or positions along the
image's height or width. ``[N, C, H, W]`` has one atom in each; after a division into
windows of 7, the height is one atom with weight 7 (which window) and one with weight 1
(where in it), in two dimensions; tokens are height times width in one dimension. A
class token before them makes that dimension two segments, one after the other.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from math import prod
from typing import NamedTuple

from clothing_lightning.analysis.windows import (
    SAME,
    Windows,
    in_turn,
    joined,
    moved_around,
)

AXES = (0, 1)  # height and width


class LayoutError(Exception):
    """The positions cannot be followed through an operation."""


class Atom(NamedTuple):
    """A factor of a dimension.

    Attributes:
        size: How many entries.
        axis: 0 for positions along the height, 1 for the width, None for anything else.
        weight: Positions from one entry to the next.
        key: Whether it indexes what is attended to, not what attends.
    """

    size: int
    axis: int | None = None
    weight: int = 1
    key: bool = False


Segment = tuple[Atom, ...]
Dim = tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """What the entries of a tensor see of the image.

    Attributes:
        dims: Of the tensor.
        windows: Pixels that each position along the height and the width sees; where no
            position is left, what the positions saw that were summarised.
    """

    dims: tuple[Dim, ...]
    windows: tuple[Windows, Windows]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor."""
        return tuple(size(dim) for dim in self.dims)

    def positions(self, axis: int) -> list[Atom]:
        """The atoms that index positions along an axis."""
        found = [
            atom
            for atom in chain.from_iterable(map(atoms, self.dims))
            if atom.axis == axis and not atom.key
        ]
        return [atom for atom in found if atom.size > 1] or found[:1]

    @property
    def axes(self) -> frozenset[int]:
        """The axes along which there are positions left."""
        return frozenset(axis for axis in AXES if self.positions(axis))

    def see(self, axis: int, step: Windows) -> "Field":
        """The same tensor, each position of an axis seeing what a step lets it see."""
        return self.with_windows(axis, self.windows[axis].through(step))

    def with_windows(self, axis: int, windows: Windows) -> "Field":
        """The same tensor with other windows along an axis."""
        height, width = self.windows
        changed = (windows, width) if axis == 0 else (height, windows)
        return replace(self, windows=changed)

    def with_dim(self, index: int, dim: Dim) -> "Field":
        """The same tensor with another dimension in the place of one."""
        dims = list(self.dims)
        dims[index] = dim
        return replace(self, dims=tuple(dims))


def image(shape: Sequence[int]) -> Field:
    """The field of an image itself, ``[N, C, H, W]``."""
    batch, channels, height, width = shape
    dims = (plain(batch), plain(channels), line(height, 0), line(width, 1))
    return Field(dims, (SAME, SAME))


def plain(entries: int) -> Dim:
    """A dimension without positions."""
    return ((Atom(entries),) if entries != 1 else (),)


def line(entries: int, axis: int) -> Dim:
    """A dimension that is all positions along an axis."""
    return ((Atom(entries, axis),),)


def size(dim: Dim) -> int:
    """Entries of a dimension."""
    return sum(prod(atom.size for atom in segment) for segment in dim)


def extent(found: Iterable[Atom]) -> int:
    """Positions from the first to the last that atoms index, both included."""
    return sum((atom.size - 1) * atom.weight for atom in found) + 1


def atoms(dim: Dim) -> Iterator[Atom]:
    """The atoms of a dimension that index positions."""
    return (atom for segment in dim for atom in segment if atom.axis is not None)


def position_atom(dim: Dim) -> Atom | None:
    """The atom of a dimension that is all positions along one axis, else None.

    Raises:
        LayoutError: If there are positions of another arrangement.
    """
    found = list(atoms(dim))
    if not found:
        return None
    if len(dim) == 1:
        (atom, *others) = [a for a in dim[0] if a.size > 1] or found
        if not others and atom.axis is not None and not atom.key:
            return atom
    raise LayoutError("positions share a dimension with something else")


def spread_out(field: Field, index: int) -> Field:
    """Turn position times entry, as after a pixel shuffle, into a line of positions."""
    dim = field.dims[index]
    found = list(atoms(dim))
    if len(found) != 1 or len(dim) != 1 or len(dim[0]) != 2 or dim[0][0] != found[0]:
        return field
    atom, inner = dim[0]
    assert atom.axis is not None
    if len(field.positions(atom.axis)) != 1 or atom.weight != 1:
        return field
    zeros = (0,) * inner.size
    field = field.see(atom.axis, Windows(zeros, zeros, 1))
    return field.with_dim(index, line(atom.size * inner.size, atom.axis))


def reshaped(field: Field, shape: Sequence[int]) -> tuple[Field, "list[Mixing]"]:
    """The same entries in other dimensions, as by ``view``.

    Where positions cannot be followed, since a new dimension ends inside of something
    indivisible, they count as summed over: any may be in the place of any other.

    Returns:
        The field, and what was lost.
    """
    groups = _groups(field.shape, shape)
    lost = [i for old, new in groups if not _fits(field, old, shape, new) for i in old]
    field, mixed = contracted(field, lost) if lost else (field, [])
    dims: list[Dim] = []
    for old, new in groups:
        if set(old) & set(lost):
            dims += [plain(shape[i]) for i in new]
        else:
            dims += _divided([field.dims[i] for i in old], [shape[i] for i in new])
    return normalised(replace(field, dims=tuple(dims))), mixed


def _fits(field: Field, old: list[int], shape: Sequence[int], new: list[int]) -> bool:
    try:
        _divided([field.dims[i] for i in old], [shape[i] for i in new])
    except LayoutError:
        return False
    return True


def _groups(
    old: Sequence[int], new: Sequence[int]
) -> list[tuple[list[int], list[int]]]:
    """Old and new dimensions that hold the same entries, as finely as possible."""
    groups: list[tuple[list[int], list[int]]] = []
    i, j = len(old), len(new)
    while i or j:
        mine: list[int] = []
        theirs: list[int] = []
        a = b = 1
        if i:
            i -= 1
            mine, a = [i], old[i]
        if j:
            j -= 1
            theirs, b = [j], new[j]
        while a != b:
            if a < b:
                i -= 1
                mine, a = [i, *mine], a * old[i]
            else:
                j -= 1
                theirs, b = [j, *theirs], b * new[j]
        groups.append((mine, theirs))
    return groups[::-1]


def _divided(old: Sequence[Dim], shape: Sequence[int]) -> list[Dim]:
    units = [
        unit
        for dim in old
        for unit in (dim[0] if len(dim) == 1 else [dim])  # a segmented one stays whole
    ]
    dims: list[Dim] = []
    for entries in reversed(shape):
        dims.append(_taken(units, entries))
    rest = [unit for unit in units if isinstance(unit, Atom)]
    if dims and rest and len(dims[-1]) == 1:
        dims[-1] = (_merged([*rest, *dims[-1][0]]),)
    return dims[::-1]


def _taken(units: list[Atom | Dim], entries: int) -> Dim:
    """Take a dimension of so many entries from the end of a list of units."""
    taken: list[Atom] = []
    missing = entries
    while units and (missing > 1 or (entries == 1 and not taken and _unit(units[-1]))):
        unit = units.pop()
        if not isinstance(unit, Atom):
            if taken or size(unit) != missing:
                raise LayoutError("a dimension with prefix tokens is divided")
            return unit
        if missing % unit.size == 0:
            taken.append(unit)
            missing //= unit.size
        elif unit.size % missing == 0:
            taken.append(unit._replace(size=missing))
            outer = unit.size // missing
            units.append(unit._replace(size=outer, weight=unit.weight * missing))
            missing = 1
        else:
            raise LayoutError("a dimension ends inside of another")
    return (_merged(reversed(taken)),)


def _unit(unit: Atom | Dim) -> bool:
    return isinstance(unit, Atom) and unit.size == 1


def _merged(segment: Iterable[Atom]) -> Segment:
    """The same entries in as few atoms as possible."""
    result: list[Atom] = []
    for atom in segment:
        last = result[-1] if result else None
        if atom.axis is None and atom.size == 1:
            continue
        if (
            last
            and (last.axis, last.key) == (atom.axis, atom.key)
            and (atom.axis is None or last.weight == atom.size * atom.weight)
        ):
            result[-1] = atom._replace(size=last.size * atom.size)
        else:
            result.append(atom)
    return tuple(result)


def normalised(field: Field) -> Field:
    """Say the same in the simplest way.

    An atom of one entry says nothing where its axis has others, and the entries of a
    line that is alone on its axis are one position apart.
    """
    for axis in field.axes:
        (atom, *others) = field.positions(axis)
        if atom.size > 1:
            field = mapped(field, partial(_without_single_entries, axis))
        if not others and atom.weight != 1:
            field = field.see(axis, Windows((0,), (0,), atom.weight))
            field = mapped(field, partial(_exchanged, atom, atom._replace(weight=1)))
    return field


def _without_single_entries(axis: int, atom: Atom) -> Atom | None:
    return atom if atom.axis != axis or atom.size > 1 else None


def _exchanged(old: Atom, new: Atom, atom: Atom) -> Atom:
    return new if atom == old else atom


def mapped(field: Field, change: Callable[[Atom], Atom | None]) -> Field:
    """Change or remove atoms."""
    dims = tuple(
        tuple(
            tuple(new for atom in segment if (new := change(atom)) is not None)
            for segment in dim
        )
        for dim in field.dims
    )
    return replace(field, dims=dims)


def narrowed(
    field: Field, index: int, start: int, entries: int, step: int = 1
) -> Field:
    """A slice along one dimension.

    Args:
        field: Of the whole.
        index: The dimension.
        start: First entry.
        entries: How many are kept.
        step: From one to the next.

    Raises:
        LayoutError: If it cuts through a product of positions.
    """
    dim = field.dims[index]
    if entries == size(dim):
        return field
    parts: list[Segment] = []
    begin = 0
    for segment in dim:
        length = size((segment,))
        low, high = max(start - begin, 0), min(start + entries * step - begin, length)
        begin += length
        if low >= high:
            continue
        if (low, high, step) == (0, length, 1):
            parts.append(segment)
        elif len(large := [atom for atom in segment if atom.size > 1]) == 1:
            (atom,) = large
            if atom.axis is not None and not atom.key:
                shift = low * atom.weight
                field = field.see(atom.axis, Windows((shift,), (shift,), 1))
            count = -(-(high - low) // step)
            cut = atom._replace(size=count, weight=atom.weight * step)
            parts.append(tuple(cut if a is atom else a for a in segment))
        elif any(atom.axis is not None for atom in segment):
            raise LayoutError("a slice cuts through rows of positions")
    kept = tuple(_merged(part) for part in parts) or plain(entries)
    return normalised(field.with_dim(index, kept))


def rolled(field: Field, index: int, shift: int) -> Field:
    """A cyclic shift along one dimension."""
    atom = position_atom(field.dims[index])
    if atom is None or atom.axis is None:
        return field
    turned = moved_around(field.windows[atom.axis], atom.size, shift)
    return field.with_windows(atom.axis, turned)


def broadcast(field: Field, shape: Sequence[int]) -> Field:
    """The same with new dimensions before the others, and single entries repeated.

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


class Meeting(NamedTuple):
    """Paths that were joined with their windows out of step."""

    axis: int
    offset_px: float
    same_stride: bool


def merged(
    fields: Sequence[Field], shape: Sequence[int], meetings: list[Meeting]
) -> Field:
    """What elementwise operations with broadcasting see: the hull.

    Args:
        fields: Of the operands that have one.
        shape: Of the result.
        meetings: Where to note paths whose windows are out of step.

    Raises:
        LayoutError: If operands arrange their positions differently.
    """
    dims: list[Dim] = []
    for place in range(-len(shape), 0):
        found = [
            field.dims[place]
            for field in fields
            if len(field.dims) >= -place and size(field.dims[place]) == shape[place]
        ]
        dims.append(_richest(found) or plain(shape[place]))
    result = Field(tuple(dims), fields[0].windows)
    for axis in AXES:
        seen = _windows(axis, fields, result, meetings)
        result = result.with_windows(axis, seen)
    return result


def _richest(dims: list[Dim]) -> Dim | None:
    found = [dim for dim in dims if any(True for _ in atoms(dim))]
    if not found:
        return None
    best = max(found, key=lambda dim: sum(1 for _ in atoms(dim)))
    for dim in found:
        if not {atom.axis for atom in atoms(dim)} <= {a.axis for a in atoms(best)}:
            raise LayoutError("operands arrange their positions differently")
    return best


def _windows(
    axis: int, fields: Sequence[Field], result: Field, meetings: list[Meeting]
) -> Windows:
    """The hull over the operands that have all positions that the result has."""
    there = sorted(result.positions(axis))
    moving = [f for f in fields if f.positions(axis)]
    whole = [f for f in moving if sorted(f.positions(axis)) == there]
    operands = whole or moving or fields
    windows = operands[0].windows[axis]
    for other in operands[1:]:
        meeting = joined(windows, other.windows[axis], extent(there))
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
        fields: Of the tensors; None of those that do not depend on the image.
        shapes: Of all of them.
        index: The dimension.
        meetings: As in `merged`.
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


class Mixing(NamedTuple):
    """Positions that were summed over.

    Attributes:
        axis: Along the height or the width.
        whole: Whether all positions of the axis are among them.
        positions: From the first to the last, both included.
    """

    axis: int
    whole: bool
    positions: int


def contracted(field: Field, indices: Iterable[int]) -> tuple[Field, list[Mixing]]:
    """Sum over dimensions, which become dimensions of one entry.

    Along an axis that keeps other positions (a sum within windows), each sees what all
    that were summed saw. Along one that keeps none, the windows stay what they were.
    """
    removed = [field.dims[index] for index in indices]
    gone = [atom for dim in removed for atom in atoms(dim) if not atom.key]
    result = field
    for index in indices:
        result = result.with_dim(index, plain(1))
    mixed = []
    for axis in AXES:
        summed = [atom for atom in gone if atom.axis == axis]
        if not summed:
            continue
        positions = extent(summed)
        whole = not result.positions(axis)
        if not whole:
            result = result.see(axis, Windows((0,), (positions - 1,), 1))
        mixed.append(Mixing(axis, whole, positions))
    return normalised(result), mixed
