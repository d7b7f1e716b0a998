import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clothing_lightning.comparison.pareto import front

few = settings(max_examples=100, deadline=None, derandomize=True, database=None)


def test_front_goes_from_cheap_to_dear_and_leaves_out_what_is_beaten() -> None:
    cost = [4.1, 1.8, 0.4, 4.1, 9.0]
    score = [0.90, 0.87, 0.80, 0.88, 0.89]
    assert front(cost, score) == [2, 1, 0]


def test_no_model_has_no_front() -> None:
    assert front([], []) == []


def test_one_model_is_the_front() -> None:
    assert front([1.0], [0.0]) == [0]


def test_exact_ties_all_stay() -> None:
    assert front([2.0, 1.0, 2.0, 2.0], [0.9, 0.8, 0.9, 0.7]) == [1, 0, 2]


def test_same_score_for_more_is_beaten() -> None:
    assert front([2.0, 1.0], [0.9, 0.9]) == [1]


def test_same_cost_with_less_score_is_beaten() -> None:
    assert front([1.0, 1.0], [0.8, 0.9]) == [1]


def test_unknown_cost_or_score_is_never_in_it() -> None:
    assert front([math.nan, 1.0, 0.5], [0.99, 0.8, math.nan]) == [1]


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="2 costs and 1 scores"):
        front([1.0, 2.0], [0.5])


levels = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])


@few
@given(st.lists(st.tuples(levels, levels), max_size=12))
def test_front_is_what_no_other_model_beats(models: list[tuple[float, float]]) -> None:
    def beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
        return one != other and one[0] <= other[0] and one[1] >= other[1]

    unbeaten = {
        i for i, model in enumerate(models) if not any(beats(m, model) for m in models)
    }
    found = front([cost for cost, _ in models], [score for _, score in models])
    assert set(found) == unbeaten
    assert len(found) == len(unbeaten)
    assert [models[i] for i in found] == sorted(models[i] for i in found)
