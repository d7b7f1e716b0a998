import math
import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics

from benchmarks.interval_coverage import (
    SETTINGS,
    Setting,
    classifiers,
    simulate,
)
from clothing_lightning.metrics.bootstrap import Scores, bootstrap
from clothing_lightning.metrics.intervals import wilson_interval
from clothing_lightning.metrics.weighted_scores import Run

Classes = NDArray[np.intp]
CLASSES = 5
LABELS = np.repeat(np.arange(CLASSES), [40, 25, 12, 6, 1])
MEMBERS = np.split(np.arange(84), [40, 65, 77, 83])
# Beyond these: differences of nearly perfect models have intervals that hold the truth
# too often, means of five very strong runs too rarely.
ASSERTED = [
    setting
    for setting in SETTINGS
    if setting.name
    in {
        *("weak", "middling", "strong", "very strong", "B better, strong"),
        *("3 splits", "46 classes"),
    }
]


def predicted(seed: int, accuracy: float = 0.7) -> Classes:
    generator = np.random.default_rng(seed)
    guesses = generator.integers(0, CLASSES, len(LABELS))
    return np.where(generator.random(len(LABELS)) < accuracy, LABELS, guesses)


def on_all(answers: Classes) -> list[Run]:
    return [(np.arange(len(answers)), answers)]


def macro_f1(
    labels: Classes, answers: Classes, weights: NDArray[np.float64] | None = None
) -> float:
    seen = labels if weights is None else labels[weights > 1e-6]
    return float(
        metrics.f1_score(
            labels,
            answers,
            labels=np.unique(seen),
            average="macro",
            sample_weight=weights,
        )
    )


@pytest.fixture(scope="module")
def three() -> dict[str, Scores]:
    """A good model, a worse one, and the good one again."""
    good, worse = on_all(predicted(0, 0.9)), on_all(predicted(1, 0.5))
    return bootstrap(LABELS, [good, worse, good], CLASSES)


@pytest.mark.parametrize("seed", range(5))
def test_estimates_equal_scikit_learn(seed: int) -> None:
    answers = predicted(seed)
    found = bootstrap(LABELS, [on_all(answers)], CLASSES, resamples=2)
    assert found["macro_f1"].estimates[0] == pytest.approx(
        macro_f1(LABELS, answers), abs=1e-9
    )
    assert found["balanced_accuracy"].estimates[0] == pytest.approx(
        metrics.balanced_accuracy_score(LABELS, answers), abs=1e-9
    )


def test_score_of_several_runs_is_their_mean_each_on_its_own_images() -> None:
    generator = np.random.default_rng(3)
    images = [np.sort(generator.permutation(len(LABELS))[:30]) for _ in range(3)]
    runs = [(part, predicted(seed)[part]) for seed, part in enumerate(images)]
    found = bootstrap(LABELS, [runs], CLASSES, resamples=2)
    assert found["macro_f1"].estimates[0] == pytest.approx(
        np.mean([macro_f1(LABELS[part], answers) for part, answers in runs]), abs=1e-9
    )
    expected = [
        metrics.recall_score(
            LABELS[part], answers, labels=np.unique(LABELS[part]), average="macro"
        )
        for part, answers in runs
    ]
    assert found["balanced_accuracy"].estimates[0] == pytest.approx(
        np.mean(expected), abs=1e-9
    )


def test_draws_are_the_scores_of_weighted_images() -> None:
    part = np.arange(1, len(LABELS), 2)
    runs = [(part, predicted(0)[part]), *on_all(predicted(1))]
    # One model for each image, right about no other: its recall tells the weight.
    elsewhere = (LABELS + 1) % CLASSES
    probes = [
        np.where(np.arange(len(LABELS)) == i, LABELS, elsewhere) for i in range(84)
    ]
    models = [runs, *(on_all(probe) for probe in probes)]
    found = bootstrap(LABELS, models, CLASSES, resamples=20)
    sizes = np.bincount(LABELS)
    weights = found["balanced_accuracy"].draws[1:] * CLASSES * sizes[LABELS][:, None]
    for members in MEMBERS:
        np.testing.assert_allclose(
            weights[members].sum(axis=0), len(members), rtol=1e-5
        )
    for draw, of_images in enumerate(weights.T):
        expected = [
            macro_f1(LABELS[images], answers, of_images[images])
            for images, answers in runs
        ]
        assert found["macro_f1"].draws[0, draw] == pytest.approx(
            np.mean(expected), abs=1e-5
        )


