"""A budget that a network has to keep to, as it is written: 10 ms, 5 MB, 100 M MACs."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from clothing_lightning.errors import ConfigError
from clothing_lightning.wording import listed

_UNITS = {
    "ms": ("latency_ms", 1.0),
    "MB": ("size_mb", 1.0),
    "M MACs": ("macs", 1e6),
    "G MACs": ("macs", 1e9),
}


@dataclass(frozen=True)
class Candidate:
    """A model that may keep to a budget.

    Attributes:
        name: Its name.
        score: Its accuracy, or what else models are ranked by; more is better.
        costs: Its costs by their names in `COSTS`; NaN where one is not known.
    """

    name: str
    score: float
    costs: Mapping[str, float]


@dataclass(frozen=True)
class Budget:
    """The most that a network may cost.

    Attributes:
        text: The budget as it was given.
        cost: Name of the cost that it bounds, one of `COSTS`.
        unit: The unit that it was given in.
        most: The bound, in that unit.
    """

    text: str
    cost: str
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
        return cls(text.strip(), _UNITS[unit][0], unit, float(match[1]))

    def price(self, candidate: Candidate) -> float:
        """Return what a candidate costs, in the unit of the budget; NaN if unknown."""
        return candidate.costs.get(self.cost, math.nan) / _UNITS[self.unit][1]

    def priced(self, candidate: Candidate) -> str:
        """Name a candidate with its cost, in digits that tell on which side it is."""
        price = self.price(candidate)
        texts = (f"{price:.{digits}g}" for digits in range(3, 18))
        fits = price <= self.most
        text = next(each for each in texts if (float(each) <= self.most) == fits)
        return f"{candidate.name} ({text} {self.unit})"


@dataclass(frozen=True)
class BudgetAnswer:
    """What a budget buys.

    Attributes:
        best: The candidate with the highest score that keeps to it; of equals the
            first; None if none does.
        sentence: The answer in words, with better ones that do not keep to it.
    """

    best: Candidate | None
    sentence: str


def best_within(candidates: Sequence[Candidate], budget: Budget) -> BudgetAnswer:
    """Find the best candidate that keeps to a budget."""
    known = [each for each in candidates if not math.isnan(budget.price(each))]
    unknown = [each.name for each in candidates if each not in known]
    fitting = [each for each in known if budget.price(each) <= budget.most]
    best = max(fitting, key=lambda each: each.score, default=None)
    if best:
        better = [budget.priced(each) for each in known if each.score > best.score]
        sentence = f"Within {budget.text}: {budget.priced(best)}."
        if better:
            sentence += f" Higher scores, but beyond it: {listed(better)}."
    else:
        sentence = f"No model keeps to '{budget.text}'."
        if known:
            nearest = min(known, key=budget.price)
            sentence += f" The nearest is {budget.priced(nearest)}."
    if unknown:
        hint = " --latency measures it." if budget.unit == "ms" else ""
        sentence += f" The cost is not known of {listed(unknown)}.{hint}"
    return BudgetAnswer(best, sentence)


def require_best(answer: BudgetAnswer | None) -> None:
    """Refuse a budget that nothing keeps to.

    Args:
        answer: What the budget buys; None if there is no budget.

    Raises:
        ConfigError: If nothing does.
    """
    if answer and not answer.best:
        raise ConfigError(
            f"--budget: {answer.sentence} Raise the budget, or train a smaller network."
        )
