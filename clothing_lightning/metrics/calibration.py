"""How far a classifier's confidence is its accuracy, and what abstaining gains.

Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017,
arXiv:1706.04599. Confidence is the probability of the predicted class, which is the
first of the most probable ones. Every function raises ValueError if probabilities or
targets are not as their types say.
"""

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clothing_lightning.metrics.classification_report import (
    SMALLEST_PROBABILITY,
    arrays,
    ratio,
)
from clothing_lightning.metrics.intervals import wilson_interval

Probabilities = NDArray[np.floating]
"""Softmax probabilities, shape (images, classes)."""
Targets = NDArray[np.integer]
"""For each image the column of its true class, shape (images,)."""

_BINS = 15
_TEMPERATURES = (0.05, 20.0)
_POINTS = 200


def reliability(probabilities: Probabilities, targets: Targets) -> pd.DataFrame:
    """Compare confidence with accuracy, in 15 bins of equal width from 0 to 1.

    Returns:
        For each bin, which holds its lower end (the last one also 1), ``lower``,
        ``upper``, ``images``, the mean ``confidence`` of its images, their
        ``accuracy``, and ``accuracy_lower`` and ``accuracy_upper``, the ends of its
        95 % Wilson interval. A bin without images has NaN means.
    """
    confidence, right = top(probabilities, targets)
    ends = np.linspace(0, 1, _BINS + 1)
    positions = np.searchsorted(ends[1:-1], confidence, side="right")
    images = np.bincount(positions, minlength=_BINS)
    hits = np.bincount(positions, right, _BINS)
    sums = np.bincount(positions, confidence, _BINS)
    lower, upper = zip(*map(wilson_interval, hits, images), strict=True)
    return pd.DataFrame(
        {
            "lower": ends[:-1],
            "upper": ends[1:],
            "images": images,
            "confidence": ratio(sums, images),
            "accuracy": ratio(hits, images),
            "accuracy_lower": lower,
            "accuracy_upper": upper,
        }
    )


def expected_calibration_error(probabilities: Probabilities, targets: Targets) -> float:
    """Mean distance of accuracy and confidence over the bins, weighted by images.

    Equal to torchmetrics' ``MulticlassCalibrationError`` with ``norm="l1"``, except
    that a confidence of exactly 1 is in the last bin and not in one of its own.

    Returns:
        0 to 1; NaN if there is no image.
    """
    table = reliability(probabilities, targets)
    if not len(targets):
        return math.nan
    distances = (table["accuracy"] - table["confidence"]).abs() * table["images"]
    return float(distances.sum() / len(targets))


def accuracy_at_coverage(
    probabilities: Probabilities, targets: Targets
) -> pd.DataFrame:
    """Accuracy on the most confident share of the images, for every such share.

    Returns:
        ``coverage``, the share of images that is kept; ``accuracy`` on them;
        ``threshold``, their lowest confidence. Images of equal confidence are kept
        together. Up to 200 evenly chosen rows, the smallest share first, all images
        last.
    """
    table = coverage(*top(probabilities, targets))
    table = table.iloc[evenly_chosen(np.arange(len(table)), _POINTS)]
    return pd.DataFrame(
        {
            "coverage": table["answered"] / max(1, len(targets)),
            "accuracy": table["right"] / table["answered"],
            "threshold": table["threshold"],
        }
    ).reset_index(drop=True)


