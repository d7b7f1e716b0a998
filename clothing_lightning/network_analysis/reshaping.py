"""Tensors in other dimensions, cut or turned: where their positions lie then."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import prod

from clothing_lightning.network_analysis.layout import (
    Atom,
    Dim,
    Field,
    Mixing,
    Segment,
    atoms,
    contracted,
    line,
    normalised,
    plain,
    size,
)
from clothing_lightning.network_analysis.windows import LayoutError, Windows


def spread_out(field: Field, index: int) -> Field:
    """Turn position times entry, as after a pixel shuffle, into a line of positions."""
    dim = field.dims[index]
    if len(dim) != 1 or len(dim[0]) != 2 or atoms(dim) != [dim[0][0]]:
        return field
    atom, inner = dim[0]
    assert atom.axis is not None
    if len(field.positions(atom.axis)) != 1 or atom.weight != 1:
        return field
    zeros = (0,) * inner.size
    field = field.see(atom.axis, Windows(zeros, zeros, 1))
    return field.with_dim(index, line(atom.size * inner.size, atom.axis))


def reshaped(field: Field, shape: Sequence[int]) -> tuple[Field, list[Mixing]]:
    """A field whose entries are arranged in other dimensions, as by ``view``.

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


def _fits(field: Field, old: range, shape: Sequence[int], new: range) -> bool:
    try:
        _divided([field.dims[i] for i in old], [shape[i] for i in new])
    except LayoutError:
        return False
    return True


def _groups(old: Sequence[int], new: Sequence[int]) -> list[tuple[range, range]]:
    """Old and new dimensions that hold the same entries, as finely as possible."""
    groups = []
    i, j = len(old), len(new)
    while i or j:
        end_i, end_j = i, j
        i, j = max(i - 1, 0), max(j - 1, 0)
        while (mine := prod(old[i:end_i])) != (theirs := prod(new[j:end_j])):
            if mine < theirs:
                i -= 1
            else:
                j -= 1
        groups.append((range(i, end_i), range(j, end_j)))
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
    """A segment of the same entries in as few atoms as possible."""
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


def narrowed(
    field: Field, index: int, start: int, entries: int, step: int = 1
) -> Field:
    """A slice along one dimension.

    Args:
        field: Field of the whole tensor.
        index: The dimension.
        start: First entry.
        entries: Number of entries that are kept.
        step: Distance from one kept entry to the next.

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
