import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import stats

from clothing_lightning.metrics.significance import (
    holm,
    images_needed,
    indistinguishable,
    paired_difference_interval,
    sign_flip_test,
)

few = settings(max_examples=60, deadline=None, derandomize=True, database=None)

shares = st.floats(0, 1, allow_subnormal=False)
p_values = st.integers(0, 12).flatmap(lambda n: arrays(np.float64, n, elements=shares))


def of_counts(b: int, c: int, both: int = 0) -> NDArray[np.int64]:
    return np.repeat([1, -1, 0], [b, c, both])


@pytest.mark.parametrize(
    ("b", "c"),
    [(1, 0), (3, 3), (5, 0), (0, 6), (10, 4), (61, 40), (500, 400), (25_300, 24_700)],
)
def test_sign_flips_of_one_run_are_mcnemars_test(b: int, c: int) -> None:
    expected = stats.binomtest(b, b + c, 0.5).pvalue
    found = sign_flip_test(of_counts(b, c, both=7))
    assert found == pytest.approx(expected, rel=1e-9, abs=0)


def test_tiny_p_values_keep_their_digits() -> None:
    found = sign_flip_test(of_counts(900, 100))
    assert found == pytest.approx(stats.binomtest(900, 1000).pvalue, rel=1e-9, abs=0)
    assert found < 1e-150


@few
@given(arrays(np.int64, st.integers(1, 9), elements=st.integers(-5, 5)))
def test_sign_flips_equal_all_signs_counted_out(differences: NDArray[np.int64]) -> None:
    signs = itertools.product([-1, 1], repeat=len(differences))
    sums = np.array([abs((np.array(s) * differences).sum()) for s in signs])
    expected = float((sums >= abs(differences.sum())).mean())
    assert sign_flip_test(differences) == pytest.approx(expected, rel=1e-9)


def test_sign_flips_equal_scipys_permutation_test() -> None:
    differences = np.array([3, -1, 2, 2, -2, 1, 0, 3, 1, -1])
    expected = stats.permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=np.inf
    )
    assert sign_flip_test(differences) == pytest.approx(expected.pvalue, rel=1e-9)


def test_order_equal_images_and_the_names_of_the_models_do_not_matter() -> None:
    differences = np.array([2, -1, 1, 3, 0, 0, -2])
    expected = sign_flip_test(differences)
    assert sign_flip_test(differences[::-1]) == expected
    assert sign_flip_test(-differences) == expected
    assert sign_flip_test(differences[differences != 0]) == expected


def test_fifty_thousand_images_of_three_runs_are_exact_enough() -> None:
    generator = np.random.default_rng(0)
    differences = generator.choice([-3, -2, -1, 1, 2, 3], 50_000)
    differences[:400] = np.abs(differences[:400])
    z = abs(differences.sum()) / math.sqrt(float(np.square(differences).sum()))
    assert sign_flip_test(differences) == pytest.approx(math.erfc(z / 2**0.5), rel=0.05)


@pytest.mark.parametrize("differences", [[], [0], [0, 0], [1, -1], [2, -1, -1]])
def test_no_difference_in_all_has_p_value_1(differences: list[int]) -> None:
    assert sign_flip_test(np.array(differences, dtype=np.int64)) == 1.0


def test_holm_equals_statsmodels() -> None:
    p = np.array([0.01, 0.04, 0.03, 0.005, 0.9, 0.03, 1e-9])
    # multipletests(p, method="holm") of statsmodels 0.15.0
    expected = [0.05, 0.12, 0.12, 0.03, 0.9, 0.12, 7.000000000000001e-09]
    np.testing.assert_allclose(holm(p), expected, rtol=1e-9)


@few
@given(p_values)
def test_holm_never_lowers_and_keeps_the_order(p: NDArray[np.float64]) -> None:
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()
    bonferroni = np.minimum(p * len(p), 1)
    assert (adjusted <= bonferroni).all()
    if len(p):
        assert adjusted.min() == bonferroni.min()


@few
@given(p_values)
def test_holm_goes_with_its_test(p: NDArray[np.float64]) -> None:
    order = np.random.default_rng(len(p)).permutation(len(p))
    np.testing.assert_array_equal(holm(p[order]), holm(p)[order])


@pytest.mark.parametrize("p", [[0.5, 1.1], [-0.1], [math.nan, 0.5]])
def test_holm_refuses_what_is_no_p_value(p: list[float]) -> None:
    with pytest.raises(ValueError, match="each lies within 0 and 1"):
        holm(np.array(p))


def test_images_needed_equal_connors_formula() -> None:
    differences = of_counts(30, 20, both=50).astype(float)
    # psi = 0.5, delta = 0.1
    expected = (1.959964 * math.sqrt(0.5) + 0.841621 * math.sqrt(0.49)) ** 2 / 0.01
    assert images_needed(differences) == math.ceil(expected) == 391


def test_a_stricter_test_needs_more_images() -> None:
    differences = of_counts(30, 20, both=50) / 1
    few_images, more = (
        images_needed(differences, alpha=alpha) for alpha in (0.05, 0.001)
    )
    assert few_images is not None
    assert more is not None
    assert few_images < more
    assert images_needed(-differences) == few_images


def test_that_many_images_find_the_difference_with_that_power() -> None:
    differences = of_counts(12, 6, both=82)
    n = images_needed(differences / 1)
    assert n is not None
    generator = np.random.default_rng(0)
    found = [
        sign_flip_test(generator.choice(differences, n)) < 0.05 for _ in range(4000)
    ]
    # The exact test is a little stricter than the normal one of the formula.
    assert 0.76 < np.mean(found) < 0.83


