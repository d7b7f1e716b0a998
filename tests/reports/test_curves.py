from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from clothing_lightning.reports import style
from clothing_lightning.reports.curves import learning_curves

COLUMNS = [
    "train/loss",
    "val/loss",
    "train/accuracy",
    "val/accuracy",
    "val/macro_f1",
    "lr-AdamW/pg1",
    "lr-AdamW/pg2",
]


def history(epochs: int, columns: list[str]) -> pd.DataFrame:
    values = np.linspace(1, 2, epochs * len(columns)).reshape(epochs, len(columns))
    return pd.DataFrame(values, columns=columns)


def labels(axes: Axes) -> list[str]:
    legend = axes.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def panels(table: pd.DataFrame, best_epoch: int | None) -> dict[str, Axes]:
    figure = learning_curves(table, best_epoch=best_epoch)
    return {axes.get_title(loc="left"): axes for axes in figure.axes}


def test_each_panel_shows_its_columns() -> None:
    drawn = panels(history(5, COLUMNS), None)
    assert {title: labels(axes) for title, axes in drawn.items()} == {
        "loss": ["train", "val"],
        "accuracy and macro F1": ["train accuracy", "val accuracy", "val macro F1"],
        "learning rate": ["lr-AdamW/pg1", "lr-AdamW/pg2"],
    }
    assert {axes.get_xlabel() for axes in drawn.values()} == {"epoch"}


def test_curve_has_the_logged_values() -> None:
    table = history(4, ["val/loss"])
    line = panels(table, None)["loss"].lines[0]
    np.testing.assert_array_equal(line.get_xdata(), [0, 1, 2, 3])
    np.testing.assert_array_equal(line.get_ydata(), table["val/loss"])


def test_missing_columns_and_panels_are_not_drawn() -> None:
    drawn = panels(history(3, ["val/loss", "epoch_time_s"]), None)
    assert {title: labels(axes) for title, axes in drawn.items()} == {"loss": ["val"]}


def test_epochs_without_a_value_are_skipped() -> None:
    table = history(3, ["train/loss", "val/loss", "lr"])
    table.loc[1, "val/loss"] = np.nan
    table["lr"] = np.nan
    drawn = panels(table, None)
    np.testing.assert_array_equal(drawn["loss"].lines[1].get_xdata(), [0, 2])
    assert list(drawn) == ["loss"]


def test_best_epoch_is_marked_in_every_panel() -> None:
    for axes in panels(history(5, COLUMNS), 3).values():
        assert labels(axes)[-1] == "best: epoch 3"
        np.testing.assert_array_equal(axes.lines[-1].get_xdata(), [3, 3])


def test_single_epoch_is_a_visible_point(tmp_path: Path) -> None:
    figure = learning_curves(history(1, COLUMNS), best_epoch=0)
    style.save(figure, tmp_path / "curves.png")
    axes = figure.axes[0]
    assert axes.lines[0].get_marker() == "o"
    assert axes.get_xlim() == (-0.5, 0.5)
    ticks = [tick for tick in axes.get_xticks() if abs(tick) <= 0.5]
    assert ticks == [0]


@pytest.mark.parametrize("table", [history(0, COLUMNS), history(3, ["other"])])
def test_history_without_curves_says_so(table: pd.DataFrame) -> None:
    figure = learning_curves(table, best_epoch=None)
    assert "nothing was logged by epoch" in figure.texts[0].get_text()
