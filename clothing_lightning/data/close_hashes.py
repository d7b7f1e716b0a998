"""Which of many perceptual hashes are close to each other.

Two hashes of 64 bits that differ in few bits differ in a quarter of these at most in
one of four bands of 16 bits. So each band is searched for pairs that do: Norouzi,
Punjani and Fleet, "Fast Search in Hamming Space with Multi-Index Hashing", CVPR 2012.
"""

from collections.abc import Iterator
from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]

_BANDS, _BAND_BITS = 4, 16
_AT_ONCE = 1 << 20  # pairs; bounds the memory to some 100 MB
_KEPT = 1 << 20


def close_pairs(hashes: Hashes, radius: int, turned: int = 0) -> Indices:
    """Find all pairs of hashes that differ in few bits.

    Args:
        hashes: The hashes, ``[N]``. Equal hashes are pairs as well, so many of them
            take long.
        radius: The number of bits in which the two hashes of a pair may differ.
        turned: Bits that are turned over in one of the two hashes before.

    Returns:
        ``[P, 3]``: two indices, the lower one first, and the number of bits; the
        closest pairs first, and no others where there are more than a million.
    """
    closest = np.empty((0, 3), dtype=np.int64)
    for band in range(_BANDS):
        shift = _BAND_BITS * (_BANDS - 1 - band)
        keys = (hashes >> shift).astype(np.int64) & 0xFFFF
        order = np.argsort(keys, kind="stable")
        turned_key = turned >> shift & 0xFFFF
        # Photos differ the least in the first band, the lowest frequencies: where the
        # radius cannot be shared out evenly, that one is searched the least.
        masks = _masks((radius - _BANDS + 1 + band) // _BANDS)
        parts = [closest]
        ordered = hashes[order]
        for left, right in _pairs(keys[order], [mask ^ turned_key for mask in masks]):
            bits = np.bitwise_count(ordered[left] ^ ordered[right] ^ turned)
            near = np.flatnonzero(bits <= radius)
            ends = np.stack([order[left[near]], order[right[near]]], axis=1)
            parts.append(np.column_stack([np.sort(ends, axis=1), bits[near]]))
            if sum(map(len, parts)) > 2 * _KEPT:
                parts = [_closest(parts)]
        closest = _closest(parts)
    return closest


def _masks(most: int) -> list[int]:
    """Return all keys with up to ``most`` bits set; none if that is negative."""
    return [
        sum(1 << bit for bit in bits)
        for count in range(most + 1)
        for bits in combinations(range(_BAND_BITS), count)
    ]


def _pairs(keys: Indices, masks: list[int]) -> Iterator[tuple[Indices, Indices]]:
    """Yield places of sorted keys that differ by a mask, each pair of places once."""
    starts = np.searchsorted(keys, np.arange((1 << _BAND_BITS) + 1))
    places = np.arange(len(keys))
    for mask in masks:
        partners = keys ^ mask
        begins = starts[partners] if mask else places + 1
        counts = np.where(keys <= partners, starts[partners + 1] - begins, 0)
        done = np.cumsum(counts)
        cuts = np.searchsorted(done, range(0, int(counts.sum()), _AT_ONCE)).tolist()
        for first, last in pairwise([*cuts, len(keys)]):
            some = counts[first:last]
            shift = begins[first:last] - (done[first:last] - some)
            before = int(done[first] - counts[first]) if first < last else 0
            left = np.repeat(places[first:last], some)
            yield left, np.repeat(shift, some) + np.arange(before, before + len(left))


def _closest(parts: list[Indices]) -> Indices:
    """Sort pairs by distance, each once, and keep the closest of them."""
    every = np.unique(np.concatenate(parts), axis=0)
    return every[np.argsort(every[:, 2], kind="stable")][:_KEPT]
