"""Uncertainty of macro F1 and balanced accuracy, by resampling the test images.

Images are drawn within each class, so that its size stays, and all models are scored on
the same draws, so that what is difficult for all of them cancels out of a difference.
What varies is the choice of test images; networks are not trained again.

Intervals were chosen by simulation: benchmarks/interval_coverage.py, 500 images in 18
classes of 4 to 96, 4,000 tests of pairs of models with accuracies of 0.39, 0.59, 0.77,
0.91, 0.98 and 0.99. Intervals of 95 % held the truth in this many percent of the tests:

    macro F1           percentiles of the resamples  92.6  93.2  94.6  94.6  90.6  82.6
                       Wilson's, used here           95.5  94.5  95.4  95.6  93.1  95.1
    balanced accuracy  percentiles of the resamples  93.7  93.6  94.3  93.0  87.1  75.6
                       Wilson's, used here           97.0  95.9  95.5  94.7  93.3  96.5
    differences        normal, used here: F1         94.5  95.0  95.3  96.0  96.2  98.0
                       balanced accuracy             94.6  94.8  94.7  94.9  95.2  98.3

Of 406 images in 46 classes, 10 of which have a single image, with accuracies of 0.82
and 0.93 they held it in 92.7 to 96.0, and percentiles in 77 to 85.

Those of means of three runs, each on its own split, did in 94.4 to 95.3. Those of five
runs with an accuracy of 0.98 did in 91 to 92 for balanced accuracy: few images of small
classes are mistaken, and which ones these are does not show how uncertain it is.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from clothing_lightning.metrics.intervals import independent_images, wilson_interval
from clothing_lightning.metrics.registry import METRICS
from clothing_lightning.metrics.weighted_scores import CountedRuns, Run, resampled

_WEIGHTS_AT_ONCE = 2**20  # 4 MB, which stay in a processor's cache
_ROUNDING = 1e-6  # of a score in float32


@dataclass(frozen=True, slots=True)
class Scores:
    """One metric of several models, on the test images and on resamples of them.

    Attributes:
        estimates: Score of each model, 0 to 1.
        draws: Score of each model in each resample, shape (models, resamples). A
            resample is the same for all models. NaN where it holds no image of any run.
        images: For each model how many images in classes of one size say as much about
            a mean over classes as its own: classes / mean(1 / size), and that times
            `independent_images` for each image where several runs test the same.
        most: How many times these a score may at most be worth, for `interval`.
        alone: What each class of a single image adds to each model's score, shape
            (models, such classes). Resamples cannot vary it.
        alone_most: The most that it could add, of the same shape.
        of_runs: For each model the score of each of its runs.
    """

    estimates: NDArray[np.float64]
    draws: NDArray[np.float64]
    images: NDArray[np.float64]
    most: float
    alone: NDArray[np.float64]
    alone_most: NDArray[np.float64]
    of_runs: list[NDArray[np.floating]]

    def interval(self, model: int, confidence: float = 0.95) -> tuple[float, float]:
        """Wilson's interval for as many images as would leave the score as uncertain.

        A class of a single image is as uncertain as a coin that has the model's score.
        If small classes happen to have no mistake, the resamples hardly vary. Therefore
        these are never more than there are images of even classes; of macro F1 1.75
        times as many, since a mistake costs a large class little. With that number
        the interval came nearest to 95 %.

        Args:
            model: Position of the model.
            confidence: Coverage, between 0 and 1.

        Returns:
            Lower and upper end.

        Raises:
            ValueError: If ``confidence`` is out of its range.
        """
        score, images = float(self.estimates[model]), float(self.images[model])
        alone = math.sqrt(score * (1 - score)) * _length(self.alone_most[model])
        error = math.hypot(_spread(self.draws[model]), alone)
        if error > _ROUNDING:
            images = min(self.most * images, score * (1 - score) / error**2)
        return wilson_interval(score * images, images, confidence)

    def difference(self, a: int, b: int) -> float:
        """Score of model ``a`` less that of ``b``."""
        return float(self.estimates[a] - self.estimates[b])

    def difference_interval(
        self, a: int, b: int, confidence: float = 0.95
    ) -> tuple[float, float]:
        """Normal interval of `difference`; 0 lies outside where `p_value` is small.

        Args:
            a: Position of one model.
            b: Position of the other.
            confidence: Coverage, between 0 and 1.

        Returns:
            Lower and upper end; both 0 for models that answer alike.

        Raises:
            ValueError: If ``confidence`` is out of its range.
        """
        if not 0 < confidence < 1:
            raise ValueError(f"confidence is {confidence}: it lies between 0 and 1.")
        middle, error = self.difference(a, b), self._standard_error(a, b)
        margin = NormalDist().inv_cdf((1 + confidence) / 2) * error
        return max(-1.0, middle - margin), min(1.0, middle + margin)

    def p_value(self, a: int, b: int) -> float:
        """Two-sided p-value for two models that in truth score the same.

        Of the difference over its standard error, as from a normal distribution: the
        share of resamples beyond 0 would end at one over their number, and nothing
        below that would be left after a correction for many pairs.

        Args:
            a: Position of one model.
            b: Position of the other.

        Returns:
            The p-value; 1 if they score the same.
        """
        difference = abs(self.difference(a, b))
        if difference < _ROUNDING:
            return 1.0
        return math.erfc(difference / self._standard_error(a, b) / math.sqrt(2))

    def _standard_error(self, a: int, b: int) -> float:
        """Spread over the resamples, widened as if there were no difference.

        McNemar's test does so, too. A model that is always right and one that never is
        do not vary at all, and yet a single image would be no proof. Nor is what a
        class of a single image adds: by chance it could have been the other's.
        """
        images = min(self.images[a], self.images[b])
        spread = _spread(self.draws[a] - self.draws[b])
        alone = _length(self.alone[a] - self.alone[b])
        return math.hypot(spread, alone, self.difference(a, b) / math.sqrt(images))


def bootstrap(
    labels: NDArray[np.intp],
    models: Sequence[Sequence[Run]],
    classes: int,
    shares: Sequence[Sequence[float]] | None = None,
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Scores]:
    """Score models on their test images and on resamples of these.

    A model's score is the mean over its runs, each on the images that it tested; a run
    averages over the classes that it has images of.

    Args:
        labels: Class of each image that any run tested, 0 to ``classes - 1``.
        models: Of each model its runs; of each run the images that it tested, as
            positions in ``labels``, and the class that it predicted for each.
        classes: Number of classes.
        shares: Of each model how much each of its runs counts; by default all alike.
        resamples: Number of resamples, at least 2.
        seed: Seed of the resampling; the same one gives the same numbers.

    Returns:
        Scores of the models, in their order, for each metric of the registry that is a
        mean over classes; all on the same resamples.

    Raises:
        ValueError: If an argument breaks its contract.
    """
    _check(labels, models, classes, resamples)
    metrics = {name: metric for name, metric in METRICS.items() if metric.by_class}
    formulas = [metric.by_class for metric in metrics.values() if metric.by_class]
    counted = [
        CountedRuns.of(labels, runs, classes, share, formulas)
        for runs, share in zip(models, shares or repeat(None), strict=False)
    ]
    images = np.array([_images_of_even_classes(labels, runs) for runs in models])
    draws = np.empty((len(metrics), len(models), resamples))
    rng = np.random.default_rng(seed)
    step = max(1, _WEIGHTS_AT_ONCE // len(labels))
    for first in range(0, resamples, step):
        last = min(first + step, resamples)
        weights = resampled(labels, last - first, rng)
        for number, model in enumerate(counted):
            draws[:, number, first:last] = model.scores(weights)
    once = np.ones((len(labels), 1))
    estimates = np.stack([model.scores(once)[:, 0] for model in counted], axis=1)
    of_runs = [model.of_runs(once)[..., 0] for model in counted]
    alone = np.flatnonzero(np.bincount(labels, minlength=classes) == 1)
    added = np.stack([model.added(once)[:, alone] for model in counted], axis=1)
    return {
        name: Scores(
            estimates=estimates[row],
            draws=draws[row],
            images=images,
            most=metric.most_images,
            alone=added[row],
            alone_most=added[-1],
            of_runs=[values[:, row] for values in of_runs],
        )
        for row, (name, metric) in enumerate(metrics.items())
    }


def _length(values: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(values))


def _images_of_even_classes(labels: NDArray[np.intp], runs: Sequence[Run]) -> float:
    images, predicted = map(np.concatenate, zip(*runs, strict=True))
    trials = np.bincount(images, minlength=len(labels))
    hits = np.bincount(images[labels[images] == predicted], minlength=len(labels))
    sizes = np.unique(labels[trials > 0], return_counts=True)[1]
    gain = independent_images(hits, trials) / np.count_nonzero(trials)
    return float(gain * len(sizes) / (1 / sizes).mean())


def _spread(draws: NDArray[np.float64]) -> float:
    return float(np.nanstd(draws, ddof=1))


def _check(
    labels: NDArray[np.intp],
    models: Sequence[Sequence[Run]],
    classes: int,
    resamples: int,
) -> None:
    if resamples < 2:
        raise ValueError(f"resamples is {resamples}: it starts at 2.")
    if not models:
        raise ValueError("models: there is none.")
    _check_range("labels", labels, classes)
    for model, runs in enumerate(models):
        if not runs:
            raise ValueError(f"models[{model}] has no run.")
        for run, (images, predicted) in enumerate(runs):
            name = f"models[{model}][{run}]"
            if len(images) != len(predicted) or not len(images):
                raise ValueError(
                    f"{name} has {len(images)} images and {len(predicted)} predicted "
                    "classes: expected one class for each image, and an image."
                )
            _check_range(f"{name} images", images, len(labels))
            _check_range(f"{name} predicted classes", predicted, classes)


def _check_range(name: str, values: NDArray[np.intp], stop: int) -> None:
    if not ((values >= 0) & (values < stop)).all():
        raise ValueError(f"{name}: each is within 0 and {stop - 1}.")
