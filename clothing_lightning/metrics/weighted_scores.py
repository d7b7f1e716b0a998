"""Macro F1 and balanced accuracy of runs whose test images have weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Run = tuple[NDArray[np.intp], NDArray[np.intp]]
"""The images that were tested, as positions, and the class predicted for each."""


@dataclass(frozen=True, slots=True)
class CountedRuns:
    """Runs of a model, each as a matrix that counts, and how much each counts.

    Weights of images have the shape (images, draws).
    """

    runs: "list[csr_array]"
    shares: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        labels: NDArray[np.intp],
        runs: Sequence[Run],
        classes: int,
        shares: Sequence[float] | None,
    ) -> "CountedRuns":
        """Count the answers of runs; without ``shares`` all runs count alike."""
        counters = [_counter(labels, run, classes) for run in runs]
        return cls(counters, np.array(shares or [1.0] * len(runs)))

    def of_runs(self, weights: NDArray[np.floating]) -> NDArray[np.floating]:
        """Macro F1 and balanced accuracy of each run, shape (runs, 2, draws)."""
        return np.stack([_mean(_by_class(run, weights), axis=1) for run in self.runs])

    def scores(self, weights: NDArray[np.floating]) -> NDArray[np.floating]:
        """Mean of both over the runs, shape (2, draws)."""
        return _mean(self.of_runs(weights), axis=0, shares=self.shares)

    def added(self, once: NDArray[np.floating]) -> NDArray[np.floating]:
        """What each class adds to F1 and recall, and at most; shape (3, classes)."""
        each = np.stack([_by_class(run, once)[..., 0] for run in self.runs])
        known = np.isfinite(each[:, :1])
        parts = np.concatenate([np.nan_to_num(each), known], axis=1)
        parts = parts / known.sum(axis=2, keepdims=True)
        return np.asarray(np.average(parts, axis=0, weights=self.shares))


def resampled(
    labels: NDArray[np.intp], count: int, generator: np.random.Generator
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
            drawn = generator.multinomial(size - 1, evenly, count).T
            weights[members] = drawn * np.float32(size / (size - 1))
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


def _by_class(run: "csr_array", weights: NDArray[np.floating]) -> NDArray[np.floating]:
    """F1 and recall of each class, shape (2, classes, draws), NaN without an image."""
    counts = (run @ weights).reshape(3, -1, weights.shape[1])
    support, predicted, hits = counts
    with np.errstate(invalid="ignore"):  # 0 / 0
        recall = hits / support
        f1 = 2 * hits / np.where(support > 0, support + predicted, 0)
    return np.stack([f1, recall])


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
