"""Temperature and thresholds against searches through all that is possible."""

import json
import math
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from clothing_lightning.errors import DataError
from clothing_lightning.metrics.abstention import calibrate
from clothing_lightning.metrics.calibration import fit_temperature, tempered, top
from clothing_lightning.metrics.classification_report import arrays
from clothing_lightning.metrics.intervals import wilson_interval
from clothing_lightning.metrics.selective import Answered, Calibration
from tests.metrics.test_calibration import drawn

NAMES = ["Dress", "Hat", "Shirt", "Never predicted"]
SMALL = Calibration(1.5, 4, ((0.8, 1, 1), (0.6, 2, 2), (0.0, 4, 3)))


def predictions(seed: int, images: int, sharpness: float = 2.0) -> pd.DataFrame:
    probabilities, targets = drawn(seed, images, len(NAMES) - 1, sharpness)
    probabilities = np.pad(probabilities, ((0, 0), (0, 1)))
    table = pd.DataFrame({"path": [f"{n}.jpg" for n in range(images)]})
    table["label"] = [NAMES[k] for k in targets]
    return pd.concat([table, pd.DataFrame(probabilities, columns=NAMES)], axis=1)


def calibrated(table: pd.DataFrame) -> Calibration:
    found = calibrate(table)
    assert found is not None
    return found


@pytest.mark.parametrize("images", [60, 300, 2000])
def test_the_lowest_threshold_that_reaches_an_accuracy_is_found(images: int) -> None:
    table = predictions(0, images)
    targets, probabilities = arrays(table)
    found = calibrated(table)
    assert found.images == images
    assert found.temperature == fit_temperature(probabilities, targets)
    confidence, right = top(tempered(probabilities, found.temperature), targets)
    order = np.argsort(-confidence)
    accuracies = right[order].cumsum() / np.arange(1, images + 1)
    for wanted in (0.5, 0.8, 0.9, 0.95, 0.985, 0.99):
        most = np.flatnonzero(accuracies >= wanted).max(initial=-1) + 1
        point = found.reaching(wanted)
        assert point is not None
        assert point.answered == (confidence >= point.threshold).sum()
        assert point.right == right[confidence >= point.threshold].sum()
        assert point.accuracy >= wanted
        assert point.answered == most


def test_equal_confidences_are_answered_together() -> None:
    rows = [("Hat", 0.9), ("Hat", 0.7), ("Dress", 0.7), ("Hat", 0.7), ("Hat", 0.6)]
    table = pd.DataFrame(
        [(str(n), label, 1 - p, p) for n, (label, p) in enumerate(rows)],
        columns=["path", "label", "Dress", "Hat"],
    )
    found = calibrated(table)
    assert [point[1:] for point in found.curve] == [(1, 1), (4, 3), (5, 4)]
    assert found.reaching(0.9) == Answered(found.curve[0][0], 1, 1, 5)


def test_what_cannot_be_reached_has_no_threshold_but_a_best_one() -> None:
    wrong_when_sure = replace(SMALL, curve=((0.9, 1, 0), (0.5, 2, 1), (0.0, 4, 3)))
    assert wrong_when_sure.reaching(0.76) is None
    assert wrong_when_sure.most_accurate == Answered(0.0, 4, 3, 4)
    assert SMALL.most_accurate == Answered(0.6, 2, 2, 4)
    assert SMALL.reaching(0.75) == Answered(0.0, 4, 3, 4)


def test_answers_have_accuracy_interval_and_share() -> None:
    point = Answered(0.5, 20, 18, 80)
    assert (point.accuracy, point.share) == (0.9, 0.25)
    assert point.interval == wilson_interval(18, 20)


@pytest.mark.parametrize(
    ("images", "labels", "temperature"),
    [
        (20, "right", 0.5),
        (200, "right", 0.1),
        (20, "wrong", 2.0),
        (200, "wrong", 10.0),
    ],
)
def test_temperatures_stay_sane(images: int, labels: str, temperature: float) -> None:
    table = predictions(1, images)
    best, worst = table[NAMES[:3]].idxmax(axis=1), table[NAMES[:3]].idxmin(axis=1)
    table["label"] = best if labels == "right" else worst
    found = calibrated(table)
    assert (found.temperature, found.images) == (temperature, images)


def test_without_images_there_is_no_calibration() -> None:
    table = predictions(0, 5)
    assert calibrate(table[:0]) is None
    with pytest.raises(DataError, match="has the label 'Tie'"):
        calibrate(table.assign(label="Tie"))


@pytest.mark.parametrize("images", [1, 7, 5000])
def test_plain_values_come_back(images: int) -> None:
    found = calibrated(predictions(3, images))
    assert len(found.curve) <= 300
    assert Calibration.from_values(json.loads(json.dumps(asdict(found)))) == found


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": 0.0}, "temperature is 0.0, not from 0.1 to 10.0"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"temperature": "1"}, "something stands in place of a number"),
        ({"temperature": True}, "something stands in place of a number"),
        ({"images": 4.0}, "something stands in place of a number"),
        ({"images": 5}, "does not end with all images"),
        ({"curve": None}, "the curve has not 1 to 1000 rows"),
        ({"curve": []}, "does not end with all images"),
        ({"curve": [(0.0, 4, 3)] * 1001}, "the curve has not 1 to 1000 rows"),
        ({"curve": [3]}, "a row of the curve has not three numbers"),
        ({"curve": [(0.0, 4)]}, "a row of the curve has not three numbers"),
        ({"curve": [(0.0, 4, 5)]}, r"goes on with \(0.0, 4, 5\)"),
        ({"curve": [(2.0, 1, 1), (0.0, 4, 3)]}, r"goes on with \(2.0, 1, 1\)"),
        ({"curve": [(0.5, 0, 0), (0.0, 4, 3)]}, r"goes on with \(0.5, 0, 0\)"),
        ({"curve": [(0.5, 3, 3), (0.0, 4, 2)]}, r"goes on with \(0.0, 4, 2\)"),
        ({"curve": [(0.1, 2, 1), (0.5, 3, 1), (0.0, 4, 2)]}, r"with \(0.5, 3, 1\)"),
    ],
)
def test_values_of_others_are_checked(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Calibration.from_values(asdict(SMALL) | changes)
