"""Confusion matrix as a figure that grows with the number of classes."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from clothing_lightning.reports import style

_NAME_COLUMNS = 26
_PAD_IN = 0.15
_TITLE_IN = 0.75
_AXIS_NAME_IN = 0.35
# Shades follow the square root, so that a few mistakes show beside many hits.
_SHADE_EXPONENT = 0.5


def confusion_figure(matrix: pd.DataFrame, *, normalise: bool, title: str) -> Figure:
    """Draw a confusion matrix with class names on both axes.

    The number of images follows the name of the true class. Cells that are 0 have
    no text; long names lose their middle.

    Args:
        matrix: Counts; true classes in the index, predicted ones in the columns.
        normalise: Show percent of the true class instead of counts. The row of a
            class without images is then blank.
        title: First line of the figure.
    """
    support = matrix.sum(axis=1)
    shares = matrix.div(support.where(support > 0), axis=0)
    values = (shares * 100 if normalise else matrix).to_numpy(dtype=np.float64)
    rows = [
        f"{style.shortened(str(name), _NAME_COLUMNS)} ({count:,})"
        for name, count in support.items()
    ]
    columns = [style.shortened(str(name), _NAME_COLUMNS) for name in matrix.columns]
    unit = "% of the true class's images" if normalise else "number of images"
    subtitle = f"in the cells: {unit}"

    figure, axes, cell_in = _canvas(rows, columns, [title, subtitle])
    _draw_cells(axes, values, cell_in, normalise)
    label_pt = min(style.LABEL_PT, cell_in * 25)
    axes.set_yticks(range(len(rows)), rows, size=label_pt)
    axes.set_xticks(
        range(len(columns)),
        columns,
        size=label_pt,
        rotation=45,
        ha="right",
        rotation_mode="anchor",
    )
    _name_axes(figure, axes)
    style.write_head(figure, title, subtitle)
    return style.finished(figure)


def _canvas(
    rows: list[str], columns: list[str], titles: list[str]
) -> tuple[Figure, Axes, float]:
    """Lay out figure and axes in inches, from the number and length of the names."""
    cell_in = float(np.clip(7.5 / len(rows), 0.3, 0.7))
    names_in = [
        max(style.text_width_in(name, style.LABEL_PT) for name in names)
        for names in (rows, columns)
    ]
    left_in = _PAD_IN + _AXIS_NAME_IN + names_in[0]
    bottom_in = _PAD_IN + _AXIS_NAME_IN + names_in[1] * 0.72 + 0.1
    side_in = cell_in * len(rows)
    titles_in = max(style.text_width_in(text, style.TITLE_PT) for text in titles)
    width_in = max(left_in + side_in, titles_in + _PAD_IN) + 2 * _PAD_IN
    figure = Figure(figsize=(width_in, bottom_in + side_in + _TITLE_IN))
    axes = style.axes_in_inches(figure, left_in, bottom_in, side_in, side_in)
    return figure, axes, cell_in


def _draw_cells(
    axes: Axes, values: NDArray[np.float64], cell_in: float, normalise: bool
) -> None:
    """Shade the cells, separate them by thin lines and write into those that count."""
    known = values[~np.isnan(values)]
    highest = max(1.0, float(known.max())) if known.size else 1.0
    norm = PowerNorm(_SHADE_EXPONENT, vmin=0, vmax=highest)
    image = axes.imshow(np.ma.masked_invalid(values), cmap=style.SEQUENTIAL, norm=norm)
    edges = np.arange(len(values) + 1) - 0.5
    axes.set_xticks(edges, minor=True)
    axes.set_yticks(edges, minor=True)
    axes.grid(which="minor", color=style.FAINT, linewidth=0.6)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_color(style.FAINT)
    size_pt = min(9.0, cell_in * 21)
    for row, column in np.argwhere(values > 0):
        value = values[row, column]
        axes.text(
            column,
            row,
            "<1" if normalise and value < 0.5 else f"{value:.0f}",
            ha="center",
            va="center",
            size=size_pt,
            color=style.text_colour(list(image.to_rgba(value))),
        )


def _name_axes(figure: Figure, axes: Axes) -> None:
    """Write what the axes are at the edges of the figure, clear of the names."""
    width_in, height_in = figure.get_size_inches()
    axes.set_xlabel("predicted", size=style.AXIS_PT, color=style.MUTED)
    axes.set_ylabel("true (images)", size=style.AXIS_PT, color=style.MUTED)
    box = axes.get_position()
    centre_x, centre_y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    figure_units = figure.transFigure
    axes.xaxis.set_label_coords(centre_x, 0.3 / height_in, figure_units)
    axes.yaxis.set_label_coords(0.3 / width_in, centre_y, figure_units)
