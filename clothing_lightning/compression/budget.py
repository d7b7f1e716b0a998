"""A budget that a network has to keep to, as it is written: 10 ms, 5 MB, 100 M MACs."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from clothing_lightning.errors import ConfigError
from clothing_lightning.reports.ladder_text import TestedRung

_UNITS = {
    "ms": ("latency_ms", 1.0),
    "MB": ("size_mb", 1.0),
    "M MACs": ("macs", 1e6),
    "G MACs": ("macs", 1e9),
}


@dataclass(frozen=True)
class Budget:
    """The most that a network may cost.

    Attributes:
        text: The budget as it was given.
        metric: Name of the metric that it bounds, such as ``model/size_mb``.
        unit: The unit that it was given in.
        most: The bound, in that unit.
    """

    text: str
    metric: str
    unit: str
    most: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a budget: a number, and ``ms``, ``MB``, ``M MACs`` or ``G MACs``.

        Raises:
            ConfigError: If it is none.
        """
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z ]+?)\s*", text)
        unit = match and " ".join(match[2].split())
        if not match or unit not in _UNITS or not float(match[1]):
            raise ConfigError(
                f"--budget: {text!r} is not understood. Write a number and a unit, as "
                "in '10 ms' (one image), '5 MB' or '100 M MACs'."
            )
        return cls(text, f"model/{_UNITS[unit][0]}", unit, float(match[1]))

    def holds(self, metrics: Mapping[str, float]) -> bool:
        """Whether a network keeps to it; one whose cost is not known does not."""
        return self._cost(metrics) <= self.most

    def written(self, metrics: Mapping[str, float]) -> str:
        """Return what a network costs, in the unit of the budget."""
        return f"{self._cost(metrics):.3g} {self.unit}"

    def _cost(self, metrics: Mapping[str, float]) -> float:
        return metrics.get(self.metric, math.inf) / _UNITS[self.unit][1]


def best_within(rungs: Sequence[TestedRung], budget: Budget) -> TestedRung:
    """Return the most accurate rung that keeps to a budget; of equals the first.

    Raises:
        ConfigError: If none does.
    """
    fitting = [rung for rung in rungs if budget.holds(rung.metrics)]
    if not fitting:
        least = min(rungs, key=lambda rung: rung.metrics.get(budget.metric, math.inf))
        raise ConfigError(
            f"--budget: no version keeps to {budget.text!r}. The nearest is "
            f"{least.name} with {budget.written(least.metrics)}. Raise the budget, or "
            "train a smaller network."
        )
    return max(fitting, key=lambda rung: float(rung.right.mean()))
