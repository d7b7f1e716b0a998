import pandas as pd
import pytest

from clothing_lightning.compression.budget import Budget, best_within
from clothing_lightning.errors import ConfigError
from clothing_lightning.reports.ladder_text import TestedRung as Rung


def rung(name: str, right: int, **metrics: float) -> Rung:
    """A rung that is right about some of ten images."""
    scores = [[0.9, 0.1]] * right + [[0.1, 0.9]] * (10 - right)
    table = pd.DataFrame(scores, columns=["Hat", "Shoe"])
    table.insert(0, "path", [f"{n}.jpg" for n in range(10)])
    table.insert(1, "label", "Hat")
    costs = {f"model/{key}": value for key, value in metrics.items()}
    return Rung(name, table, costs)


@pytest.mark.parametrize(
    ("text", "metric", "cost", "fits"),
    [
        ("10 ms", "latency_ms", 10, True),
        ("10ms", "latency_ms", 10.1, False),
        ("4.5 MB", "size_mb", 4.4, True),
        ("100 M MACs", "macs", 1e8, True),
        ("0.1 G MACs", "macs", 1.01e8, False),
    ],
)
def test_a_budget_bounds_a_cost(
    text: str, metric: str, cost: float, fits: bool
) -> None:
    budget = Budget.parse(text)
    assert budget.holds({f"model/{metric}": cost}) is fits
    assert not budget.holds({})


@pytest.mark.parametrize("text", ["", "ms", "10", "-1 ms", "0 MB", "5 mb", "1e9 MACs"])
def test_what_is_no_budget_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not understood"):
        Budget.parse(text)


def test_the_most_accurate_within_the_budget_is_best() -> None:
    rungs = [
        rung("float32", 9, size_mb=14),
        rung("float16", 8, size_mb=7),
        rung("int8", 7, size_mb=4),
    ]
    assert best_within(rungs, Budget.parse("20 MB")).name == "float32"
    assert best_within(rungs, Budget.parse("10 MB")).name == "float16"
    assert best_within(rungs, Budget.parse("4 MB")).name == "int8"
    with pytest.raises(ConfigError, match=r"nearest is int8 with 4 MB\. Raise"):
        best_within(rungs, Budget.parse("3 MB"))