def test_spread_of_the_draws_is_that_of_the_recalls() -> None:
    answers = predicted(0)
    found = bootstrap(LABELS, [on_all(answers)], CLASSES, resamples=20_000)
    variance = sum(
        np.var(answers[members] == name, ddof=1) / len(members)
        for name, members in enumerate(MEMBERS)
        if len(members) > 1
    )
    expected = math.sqrt(variance) / CLASSES
    draws = found["balanced_accuracy"].draws[0]
    assert draws.std() == pytest.approx(expected, rel=0.02)
    assert draws.mean() == pytest.approx(
        found["balanced_accuracy"].estimates[0], abs=expected / 20
    )


def test_resamples_are_the_same_for_all_models(three: dict[str, Scores]) -> None:
    for scores in (three["macro_f1"], three["balanced_accuracy"]):
        np.testing.assert_array_equal(scores.draws[0], scores.draws[2])
        assert scores.difference(0, 2) == 0
        assert scores.difference_interval(0, 2) == (0, 0)
        assert scores.p_value(0, 2) == 1


def test_seed_decides_the_draws() -> None:
    models = [on_all(predicted(0))]
    one, same, other = (
        bootstrap(LABELS, models, CLASSES, resamples=50, seed=seed)["macro_f1"]
        for seed in (4, 4, 5)
    )
    np.testing.assert_array_equal(one.draws, same.draws)
    assert (one.draws != other.draws).any()
    np.testing.assert_array_equal(one.estimates, other.estimates)


def test_intervals_hold_the_estimates(three: dict[str, Scores]) -> None:
    for scores in (three["macro_f1"], three["balanced_accuracy"]):
        lower, upper = scores.interval(0)
        assert 0 <= lower < scores.estimates[0] < upper <= 1
        lower, upper = scores.difference_interval(0, 1)
        assert -1 <= lower < scores.difference(0, 1) < upper <= 1


def test_difference_turns_with_the_models(three: dict[str, Scores]) -> None:
    scores = three["macro_f1"]
    lower, upper = scores.difference_interval(0, 1)
    assert scores.difference_interval(1, 0) == (-upper, -lower)
    assert scores.p_value(0, 1) == scores.p_value(1, 0)


def test_p_value_goes_below_what_resamples_can_count() -> None:
    labels = np.repeat(LABELS, 10)
    models = [on_all(np.repeat(predicted(0, of), 10)) for of in (0.95, 0.4)]
    scores = bootstrap(labels, models, CLASSES, resamples=200)
    assert 0 < scores["macro_f1"].p_value(0, 1) < 1e-9


def test_always_right_is_as_sure_as_its_images_allow() -> None:
    labels = np.repeat(np.arange(2), 50)
    right, wrong = on_all(labels), on_all(1 - labels)
    scores = bootstrap(labels, [right, wrong], 2)["macro_f1"]
    assert scores.estimates.tolist() == [1, 0]
    assert scores.interval(0) == wilson_interval(100, 100)
    assert scores.interval(1) == wilson_interval(0, 100)
    assert scores.p_value(0, 1) == pytest.approx(math.erfc(10 / 2**0.5))


def test_small_classes_leave_the_perfect_less_sure() -> None:
    labels = np.repeat(np.arange(2), [98, 2])
    scores = bootstrap(labels, [on_all(labels)], 2)["balanced_accuracy"]
    lower, _ = scores.interval(0)
    assert lower < wilson_interval(8, 8)[0] + 0.01


def test_one_predicted_class_for_all_has_an_interval() -> None:
    scores = bootstrap(LABELS, [on_all(np.zeros_like(LABELS))], CLASSES)["macro_f1"]
    lower, upper = scores.interval(0)
    assert 0 < lower < scores.estimates[0] < upper < 1


def test_one_image_says_next_to_nothing() -> None:
    one = np.zeros(1, np.intp)
    scores = bootstrap(one, [[(one, one)], [(one, one + 1)]], 2)["macro_f1"]
    assert scores.interval(0) == wilson_interval(1, 1)
    assert scores.p_value(0, 1) == pytest.approx(math.erfc(0.5))


def test_one_class_works_for_both_metrics() -> None:
    labels = np.zeros(30, np.intp)
    answers = np.repeat([0, 1], [24, 6])
    found = bootstrap(labels, [on_all(answers)], 2)
    assert found["balanced_accuracy"].estimates[0] == pytest.approx(0.8)
    lower, upper = found["balanced_accuracy"].interval(0)
    assert lower == pytest.approx(wilson_interval(24, 30)[0], abs=0.02)
    assert upper == pytest.approx(wilson_interval(24, 30)[1], abs=0.02)


