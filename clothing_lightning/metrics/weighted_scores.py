"""Means over classes, such as macro F1, of runs whose test images have weights."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clothing_lightning.metrics.registry import METRICS, Counts

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Run = tuple[NDArray[np.intp], NDArray[np.intp]]
"""The images that a run tested, as positions, and the class it predicted for each."""

AVERAGES = {name: metric for name, metric in METRICS.items() if metric.by_class}
"""The metrics that are a mean over classes."""


class CountedRuns:
    """Runs of a model, ready to be scored with any weights of the images.

    Weights of images have the shape (images, draws), and metrics are `AVERAGES`.
    """

    def __init__(
        self,
        labels: NDArray[np.intp],
        runs: Sequence[Run],
        classes: int,
        shares: Sequence[float] | None,
    ) -> None:
        """Count the predictions of runs; without ``shares`` all runs count alike."""
        self._counters = [_counter(labels, run, classes) for run in runs]
        self._shares = np.array(shares or [1.0] * len(runs))

    def of_runs(self, weights: NDArray[np.floating]) -> NDArray[np.floating]:
        """Metrics of each run, shape (runs, metrics, draws)."""
        return _mean(self._by_class(weights), axis=2)

    def scores(self, weights: NDArray[np.floating]) -> NDArray[np.floating]:
        """Mean of each metric over the runs, shape (metrics, draws)."""
        return _mean(self.of_runs(weights), axis=0, shares=self._shares)

    def parts(self, once: NDArray[np.floating]) -> NDArray[np.floating]:
        """The part of each metric that each class makes up, and the most it could be.

        From weights of shape (images, 1), each 1, come values of shape (metrics + 1,
        classes), the last row of which holds the most.
        """
        each = self._by_class(once)[..., 0]
        known = np.isfinite(each[:, :1])
        parts = np.concatenate([np.nan_to_num(each), known], axis=1)
        parts = parts / known.sum(axis=2, keepdims=True)
        return np.asarray(np.average(parts, axis=0, weights=self._shares))

    def _by_class(self, weights: NDArray[np.floating]) -> NDArray[np.floating]:
        """Shape (runs, metrics, classes, draws), NaN where a class has no image."""
        values = []
        for counter in self._counters:
            counts = Counts(*(counter @ weights).reshape(3, -1, weights.shape[1]))
            of_metrics = [
                metric.by_class(counts)
                for metric in AVERAGES.values()
                if metric.by_class
            ]
            values.append(np.where(counts.support > 0, np.stack(of_metrics), np.nan))
        return np.stack(values)


def resampled(
    labels: NDArray[np.intp], count: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """How often each image is drawn, shape (images, count); sums are the class sizes.

    A class of n images is drawn n - 1 times and weighted up, or it would vary too
    little by the factor (n - 1) / n: Rao and Wu, "Resampling Inference with Complex
    Survey Data", JASA 83, 1988, doi:10.1080/01621459.1988.10478591.
    """
    weights = np.ones((len(labels), count), np.float32)
    for members in (np.flatnonzero(labels == name) for name in np.unique(labels)):
        size = len(members)
        if size > 1:
            evenly = np.full(size, 1 / size)
            times = rng.multinomial(size - 1, evenly, count).T
            weights[members] = times * np.float32(size / (size - 1))
    return weights


def _counter(labels: NDArray[np.intp], run: Run, classes: int) -> "csr_array":
    """Sums the weights of images to support, predictions and hits of each class.

    A product with a sparse matrix, shape (3 * classes, images), adds each image once
    or twice; a dense one would multiply it by 3 * classes numbers.
    """
    from scipy.sparse import csr_array

    images, predicted = run
    true = labels[images]
    right = true == predicted
    rows = np.concatenate([true, classes + predicted, 2 * classes + true[right]])
    columns = np.concatenate([images, images, images[right]])
    ones = np.ones(len(rows), np.float32)
    return csr_array((ones, (rows, columns)), shape=(3 * classes, len(labels)))


def _mean(
    values: NDArray[np.floating], axis: int, shares: NDArray[np.float64] | None = None
) -> NDArray[np.floating]:
    """Mean of what is not NaN, weighted along the first axis; NaN where nothing is."""
    known: NDArray[Any] = np.isfinite(values)
    if shares is not None:
        known = known * shares[:, np.newaxis, np.newaxis]
        values = values * known
    with np.errstate(invalid="ignore"):  # a resample may leave a run no image
        return np.asarray(np.nansum(values, axis) / known.sum(axis))
