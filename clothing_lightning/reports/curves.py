"""Learning curves of a run: loss, scores and learning rate by epoch."""

from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from clothing_lightning.metrics.registry import METRICS
from clothing_lightning.reports import style

_PANEL_IN = (4.4, 3.1)


@dataclass(frozen=True, slots=True)
class _Curve:
    """How one column of the history is drawn."""

    column: str
    label: str
    colour: str
    dashed: bool = False


_LOSS = (
    _Curve("train/loss", "train", style.BLUE),
    _Curve("val/loss", "val", style.ORANGE),
)
_SCORES = ("accuracy", "macro_f1")  # the second one dashed
_SCORES_TITLE = " and ".join(METRICS[name].label for name in _SCORES)
_SCORE_CURVES = tuple(
    _Curve(f"{stage}/{name}", f"{stage} {METRICS[name].label}", colour, bool(dashed))
    for dashed, name in enumerate(_SCORES)
    for stage, colour in (("train", style.BLUE), ("val", style.ORANGE))
)


def learning_curves(history: pd.DataFrame, *, best_epoch: int | None) -> Figure:
    """Draw loss, accuracy with macro F1, and learning rate side by side.

    A column that the history lacks is not drawn, nor is a panel without columns;
    an epoch without a value is skipped.

    Args:
        history: Metrics by epoch: ``train/loss``, ``val/accuracy`` and so on, and
            any columns that start with ``lr``.
        best_epoch: Epoch to mark; none is marked where it is None.
    """
    panels = {
        title: [curve for curve in curves if _is_drawn(history, curve.column)]
        for title, curves in (
            ("loss", _LOSS),
            (_SCORES_TITLE, _SCORE_CURVES),
            ("learning rate", _learning_rates(history)),
        )
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
        _mark_best(axes, best_epoch)
        axes.legend(fontsize=style.SMALL_PT, framealpha=0.85, edgecolor=style.FAINT)
    return style.finished(figure)


def _learning_rates(history: pd.DataFrame) -> tuple[_Curve, ...]:
    """One curve per parameter group whose learning rate was logged."""
    columns = [str(c) for c in history.columns if str(c).startswith("lr")]
    return tuple(
        _Curve(column, column, style.PALETTE[2 + index % 2], dashed=index >= 2)
        for index, column in enumerate(columns)
    )


def _is_drawn(history: pd.DataFrame, column: str) -> bool:
    return column in history.columns and bool(history[column].notna().any())


def _draw_panel(axes: Axes, history: pd.DataFrame, curves: list[_Curve]) -> None:
    for curve in curves:
        values = history[curve.column].dropna()
        axes.plot(
            values.index.to_numpy(),
            values.to_numpy(),
            label=curve.label,
            color=curve.colour,
            linestyle="--" if curve.dashed else "-",
            marker="s" if curve.dashed else "o",
            markersize=5 if len(values) == 1 else 3,
            linewidth=1.4,
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


def _mark_best(axes: Axes, best_epoch: int | None) -> None:
    if best_epoch is None:
        return
    axes.axvline(
        best_epoch,
        color=style.MUTED,
        linestyle=":",
        linewidth=1.4,
        label=f"best: epoch {best_epoch}",
        zorder=1,
    )
