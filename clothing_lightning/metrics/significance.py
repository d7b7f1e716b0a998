"""Is the difference between two classifiers that saw the same images real?

McNemar, "Note on the Sampling Error of the Difference Between Correlated Proportions
or Percentages", Psychometrika 12, 1947, doi:10.1007/BF02295996. Several runs of each
model make it a randomisation test on sums: Edgington and Onghena, "Randomization
Tests", 4th edition, 2007.
"""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from clothing_lightning.metrics.intervals import Z

_POWER = 0.8
_NO_DIFFERENCE = 1e-12  # of means; thirds that cancel do not add up to 0 exactly


def sign_flip_test(differences: NDArray[np.integer]) -> float:
    """Exact two-sided test that two models are equally often right.

    If they are, either sign of an image's difference is as likely as the other. The
    p-value is the share of all assignments of signs whose sum is at least as far from
    0 as the observed one. With differences of -1, 0 and 1 it is McNemar's exact test.

    Args:
        differences: For each image the number of runs of one model that are right, less
            that of the other's. Images without a difference change nothing.

    Returns:
        The p-value; 1 if no image has a difference.
    """
    observed = abs(int(differences.sum()))
    if observed == 0:
        return 1.0
    distribution = np.ones(1)
    sizes = np.abs(differences[differences != 0])
    for size, count in zip(*np.unique(sizes, return_counts=True), strict=True):
        coins = _fair_coins(int(count))
        spread = np.zeros((len(coins) - 1) * int(size) + 1)
        spread[:: int(size)] = coins
        distribution = np.convolve(distribution, spread)
    # The sums are symmetric around 0, and two apart: one sign less, another one more.
    sums = 2 * np.arange(len(distribution)) - (len(distribution) - 1)
    return min(1.0, float(2 * distribution[sums >= observed].sum()))


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Adjust p-values for the number of tests.

    Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian
    Journal of Statistics 6, 1979. If each test whose adjusted p-value is below 0.05
    counts as a difference, the probability that any of these is false is 0.05 at most,
    whether the tests are independent or not.

    Args:
        p_values: Shape (tests,), 0 to 1.

    Returns:
        Adjusted p-values in the same order, at most 1.

    Raises:
        ValueError: If a p-value is not within 0 and 1.
    """
    if not ((p_values >= 0) & (p_values <= 1)).all():
        raise ValueError("p_values: each lies within 0 and 1.")
    order = np.argsort(p_values, kind="stable")
    raised = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(raised), 1.0)
    return adjusted


def images_needed(
    differences: NDArray[np.floating], *, alpha: float = 0.05
) -> int | None:
    """Estimate how many test images tell two models apart with a probability of 0.8.

    Connor, "Sample Size for Testing Differences in Proportions for the Paired-Sample
    Design", Biometrics 43, 1987, doi:10.2307/2531961. The observed difference is taken
    for the true one, so the number is a rough guide where the difference is uncertain.

    Args:
        differences: For each image the share of one model's runs that are right, less
            that of the other's, -1 to 1.
        alpha: p-value below which McNemar's test shows a difference, between 0 and 1.

    Returns:
        The number of images; None if the models are right equally often, so that no
        number is enough.

    Raises:
        ValueError: If an argument is out of its range.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha}: it lies between 0 and 1.")
    if not (np.abs(differences) <= 1).all():
        raise ValueError("differences: each lies within -1 and 1.")
    mean = float(differences.mean()) if len(differences) else 0.0
    if abs(mean) < _NO_DIFFERENCE:
        return None
    square = float(np.square(differences).mean())
    normal = NormalDist()
    without = normal.inv_cdf(1 - alpha / 2) * math.sqrt(square)
    within = normal.inv_cdf(_POWER) * math.sqrt(max(0.0, square - mean**2))
    return math.ceil(((without + within) / mean) ** 2)


def indistinguishable(
    p_adjusted: NDArray[np.float64], alpha: float = 0.05
) -> list[range]:
    """Group neighbours of a ranking that no test tells apart.

    The groups are the bars of a critical-difference diagram: Demšar, "Statistical
    Comparisons of Classifiers over Multiple Data Sets", JMLR 7, 2006. They may overlap:
    a row may be told apart neither from the one above it nor from the one below, while
    these two differ.

    Args:
        p_adjusted: Adjusted p-value of every pair, shape (rows, rows), rows in rank
            order; values above the diagonal are used. A pair with NaN has no test and
            is not told apart.
        alpha: p-value below which two rows differ.

    Returns:
        Rows of each group, none of which lies within another; every row is in one.

    Raises:
        ValueError: If ``p_adjusted`` is not square.
    """
    if p_adjusted.ndim != 2 or len(set(p_adjusted.shape)) != 1:
        raise ValueError(f"p_adjusted has shape {p_adjusted.shape}: it is square.")
    differ = np.triu(p_adjusted < alpha, 1)
    groups: list[range] = []
    end = 0
    for first in range(len(differ)):
        before, end = end, max(end, first + 1)
        while end < len(differ) and not differ[first:end, end].any():
            end += 1
        if end > before:
            groups.append(range(first, end))
    return groups


def paired_difference_interval(
    differences: NDArray[np.floating],
) -> tuple[float, float]:
    """95 % interval of the difference of two accuracies on the same images.

    This is the adjusted Wald interval: Bonett and Price, "Adjusted Wald Confidence
    Interval for a Difference of Binomial Proportions Based on Paired Data", Journal of
    Educational and Behavioral Statistics 37, 2012, doi:10.3102/1076998611411915. One
    image is added about which only the first model is right, and one about which only
    the second is; so the middle of the interval is nearer to 0 than the difference.

    Args:
        differences: For each image the share of the first model's repeats that are
            right less that of the second's. Each is within -1 and 1, or beyond where
            some images count more than others. Without images the interval is -1 to 1.

    Returns:
        Lower and upper end, first model less second.
    """
    count = len(differences) + 2
    centre = float(differences.sum()) / count
    variance = ((float(np.square(differences).sum()) + 2) / count - centre**2) / count
    margin = Z * math.sqrt(variance)
    return max(-1.0, centre - margin), min(1.0, centre + margin)


def _fair_coins(count: int) -> NDArray[np.float64]:
    """Probability of each number of heads, without the ends that are 0 as float64.

    Products of ratios, from the middle outwards, keep 11 digits for 50,000 coins;
    factorials and their logarithms do not.
    """
    middle = count // 2
    heads = np.arange(middle, count)
    upper = np.cumprod(np.concatenate([[1.0], (count - heads) / (heads + 1)]))
    probabilities = np.concatenate([upper[count - 2 * middle + 1 :][::-1], upper])
    return np.asarray(probabilities[probabilities > 0] / probabilities.sum())
