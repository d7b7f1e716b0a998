from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure

from clothing_lightning.comparison.cost_figure import NAMED, cost_figure
from clothing_lightning.comparison.pareto import front
from clothing_lightning.comparison.ranking import Score


def drawn(count: int, spread: float) -> Figure:
    rng = np.random.default_rng(count)
    costs = (1e7 * np.exp(rng.uniform(0, spread, count))).tolist()
    values = np.sort(rng.uniform(0.6, 0.9, count))[::-1].tolist()
    scores = [Score(value, value - 0.03, value + 0.02) for value in values]
    return cost_figure(
        [f"tf_efficientnet_lite{n} fine-tuned" for n in range(count)],
        costs,
        scores,
        front(costs, values),
        cost="macs",
        score="accuracy",
    )


@pytest.mark.parametrize("count", [1, 2, 5, 12, 30, 100])
@pytest.mark.parametrize("spread", [0.0, 0.5, 5.0])
def test_names_are_apart(
    count: int, spread: float, check_readable: Callable[[Figure], None]
) -> None:
    figure = drawn(count, spread)
    check_readable(figure)
    names = [text for text in figure.axes[0].texts if text.get_text()]
    assert min(count, 2) <= len(names) <= NAMED


def test_models_without_a_cost_are_not_drawn() -> None:
    scores = [Score(0.9, 0.8, 0.95), Score(0.8, 0.7, 0.85)]
    costs = [float("nan"), 2e6]
    figure = cost_figure(
        ["a", "b"], costs, scores, [1], cost="params", score="macro_f1"
    )
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["b"]
    assert axes.get_xscale() == "log"
    assert axes.get_ylabel() == "macro F1, 95 % interval"


def test_cost_of_zero_has_a_plain_axis() -> None:
    scores = [Score(0.9, 0.8, 0.95), Score(0.8, 0.7, 0.85)]
    figure = cost_figure(
        ["a", "b"], [3.0, 0.0], scores, [1, 0], cost="train_s", score="accuracy"
    )
    assert figure.axes[0].get_xscale() == "linear"
