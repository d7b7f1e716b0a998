"""Figures of a comparison; models keep their colour, dash and marker in all of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from clothing_lightning.comparison.calibrated import Calibrated
from clothing_lightning.comparison.predictions import Model
from clothing_lightning.metrics.registry import METRICS
from clothing_lightning.reports import style

MOST = 8
"""Models in one figure; the eye does not tell more apart."""

_DASHES = ("-", (0, (4, 2)))
_MARKERS = "osD^vPX*"
_NAME_COLUMNS = 30


def look(number: int) -> dict[str, Any]:
    """Colour, dash and marker of the model in a place, from 0 to 7."""
    return {
        "color": style.PALETTE[number % 4],
        "linestyle": _DASHES[number // 4 % 2],
        "marker": _MARKERS[number % 8],
    }


def f1_figure(f1: pd.DataFrame, support: Sequence[int]) -> Figure:
    """Draw the F1 of each class as dots in a row, one for each model.

    Args:
        f1: Classes in the index, in the order of the rows, models in the columns.
        support: Test images of each class.
    """
    figure = Figure(figsize=(8.2, 1.1 + 0.26 * len(f1)), layout="constrained")
    axes = figure.subplots()
    plain(axes)
    rows = np.arange(len(f1))
    axes.hlines(rows, f1.min(axis=1), f1.max(axis=1), color=style.FAINT, linewidth=3)
    for number, title in enumerate(f1):
        marks = look(number) | {"linestyle": "none", "markersize": 5.5, "alpha": 0.9}
        axes.plot(f1[title], rows, label=_short(title), **marks)
    names = [
        f"{style.shortened(str(name), _NAME_COLUMNS)} ({count:,})"
        for name, count in zip(f1.index, support, strict=True)
    ]
    axes.set_yticks(rows, names, size=style.LABEL_PT)
    axes.set_ylim(len(f1) - 0.5, -0.5)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("F1", size=style.AXIS_PT)
    _legend(figure, axes)
    return style.finished(figure)


def reliability_figure(calibrations: Mapping[str, Calibrated]) -> Figure:
    """Draw accuracy over confidence, a panel for each model; bars show the images."""
    columns = min(4, len(calibrations))
    rows = -(-len(calibrations) // columns)
    size_in = (max(2.35 * columns, 3.2), 2.5 * rows + 0.2)
    figure = Figure(figsize=size_in, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes in panels.flat[len(calibrations) :]:
        axes.set_axis_off()
    for number, (title, each) in enumerate(calibrations.items()):
        axes = panels.flat[number]
        plain(axes)
        _draw_reliability(axes, each.bins)
        axes.tick_params(labelbottom=number + columns >= len(calibrations))
        axes.set_title(style.shortened(title, 24), size=style.LABEL_PT, weight="bold")
    figure.supxlabel("confidence", size=style.AXIS_PT)
    figure.supylabel("accuracy", size=style.AXIS_PT)
    return style.finished(figure)


def _draw_reliability(axes: Axes, bins: pd.DataFrame) -> None:
    shares = bins["images"] / max(bins["images"].sum(), 1)
    widths = bins["upper"] - bins["lower"]
    axes.bar(bins["lower"], shares, widths, align="edge", color=style.FAINT)
    axes.plot([0, 1], [0, 1], color=style.MUTED, linewidth=0.8, linestyle=":")
    filled = bins[bins["images"] > 0]
    axes.vlines(
        filled["confidence"],
        filled["accuracy_lower"],
        filled["accuracy_upper"],
        color=style.BLUE,
        linewidth=0.9,
        alpha=0.6,
    )
    line: dict[str, Any] = {"color": style.BLUE, "markersize": 3.5, "linewidth": 1.1}
    axes.plot(filled["confidence"], filled["accuracy"], "o-", **line)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1])
    axes.set_ylim(0, 1.02)


def coverage_figure(calibrations: Mapping[str, Calibrated]) -> Figure:
    """Draw the accuracy on the most confident images over their share."""
    figure = Figure(figsize=(8.2, 3.9), layout="constrained")
    axes = figure.subplots()
    plain(axes)
    for number, (title, each) in enumerate(calibrations.items()):
        marks = look(number) | {"marker": "", "linewidth": 1.4}
        coverage = each.coverage
        axes.plot(
            coverage["coverage"], coverage["accuracy"], label=_short(title), **marks
        )
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of the images that is answered, the most confident first")
    axes.set_ylabel("accuracy on them")
    _legend(figure, axes)
    return style.finished(figure)


def curves_figure(models: Sequence[Model]) -> Figure:
    """Lay the learning curves of several models over each other, repeats thin.

    Args:
        models: Up to 8; those without a history are not drawn.
    """
    panels = [
        column
        for columns in (("val/accuracy", "val/macro_f1"), ("val/loss",))
        if (column := _logged(models, columns))
    ]
    if not panels:
        return style.message_figure("No learning curves: nothing was logged by epoch.")
    figure = Figure(figsize=(4.6 * len(panels), 3.9), layout="constrained")
    for axes, column in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        plain(axes)
        for number, model in enumerate(models):
            _draw_history(axes, model, column, number)
        axes.set_title(
            f"validation {METRICS[column.removeprefix('val/')].label}",
            size=style.TITLE_PT,
            weight="bold",
            loc="left",
        )
        axes.set_xlabel("epoch", size=style.LABEL_PT)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _legend(figure, figure.axes[0])
    return style.finished(figure)


def _logged(models: Sequence[Model], columns: Sequence[str]) -> str:
    """The first of some columns that a run has values of."""
    histories = [run.history for model in models for run in model.runs]
    for column in columns:
        tables = [each for each in histories if each is not None and column in each]
        if any(table[column].notna().any() for table in tables):
            return column
    return ""


def _draw_history(axes: Axes, model: Model, column: str, number: int) -> None:
    histories = [
        run.history[column].dropna()
        for run in model.runs
        if run.history is not None and column in run.history
    ]
    thin = {"linewidth": 1.6 if len(histories) == 1 else 0.8}
    for repeat, values in enumerate(histories):
        marks = look(number) | thin
        marks["marker"] = marks["marker"] if len(values) == 1 else ""
        label = _short(model.title) if repeat == 0 else None
        axes.plot(values.index.to_numpy(), values.to_numpy(), label=label, **marks)


def plain(axes: Axes) -> None:
    """Leave nothing but a faint grid and two axes."""
    axes.grid(color=style.FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(style.MUTED)
    axes.tick_params(labelsize=style.SMALL_PT + 0.5, color=style.MUTED)


def _legend(figure: Figure, axes: Axes) -> None:
    """Names of the models above the panels."""
    handles, names = axes.get_legend_handles_labels()
    if names:
        figure.legend(
            handles,
            names,
            loc="outside upper left",
            ncols=2 if len(names) > 1 else 1,
            fontsize=style.LABEL_PT,
            frameon=False,
        )


def _short(title: object) -> str:
    return style.shortened(str(title), 42)
