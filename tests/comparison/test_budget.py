import pytest

from clothing_lightning.comparison.budget import (
    Budget,
    Candidate,
    best_within,
    require_best,
)
from clothing_lightning.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "cost", "value", "fits"),
    [
        ("10 ms", "latency_ms", 10, True),
        ("10ms", "latency_ms", 10.1, False),
        ("4.5 MB", "size_mb", 4.4, True),
        ("100 M MACs", "macs", 1e8, True),
        ("0.1 G MACs", "macs", 1.01e8, False),
    ],
)
def test_a_budget_bounds_a_cost(text: str, cost: str, value: float, fits: bool) -> None:
    budget = Budget.parse(text)
    net = Candidate("net", 0.9, {cost: value})
    assert (best_within([net], budget).best is net) is fits


@pytest.mark.parametrize("text", ["", "ms", "10", "-1 ms", "0 MB", "5 mb", "1e9 MACs"])
def test_what_is_no_budget_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not understood"):
        Budget.parse(text)


CANDIDATES = [
    Candidate("float32", 0.9, {"size_mb": 14}),
    Candidate("float16", 0.8, {"size_mb": 7}),
    Candidate("int8", 0.7, {"size_mb": 4}),
]


def said(text: str) -> str:
    answer = best_within(CANDIDATES, Budget.parse(text))
    require_best(answer)
    return answer.sentence


def test_the_best_within_the_budget_is_named_with_better_ones_beyond_it() -> None:
    assert said("20 MB") == "Within 20 MB: float32 (14 MB)."
    assert said(" 10 MB") == (
        "Within 10 MB: float16 (7 MB). Higher scores, but beyond it: float32 (14 MB)."
    )
    assert said("4 MB").startswith(
        "Within 4 MB: int8 (4 MB). Higher scores, but beyond it: f"
    )


def test_of_equals_the_first_is_named() -> None:
    equals = [Candidate(name, 0.9, {"macs": 2e6}) for name in "ab"]
    assert best_within(equals, Budget.parse("2 M MACs")).best is equals[0]


def test_a_budget_that_nothing_keeps_to_is_refused() -> None:
    with pytest.raises(
        ConfigError,
        match=r"^--budget: No model keeps to '3 MB'\. The nearest is int8 \(4 MB\)\. "
        "Raise the budget, or",
    ):
        said("3 MB")


def test_a_cost_that_is_not_known_keeps_to_no_budget() -> None:
    unknown = [
        Candidate("net", 0.9, {"latency_ms": float("nan")}),
        Candidate("old", 0.8, {}),
    ]
    answer = best_within(unknown, Budget.parse("10 ms"))
    assert answer.best is None
    assert answer.sentence == (
        "No model keeps to '10 ms'. The cost is not known of net, old. --latency "
        "measures it."
    )
    small = Candidate("small", 0.1, {"size_mb": 1})
    answer = best_within([*unknown, small], Budget.parse("1 MB"))
    assert answer.sentence == (
        "Within 1 MB: small (1 MB). The cost is not known of net, old."
    )


def test_without_a_budget_nothing_is_refused() -> None:
    require_best(None)
