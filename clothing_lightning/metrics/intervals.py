"""Interval of an accuracy to which an image contributes more than once."""

import numpy as np
from numpy.typing import NDArray

from clothing_lightning.metrics.classification_report import wilson_interval


def clustered_wilson(
    hits: NDArray[np.floating], trials: NDArray[np.floating], confidence: float = 0.95
) -> tuple[float, float]:
    """Score interval of the accuracy of several runs that tested the same images.

    Wilson's interval for `independent_images`. It is `wilson_interval` where each image
    is tested once.

    Args:
        hits: For each image the runs that are right, 0 to its trials.
        trials: For each image the runs that tested it, 0 or more.
        confidence: Coverage, between 0 and 1.

    Returns:
        Lower and upper end of ``sum(hits) / sum(trials)``; 0 and 1 without a trial.

    Raises:
        ValueError: If an argument is out of its range.
    """
    images = independent_images(hits, trials)
    share = float(hits.sum() / trials.sum()) if images else 0.0
    return wilson_interval(share * images, images, confidence)


def independent_images(hits: NDArray[np.number], trials: NDArray[np.number]) -> float:
    """How many images, tested once each, would leave an accuracy as uncertain.

    Ten runs that test an image tell less than ten images, and the less the more they
    agree: Dean and Pagano, "Evaluating Confidence Interval Methods for Binomial
    Proportions in Clustered Surveys", Journal of Survey Statistics and Methodology 3,
    2015, doi:10.1093/jssam/smv024.

    Args:
        hits: For each image the runs that are right, 0 to its trials.
        trials: For each image the runs that tested it, 0 or more.

    Returns:
        As many as there are if each is tested once, or every run is right or wrong on
        all; never more than all trials.

    Raises:
        ValueError: If an argument is out of its range.
    """
    if hits.shape != trials.shape or not ((hits >= 0) & (hits <= trials)).all():
        raise ValueError("hits: each image has 0 to as many as it has trials.")
    total = float(trials.sum())
    share = float(hits.sum()) / max(1.0, total)
    if share in (0, 1):
        return float(np.count_nonzero(trials))
    variance = float(np.square(hits - share * trials).sum()) / total**2
    # Images may happen to be even, as many right as wrong on each: no variance.
    return min(total, share * (1 - share) / variance) if variance else total
