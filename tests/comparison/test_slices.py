from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from clothing_lightning.comparison.predictions import Comparison
from clothing_lightning.comparison.slices import OTHER, Slices, slices
from clothing_lightning.metrics.intervals import wilson_interval
from tests.compared_models import comparison

CLASSES = ("Dress", "Hat", "Shirt")


@pytest.fixture
def two() -> Comparison:
    return comparison({"a": 2.0, "b": 1.0}, CLASSES, images=200)


def sliced(found: Comparison, **columns: Any) -> dict[str, Slices]:
    """Slices by their column, of images that have no columns but these."""
    images = found.images[["sha256", "path", "label"]].assign(**columns)
    return {each.by: each for each in slices(replace(found, images=images))}


def test_accuracy_and_interval_are_those_of_the_images_in_the_slice(
    two: Comparison,
) -> None:
    kids = np.arange(200) < 50
    found = sliced(two, kids=kids)["kids"]
    assert found.images == {"no": 150, "yes": 50}
    for number, model in enumerate(two.models):
        right = model.repeats[0].predicted == two.labels
        for place, part in enumerate((~kids, kids)):
            hits, n = int(right[part].sum()), int(part.sum())
            expected = (hits / n, *wilson_interval(hits, n))
            assert found.scores[number, place] == pytest.approx(expected)


def test_repeats_and_test_sets_are_averaged() -> None:
    found = comparison({"a": 1.5}, CLASSES, images=100, seeds={"a": 2}, splits=2)
    every = sliced(found, part=["x"] * 75 + ["y"] * 75)["part"]
    (rights,) = (found.rights(model) for model in found.models)
    assert every.images == {"x": 75, "y": 75}
    assert every.scores[0, 0, 0] == pytest.approx(np.nanmean(rights[:, :75]))


def test_rare_values_are_pooled_and_the_most_frequent_come_first(
    two: Comparison,
) -> None:
    senders = ["few"] * 5 + ["rare"] * 4 + ["some"] * 10 + ["most"] * 181
    assert sliced(two, group=senders)["group"].images == {
        "most": 181,
        "some": 10,
        OTHER: 9,
    }


def test_of_many_values_the_ten_most_frequent_are_kept(two: Comparison) -> None:
    senders = [f"sender {n}" for n in range(13) for _ in range(15)] + ["sender 0"] * 5
    found = sliced(two, group=senders)["group"].images
    assert len(found) == 11
    assert next(iter(found.items())) == ("sender 0", 20)
    assert list(found.items())[-1] == (OTHER, 45)


def test_what_is_not_known_is_other(two: Comparison) -> None:
    kids = pd.Series([True] * 100 + [None] * 100)
    assert sliced(two, kids=kids)["kids"].images == {"yes": 100, OTHER: 100}


def test_sizes_become_bins_of_the_short_side(two: Comparison) -> None:
    sides = np.arange(300, 500)
    found = sliced(two, width=sides, height=1000)["short side"].images
    assert list(found) == [
        "300 to 349 px",
        "350 to 399 px",
        "400 to 448 px",
        "449 to 499 px",
    ]
    assert sum(found.values()) == 200
    assert max(found.values()) - min(found.values()) <= 2


@pytest.mark.parametrize(
    "columns",
    [
        {"width": 400, "height": 600},
        {"phash": [f"{n:016x}" for n in range(200)]},
        {"kids": False},
    ],
)
def test_column_that_tells_nothing_apart_is_left_out(
    two: Comparison, columns: dict[str, Any]
) -> None:
    assert sliced(two, **columns) == {}
