"""How far the confidence of compared models can be believed, before and after scaling.

A temperature is fitted for each run on its own validation images, and never on images
that are reported.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clothing_lightning.comparison.predictions import Comparison, Model, Repeat
from clothing_lightning.metrics.calibration import (
    accuracy_at_coverage,
    expected_calibration_error,
    fit_temperature,
    reliability,
    tempered,
)
from clothing_lightning.metrics.classification_report import arrays


@dataclass(frozen=True)
class Calibrated:
    """Confidence of one model on the test images of all its repeats.

    Attributes:
        bins: The table that `calibration.reliability` returns.
        coverage: The table that `calibration.accuracy_at_coverage` returns.
        error: Expected calibration error, 0 to 1.
        temperatures: The temperature of each of its runs; empty unless all stored their
            validation predictions.
        error_after: The calibration error with these temperatures; NaN without them.
    """

    bins: pd.DataFrame
    coverage: pd.DataFrame
    error: float
    temperatures: tuple[float, ...]
    error_after: float


def calibrated(compared: Comparison, model: Model) -> Calibrated:
    """Hold the confidence of a model, its repeats pooled, against its accuracy."""
    probabilities = np.concatenate([each.probabilities for each in model.repeats])
    targets = np.concatenate(
        [compared.labels[compared.tests[each.test]] for each in model.repeats]
    )
    temperatures = _temperatures(model)
    after = math.nan
    if temperatures:
        scaled = [_scaled(compared, each, temperatures) for each in model.repeats]
        after = expected_calibration_error(np.concatenate(scaled), targets)
    return Calibrated(
        reliability(probabilities, targets),
        accuracy_at_coverage(probabilities, targets),
        expected_calibration_error(probabilities, targets),
        tuple(temperatures.values()),
        after,
    )


def _temperatures(model: Model) -> dict[str, float]:
    """Temperature of each run by its id; empty where a run has no validation."""
    temperatures = {}
    for run in model.runs:
        if run.validation is None or run.validation.empty:
            return {}
        temperatures[run.run_id] = _temperature(run.validation)
    return temperatures


def _temperature(validation: pd.DataFrame) -> float:
    targets, probabilities = arrays(validation)
    return fit_temperature(probabilities, targets)


def _scaled(
    compared: Comparison, repeat: Repeat, temperatures: dict[str, float]
) -> NDArray[np.float64]:
    """Probabilities of a repeat, those of each fold with the fold's temperature."""
    contents = compared.images["sha256"].iloc[compared.tests[repeat.test]]
    scaled = np.empty(repeat.probabilities.shape)
    # Of an image that several runs tested, the prediction of the first counts.
    for run in reversed(repeat.runs):
        rows = contents.isin(run.predictions_by_content.index).to_numpy()
        scaled[rows] = tempered(repeat.probabilities[rows], temperatures[run.run_id])
    return scaled
