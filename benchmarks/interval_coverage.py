"""How often do 95 % intervals hold the truth?

    python benchmarks/interval_coverage.py [--repetitions 2000] [--resamples 1000]

Draws the predictions of pairs of classifiers again and again, on a test set of 500
images in 18 classes of 96 images down to 4, much like a tenth of the clothing dataset,
and of 406 in 46 classes, 10 of which have a single image. Sizes of classes are fixed,
as in a stratified split. What a classifier gets right depends on class and image, and
it takes some classes for each other far more often than others. Truth is the score on
endlessly many images with the same shares of classes. Prints the share of intervals
that hold it and their mean width; then how often tests find a difference, at 0.05,
between models that have none.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from clothing_lightning.metrics.bootstrap import Scores, bootstrap
from clothing_lightning.metrics.intervals import clustered_wilson, wilson_interval
from clothing_lightning.metrics.significance import (
    paired_difference_interval,
    sign_flip_test,
)
from clothing_lightning.metrics.weighted_scores import Run

Floats = NDArray[np.float64]
Ends = tuple[Floats, Floats]
Line = tuple[str, float, float]

SIZES = (96, 85, 68, 53, 42, 33, 25, 18, 14, 12, 11, 10, 9, 6, 5, 5, 4, 4)
MANY = (
    *(139, 57, 33, 23, 17, 14, 11, 9, 8, 7, 6, 5, 5),
    *(*(4,) * 5, *(3,) * 6, *(2,) * 12, *(1,) * 10),
)
SHARED = 0.6  # of what makes an image difficult is so for both models
SAME_MISTAKE = 0.5  # of images that both take for something else
Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Setting:
    """What is simulated.

    Attributes:
        name: In the table.
        recall: Of a class of middling size.
        gap: By how many standard deviations of difficulty model B is better.
        times: How often the 500 images are there.
        runs: Of each model; each of several tests another half of the images.
        sizes: Images of each class.
    """

    name: str
    recall: float
    gap: float = 0.0
    times: int = 1
    runs: int = 1
    sizes: tuple[int, ...] = SIZES


SETTINGS = (
    Setting("very weak", 0.3),
    Setting("weak", 0.5),
    Setting("middling", 0.7),
    Setting("strong", 0.88),
    Setting("very strong", 0.97),
    Setting("nearly perfect", 0.99),
    Setting("B better", 0.7, gap=0.25),
    Setting("B better, strong", 0.88, gap=0.4),
    Setting("2,000 images", 0.7, gap=0.25, times=4),
    Setting("3 splits", 0.7, gap=0.25, runs=3),
    Setting("5 splits", 0.97, gap=0.25, runs=5),
    Setting("46 classes", 0.7, sizes=MANY),
    Setting("46, strong", 0.88, gap=0.4, sizes=MANY),
)


@dataclass(frozen=True)
class Classifier:
    """Chances of a simulated classifier.

    Attributes:
        recalls: Of each class.
        confusions: Chance of each class for a wrong answer, shape (true, predicted).
        sizes: Images of each class.
    """

    recalls: Floats
    confusions: Floats
    sizes: NDArray[np.intp]

    def scores(self) -> tuple[float, float, float]:
        """Macro F1, balanced accuracy and accuracy on endlessly many images."""
        wrong = self.confusions * (1 - self.recalls)[:, None]
        hits = self.sizes * self.recalls
        f1 = 2 * hits / (self.sizes + self.sizes @ wrong + hits)
        accuracy = hits.sum() / self.sizes.sum()
        return float(f1.mean()), float(self.recalls.mean()), float(accuracy)

    def answers(
        self, labels: NDArray[np.intp], ease: Floats, guess: Floats
    ) -> NDArray[np.intp]:
        """Predicted classes, from normal ease and uniform guesses of each image."""
        right = ease < ndtri(self.recalls)[labels]
        reached = self.confusions.cumsum(axis=1)[labels] < guess[..., None]
        wrong = np.minimum(reached.sum(axis=-1), len(self.sizes) - 1)
        return np.where(right, labels, wrong)


def classifiers(setting: Setting) -> tuple[Classifier, Classifier]:
    """Models A and B; larger classes are learnt better, to a varying degree."""
    generator = np.random.default_rng(7)
    sizes = np.array(setting.sizes)
    ease = 0.25 * np.log(sizes / np.median(sizes))
    ease += ndtri(setting.recall) + 0.4 * generator.standard_normal(len(sizes))
    taken_for = np.exp(1.5 * generator.standard_normal((len(sizes), len(sizes))))
    taken_for *= np.sqrt(sizes) * ~np.eye(len(sizes), dtype=bool)
    confusions = taken_for / taken_for.sum(axis=1, keepdims=True)
    better = ease + setting.gap * (1 + generator.standard_normal(len(sizes)))
    a, b = (Classifier(ndtr(each), confusions, sizes) for each in (ease, better))
    return a, b


def simulate(
    setting: Setting, repetitions: int, seed: int = 0
) -> tuple[NDArray[np.intp], list[list[Run]]]:
    """Labels, and the runs of A, B, A, B, ... in test after test."""
    generator = np.random.default_rng(seed)
    sizes = np.array(setting.sizes) * setting.times
    labels = np.repeat(np.arange(len(sizes)), sizes)
    models: list[list[Run]] = []
    pair = classifiers(setting)
    for _ in range(repetitions):
        shared = generator.standard_normal(len(labels))
        guess = generator.random(len(labels))
        models += [[], []]
        for _ in range(setting.runs):
            images = np.arange(len(labels))
            if setting.runs > 1:
                images = _half(labels, generator)
            for runs, classifier in zip(models[-2:], pair, strict=True):
                own = generator.standard_normal(len(labels))
                ease = np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * own
                alike = generator.random(len(labels)) < SAME_MISTAKE
                guesses = np.where(alike, guess, generator.random(len(labels)))
                answers = classifier.answers(labels, ease, guesses)
                runs.append((images, answers[images]))
    return labels, models


def _half(labels: NDArray[np.intp], generator: np.random.Generator) -> NDArray[np.intp]:
    """Half of the images of each class, by chance."""
    classes = (np.flatnonzero(labels == name) for name in np.unique(labels))
    return np.concatenate(
        [generator.permutation(m)[: (len(m) + 1) // 2] for m in classes]
    )


def percentile(estimates: Floats, draws: Floats) -> Ends:
    """From quantile to quantile of the resamples."""
    lower, upper = np.quantile(draws, [0.025, 0.975], axis=1)
    return lower, upper


def basic(estimates: Floats, draws: Floats) -> Ends:
    """Percentile interval, mirrored at the estimate."""
    lower, upper = percentile(estimates, draws)
    return 2 * estimates - upper, 2 * estimates - lower


def bias_corrected(estimates: Floats, draws: Floats) -> Ends:
    """Efron's BC."""
    return _corrected(estimates, draws, np.zeros(len(draws)))


