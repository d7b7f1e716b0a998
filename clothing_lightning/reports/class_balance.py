"""How many images each class has in each split, and how much each one weighs."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clothing_lightning.reports import style

_NAME_COLUMNS = 26
_ROW_IN = 0.27
_BARS_IN = 6.0
_NUMBER_IN = 0.75
_TOP_IN = 0.85
_BOTTOM_IN = 0.35


def class_counts_figure(
    counts: pd.DataFrame, weights: "pd.Series[float] | None"
) -> Figure:
    """Draw the images per class as bars, one part per split.

    The numbers beside the bars are the total and, where there are weights, the
    weight of the class in the training loss.

    Args:
        counts: Images; classes in the index, splits (``train``, ``val``, ``test``)
            in the columns.
        weights: Weight by class; a class without one gets a dash.
    """
    if counts.empty:
        return style.message_figure("No class balance: there are no classes.")
    names = [style.shortened(str(name), _NAME_COLUMNS) for name in counts.index]
    numbers = {"images": [f"{total:,.0f}" for total in counts.sum(axis=1)]}
    if weights is not None:
        of_classes = weights.reindex(counts.index)
        numbers["weight"] = ["-" if np.isnan(w) else f"{w:.2f}" for w in of_classes]

    figure, axes = _canvas(names, len(numbers))
    _draw_bars(axes, counts)
    axes.set_yticks(range(len(names)), names, size=style.LABEL_PT)
    for position, (heading, texts) in enumerate(numbers.items()):
        _write_column(axes, position, [heading, *texts])
    _write_titles(figure, axes)
    return style.finished(figure)


def _canvas(names: list[str], number_columns: int) -> tuple[Figure, Axes]:
    """Lay out figure and axes in inches, from the number and length of the names."""
    left_in = 0.3 + max(style.text_width_in(name, style.LABEL_PT) for name in names)
    bars_in = _ROW_IN * len(names)
    width_in = left_in + _BARS_IN + _NUMBER_IN * number_columns + 0.15
    figure = Figure(figsize=(width_in, _TOP_IN + bars_in + _BOTTOM_IN))
    axes = style.axes_in_inches(figure, left_in, _BOTTOM_IN, _BARS_IN, bars_in)
    axes.set_ylim(len(names) - 0.5, -0.5)
    return figure, axes


def _draw_bars(axes: Axes, counts: pd.DataFrame) -> None:
    """Draw one bar per class, its splits end to end."""
    rows = np.arange(len(counts))
    start = np.zeros(len(counts))
    for position, split in enumerate(counts.columns):
        images = counts[split].fillna(0).to_numpy(dtype=np.float64)
        axes.barh(
            rows,
            images,
            left=start,
            height=0.72,
            color=style.PALETTE[position % len(style.PALETTE)],
            label=f"{split} ({images.sum():,.0f})",
        )
        start = start + images
    axes.set_xlim(0, max(1.0, 1.02 * float(start.max())))


def _write_column(axes: Axes, position: int, texts: list[str]) -> None:
    """Write a heading and one number per class, right-aligned beside the bars."""
    x = 1 + _NUMBER_IN * (position + 1) / _BARS_IN
    for row, text in enumerate(texts, start=-1):
        heading = row < 0
        axes.text(
            x,
            -0.75 if heading else row,
            text,
            transform=axes.get_yaxis_transform(),
            ha="right",
            va="center",
            size=style.LABEL_PT,
            color=style.MUTED if heading else style.INK,
        )


def _write_titles(figure: Figure, axes: Axes) -> None:
    style.write_head(figure, "Images per class and split")
    width_in, height_in = figure.get_size_inches()
    figure.legend(
        loc="upper left",
        bbox_to_anchor=(0.15 / width_in, 1 - 0.38 / height_in),
        ncols=len(axes.containers),
        frameon=False,
        fontsize=style.LABEL_PT,
        borderaxespad=0,
        borderpad=0,
    )
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=style.SMALL_PT)
    axes.grid(axis="x", color=style.FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
