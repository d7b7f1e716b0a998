"""Uncertainty of means over classes, such as macro F1, by resampling the test images.

Images are drawn within each class, so that the size of each class stays the same. All
models are scored on the same resamples, so that images that are difficult for all of
them cancel out of a difference. Only the choice of test images varies; networks are not
trained again.

The intervals were chosen by simulation (benchmarks/interval_coverage.py): 500 images in
18 classes of 4 to 96 images, 4,000 tests of pairs of models with accuracies of 0.39,
0.59, 0.77, 0.91, 0.98 and 0.99. Intervals of 95 % held the truth in this many percent
of the tests:

    macro F1           percentiles of the resamples  92.6  93.2  94.6  94.6  90.6  82.6
                       Wilson's, used here           95.5  94.5  95.4  95.6  93.1  95.1
    balanced accuracy  percentiles of the resamples  93.7  93.6  94.3  93.0  87.1  75.6
                       Wilson's, used here           97.0  95.9  95.5  94.7  93.3  96.5
    differences        normal, used here: F1         94.5  95.0  95.3  96.0  96.2  98.0
                       balanced accuracy             94.6  94.8  94.7  94.9  95.2  98.3

With 406 images in 46 classes, 10 of which have a single image, and accuracies of 0.82
and 0.93 the intervals used here held it in 92.7 to 96.0 percent, percentiles in 77 to
85. For the mean of three runs, each on its own split, they held it in 94.4 to 95.3
percent. For the balanced accuracy of five runs with an accuracy of 0.98 they held it in
91 to 92 percent only: few images of small classes are mistaken, and so few do not show
how uncertain the mean is.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from clothing_lightning.metrics.intervals import Z, independent_images, wilson_interval
from clothing_lightning.metrics.weighted_scores import (
    AVERAGES,
    CountedRuns,
    Run,
    resampled,
)

_WEIGHTS_AT_ONCE = 2**20  # 4 MB, which stay in a processor's cache
_ROUNDING = 1e-6  # scores that differ by less are equal, as they are float32


@dataclass(frozen=True, slots=True)
class Scores:
    """One metric of several models, on the test images and on resamples of them.

    Attributes:
        estimates: Score of each model, 0 to 1.
        draws: Score of each model in each resample, shape (models, resamples). NaN
            where a resample holds no image of any run of the model.
        images: For each model the number of images that would say as much about the
            mean if all classes were of one size: classes / mean(1 / size), times
            `independent_images` per image where several runs test the same images.
        most_images: How many times these images the interval of a score may be worth
            at most.
        single: Part of each model's score that each class of a single image makes up,
            shape (models, such classes). Resamples cannot vary it.
        single_most: The most that this part could be, of the same shape.
        of_runs: For each model the score of each of its runs.
    """

    estimates: NDArray[np.float64]
    draws: NDArray[np.float64]
    images: NDArray[np.float64]
    most_images: float
    single: NDArray[np.float64]
    single_most: NDArray[np.float64]
    of_runs: list[NDArray[np.floating]]

    def interval(self, model: int) -> tuple[float, float]:
        """Wilson's 95 % interval of as many images as would leave it as uncertain.

        A class of a single image counts as a trial that succeeds with a probability of
        the model's score. Where small classes happen to have no mistake, resamples
        hardly vary; so the number of images is at most `most_images` times `images`.
        """
        score, images = float(self.estimates[model]), float(self.images[model])
        most = np.linalg.norm(self.single_most[model])
        single = math.sqrt(score * (1 - score)) * most
        error = math.hypot(_spread(self.draws[model]), single)
        if error > _ROUNDING:
            images = min(self.most_images * images, score * (1 - score) / error**2)
        return wilson_interval(score * images, images)

    def difference(self, a: int, b: int) -> float:
        """Score of model ``a`` less that of ``b``."""
        return float(self.estimates[a] - self.estimates[b])

    def difference_interval(self, a: int, b: int) -> tuple[float, float]:
        """Normal 95 % interval of `difference`; 0 lies outside of it if p < 0.05.

        Both ends are 0 for models with the same predictions.
        """
        middle, margin = self.difference(a, b), Z * self._standard_error(a, b)
        return max(-1.0, middle - margin), min(1.0, middle + margin)

    def p_value(self, a: int, b: int) -> float:
        """Two-sided p-value of the hypothesis that two models score the same.

        The difference over its standard error is taken to be normal. The share of
        resamples beyond 0 would not do: above 0 it is at least one over their number,
        and a correction for many pairs makes that a large p-value.
        """
        difference = abs(self.difference(a, b))
        if difference < _ROUNDING:
            return 1.0
        return math.erfc(difference / self._standard_error(a, b) / math.sqrt(2))

    def _standard_error(self, a: int, b: int) -> float:
        """Spread over the resamples, widened by the difference as McNemar's test does.

        Resamples of a model that is always right and of one that never is do not vary
        at all, and yet a single image would prove nothing; nor would a class of a
        single image, about which either model may be right by chance.
        """
        images = min(self.images[a], self.images[b])
        spread = _spread(self.draws[a] - self.draws[b])
        single = np.linalg.norm(self.single[a] - self.single[b])
        return math.hypot(spread, single, self.difference(a, b) / math.sqrt(images))


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
        models: For each model its runs; for each run the images that it tested, as
            positions in ``labels``, and the class that it predicted for each.
        classes: Number of classes.
        shares: For each model how much each of its runs counts; by default all alike.
        resamples: Number of resamples, at least 2.
        seed: Seed of the resampling; the same one gives the same numbers.

    Returns:
        Scores of the models, in their order, for each metric of the registry that is a
        mean over classes; all on the same resamples.

    Raises:
        ValueError: If an argument breaks its contract.
    """
    _check(labels, models, classes, resamples)
    counted = [
        CountedRuns(labels, runs, classes, share)
        for runs, share in zip(models, shares or repeat(None), strict=False)
    ]
    images = np.array([_images_of_even_classes(labels, runs) for runs in models])
    draws = np.empty((len(AVERAGES), len(models), resamples))
    rng = np.random.default_rng(seed)
    step = max(1, _WEIGHTS_AT_ONCE // len(labels))
    for first in range(0, resamples, step):
        part = draws[..., first : first + step]
        weights = resampled(labels, part.shape[-1], rng)
        for number, model in enumerate(counted):
            part[:, number] = model.scores(weights)
    once = np.ones((len(labels), 1))
    estimates = np.stack([model.scores(once)[:, 0] for model in counted], axis=1)
    of_runs = [model.of_runs(once)[..., 0] for model in counted]
    single = np.flatnonzero(np.bincount(labels, minlength=classes) == 1)
    parts = np.stack([model.parts(once)[:, single] for model in counted], axis=1)
    return {
        name: Scores(
            estimates=estimates[row],
            draws=draws[row],
            images=images,
            most_images=metric.most_images,
            single=parts[row],
            single_most=parts[-1],
            of_runs=[values[:, row] for values in of_runs],
        )
        for row, (name, metric) in enumerate(AVERAGES.items())
    }


def _images_of_even_classes(labels: NDArray[np.intp], runs: Sequence[Run]) -> float:
    """See `Scores.images`."""
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
