import math

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torchmetrics.functional.classification import multiclass_calibration_error

from clothing_lightning.metrics import calibration
from clothing_lightning.metrics.calibration import (
    accuracy_at_coverage,
    expected_calibration_error,
    fit_temperature,
    reliability,
    tempered,
    tempering,
)
from clothing_lightning.metrics.intervals import wilson_interval

Floats = NDArray[np.float64]
Targets = NDArray[np.intp]

# Confidences 0.9, 0.6, 0.6, 0.8; right, right, wrong, wrong.
FOUR = np.array([[0.9, 0.1], [0.6, 0.4], [0.6, 0.4], [0.2, 0.8]])
TARGETS = np.array([0, 0, 1, 0])


def drawn(
    seed: int = 0, images: int = 2000, classes: int = 7, sharpness: float = 1.0
) -> tuple[Floats, Targets]:
    """Targets drawn from the probabilities, which are then sharpened."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 2, (images, classes))
    honest = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    draws = generator.random((images, 1))
    targets = np.minimum((honest.cumsum(axis=1) < draws).sum(axis=1), classes - 1)
    sharp = honest**sharpness
    return sharp / sharp.sum(axis=1, keepdims=True), targets


def loss(probabilities: Floats, targets: Targets) -> float:
    return float(-np.log(probabilities[np.arange(len(targets)), targets]).mean())


@pytest.fixture
def four_bins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "_BINS", 4)


@pytest.mark.usefixtures("four_bins")
def test_bins_hold_what_is_in_them() -> None:
    table = reliability(FOUR, TARGETS)
    assert table["lower"].tolist() == [0, 0.25, 0.5, 0.75]
    assert table["upper"].tolist() == [0.25, 0.5, 0.75, 1]
    assert table["images"].tolist() == [0, 0, 2, 2]
    expected = pytest.approx([math.nan, math.nan, 0.6, 0.85], nan_ok=True)
    assert table["confidence"].tolist() == expected
    expected = pytest.approx([math.nan, math.nan, 0.5, 0.5], nan_ok=True)
    assert table["accuracy"].tolist() == expected
    ends = table[["accuracy_lower", "accuracy_upper"]].to_numpy()
    assert tuple(ends[0]) == (0, 1)
    assert tuple(ends[2]) == wilson_interval(1, 2)


@pytest.mark.usefixtures("four_bins")
def test_bin_holds_its_lower_end_and_the_last_one_also_1() -> None:
    probabilities = np.array([[0.5, 0.5], [0.75, 0.25], [1.0, 0.0]])
    table = reliability(probabilities, np.array([0, 0, 0]))
    assert table["images"].tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize("bins", [1, 10, 15, 100])
@pytest.mark.parametrize("sharpness", [0.3, 1.0, 3.0])
def test_calibration_error_equals_torchmetrics(
    bins: int, sharpness: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "_BINS", bins)
    probabilities, targets = drawn(sharpness=sharpness)
    # It computes in float32: confidences within that of the end of a bin would move.
    ends = np.linspace(0, 1, bins + 1)
    distances = np.abs(probabilities.max(axis=1)[:, None] - ends).min(axis=1)
    probabilities, targets = probabilities[distances > 1e-6], targets[distances > 1e-6]
    expected = multiclass_calibration_error(
        torch.from_numpy(probabilities), torch.from_numpy(targets), 7, bins
    )
    found = expected_calibration_error(probabilities, targets)
    assert found == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.usefixtures("four_bins")
def test_calibration_error_of_hand_computed_bins() -> None:
    found = expected_calibration_error(FOUR, TARGETS)
    assert found == pytest.approx((0.1 + 0.35) / 2, abs=1e-12)


def test_certain_and_right_is_calibrated() -> None:
    assert expected_calibration_error(np.eye(3), np.arange(3)) == 0


def test_no_image_has_no_calibration_error() -> None:
    nothing, no_targets = np.zeros((0, 3)), np.zeros(0, np.intp)
    assert math.isnan(expected_calibration_error(nothing, no_targets))
    assert reliability(nothing, no_targets)["images"].tolist() == [0] * 15


def test_accuracy_at_coverage_keeps_the_most_confident_and_ties_together() -> None:
    table = accuracy_at_coverage(FOUR, TARGETS)
    assert table["coverage"].tolist() == [0.25, 0.5, 1.0]
    assert table["accuracy"].tolist() == [1.0, 0.5, 0.5]
    assert table["threshold"].tolist() == [0.9, 0.8, 0.6]


def test_coverage_is_thinned_and_ends_with_all_images() -> None:
    probabilities, targets = drawn()
    table = accuracy_at_coverage(probabilities, targets)
    assert len(table) == 200
    assert table["coverage"].is_monotonic_increasing
    assert table["threshold"].is_monotonic_decreasing
    assert table["coverage"].iloc[0] == 1 / 2000
    assert table["coverage"].iloc[-1] == 1
    right = probabilities.argmax(axis=1) == targets
    assert table["accuracy"].iloc[-1] == right.mean()
    for row in table.sample(20, random_state=0).itertuples():
        kept = probabilities.max(axis=1) >= row.threshold
        assert row.coverage == kept.mean()
        assert row.accuracy == pytest.approx(right[kept].mean(), abs=1e-12)


def test_one_image_and_none_have_a_coverage() -> None:
    one = accuracy_at_coverage(FOUR[:1], TARGETS[:1])
    assert one.to_numpy().tolist() == [[1.0, 1.0, 0.9]]
    assert accuracy_at_coverage(FOUR[:0], TARGETS[:0]).empty


@pytest.mark.parametrize("sharpness", [0.4, 1.0, 2.5])
def test_temperature_takes_back_the_sharpening(sharpness: float) -> None:
    probabilities, targets = drawn(images=20_000, sharpness=sharpness)
    assert fit_temperature(probabilities, targets) == pytest.approx(sharpness, rel=0.05)


@pytest.mark.parametrize("sharpness", [0.4, 1.0, 2.5])
def test_temperature_has_the_loss_that_scipy_finds(sharpness: float) -> None:
    probabilities, targets = drawn(seed=1, images=300, sharpness=sharpness)
    expected = minimize_scalar(
        lambda log_t: loss(tempered(probabilities, math.exp(log_t)), targets),
        bounds=(math.log(0.05), math.log(20)),
        method="bounded",
        options={"xatol": 1e-9},
    )
    temperature = fit_temperature(probabilities, targets)
    assert loss(tempered(probabilities, temperature), targets) == pytest.approx(
        expected.fun, abs=1e-12
    )
    assert math.log(temperature) == pytest.approx(expected.x, abs=1e-5)


def test_temperature_never_raises_the_loss() -> None:
    for seed in range(5):
        probabilities, targets = drawn(seed, images=20, classes=3, sharpness=2)
        after = tempered(probabilities, fit_temperature(probabilities, targets))
        assert loss(after, targets) <= loss(probabilities, targets) + 1e-12


@pytest.mark.parametrize(
    ("probabilities", "targets"),
    [
        (np.zeros((0, 3)), np.zeros(0, np.intp)),
        (np.ones((4, 1)), np.zeros(4, np.intp)),
        (np.full((3, 4), 0.25), np.array([0, 1, 3])),
    ],
    ids=["no image", "one class", "even probabilities"],
)
def test_nothing_to_fit_is_a_temperature_of_1(
    probabilities: Floats, targets: Targets
) -> None:
    assert fit_temperature(probabilities, targets) == 1.0


def test_temperature_ends_where_one_answer_is_always_right_or_always_wrong() -> None:
    probabilities = np.array([[0.7, 0.3], [0.8, 0.2]])
    assert fit_temperature(probabilities, np.array([0, 0])) == 0.05
    assert fit_temperature(probabilities, np.array([1, 1])) == 20.0


def test_impossible_class_does_not_break_the_temperature() -> None:
    probabilities = np.array([[1.0, 0.0], [0.6, 0.4], [0.7, 0.3]])
    targets = np.array([1, 0, 0])
    assert 1 < fit_temperature(probabilities, targets) <= 20
    assert np.isfinite(tempered(probabilities, 3.0)).all()


def test_temperature_1_changes_nothing_and_no_temperature_changes_the_order() -> None:
    probabilities, _ = drawn()
    np.testing.assert_allclose(tempered(probabilities, 1.0), probabilities, atol=1e-12)
    for temperature in (0.3, 5.0):
        changed = tempered(probabilities, temperature)
        np.testing.assert_allclose(changed.sum(axis=1), 1.0, atol=1e-12)
        np.testing.assert_array_equal(
            changed.argsort(axis=1), probabilities.argsort(axis=1)
        )


def test_effect_of_a_temperature_is_that_on_the_tempered_table() -> None:
    probabilities, targets = drawn(sharpness=2)
    names = [f"class {k}" for k in range(7)]
    table = pd.DataFrame(probabilities, columns=names)
    table.insert(0, "path", [f"{n}.jpg" for n in range(len(table))])
    table.insert(1, "label", [names[k] for k in targets])
    effect = tempering(table, 2.0)
    for when, each in (
        ("before", probabilities),
        ("after", tempered(probabilities, 2.0)),
    ):
        expected = expected_calibration_error(each, targets)
        assert effect[f"error_{when}"] == expected
        assert effect[f"cross_entropy_{when}"] == pytest.approx(loss(each, targets))
    assert effect["error_after"] < effect["error_before"]
    assert all(math.isnan(value) for value in tempering(table[:0], 2.0).values())


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_temperature_is_above_0(temperature: float) -> None:
    with pytest.raises(ValueError, match=r"temperature is .*: it is above 0"):
        tempered(FOUR, temperature)


@pytest.mark.parametrize(
    ("probabilities", "targets", "message"),
    [
        (FOUR, TARGETS[:3], r"shape \(4, 2\) and targets \(3,\)"),
        (FOUR[0], TARGETS, r"shape \(2,\)"),
        (-FOUR, TARGETS, "finite and not below 0"),
        (FOUR * math.nan, TARGETS, "finite and not below 0"),
        (FOUR, TARGETS + 1, "targets: each is within 0 and 1"),
        (FOUR, TARGETS - 1, "targets: each is within 0 and 1"),
    ],
)
def test_broken_contract_is_told(
    probabilities: Floats, targets: Targets, message: str
) -> None:
    for function in (reliability, accuracy_at_coverage, fit_temperature):
        with pytest.raises(ValueError, match=message):
            function(probabilities, targets)
