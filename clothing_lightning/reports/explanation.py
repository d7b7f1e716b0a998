"""A photo as the network saw it, beside what spoke for its class."""

import cv2
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from clothing_lightning.reports import style

_PANEL_IN = 3.4
_GAP_IN = 0.12
_BAR_IN = 0.75
_HEAD_IN = 0.85
_NAME_COLUMNS = 58
_HEAT = colormaps["viridis"]  # read alike by colour-blind readers, and in grey
_STRONGEST = 0.75  # opacity of the heat where most speaks for the class


def explanation_figure(
    photo: NDArray[np.uint8],
    heat: NDArray[np.float32],
    *,
    title: str,
    prediction: str,
    probability: float,
) -> Figure:
    """Draw a photo, and the same with a heat map over it.

    Args:
        photo: The photo as the network got it, ``[H, W, 3]``.
        heat: How much each place speaks for the class, 0 to 1, ``[h, w]``, on the
            coarser grid of the features.
        title: Name of the photo.
        prediction: The class that is explained.
        probability: Probability of the class, 0 to 1.
    """
    width_in = 2 * (_PANEL_IN + _GAP_IN) + _BAR_IN
    figure = Figure(figsize=(width_in, _HEAD_IN + _PANEL_IN + _GAP_IN))
    for place, (picture, caption) in enumerate(
        (
            (photo, "what the network saw"),
            (overlaid(photo, heat), _caption(heat, prediction)),
        )
    ):
        left = _GAP_IN + place * (_PANEL_IN + _GAP_IN)
        axes = _panel(figure, left, _PANEL_IN)
        axes.imshow(picture, aspect="auto")
        axes.set_title(caption, size=style.LABEL_PT, loc="left", color=style.MUTED)
    bar = _panel(figure, 2 * (_PANEL_IN + _GAP_IN) + _GAP_IN, 0.12)
    bar.imshow(np.linspace(1, 0, 64)[:, None], cmap=_HEAT, aspect="auto")
    bar.yaxis.tick_right()
    bar.set_yticks([0, 63], ["most", "none"], size=style.SMALL_PT, color=style.MUTED)
    bar.tick_params(length=0)
    answer = f"{style.shortened(prediction, 30)}, {probability * 100:.0f} %"
    name = style.shortened(title, _NAME_COLUMNS)
    for text, top_in, size, colour in (
        (answer, 0.1, style.TITLE_PT, style.INK),
        (name, 0.34, style.LABEL_PT, style.MUTED),
    ):
        place_in = (_GAP_IN / width_in, 1 - top_in / figure.get_figheight())
        figure.text(*place_in, text, va="top", size=size, color=colour)
    return style.finished(figure)


def _panel(figure: Figure, left_in: float, width_in: float) -> Axes:
    """Add axes as high as the photos, without a frame."""
    axes = style.axes_in_inches(figure, left_in, _GAP_IN, width_in, _PANEL_IN)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    return axes


def _caption(heat: NDArray[np.float32], prediction: str) -> str:
    if not heat.any():
        return "no place speaks for it alone"
    return f"what speaks for {style.shortened(prediction, 24)}"


def overlaid(photo: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Lay the heat over the photo in grey, the denser, the hotter.

    Args:
        photo: The photo as the network got it, ``[H, W, 3]``.
        heat: How much each place speaks for the class, 0 to 1, ``[h, w]``, on the
            coarser grid of the features.
    """
    height, width = photo.shape[:2]
    smooth = cv2.resize(heat, (width, height), interpolation=cv2.INTER_CUBIC)
    smooth = np.clip(smooth, 0, 1)[..., None]
    grey = photo.mean(axis=2, keepdims=True)
    colours = _HEAT(smooth[..., 0])[..., :3] * 255
    opacity = _STRONGEST * smooth
    mixed = (1 - opacity) * grey + opacity * colours
    return np.asarray(mixed).astype(np.uint8)
