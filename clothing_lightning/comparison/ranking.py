"""Which model is best, how sure that is, and what each costs."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from clothing_lightning.comparison.budget import (
    Budget,
    BudgetAnswer,
    Candidate,
    best_within,
)
from clothing_lightning.comparison.costs import COSTS
from clothing_lightning.comparison.predictions import Comparison, Model
from clothing_lightning.metrics.bootstrap import Scores, bootstrap
from clothing_lightning.metrics.classification_report import counts_of
from clothing_lightning.metrics.intervals import clustered_wilson
from clothing_lightning.metrics.registry import METRICS, Metric
from clothing_lightning.metrics.significance import (
    holm,
    images_needed,
    indistinguishable,
    paired_difference_interval,
    sign_flip_test,
)

ALPHA = 0.05
_MOST_PARTS = 10_000


@dataclass(frozen=True)
class Score:
    """The value of a metric.

    Attributes:
        value: Mean over repeats.
        low: Lower end of the 95 % interval over images; NaN if the metric has none.
        high: Upper end of that interval.
        std: Standard deviation over repeats; NaN if there is one repeat.
    """

    value: float
    low: float
    high: float
    std: float = math.nan


@dataclass(frozen=True)
class RankedModel:
    """A model with its scores and costs.

    Attributes:
        model: The model.
        scores: Score of the model by the name of the metric.
        costs: Cost of the model by its name in `COSTS`; NaN where it is not known.
    """

    model: Model
    scores: dict[str, Score]
    costs: dict[str, float]


@dataclass(frozen=True)
class PairedTest:
    """Two models held against each other by one metric, on the same images.

    Attributes:
        difference: Score of the better model less that of the other.
        low: Lower end of the 95 % interval of that difference.
        high: Upper end of that interval.
        p: p-value of that difference. Of accuracy: exact McNemar test, or with several
            repeats a sign-flip test; of macro F1: from the paired bootstrap.
        p_holm: That p-value after Holm's correction for all pairs.
        std: Standard deviation of the difference of accuracies over test sets; NaN of
            one, and of macro F1.
    """

    difference: float
    low: float
    high: float
    p: float
    p_holm: float = math.nan
    std: float = math.nan


@dataclass(frozen=True)
class Pair:
    """Two models on the same images; ``a`` stands above ``b``.

    Attributes:
        a: Place of the better one, from 0.
        b: Place of the other.
        accuracy: Test of their accuracies.
        macro_f1: Test of their macro F1.
        needed: Test images that would tell their accuracies apart with a power of 0.8,
            corrected for all pairs (Bonferroni); None where they are the same.
    """

    a: int
    b: int
    accuracy: PairedTest
    macro_f1: PairedTest
    needed: int | None

    def p(self, by: str) -> float:
        """The corrected p-value of the difference in accuracy or macro F1."""
        return (self.accuracy if by == "accuracy" else self.macro_f1).p_holm


@dataclass(frozen=True)
class Ranking:
    """Models from the best to the worst.

    Attributes:
        by: Name of the metric that they are ranked by.
        models: One for each model.
        pairs: Tests of every pair of models.
        alike: Places of models next to each other of which no two can be told apart.
        answer: What a budget buys; None if there is none.
    """

    by: str
    models: list[RankedModel]
    pairs: list[Pair]
    alike: list[range]
    answer: BudgetAnswer | None = None

    def pair(self, a: int, b: int) -> Pair:
        """The pair of two places, in any order."""
        first, second = sorted((a, b))
        return next(p for p in self.pairs if (p.a, p.b) == (first, second))

    def p(self, a: int, b: int) -> float:
        """The corrected p-value of the difference in the ranking metric."""
        return self.pair(a, b).p(self.by)


def rank(
    compared: Comparison,
    by: str = "accuracy",
    budget: Budget | None = None,
    *,
    resamples: int = 2000,
) -> Ranking:
    """Rank models, and test every pair.

    Args:
        compared: Models on the same images.
        by: Name of a metric that has a paired test.
        budget: The most that a model may cost.
        resamples: Number of resamples of the bootstrap.
    """
    runs = [
        [(compared.tests[r.test], r.predicted) for r in model.repeats]
        for model in compared.models
    ]
    classes = len(compared.class_names)
    weights = [model.weights for model in compared.models]
    drawn = bootstrap(compared.labels, runs, classes, weights, resamples=resamples)
    scores = [
        {
            name: _averages(drawn[name], number)
            if name in drawn
            else _score(compared, model, metric)
            for name, metric in METRICS.items()
            if "page" in metric.tables and metric.compute and metric.exists_for(classes)
        }
        for number, model in enumerate(compared.models)
    ]
    order = sorted(range(len(scores)), key=lambda n: -scores[n][by].value)
    ranked_models = [
        RankedModel(
            compared.models[n],
            scores[n],
            {cost: compared.models[n].metric(c.metric) for cost, c in COSTS.items()},
        )
        for n in order
    ]
    pairs = _pairs(compared, order, drawn["macro_f1"])
    candidates = [
        Candidate(each.model.title, each.scores[by].value, each.costs)
        for each in ranked_models
    ]
    answer = best_within(candidates, budget) if budget else None
    return Ranking(by, ranked_models, pairs, _alike(len(order), pairs, by), answer)


def _score(compared: Comparison, model: Model, metric: Metric) -> Score:
    """A share of images with Wilson's interval, or else a value without an interval."""
    assert metric.compute is not None
    counts = [
        counts_of(compared.labels[compared.tests[r.test]], r.probabilities)
        for r in model.repeats
    ]
    each = [float(metric.compute(of_repeat)) for of_repeat in counts]
    if metric.top:
        hits, trials = compared.answers(model, metric.top)
        ends = clustered_wilson(hits, trials)
        return Score(hits.sum() / trials.sum(), *ends, _std(each))
    value = float(np.average(each, weights=model.weights))
    return Score(value, math.nan, math.nan, _std(each))


