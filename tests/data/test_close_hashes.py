"""Pairs of close hashes against a comparison of every hash with every other."""

import numpy as np
import numpy.typing as npt
import pytest

from clothing_lightning.data import close_hashes
from clothing_lightning.data.close_hashes import close_pairs

NONE, EVERY_SECOND = 0, 0x5555_5555_5555_5555


@pytest.fixture(scope="module")
def hashes() -> npt.NDArray[np.uint64]:
    """Ten random ones and thirty variations of each by up to 16 bits."""
    rng = np.random.default_rng(0)
    found = np.repeat(rng.integers(0, 2**64, 10, dtype=np.uint64), 30)
    for _ in range(16):
        found ^= np.uint64(1) << rng.integers(0, 64, len(found), dtype=np.uint64)
    return found


def by_hand(
    hashes: npt.NDArray[np.uint64], radius: int, turned: int
) -> set[tuple[int, int, int]]:
    numbers = [int(number) for number in hashes]
    pairs = [
        (i, j, (numbers[i] ^ numbers[j] ^ turned).bit_count())
        for j in range(len(numbers))
        for i in range(j)
    ]
    return {pair for pair in pairs if pair[2] <= radius}


@pytest.mark.parametrize("radius", [0, 1, 2, 3, 8, 10, 12])
@pytest.mark.parametrize("turned", [NONE, EVERY_SECOND])
def test_every_pair_within_the_radius_is_found_once(
    hashes: npt.NDArray[np.uint64], radius: int, turned: int
) -> None:
    half = np.arange(len(hashes)) % 2 == 0
    mixed = np.where(half, hashes, hashes ^ turned)
    found = close_pairs(mixed, radius, turned)
    assert len(found) == len({tuple(pair) for pair in found.tolist()})
    assert {tuple(pair) for pair in found.tolist()} == by_hand(mixed, radius, turned)
    assert (np.diff(found[:, 2]) >= 0).all()


def test_pieces_give_the_same(
    hashes: npt.NDArray[np.uint64], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = close_pairs(hashes, 10)
    monkeypatch.setattr(close_hashes, "_AT_ONCE", 7)
    assert np.array_equal(close_pairs(hashes, 10), whole)


def test_too_many_pairs_are_cut_to_the_closest(
    hashes: npt.NDArray[np.uint64], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = close_pairs(hashes, 12)
    monkeypatch.setattr(close_hashes, "_KEPT", 50)
    assert np.array_equal(close_pairs(hashes, 12), whole[:50])


@pytest.mark.parametrize("count", [0, 1])
def test_without_two_hashes_there_is_no_pair(count: int) -> None:
    assert close_pairs(np.zeros(count, np.uint64), 10).shape == (0, 3)


@pytest.mark.slow
def test_as_many_as_deepfashion_take_seconds() -> None:
    numbers = np.random.default_rng(0).integers(0, 2**64, 300_000, dtype=np.uint64)
    assert 100 < len(close_pairs(numbers, 10)) < 1000  # by chance, 430 are expected
