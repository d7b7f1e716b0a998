"""Windows, held against sets of positions."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clothing_lightning.network_analysis.windows import (
    SAME,
    LayoutError,
    Windows,
    binned,
    in_turn,
    joined,
    moved_around,
    patterned,
    resampled,
    sliding,
    spreading,
)

few = settings(max_examples=60, deadline=None, derandomize=True, database=None)

steps = st.one_of(
    st.builds(
        sliding,
        st.integers(1, 5),
        st.integers(1, 3),
        st.integers(0, 3),
        st.integers(1, 3),
    ),
    st.builds(binned, st.integers(1, 9), st.integers(1, 6)),
    st.builds(
        resampled,
        st.fractions(min_value=Fraction(1, 4), max_value=4, max_denominator=5),
        st.integers(0, 2),
    ),
    st.builds(spreading, st.integers(3, 5), st.integers(1, 3), st.integers(0, 2)),
)


def seen(windows: Windows, position: int) -> tuple[int, int]:
    first, last = windows.at(np.array([position]))
    return int(first[0]), int(last[0])


@few
@given(steps, steps, st.integers(-20, 20))
def test_composition_is_the_hull_of_what_is_seen(
    inner: Windows, outer: Windows, position: int
) -> None:
    first, last = seen(outer, position)
    bounds = [seen(inner, i) for i in range(first, last + 1)]
    assert seen(inner.through(outer), position) == (
        min(a for a, _ in bounds),
        max(b for _, b in bounds),
    )


@few
@given(steps, steps, steps)
def test_composition_is_associative_and_has_a_neutral_element(
    a: Windows, b: Windows, c: Windows
) -> None:
    assert a.through(b).through(c) == a.through(b.through(c))
    assert a.through(SAME) == SAME.through(a) == a
    assert a.through(b).stride == a.stride * b.stride


@few
@given(steps, st.integers(1, 4))
def test_a_repeated_pattern_is_said_once(windows: Windows, times: int) -> None:
    first, last = windows.at(np.arange(windows.period * times))
    assert patterned(first, last, windows.step * times) == patterned(
        windows.first, windows.last, windows.step
    )


def test_adaptive_bins_are_those_of_torch() -> None:
    windows = binned(7, 3)  # floor(7 i / 3) to ceil(7 (i + 1) / 3)
    assert [seen(windows, i) for i in range(3)] == [(0, 2), (2, 4), (4, 6)]
    assert binned(8, 4) == Windows((0,), (1,), 2)
    assert windows.is_uniform
    assert not binned(7, 4).is_uniform


def test_a_transposed_convolution_with_gaps_is_refused() -> None:
    with pytest.raises(LayoutError, match="leaves gaps"):
        spreading(1, 2, 0)


def test_paths_out_of_step_are_measured_and_joined() -> None:
    one, other = Windows((0,), (1,), 2), Windows((0,), (0,), 2)
    assert joined(one, other, 5) == (one, 0.5)
    hull, offset_px = joined(one, SAME, 3)
    assert offset_px == math.inf
    assert [seen(hull, i) for i in range(3)] == [(0, 1), (1, 3), (2, 5)]


def test_a_roll_goes_around_and_back() -> None:
    rolled = moved_around(sliding(3, 1, 1), 6, 2)
    assert [seen(rolled, i) for i in range(3)] == [(3, 5), (4, 6), (-1, 1)]
    assert moved_around(rolled, 6, -2) == sliding(3, 1, 1)


def test_halves_put_together_are_the_whole() -> None:
    whole = sliding(3, 2, 1)
    second = whole.through(Windows((4,), (4,), 1))
    assert in_turn([(whole, 4), (second, 3)]) == whole
