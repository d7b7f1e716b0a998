"""Learning curves of a run: loss, scores and learning rate by epoch."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from clothing_lightning.metrics.registry import METRICS
from clothing_lightning.reports import style

_PANEL_IN = (4.4, 3.1)
_COLOURS = {"train": style.BLUE, "val": style.ORANGE}
_SCORES = {"accuracy": "-", "macro_f1": "--"}  # metric and line
_SCORES_TITLE = " and ".join(METRICS[name].label for name in _SCORES)


def learning_curves(history: pd.DataFrame, *, best_epoch: int | None) -> Figure:
    """Draw loss, accuracy with macro F1, and learning rate side by side.

    A column that the history lacks is not drawn, nor is a panel without columns;
    an epoch without a value is skipped.

    Args:
        history: Metrics by epoch: ``train/loss``, ``val/accuracy`` and so on, and
            any columns that start with ``lr``.
        best_epoch: Epoch to mark; none is marked where it is None.
    """
    logged = history.dropna(axis=1, how="all")
    panels = {
        title: {column: look for column, look in curves.items() if column in logged}
        for title, curves in _panels(history).items()
    }
    panels = {title: curves for title, curves in panels.items() if curves}
    if not panels:
        return style.message_figure("No learning curves: nothing was logged by epoch.")

    size_in = (_PANEL_IN[0] * len(panels), _PANEL_IN[1])
    figure = Figure(figsize=size_in, layout="constrained")
    every_axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, curves) in zip(every_axes, panels.items(), strict=True):
        _draw_panel(axes, history, curves)
        axes.set_title(title, size=style.TITLE_PT, loc="left", weight="bold")
        if best_epoch is not None:
            look = {"color": style.MUTED, "linestyle": ":", "linewidth": 1.4}
            label = f"best: epoch {best_epoch}"
            axes.axvline(best_epoch, label=label, zorder=1, **look)
        axes.legend(fontsize=style.SMALL_PT, framealpha=0.85, edgecolor=style.FAINT)
    return style.finished(figure)


def _panels(history: pd.DataFrame) -> dict[str, dict[str, dict[str, Any]]]:
    """How the columns of each panel are drawn, by its title."""
    rates = [column for column in map(str, history) if column.startswith("lr")]
    return {
        "loss": {
            f"{stage}/loss": {"label": stage, "color": colour}
            for stage, colour in _COLOURS.items()
        },
        _SCORES_TITLE: {
            f"{stage}/{name}": {
                "label": f"{stage} {METRICS[name].label}",
                "color": colour,
                "linestyle": line,
            }
            for name, line in _SCORES.items()
            for stage, colour in _COLOURS.items()
        },
        "learning rate": {
            column: {
                "label": column,
                "color": style.PALETTE[2 + place % 2],
                "linestyle": "-" if place < 2 else "--",
            }
            for place, column in enumerate(rates)
        },
    }


def _draw_panel(
    axes: Axes, history: pd.DataFrame, curves: dict[str, dict[str, Any]]
) -> None:
    for column, look in curves.items():
        values = history[column].dropna()
        axes.plot(
            values.index.to_numpy(),
            values.to_numpy(),
            marker="s" if look.get("linestyle") == "--" else "o",
            markersize=5 if len(values) == 1 else 3,
            linewidth=1.4,
            **look,
        )
    first, last = history.index.min(), history.index.max()
    margin = 0.5 if first == last else 0.03 * (last - first)
    axes.set_xlim(first - margin, last + margin)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch", size=style.LABEL_PT)
    axes.tick_params(labelsize=style.SMALL_PT)
    axes.grid(color=style.FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