def coverage(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> pd.DataFrame:
    """Count the images that are answered, and right, at every confidence.

    Args:
        confidence: Of each image, shape (images,).
        right: Whether its predicted class is the true one, shape (images,).

    Returns:
        For each confidence that an image has, the highest first, ``threshold``, the
        confidence; ``answered``, the number of images that have at least this one; and
        ``right``, the number of those whose predicted class is the true one.
    """
    order = np.argsort(-confidence, kind="stable")
    confidence, hits = confidence[order], right[order].cumsum()
    last_of_equals = np.flatnonzero(np.diff(confidence, append=-1.0))
    return pd.DataFrame(
        {
            "threshold": confidence[last_of_equals],
            "answered": last_of_equals + 1,
            "right": hits[last_of_equals],
        }
    )


def evenly_chosen(rows: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """The first of some rows, the last, and others at even distances, if too many."""
    places = np.linspace(0, len(rows) - 1, min(most, len(rows)))
    return rows[places.round().astype(np.intp)]


def fit_temperature(probabilities: Probabilities, targets: Targets) -> float:
    """Find the temperature at which the mean cross-entropy is lowest.

    The cross-entropy is convex in 1 / temperature, so its only minimum is where its
    slope is 0. Fit it on validation images, never on images whose scores are reported.

    Returns:
        0.05 to 20: above 1 for a classifier that is too confident; 0.05 if it is always
        right; 1 without images, or if every image has equal probabilities.
    """
    from scipy.optimize import brentq

    _check(probabilities, targets)
    logs = _logarithms(probabilities)
    if (logs == logs[:, :1]).all():
        return 1.0
    of_target = logs[np.arange(len(targets)), targets].mean()

    def slope(log_temperature: float) -> float:
        scaled = tempered(probabilities, math.exp(log_temperature))
        return float((scaled * logs).sum(axis=1).mean() - of_target)

    lowest, highest = map(math.log, _TEMPERATURES)
    if slope(lowest) <= 0:
        return _TEMPERATURES[0]
    if slope(highest) >= 0:
        return _TEMPERATURES[1]
    return math.exp(brentq(slope, lowest, highest, xtol=1e-12))


def tempered(probabilities: Probabilities, temperature: float) -> NDArray[np.float64]:
    """Probabilities as if the logits had been divided by ``temperature``.

    Args:
        probabilities: Clipped at the smallest normal float32.
        temperature: Above 0. Above 1 it makes the probabilities more even; no predicted
            class changes.

    Raises:
        ValueError: If ``temperature`` is not above 0.
    """
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}: it is above 0.")
    logits = _logarithms(probabilities) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def tempering(predictions: pd.DataFrame, temperature: float) -> dict[str, float]:
    """What a temperature does to the probabilities of stored predictions.

    Args:
        predictions: The table, as `classification_report` describes it, of images that
            the temperature was not fitted on.
        temperature: Above 0.

    Returns:
        ``error_before`` and ``error_after``, the expected calibration error, 0 to 1;
        ``cross_entropy_before`` and ``cross_entropy_after``, the mean in nats. All are
        NaN without images.

    Raises:
        DataError: If the table breaks its contract.
        ValueError: If ``temperature`` is not above 0.
    """
    targets, probabilities = arrays(predictions)
    both = {
        "before": probabilities,
        "after": tempered(probabilities, temperature),
    }
    effect = {
        f"error_{when}": expected_calibration_error(each, targets)
        for when, each in both.items()
    }
    rows = np.arange(len(targets))
    for when, each in both.items():
        losses = -_logarithms(each)[rows, targets]
        mean = float(losses.mean()) if len(targets) else math.nan
        effect[f"cross_entropy_{when}"] = mean
    return effect


def _check(probabilities: Probabilities, targets: Targets) -> None:
    if probabilities.ndim != 2 or targets.shape != probabilities.shape[:1]:
        raise ValueError(
            f"probabilities have shape {probabilities.shape} and targets "
            f"{targets.shape}: expected (images, classes) and (images,)."
        )
    if not ((probabilities >= 0) & np.isfinite(probabilities)).all():
        raise ValueError("probabilities: each is finite and not below 0.")
    if not ((targets >= 0) & (targets < probabilities.shape[1])).all():
        raise ValueError(f"targets: each is within 0 and {probabilities.shape[1] - 1}.")


def top(
    probabilities: Probabilities, targets: Targets
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Confidence of each image, and whether its predicted class is the true one.

    Both have shape (images,).
    """
    _check(probabilities, targets)
    predicted = probabilities.argmax(axis=1)
    confidence = probabilities[np.arange(len(targets)), predicted]
    return confidence.astype(np.float64), predicted == targets


def _logarithms(probabilities: Probabilities) -> NDArray[np.float64]:
    return np.log(np.maximum(probabilities.astype(np.float64), SMALLEST_PROBABILITY))
