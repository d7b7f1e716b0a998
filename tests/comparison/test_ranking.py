"""Ranking on predictions whose scores others can compute as well."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn.metrics import (
    balanced_accuracy_score,
    f1_score,
    matthews_corrcoef,
    top_k_accuracy_score,
)

from clothing_lightning.comparison.by_class import f1_by_class
from clothing_lightning.comparison.pooling import pool
from clothing_lightning.comparison.predictions import (
    Comparison,
    Model,
    RunPredictions,
)
from clothing_lightning.comparison.ranking import Ranking, rank
from clothing_lightning.metrics.intervals import wilson_interval
from clothing_lightning.metrics.significance import images_needed
from tests.compared_models import comparison

CLASSES = [f"class {n}" for n in range(7)]
IMAGES = 300


def run(
    name: str, skill: float, seed: int = 0, metrics: Sequence[float] = ()
) -> RunPredictions:
    """A run that finds the true class the more probable, the greater its skill."""
    labels = np.random.default_rng(0).integers(0, len(CLASSES), IMAGES)
    noise = np.random.default_rng([seed, *map(ord, name)])
    logits = noise.normal(size=(IMAGES, len(CLASSES)))
    logits[np.arange(IMAGES), labels] += skill
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    paths = [f"{n}.jpg" for n in range(IMAGES)]
    predictions = pd.DataFrame({"path": paths, "label": [CLASSES[n] for n in labels]})
    predictions[CLASSES] = scores.astype(np.float32)
    contents = [f"{n:064x}" for n in range(IMAGES)]
    manifest = pd.DataFrame({"path": paths, "sha256": contents, "split": "test"})
    return RunPredictions(
        run_id=f"{name}{seed}".encode().hex().ljust(32, "0"),
        name=f"{name}-seed{seed}",
        hyperparameters={"model": name},
        seeds=f"seed {seed}",
        fold="",
        predictions=predictions,
        manifest=manifest,
        metrics={"model/macs": 1e6 * skill},
    )


@pytest.fixture(scope="module")
def three() -> tuple[Comparison, Ranking]:
    """A good model, one that is nearly as good, and a bad one."""
    found = pool([run("bad", 0.5), run("good", 2.2), run("fair", 2.1)])
    return found, rank(found, resamples=500)


def test_the_best_comes_first(three: tuple[Comparison, Ranking]) -> None:
    titles = [ranked.model.title for ranked in three[1].models]
    assert titles[-1] == "bad"
    scores = [s.scores["accuracy"].value for s in three[1].models]
    assert scores == sorted(scores, reverse=True)


def test_scores_are_those_of_scikit_learn(three: tuple[Comparison, Ranking]) -> None:
    found, ranking = three
    for ranked in ranking.models:
        (repeat,) = ranked.model.repeats
        labels, predicted = found.labels, repeat.predicted
        expected = {
            "accuracy": np.mean(labels == predicted),
            "macro_f1": f1_score(labels, predicted, average="macro"),
            "balanced_accuracy": balanced_accuracy_score(labels, predicted),
            "top5": top_k_accuracy_score(labels, repeat.probabilities, k=5),
            "mcc": matthews_corrcoef(labels, predicted),
        }
        for name, value in expected.items():
            assert ranked.scores[name].value == pytest.approx(value, abs=1e-9)


def test_the_interval_of_one_runs_accuracy_is_wilsons(
    three: tuple[Comparison, Ranking],
) -> None:
    score = three[1].models[0].scores["accuracy"]
    hits = round(score.value * IMAGES)
    assert (score.low, score.high) == pytest.approx(wilson_interval(hits, IMAGES))
    assert math.isnan(score.std)


def test_p_values_are_those_of_the_exact_mcnemar_test(
    three: tuple[Comparison, Ranking],
) -> None:
    found, ranking = three
    assert len(ranking.pairs) == 3
    for pair in ranking.pairs:
        a, b = (ranking.models[n].model.repeats[0] for n in (pair.a, pair.b))
        a_right, b_right = (r.predicted == found.labels for r in (a, b))
        only_a, only_b = (a_right & ~b_right).sum(), (b_right & ~a_right).sum()
        expected = binomtest(int(only_a), int(only_a + only_b)).pvalue
        assert pair.accuracy.p == pytest.approx(expected, abs=1e-9)
        assert pair.accuracy.difference == pytest.approx((only_a - only_b) / IMAGES)
        assert (
            pair.accuracy.p
            <= pair.accuracy.p_holm
            <= min(1, 3 * pair.accuracy.p) + 1e-12
        )
        assert pair.macro_f1.low <= pair.macro_f1.difference <= pair.macro_f1.high


def test_what_cannot_be_told_apart_stands_together(
    three: tuple[Comparison, Ranking],
) -> None:
    ranking = three[1]
    assert ranking.alike == [range(2), range(2, 3)]
    assert (
        ranking.pair(1, 0).accuracy.p_holm > 0.05 > ranking.pair(0, 2).accuracy.p_holm
    )
    assert (ranking.pair(0, 1).needed or 0) > IMAGES


def test_models_can_be_ranked_by_macro_f1() -> None:
    ranking = rank(pool([run("a", 0.5), run("b", 2.0)]), "macro_f1", resamples=100)
    assert [s.model.title for s in ranking.models] == ["b", "a"]
    assert ranking.models[0].costs["macs"] == 2e6
    assert math.isnan(ranking.models[0].costs["params"])


def test_repeats_are_averaged_and_their_spread_is_told() -> None:
    runs = [run("a", 1.0, seed) for seed in range(3)]
    found = pool([*runs, *(run("b", 1.5, seed) for seed in range(3))])
    ranking = rank(found, resamples=100)
    ranked = ranking.models[1]
    (model,) = [model for model in found.models if model.title == "a"]
    each = [np.mean(r.predicted == found.labels) for r in model.repeats]
    score = ranked.scores["accuracy"]
    assert score.value == pytest.approx(np.mean(each))
    assert score.std == pytest.approx(np.std(each, ddof=1))
    # Their mistakes are independent here, so three runs tell three times as much.
    hits = score.value * IMAGES
    low, high = wilson_interval(3 * hits, 3 * IMAGES)
    assert score.high - score.low == pytest.approx(high - low, rel=0.02)
    f1 = ranked.scores["macro_f1"]
    expected = [
        f1_score(found.labels, r.predicted, average="macro") for r in model.repeats
    ]
    assert f1.value == pytest.approx(np.mean(expected))
    assert f1.std == pytest.approx(np.std(expected, ddof=1))


def test_overlapping_test_sets_leave_the_interval_around_the_difference() -> None:
    """Images of several sets count more than once; that is no reason to cut them."""
    found = comparison({"a": 3.0, "b": 0.8}, CLASSES, images=60, splits=4)
    ranking = rank(found, resamples=20)
    (pair,) = ranking.pairs
    a, b = (found.rights(ranked.model) for ranked in ranking.models)
    gaps = (a - b)[np.isfinite(a)]
    n = len(found.images)
    assert pair.accuracy.difference == pytest.approx(gaps.mean())
    assert (pair.accuracy.low + pair.accuracy.high) / 2 == pytest.approx(
        pair.accuracy.difference * n / (n + 2)
    )
    assert pair.needed == images_needed(gaps)


def test_repeats_of_a_test_set_weigh_as_one() -> None:
    """Twice as many seeds on one of two test sets do not move a score to it."""
    even = comparison({"a": 1.0}, CLASSES, images=60, splits=2)
    (model,) = even.models
    first, second = model.repeats
    uneven = Model("b", (first, first, first, second))
    assert uneven.weights == [1 / 3, 1 / 3, 1 / 3, 1]
    both = replace(even, models=(model, uneven))
    one, other = rank(both, resamples=50).models
    for name, score in one.scores.items():
        assert score.value == pytest.approx(other.scores[name].value)
    table = f1_by_class(both, both.models)
    np.testing.assert_allclose(table["a"], table["b"])


def test_a_model_alone_is_ranked() -> None:
    ranking = rank(pool([run("a", 1.0)]), resamples=50)
    assert ranking.pairs == []
    assert ranking.alike == [range(1)]


def test_models_that_always_agree_have_p_one() -> None:
    twin = run("a", 1.0)
    same = RunPredictions(**{**vars(run("b", 1.0)), "predictions": twin.predictions})
    (pair,) = rank(pool([twin, same]), resamples=50).pairs
    assert pair.accuracy.p == pair.accuracy.p_holm == pair.macro_f1.p == 1
    assert pair.needed is None


def test_shares_of_many_repeats_are_not_rounded() -> None:
    runs = [run("a", 1.0, seed) for seed in range(7)]
    turned = [run("b", 1.0, seed) for seed in range(7)]
    # b is right where the repeat of a before it is: the same in sum.
    for seed, each in enumerate(turned):
        other = runs[(seed + 1) % 7].predictions
        each.predictions[CLASSES] = other[CLASSES]
    (pair,) = rank(pool([*runs, *turned]), resamples=10).pairs
    assert pair.accuracy.difference == pytest.approx(0)
    assert pair.accuracy.p == 1


def test_the_interval_of_a_difference_goes_with_its_p(
    three: tuple[Comparison, Ranking],
) -> None:
    for pair in three[1].pairs:
        assert pair.accuracy.low < pair.accuracy.difference < pair.accuracy.high
        assert (pair.accuracy.low > 0) == (pair.accuracy.p < 0.05)