def test_resample_without_an_image_of_a_run_is_left_out() -> None:
    labels, one = np.zeros(3, np.intp), np.zeros(1, np.intp)
    runs = [(one, one)]
    scores = bootstrap(labels, [runs], 1, resamples=200)["macro_f1"]
    assert np.isnan(scores.draws).any()
    assert scores.interval(0) == wilson_interval(1, 1)


def test_runs_count_by_their_shares() -> None:
    """Runs on the same images count as one, so more of them change nothing."""
    easy, hard = np.arange(0, 84, 2), np.arange(1, 84, 2)
    answers = predicted(3)
    a = [(images, answers[images]) for images in (easy, easy, easy, hard)]
    b = [(images, answers[images]) for images in (easy, hard)]
    shares = [[1 / 3, 1 / 3, 1 / 3, 1], [1.0, 1.0]]
    scores = bootstrap(LABELS, [a, b], CLASSES, shares, resamples=50)["macro_f1"]
    assert scores.difference(0, 1) == pytest.approx(0)
    np.testing.assert_allclose(scores.draws[0], scores.draws[1])
    alike = bootstrap(LABELS, [a, b], CLASSES, resamples=50)["macro_f1"]
    assert abs(alike.difference(0, 1)) > 0.001


def test_classes_of_one_image_prove_nothing() -> None:
    """No resample varies them, and yet they add their whole share to a mean."""
    labels = np.concatenate([np.zeros(80, np.intp), np.arange(1, 4)])
    lucky = labels.copy()
    answers = np.where(labels > 0, 0, labels)
    found = bootstrap(labels, [on_all(lucky), on_all(answers)], 4, resamples=50)
    for scores in (found["macro_f1"], found["balanced_accuracy"]):
        assert scores.difference(0, 1) > 0.7
        assert scores.p_value(0, 1) > 0.05
        lower, upper = scores.difference_interval(0, 1)
        assert lower < 0 < upper
        low, high = scores.interval(1)
        assert high - low > 0.3


def test_memory_is_bounded() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 46, 20_000)
    tracemalloc.start()
    bootstrap(labels, [on_all(labels)], 46, resamples=300)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resamples": 1}, "resamples is 1: it starts at 2"),
        ({"models": []}, "models: there is none"),
        ({"models": [on_all(LABELS), []]}, r"models\[1\] has no run"),
        (
            {"models": [[(LABELS[:0], LABELS[:0])]]},
            r"models\[0\]\[0\] has 0 images and 0 predicted",
        ),
        (
            {"models": [[(LABELS[:2], LABELS[:3])]]},
            r"models\[0\]\[0\] has 2 images and 3 predicted",
        ),
        ({"classes": 4}, "labels: each is within 0 and 3"),
        (
            {"models": [on_all(LABELS + 1)]},
            r"models\[0\]\[0\] predicted classes: each is within 0 and 4",
        ),
        (
            {"models": [[(LABELS + 80, LABELS)]]},
            r"models\[0\]\[0\] images: each is within 0 and 83",
        ),
    ],
)
def test_broken_contract_is_told(changes: dict[str, object], message: str) -> None:
    arguments = {"models": [on_all(LABELS)], "classes": CLASSES} | changes
    with pytest.raises(ValueError, match=message):
        bootstrap(LABELS, **arguments)  # type: ignore[arg-type]


def holding(ends: list[tuple[float, float]], truth: float) -> float:
    lower, upper = np.array(ends).T
    return float(((lower <= truth) & (truth <= upper)).mean())


@pytest.mark.slow
@pytest.mark.parametrize("setting", ASSERTED, ids=lambda setting: setting.name)
def test_95_percent_intervals_hold_the_truth_in_93_to_97_percent(
    setting: Setting,
) -> None:
    labels, models = simulate(setting, repetitions=4000, seed=1)
    a, b = (classifier.scores() for classifier in classifiers(setting))
    found = bootstrap(labels, models, len(setting.sizes), resamples=500)
    pairs = range(0, len(models), 2)
    for metric, scores in enumerate((found["macro_f1"], found["balanced_accuracy"])):
        ends = [scores.interval(i) for i in pairs]
        assert 0.93 <= holding(ends, a[metric]) <= 0.97
        ends = [scores.difference_interval(i, i + 1) for i in pairs]
        assert 0.93 <= holding(ends, a[metric] - b[metric]) <= 0.97
        if setting.gap == 0:
            below = [scores.p_value(i, i + 1) < 0.05 for i in pairs]
            assert 0.03 <= np.mean(below) <= 0.065