def _averages(scores: Scores, number: int) -> Score:
    """A mean over classes, with its interval from resamples."""
    low, high = scores.interval(number)
    std = _std(scores.of_runs[number])
    return Score(float(scores.estimates[number]), low, high, std)


def _std(values: Sequence[float] | NDArray[np.floating]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def _pairs(compared: Comparison, order: Sequence[int], f1: Scores) -> list[Pair]:
    """Test every two models."""
    models = [compared.models[n] for n in order]
    rights = [compared.rights(model) for model in models]
    places = list(combinations(range(len(order)), 2))
    gaps = [rights[a] - rights[b] for a, b in places]
    parts = [_parts(models[a], models[b]) for a, b in places]
    accuracy = _corrected(list(map(_accuracy_test, gaps, parts)))
    macro_f1 = _corrected([_f1_test(f1, order[a], order[b]) for a, b in places])
    return [
        Pair(
            *places[number],
            accuracy[number],
            macro_f1[number],
            images_needed(gap[np.isfinite(gap)], alpha=ALPHA / len(places)),
        )
        for number, gap in enumerate(gaps)
    ]


def _accuracy_test(gaps: NDArray[np.float64], parts: int) -> PairedTest:
    """Test differences of shape (tests, images); NaN where an image is not tested.

    Args:
        gaps: Share of one model's repeats that are right, less that of the other's.
        parts: A number of which all these shares are whole parts.
    """
    trials = np.isfinite(gaps).sum(axis=0)
    difference = float(gaps[np.isfinite(gaps)].mean())
    total = np.nansum(gaps, axis=0)
    # Each image's difference if all were tested equally often.
    own = difference + (total - difference * trials) / trials.mean()
    low, high = paired_difference_interval(own)
    # The smallest whole numbers that keep the ratios of the images' differences.
    whole = np.rint(total * parts).astype(np.int64)
    p = sign_flip_test(whole // max(int(np.gcd.reduce(whole)), 1))
    std = _std(np.nanmean(gaps, axis=1))
    return PairedTest(difference, low, high, p, std=std)


def _f1_test(f1: Scores, a: int, b: int) -> PairedTest:
    ends = f1.difference_interval(a, b)
    return PairedTest(f1.difference(a, b), *ends, f1.p_value(a, b))


def _corrected(tests: Sequence[PairedTest]) -> list[PairedTest]:
    p_values = holm(np.array([test.p for test in tests]))
    return [
        replace(test, p_holm=float(p)) for test, p in zip(tests, p_values, strict=True)
    ]


def _parts(*models: Model) -> int:
    """The smallest number of which all shares of repeats are whole parts."""
    repeats = [Counter(r.test for r in model.repeats) for model in models]
    parts = math.lcm(*(count for counted in repeats for count in counted.values()))
    return min(parts, _MOST_PARTS)


def _alike(count: int, pairs: Sequence[Pair], by: str) -> list[range]:
    p_values = np.ones((count, count))
    for pair in pairs:
        p_values[pair.a, pair.b] = p_values[pair.b, pair.a] = pair.p(by)
    return indistinguishable(p_values, ALPHA)
