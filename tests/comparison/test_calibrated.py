from dataclasses import replace

import numpy as np
import pytest

from clothing_lightning.comparison.calibrated import calibrated
from clothing_lightning.comparison.pooling import pool
from clothing_lightning.comparison.predictions import RunPredictions
from clothing_lightning.metrics.calibration import (
    expected_calibration_error,
    fit_temperature,
    tempered,
)
from tests.compared_models import comparison

CLASSES = ("Dress", "Hat", "Shirt")


def own_temperature(run: RunPredictions) -> float:
    assert run.validation is not None
    targets = np.array([CLASSES.index(label) for label in run.validation["label"]])
    return fit_temperature(run.validation[list(CLASSES)].to_numpy(float), targets)


def test_repeats_are_pooled_each_with_the_temperature_of_its_validation() -> None:
    found = comparison({"a": 2.0}, CLASSES, seeds={"a": 2}, splits=2)
    (model,) = found.models
    result = calibrated(found, model)
    labels = [found.labels[found.tests[each.test]] for each in model.repeats]
    plain = np.concatenate([each.probabilities for each in model.repeats])
    error = expected_calibration_error(plain, np.concatenate(labels))
    assert result.error == pytest.approx(error)
    expected = [own_temperature(each.runs[0]) for each in model.repeats]
    assert result.temperatures == pytest.approx(expected)
    scaled = np.concatenate(
        [
            tempered(each.probabilities, temperature)
            for each, temperature in zip(model.repeats, expected, strict=True)
        ]
    )
    after = expected_calibration_error(scaled, np.concatenate(labels))
    assert result.error_after == pytest.approx(after)
    assert result.bins["images"].sum() == len(plain)
    assert result.coverage["coverage"].iloc[-1] == 1


def test_images_of_a_fold_get_the_temperature_of_that_fold() -> None:
    found = comparison({"a": 2.0}, CLASSES, seeds={"a": 1}, splits=3, images=60)
    runs = [
        replace(run, fold=f"{number} of 2", seeds="seed 0")
        for number, run in enumerate(found.models[0].runs[::2])
    ]
    pooled = pool(runs)
    (model,) = pooled.models
    (repeat,) = model.repeats
    scaled = np.empty(repeat.probabilities.shape)
    for run in runs:
        rows = pooled.images["sha256"].isin(run.predictions_by_content.index).to_numpy()
        scaled[rows] = tempered(repeat.probabilities[rows], own_temperature(run))
    expected = expected_calibration_error(scaled, pooled.labels)
    assert len(scaled) == 120
    assert calibrated(pooled, model).error_after == pytest.approx(expected)


def test_without_validation_there_is_no_temperature() -> None:
    found = comparison({"a": 2.0}, CLASSES, validation=False)
    result = calibrated(found, found.models[0])
    assert result.temperatures == ()
    assert np.isnan(result.error_after)
