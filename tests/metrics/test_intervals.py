import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clothing_lightning.metrics.intervals import clustered_wilson, wilson_interval

few = settings(max_examples=100, deadline=None, derandomize=True, database=None)


@few
@given(st.integers(0, 60), st.integers(0, 60))
def test_one_run_has_wilsons_interval(right: int, wrong: int) -> None:
    hits = np.repeat([1.0, 0.0], [right, wrong])
    found = clustered_wilson(hits, np.ones(right + wrong))
    expected = wilson_interval(right, right + wrong)
    assert found == pytest.approx(expected, abs=1e-12)


def test_runs_that_agree_say_no_more_than_one() -> None:
    hits = np.repeat([5.0, 0.0], [80, 20])
    found = clustered_wilson(hits, np.full(100, 5.0))
    assert found == pytest.approx(wilson_interval(80, 100), abs=1e-12)


def test_runs_that_do_not_agree_say_more_than_one() -> None:
    hits = np.random.default_rng(0).binomial(5, 0.8, 400).astype(float)
    lower, upper = clustered_wilson(hits, np.full(400, 5.0))
    one, all_runs = wilson_interval(320, 400), wilson_interval(1600, 2000)
    assert upper - lower == pytest.approx(all_runs[1] - all_runs[0], rel=0.1)
    assert upper - lower < 0.6 * (one[1] - one[0])


def test_images_without_a_trial_change_nothing() -> None:
    hits, trials = np.array([2.0, 0, 1, 1]), np.array([2.0, 1, 2, 1])
    expected = clustered_wilson(hits, trials)
    padded = clustered_wilson(np.append(hits, [0, 0]), np.append(trials, [0, 0]))
    assert padded == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("hits", [0.0, 3.0])
def test_always_wrong_or_always_right_counts_images_not_trials(hits: float) -> None:
    found = clustered_wilson(np.full(50, hits), np.full(50, 3.0))
    assert found == wilson_interval(int(hits / 3) * 50, 50)


def test_even_images_count_as_trials_at_most() -> None:
    found = clustered_wilson(np.ones(50), np.full(50, 2.0))
    assert found == pytest.approx(wilson_interval(50, 100), abs=1e-12)


def test_no_trial_tells_nothing() -> None:
    assert clustered_wilson(np.zeros(0), np.zeros(0)) == (0.0, 1.0)
    assert clustered_wilson(np.zeros(3), np.zeros(3)) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("hits", "trials"),
    [([2.0], [1.0]), ([-1.0], [1.0]), ([1.0, 1.0], [1.0]), ([np.nan], [1.0])],
)
def test_hits_are_part_of_the_trials(hits: list[float], trials: list[float]) -> None:
    with pytest.raises(ValueError, match="0 to as many as it has trials"):
        clustered_wilson(np.array(hits), np.array(trials))


@pytest.mark.parametrize(
    ("successes", "n", "lower", "upper"),
    [  # Newcombe, Statistics in Medicine 17, 1998, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (20, 20, 1 - 0.1611, 1.0),
    ],
)
def test_wilson_interval_equals_published_values(
    successes: int, n: int, lower: float, upper: float
) -> None:
    assert wilson_interval(successes, n) == pytest.approx((lower, upper), abs=5e-5)


def test_ends_of_the_wilson_interval_solve_its_equation() -> None:
    z = 1.959963984540054
    for end in wilson_interval(420, 517):
        distance = abs(420 / 517 - end)
        assert distance == pytest.approx(z * math.sqrt(end * (1 - end) / 517))


def test_wilson_interval_of_no_trials_is_everything() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("successes", [-1, 6])
def test_wilson_interval_refuses_impossible_counts(successes: int) -> None:
    with pytest.raises(ValueError, match=f"successes is {successes} of n = 5"):
        wilson_interval(successes, 5)
