"""When to say nothing: confidence that reaches an accuracy, from validation images.

Geifman and El-Yaniv, "Selective Classification for Deep Neural Networks", NeurIPS 2017,
arXiv:1705.08500.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

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
from clothing_lightning.metrics.intervals import wilson_interval

FEW_IMAGES = 50
"""Below so many validation images a fitted temperature is hardly more than chance."""

_TEMPERATURES = (0.1, 10.0)
_TEMPERATURES_OF_FEW = (0.5, 2.0)
_ACCURACIES = np.linspace(0, 1, 201)
_POINTS = 100  # besides those that reach an accuracy
_MOST_POINTS = 1000  # that are read
_DIGITS = 6  # of a confidence, since float32 has hardly more of a number near 1
_SLACK = 1e-9  # in shares, which are rounded numbers


@dataclass(frozen=True)
class Answered:
    """The validation images whose confidence reaches a threshold.

    Attributes:
        threshold: The least confidence that is answered, 0 to 1.
        answered: Number of images that reach it.
        right: Number of those whose class is right.
        images: Number of all validation images.
    """

    threshold: float
    answered: int
    right: int
    images: int

    @property
    def accuracy(self) -> float:
        """Share of the answered images whose class is right."""
        return self.right / self.answered

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval of the accuracy, images taken as independent."""
        return wilson_interval(self.right, self.answered)

    @property
    def share(self) -> float:
        """Share of the images that are answered."""
        return self.answered / self.images


@dataclass(frozen=True)
class Calibration:
    """What the validation images say of a network's confidence.

    Attributes:
        temperature: What logits are divided by.
        images: Number of validation images.
        curve: Threshold, number of images whose confidence after that division reaches
            it, and number of those whose class is right; the highest threshold first,
            and 0, which all images reach, last.
    """

    temperature: float
    images: int
    curve: tuple[tuple[float, int, int], ...]

    def __post_init__(self) -> None:
        """Make sure that the numbers belong together.

        Raises:
            ValueError: If they do not.
        """
        low, high = _TEMPERATURES
        if not low <= self.temperature <= high:
            raise ValueError(
                f"calibration: temperature is {str(self.temperature)[:40]}, not from "
                f"{low} to {high}"
            )
        if not self.curve or self.curve[-1][:2] != (0, self.images):
            raise ValueError("calibration: the curve does not end with all images")
        points = ((1.0, 0, 0), *self.curve)
        for (above, fewer, hits), (threshold, answered, right) in pairwise(points):
            grows = 0 <= right - hits <= answered - fewer > 0
            if not (0 <= threshold <= above and grows):
                row = (threshold, answered, right)
                raise ValueError(f"calibration: the curve goes on with {row}")

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Self:
        """Read plain values, which may come from anybody.

        Raises:
            ValueError: If they are no calibration.
        """
        curve = values.get("curve")
        if not isinstance(curve, list | tuple) or len(curve) > _MOST_POINTS:
            raise ValueError(f"calibration: the curve has not 1 to {_MOST_POINTS} rows")
        points = [tuple(row) if isinstance(row, list | tuple) else () for row in curve]
        if any(len(row) != 3 for row in points):
            raise ValueError("calibration: a row of the curve has not three numbers")
        numbers = [values.get("temperature"), *(row[0] for row in points)]
        counts = [values.get("images"), *(n for row in points for n in row[1:])]
        if not all(type(n) in (int, float) for n in numbers) or not all(
            type(n) is int for n in counts
        ):
            raise ValueError("calibration: something stands in place of a number")
        return cls(values["temperature"], values["images"], tuple(points))

    def reaching(self, accuracy: float) -> Answered | None:
        """The lowest threshold whose answered images reach an accuracy; None if none.

        Args:
            accuracy: Share of the answered images whose class is to be right, 0 to 1.
        """
        reached = [p for p in self.points if p.accuracy >= accuracy - _SLACK]
        return reached[-1] if reached else None

    @property
    def most_accurate(self) -> Answered:
        """The lowest threshold that reaches the highest accuracy."""
        return max(reversed(self.points), key=lambda point: point.accuracy)

    @property
    def points(self) -> list[Answered]:
        """The curve, the highest threshold first."""
        return [Answered(*point, self.images) for point in self.curve]


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
    low, high = _TEMPERATURES if images >= FEW_IMAGES else _TEMPERATURES_OF_FEW
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
    reached = np.searchsorted(-best_of_rest, _SLACK - wanted, side="right")
    return np.unique(reached[reached > 0] - 1)
