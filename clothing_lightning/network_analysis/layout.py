"""Where in a tensor the positions of a feature map lie, and what it sees.

A dimension is a product of atoms, outermost first: channels, or positions along the
image's height or width. ``[N, C, H, W]`` has one atom in each; after a division into
windows of 7, the height is one atom with weight 7 (which window) and one with weight 1
(where in it), in two dimensions; tokens are height times width in one dimension. A
class token before them makes that dimension two segments, one after the other.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import NamedTuple

from clothing_lightning.network_analysis.windows import SAME, LayoutError, Windows

AXES = (0, 1)  # height and width


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
        dims: Dimensions of the tensor.
        windows: Pixels that each position along the height and the width sees; where no
            position is left, what the positions saw that were summarised.
    """

    dims: tuple[Dim, ...]
    windows: tuple[Windows, Windows]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor."""
        return tuple(size(dim) for dim in self.dims)

    def positions(self, axis: int) -> list[Atom]:
        """The atoms that index positions along an axis."""
        every = [atom for dim in self.dims for atom in atoms(dim)]
        indexing = [atom for atom in every if atom.axis == axis and not atom.key]
        return [atom for atom in indexing if atom.size > 1] or indexing[:1]

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

    def with_dim(self, index: int, *dims: Dim) -> "Field":
        """The same tensor with another dimension, several or none in place of one."""
        place = index % len(self.dims)
        changed = (*self.dims[:place], *dims, *self.dims[place + 1 :])
        return replace(self, dims=changed)


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


def extent(indexing: Iterable[Atom]) -> int:
    """Positions from the first to the last that atoms index, both included."""
    return sum((atom.size - 1) * atom.weight for atom in indexing) + 1


def atoms(dim: Dim) -> list[Atom]:
    """The atoms of a dimension that index positions."""
    return [atom for segment in dim for atom in segment if atom.axis is not None]


def position_atom(dim: Dim) -> Atom | None:
    """The atom of a dimension that is all positions along one axis, else None.

    Raises:
        LayoutError: If there are positions of another arrangement.
    """
    indexing = atoms(dim)
    if not indexing:
        return None
    if len(dim) == 1:
        (atom, *others) = [a for a in dim[0] if a.size > 1] or indexing
        if not others and atom.axis is not None and not atom.key:
            return atom
    raise LayoutError("positions share a dimension with something else")


def normalised(field: Field) -> Field:
    """Describe the positions of a tensor in the simplest way.

    An atom of one entry says nothing where its axis has others, and the entries of a
    line that is alone on its axis are one position apart.
    """
    for axis in field.axes:
        (atom, *others) = field.positions(axis)
        if atom.size > 1:
            field = mapped(field, axis, lambda each: each if each.size > 1 else None)
        if not others and atom.weight != 1:
            field = field.see(axis, Windows((0,), (0,), atom.weight))
            field = mapped(field, axis, _side_by_side)
    return field


def _side_by_side(atom: Atom) -> Atom:
    return atom if atom.key else atom._replace(weight=1)


def mapped(field: Field, axis: int, change: Callable[[Atom], Atom | None]) -> Field:
    """Change or remove the atoms of an axis."""

    def changed(segment: Segment) -> Segment:
        new = (change(atom) if atom.axis == axis else atom for atom in segment)
        return tuple(atom for atom in new if atom is not None)

    dims = tuple(tuple(map(changed, dim)) for dim in field.dims)
    return replace(field, dims=dims)


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
    gone: list[Atom] = []
    result = field
    for index in indices:
        gone += [atom for atom in atoms(field.dims[index]) if not atom.key]
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
