"""Heat maps of effective receptive fields, side by side, with the theoretical one."""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from clothing_lightning.network_analysis.effective_field import (
    EffectiveField,
    smallest_set,
)
from clothing_lightning.reports import style

_PANEL_IN = 3.1
_BAR_IN = 1.0
_LEAST_IN = 5.0
_HEIGHT_IN = 4.7
_NAME_COLUMNS = 32
_SMOOTHING = 1 / 48  # of the longer side: strides make a pattern of single pixels


_DASHES = {0.95: (0, ()), 0.5: (0, (1.5, 1))}  # of contours, by their share
_WINDOW: dict[str, Any] = {"color": style.INK, "linestyle": (0, (4, 3))}


def effective_field_figure(
    fields: Mapping[str, EffectiveField],
    window: tuple[int, int, int, int] | None,
) -> Figure:
    """Draw how much each pixel moves the features of the central position.

    All maps have one colour scale: 1 is what every pixel would have if all counted
    the same. Maps and contours are smoothed with a Gaussian; the numbers are not.

    Args:
        fields: By name, such as ``at the start`` and ``trained``.
        window: What that position sees in theory: top, left, bottom and right in
            pixels, the last two outside, as ``ReceptiveField.window`` returns it.
            What lies beyond the image is cut off. None draws none.
    """
    if not fields:
        return style.message_figure("No effective receptive field: none was measured.")
    maps = {name: _smoothed(field.heat) for name, field in fields.items()}
    highest = max(float(heat.max()) for heat in maps.values())
    size_in = (max(_PANEL_IN * len(maps) + _BAR_IN, _LEAST_IN), _HEIGHT_IN)
    figure = Figure(figsize=size_in, layout="constrained")
    every_axes = figure.subplots(1, len(maps), squeeze=False)[0]
    for axes, (name, heat) in zip(every_axes, maps.items(), strict=True):
        shown = axes.imshow(heat, cmap=style.SEQUENTIAL, vmin=0, vmax=highest)
        _draw_lines(axes, heat, window)
        short = style.shortened(name, _NAME_COLUMNS)
        axes.set_title(short, size=style.AXIS_PT, loc="left")
        axes.set_xlabel(_caption(fields[name]), size=style.LABEL_PT, loc="left")
        axes.tick_params(labelsize=style.SMALL_PT, colors=style.MUTED)
        axes.spines[:].set_color(style.MUTED)
    bar = figure.colorbar(shown, ax=every_axes, shrink=0.85, aspect=28)
    bar.set_label("influence of a pixel (mean of the image: 1)", size=style.LABEL_PT)
    bar.ax.tick_params(labelsize=style.SMALL_PT, colors=style.MUTED)
    bar.outline.set_visible(False)
    title = "Effective receptive field"
    figure.suptitle(title, x=0.01, ha="left", size=style.TITLE_PT, weight="bold")
    handles = [
        Line2D(
            [],
            [],
            color=style.ORANGE,
            linestyle=dashes,
            label=f"{share * 100:.0f} % of the influence",
        )
        for share, dashes in _DASHES.items()
    ]
    if window is not None:
        label = _size_note(window, heat.shape)
        handles.append(Line2D([], [], label=label, **_WINDOW))
    figure.legend(
        handles=handles,
        loc="outside lower left",
        fontsize=style.SMALL_PT,
        frameon=False,
    )
    return style.finished(figure)


def _smoothed(heat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Heat after a Gaussian filter with mirrored edges, relative to its mean."""
    sigma = max(heat.shape) * _SMOOTHING
    side = 2 * int(3 * sigma) + 1
    smooth = cv2.GaussianBlur(heat, (side, side), sigma, borderType=cv2.BORDER_REFLECT)
    return np.asarray(smooth / smooth.mean())


def _draw_lines(
    axes: Axes,
    heat: NDArray[np.float64],
    window: tuple[int, int, int, int] | None,
) -> None:
    """Draw the contours and the part of the window that lies in the image."""
    for share, dashes in _DASHES.items():
        level = smallest_set(heat, share)[1]
        axes.contour(heat, [level], colors=style.ORANGE, linestyles=[dashes])
    if window is None:
        return
    top, left, bottom, right = window
    height, width = heat.shape
    # Pixels are centred on whole numbers: the image begins at -0.5.
    axes.plot(
        np.clip([left, right, right, left, left], 0, width) - 0.5,
        np.clip([top, top, bottom, bottom, top], 0, height) - 0.5,
        linewidth=1.6,
        clip_on=False,
        **_WINDOW,
    )


def _size_note(window: tuple[int, int, int, int], shape: tuple[int, ...]) -> str:
    """The window's size, and where it goes beyond the image."""
    top, left, bottom, right = window
    beyond = min(top, left) < 0 or bottom > shape[0] or right > shape[1]
    size = f"theoretical window, {bottom - top} x {right - left} px"
    return f"{size}: partly beyond the image" if beyond else size


def _caption(field: EffectiveField) -> str:
    side = f"{field.side_px:.0f}"
    half_share = field.half_px / field.heat.size
    return (
        f"95 % of the influence: {field.area_share * 100:.0f} % of\n"
        f"the image, as large as {side} x {side} px\n"
        f"50 % of the influence: {half_share * 100:.0f} % of it"
    )