def accelerated(estimates: Floats, draws: Floats) -> Ends:
    """Efron's BCa, the acceleration from the skewness of the resamples."""
    centred = draws - draws.mean(axis=1, keepdims=True)
    spread = np.maximum(centred.std(axis=1), 1e-9)
    return _corrected(estimates, draws, (centred**3).mean(axis=1) / spread**3 / 6)


def _corrected(estimates: Floats, draws: Floats, acceleration: Floats) -> Ends:
    below = (draws < estimates[:, None]).mean(axis=1)
    below += (draws == estimates[:, None]).mean(axis=1) / 2
    bias = ndtri(np.clip(below, 1 / draws.shape[1], 1 - 1 / draws.shape[1]))
    ends = []
    for z in (-Z, Z):
        shares = ndtr(bias + (bias + z) / (1 - acceleration * (bias + z)))
        ordered = np.sort(draws, axis=1)
        ranks = (shares * (draws.shape[1] - 1)).round().astype(np.intp)
        ends.append(ordered[np.arange(len(draws)), ranks])
    return ends[0], ends[1]


def normal(estimates: Floats, draws: Floats) -> Ends:
    """Estimate and its standard deviation over the resamples."""
    margin = Z * draws.std(axis=1, ddof=1)
    return estimates - margin, estimates + margin


