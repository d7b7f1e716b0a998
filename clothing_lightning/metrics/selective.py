"""How many images a confidence answers, and how many of them rightly.

Geifman and El-Yaniv, "Selective Classification for Deep Neural Networks", NeurIPS 2017,
arXiv:1705.08500.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

from clothing_lightning.metrics.intervals import wilson_interval

TEMPERATURES = (0.1, 10.0)
"""The least and the highest temperature that logits are divided by."""
SLACK = 1e-9
"""In shares, which are rounded numbers."""

_MOST_POINTS = 1000  # that are read
_MOST_IMAGES = 10**9


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
        low, high = TEMPERATURES
        if not low <= self.temperature <= high:
            raise ValueError(
                f"calibration: temperature is {str(self.temperature)[:40]}, not from "
                f"{low} to {high}"
            )
        if not 0 < self.images <= _MOST_IMAGES:
            raise ValueError("calibration: the number of images is out of range")
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
        reached = [p for p in self.points if p.accuracy >= accuracy - SLACK]
        return reached[-1] if reached else None

    @property
    def most_accurate(self) -> Answered:
        """The lowest threshold that reaches the highest accuracy."""
        return max(reversed(self.points), key=lambda point: point.accuracy)

    @property
    def points(self) -> list[Answered]:
        """The curve, the highest threshold first."""
        return [Answered(*point, self.images) for point in self.curve]
