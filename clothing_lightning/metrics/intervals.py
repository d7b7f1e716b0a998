"""95 % intervals of an accuracy, also where images contribute to it more than once."""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Z = NormalDist().inv_cdf(0.975)
"""Half the width of a normal distribution's middle 95 %, in standard deviations."""


def wilson_interval(successes: float, n: float) -> tuple[float, float]:
    """Score interval of a proportion; it holds for small ``n`` and near 0 and 1.

    Wilson, "Probable Inference, the Law of Succession, and Statistical Inference",
    Journal of the American Statistical Association 22, 1927,
    doi:10.1080/01621459.1927.10502953.

    Args:
        successes: Trials that succeeded, 0 to ``n``.
        n: Number of independent trials. Without any the interval is 0 to 1.

    Returns:
        Lower and upper end.

    Raises:
        ValueError: If ``successes`` is out of its range.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"successes is {successes} of n = {n}: 0 to n are possible.")
    if n == 0:
        return 0.0, 1.0
    share = successes / n
    centre = share + Z**2 / (2 * n)
    margin = Z * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    scale = 1 + Z**2 / n
    return max(0.0, (centre - margin) / scale), min(1.0, (centre + margin) / scale)


def clustered_wilson(
    hits: NDArray[np.floating], trials: NDArray[np.floating]
) -> tuple[float, float]:
    """Score interval of the accuracy of several runs that tested the same images.

    This is `wilson_interval` with as many trials as there are `independent_images`.

    Args:
        hits: For each image how many runs are right about it, 0 to its trials.
        trials: For each image how many runs tested it, 0 or more.

    Returns:
        Lower and upper end of ``sum(hits) / sum(trials)``; 0 and 1 without a trial.

    Raises:
        ValueError: If hits are out of their range.
    """
    images = independent_images(hits, trials)
    share = float(hits.sum() / trials.sum()) if images else 0.0
    return wilson_interval(share * images, images)


def independent_images(hits: NDArray[np.number], trials: NDArray[np.number]) -> float:
    """How many images, tested once each, would leave an accuracy as uncertain.

    Ten runs that test one image say less than one run that tests ten images, and the
    more they agree, the less they say: Dean and Pagano, "Evaluating Confidence Interval
    Methods for Binomial Proportions in Clustered Surveys", Journal of Survey Statistics
    and Methodology 3, 2015, doi:10.1093/jssam/smv024. Hits and trials are those of
    `clustered_wilson`.

    Returns:
        The number of images if each is tested once, or if all runs are right, or all
        wrong, about every image; never more than the sum of the trials.

    Raises:
        ValueError: If hits are out of their range.
    """
    if hits.shape != trials.shape or not ((hits >= 0) & (hits <= trials)).all():
        raise ValueError("hits: each image has 0 to as many as it has trials.")
    total = float(trials.sum())
    share = float(hits.sum()) / max(1.0, total)
    if share in (0, 1):
        return float(np.count_nonzero(trials))
    variance = float(np.square(hits - share * trials).sum()) / total**2
    # Every image may happen to have the same share of hits: then there is no variance.
    return min(total, share * (1 - share) / variance) if variance else total
