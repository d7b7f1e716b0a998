"""Copies of drawn pictures are found, and other pictures are not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from PIL import Image

from clothing_lightning.data.inspection import perceptual_hash
from clothing_lightning.data.near_duplicates import (
    NearDuplicates,
    candidate_pairs,
    near_duplicates,
    similarity,
)

Picture = npt.NDArray[np.uint8]


def picture(seed: int, height: int = 160, width: int = 120) -> Picture:
    """Smooth noise: something with details at every scale."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    for cells in (3, 6, 12, 24):
        coarse = rng.normal(0, 1 / cells, (cells, cells, 3)).astype(np.float32)
        total += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    span = total.max() - total.min()
    return np.asarray((total - total.min()) / span * 255, np.uint8)


def find(root: Path, pictures: dict[str, Picture]) -> NearDuplicates:
    """Look for pairs among files in a folder."""
    hashes = {}
    for name, pixels in sorted(pictures.items()):
        Image.fromarray(np.ascontiguousarray(pixels)).save(root / name, quality=80)
        hashes[name] = perceptual_hash(np.asarray(Image.open(root / name)))
    return near_duplicates(root, pd.Series(hashes), workers=2)


CHANGES: dict[str, Callable[[Picture], Any]] = {
    "smaller": lambda p: cv2.resize(p, (90, 120), interpolation=cv2.INTER_AREA),
    "trimmed": lambda p: p[3:-3, 2:-2],
    "darker": lambda p: (p * 0.7).astype(np.uint8),
    "squashed": lambda p: cv2.resize(p, (120, 120), interpolation=cv2.INTER_AREA),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copies_are_found_and_nothing_else(change: str, tmp_path: Path) -> None:
    originals = {f"{seed:02}.jpg": picture(seed) for seed in range(12)}
    copies = {f"{s:02}copy.jpg": CHANGES[change](picture(s)) for s in range(0, 12, 3)}
    found = find(tmp_path, originals | copies).pairs
    pairs = set(zip(found["path_a"], found["path_b"], strict=True))
    assert pairs == {(f"{s:02}.jpg", f"{s:02}copy.jpg") for s in range(0, 12, 3)}
    assert not found["mirrored"].any()


def test_mirrored_copies_are_found(tmp_path: Path) -> None:
    found = find(tmp_path, {"a.jpg": picture(1), "b.jpg": picture(1)[:, ::-1]})
    pair = found.pairs.iloc[0]
    assert (pair["path_a"], pair["path_b"], pair["mirrored"]) == (
        "a.jpg",
        "b.jpg",
        True,
    )
    assert pair["similarity"] > 0.98


def test_only_the_closest_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clothing_lightning.data.near_duplicates.LOOKED_AT", 1)
    pictures = {"a.jpg": picture(1), "b.jpg": CHANGES["trimmed"](picture(1))}
    found = find(tmp_path, pictures | {"c.jpg": picture(1)})
    assert (found.candidates, found.looked_at) == (2, 1)
    assert found.pairs["distance"].tolist() == [0]


def test_file_that_is_gone_is_like_nothing(tmp_path: Path) -> None:
    hashes = pd.Series({"a.jpg": "0f" * 8, "b.jpg": "0f" * 8})
    found = near_duplicates(tmp_path, hashes, workers=1)
    assert (found.candidates, len(found.pairs)) == (1, 0)


def test_blank_pictures_are_like_nothing() -> None:
    blank = np.full((64, 64, 3), 255, np.uint8)
    assert similarity(blank, blank) == 0
    assert similarity(blank, cv2.resize(picture(0), (64, 64)).astype(np.uint8)) == 0


def test_colours_count() -> None:
    one = cv2.resize(picture(0), (64, 64)).astype(np.uint8)
    assert similarity(one, one) == pytest.approx(1, abs=1e-3)
    assert similarity(one, np.ascontiguousarray(one[:, :, ::-1])) < 0.9


def test_many_equal_hashes_give_few_pairs() -> None:
    hashes = pd.Series("8000000000000000", index=[f"{n:05}" for n in range(20_000)])
    found = candidate_pairs(hashes)
    assert len(found) == 3 * 20_000 - 6
    assert (found["path_a"] < found["path_b"]).all()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_images_are_enough(count: int, tmp_path: Path) -> None:
    hashes = pd.Series([f"{n:016x}" for n in range(count)], dtype=str)
    hashes.index = pd.Index([f"{n}.jpg" for n in range(count)])
    found = near_duplicates(tmp_path, hashes, workers=1)
    assert found.candidates == (count == 2)
    assert list(found.pairs.columns)[:2] == ["path_a", "path_b"]