INTERVALS: dict[str, Callable[[Floats, Floats], Ends]] = {
    "percentile": percentile,
    "basic": basic,
    "bias-corrected": bias_corrected,
    "BCa": accelerated,
    "normal": normal,
}


def coverage(ends: Ends, truth: float) -> tuple[float, float]:
    """Share of the intervals that hold the truth, and their mean width."""
    lower, upper = ends
    return float(((lower <= truth) & (truth <= upper)).mean()), float(
        (upper - lower).mean()
    )


def of_scores(scores: Scores, truths: tuple[float, float]) -> Iterator[Line]:
    """Intervals of model A's score, those of the difference, and the test."""
    a, b = scores.estimates[::2], scores.estimates[1::2]
    draws_a, draws_b = scores.draws[::2], scores.draws[1::2]
    first = range(0, len(scores.estimates), 2)
    for name, interval in INTERVALS.items():
        yield name, *coverage(interval(a, draws_a), truths[0])
    yield "Wilson (chosen)", *_coverage([scores.interval(i) for i in first], truths[0])
    gap = truths[0] - truths[1]
    for name, interval in INTERVALS.items():
        yield f"A - B {name}", *coverage(interval(a - b, draws_a - draws_b), gap)
    pairs = [scores.difference_interval(i, i + 1) for i in first]
    yield "A - B normal (chosen)", *_coverage(pairs, gap)
    yield "A - B p < 0.05", _found([scores.p_value(i, i + 1) for i in first]), np.nan


def of_accuracy(
    labels: NDArray[np.intp], models: list[list[Run]], truths: tuple[float, float]
) -> Iterator[Line]:
    """Intervals of model A's accuracy; of one run each, difference and test as well."""
    counts = [_counts(labels, runs) for runs in models]
    if len(models[0]) > 1:
        each = [wilson_interval(int(h.sum()), int(t.sum())) for h, t in counts[::2]]
        yield "Wilson, all runs as images", *_coverage(each, truths[0])
    ends = [clustered_wilson(hits, trials) for hits, trials in counts[::2]]
    yield "Wilson (chosen)", *_coverage(ends, truths[0])
    if len(models[0]) > 1:
        return
    rights = [hits > 0 for hits, _ in counts]
    pairs = list(zip(rights[::2], rights[1::2], strict=True))
    gaps = [a.astype(np.int8) - b for a, b in pairs]
    intervals = [paired_difference_interval(gap.astype(float)) for gap in gaps]
    yield "A - B Bonett-Price", *_coverage(intervals, truths[0] - truths[1])
    yield "A - B McNemar p < 0.05", _found([sign_flip_test(g) for g in gaps]), np.nan


def _counts(labels: NDArray[np.intp], runs: list[Run]) -> Ends:
    hits, trials = np.zeros((2, len(labels)))
    for images, predicted in runs:
        trials[images] += 1
        hits[images] += predicted == labels[images]
    return hits, trials


def _coverage(ends: list[tuple[float, float]], truth: float) -> tuple[float, float]:
    lower, upper = np.array(ends).T
    return coverage((lower, upper), truth)


def _found(p_values: list[float]) -> float:
    return float((np.array(p_values) < 0.05).mean())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--resamples", type=int, default=1000)
    options = parser.parse_args()
    print(
        "setting, accuracy         | metric            | interval                   |"
        "     n | coverage | mean width"
    )
    for setting in SETTINGS:
        labels, models = simulate(setting, options.repetitions)
        truths = [classifier.scores() for classifier in classifiers(setting)]
        f1, recall, accuracy = zip(*truths, strict=True)
        found = bootstrap(
            labels, models, len(setting.sizes), resamples=options.resamples
        )
        lines = {
            "macro F1": of_scores(found["macro_f1"], f1),
            "balanced accuracy": of_scores(found["balanced_accuracy"], recall),
            "accuracy": of_accuracy(labels, models, accuracy),
        }
        for metric, of_metric in lines.items():
            for interval, share, width in of_metric:
                print(
                    f"{setting.name:17}, {accuracy[0]:6.3f} | {metric:17} | "
                    f"{interval:26} | {len(labels):5} | {share:8.3f} | {width:10.3f}"
                )


if __name__ == "__main__":
    main()