def test_several_runs_find_the_difference_with_that_power() -> None:
    differences = np.repeat([3, 2, 1, -1, -2, 0], [4, 4, 7, 6, 2, 77])
    n = images_needed(differences / 3)
    assert n is not None
    generator = np.random.default_rng(0)
    found = [
        sign_flip_test(generator.choice(differences, n)) < 0.05 for _ in range(2000)
    ]
    assert 0.76 < np.mean(found) < 0.83


@pytest.mark.parametrize("differences", [[], [0.0], [1, -1], [1 / 3, 1 / 3, -2 / 3]])
def test_no_number_of_images_finds_no_difference(differences: list[float]) -> None:
    assert images_needed(np.array(differences, dtype=np.float64)) is None


@pytest.mark.parametrize("wrong", [0.0, 1.0, -1.0])
def test_alpha_is_a_share(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"alpha is .*: it lies between 0 and 1"):
        images_needed(np.ones(2), alpha=wrong)


@pytest.mark.parametrize("wrong", [2.0, -1.5, math.nan])
def test_differences_are_those_of_shares(wrong: float) -> None:
    with pytest.raises(ValueError, match="each lies within -1 and 1"):
        images_needed(np.array([0.5, wrong]))


def pairs_that_differ(rows: int, *pairs: tuple[int, int]) -> NDArray[np.float64]:
    p = np.ones((rows, rows))
    for a, b in pairs:
        p[a, b] = p[b, a] = 0.01
    return p


@pytest.mark.parametrize(
    ("p", "groups"),
    [
        (np.ones((0, 0)), []),
        (np.zeros((1, 1)), [(0, 1)]),
        (np.ones((4, 4)), [(0, 4)]),
        (np.zeros((3, 3)), [(0, 1), (1, 2), (2, 3)]),
        (pairs_that_differ(3, (0, 2)), [(0, 2), (1, 3)]),
        (pairs_that_differ(4, (0, 1), (0, 2), (0, 3)), [(0, 1), (1, 4)]),
        (pairs_that_differ(4, (1, 2), (0, 2)), [(0, 2), (2, 4)]),
        (np.full((2, 2), math.nan), [(0, 2)]),
    ],
)
def test_neighbours_that_no_test_tells_apart_are_a_group(
    p: NDArray[np.float64], groups: list[tuple[int, int]]
) -> None:
    assert indistinguishable(p) == [range(*group) for group in groups]


def test_alpha_itself_is_not_told_apart() -> None:
    assert indistinguishable(np.full((2, 2), 0.05)) == [range(2)]
    assert indistinguishable(np.full((2, 2), 0.05), alpha=0.1) == [
        range(1),
        range(1, 2),
    ]


@few
@given(st.integers(1, 7).flatmap(lambda n: arrays(np.bool_, (n, n))))
def test_groups_are_the_longest_and_hold_every_row(differ: NDArray[np.bool_]) -> None:
    rows = len(differ)
    alike = [
        range(first, end)
        for first, end in itertools.combinations(range(rows + 1), 2)
        if not any(
            differ[pair] for pair in itertools.combinations(range(first, end), 2)
        )
    ]
    longest = [
        one for one in alike if not any(set(one) < set(other) for other in alike)
    ]
    assert indistinguishable(np.where(differ, 0.0, 1.0)) == longest
    assert {row for group in longest for row in group} == set(range(rows))


def test_groups_are_of_a_square() -> None:
    with pytest.raises(ValueError, match=r"p_adjusted has shape \(2, 3\)"):
        indistinguishable(np.ones((2, 3)))


def gaps(b: int, c: int, n: int) -> NDArray[np.float64]:
    """Differences of n images: b that only A gets right, c that only B does."""
    return np.array([1.0] * b + [-1.0] * c + [0.0] * (n - b - c))


def test_paired_interval_equals_bonett_and_prices_formula() -> None:
    lower, upper = paired_difference_interval(gaps(10, 4, 50))
    # 11/52 and 5/52; their difference 0.115385, its standard error 0.0752405.
    assert lower == pytest.approx(6 / 52 - 1.959964 * 0.0752405, abs=1e-6)
    assert upper == pytest.approx(6 / 52 + 1.959964 * 0.0752405, abs=1e-6)


def test_paired_interval_turns_with_the_models() -> None:
    lower, upper = paired_difference_interval(gaps(9, 3, 40))
    turned = paired_difference_interval(gaps(3, 9, 40))
    assert turned == pytest.approx((-upper, -lower))


def test_paired_interval_is_narrower_where_repeats_agree_less() -> None:
    whole, halves = gaps(10, 10, 100), gaps(20, 20, 100) / 2
    wide, narrow = (paired_difference_interval(each) for each in (whole, halves))
    assert narrow[1] < wide[1]


def test_paired_interval_has_a_width_without_any_difference() -> None:
    lower, upper = paired_difference_interval(gaps(0, 0, 500))
    assert lower == -upper
    assert 0.004 < upper < 0.008


def test_paired_interval_of_no_image_is_everything() -> None:
    assert paired_difference_interval(gaps(0, 0, 0)) == (-1.0, 1.0)


@few
@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_paired_interval_holds_the_difference(b: int, c: int, both: int) -> None:
    n = b + c + both
    lower, upper = paired_difference_interval(gaps(b, c, n))
    assert -1 <= lower <= (b - c) / max(1, n) <= upper <= 1
