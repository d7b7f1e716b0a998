"""When to say nothing: confidence that reaches an accuracy, from validation images.

Geifman and El-Yaniv, "Selective Classification for Deep Neural Networks", NeurIPS 2017,
arXiv:1705.08500.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clothing_lightning.metrics.calibration import (
    coverage,
    evenly_chosen,
    fit_temperature,
    tempered,
    top,
)
from clothing_lightning.metrics.classification_report import arrays
from clothing_lightning.metrics.selective import SLACK, TEMPERATURES, Calibration

FEW_IMAGES = 50
"""Below so many validation images a fitted temperature is hardly more than chance."""

_TEMPERATURES_OF_FEW = (0.5, 2.0)
_ACCURACIES = np.linspace(0, 1, 201)
_POINTS = 100  # besides those that reach an accuracy
_DIGITS = 6  # of a confidence, since float32 has hardly more of a number near 1


def calibrate(validation: pd.DataFrame) -> Calibration | None:
    """Fit a temperature to the stored predictions for the validation images.

    The temperature is kept within 0.1 and 10, which it would leave if every image is
    right, and within 0.5 and 2 if there are few images. Thresholds are exact for
    accuracies of whole and half percents; for others they may be higher than needed.

    Args:
        validation: The table, as `classification_report` describes it.

    Returns:
        The temperature, and what abstaining gains with it; None without images.

    Raises:
        DataError: If the table breaks its contract.
    """
    if validation.empty:
        return None
    targets, probabilities = arrays(validation)
    images = len(targets)
    low, high = TEMPERATURES if images >= FEW_IMAGES else _TEMPERATURES_OF_FEW
    temperature = min(max(fit_temperature(probabilities, targets), low), high)
    confidence, is_right = top(tempered(probabilities, temperature), targets)
    whole = coverage(confidence.round(_DIGITS), is_right)
    lowest, answered, right = (whole[key].to_numpy() for key in whole)
    # Between two confidences, where rounding moves no image across it.
    thresholds = np.append((lowest[:-1] + lowest[1:]) / 2, 0.0)
    rows = np.union1d(
        evenly_chosen(np.arange(len(whole)), _POINTS), _reaching(right / answered)
    )
    curve = zip(
        thresholds[rows].tolist(),
        answered[rows].tolist(),
        right[rows].tolist(),
        strict=True,
    )
    return Calibration(temperature, images, tuple(curve))


def _reaching(accuracy: NDArray[np.float64]) -> NDArray[np.intp]:
    """The last rows that reach the highest accuracy, and each half percent below."""
    best_of_rest = np.maximum.accumulate(accuracy[::-1])[::-1]
    wanted = np.append(_ACCURACIES, accuracy.max())
    reached = np.searchsorted(-best_of_rest, SLACK - wanted, side="right")
    return np.unique(reached[reached > 0] - 1)
