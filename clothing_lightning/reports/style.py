"""What all figures share: colours, fonts, short names, how they are written.

Figures use matplotlib's object-oriented interface only and change none of its
global settings, so they can be drawn in any thread and without a display.
"""

import unicodedata
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.text import Text
from numpy.typing import NDArray

# Okabe and Ito, "Color Universal Design", 2008: told apart by colour-blind readers.
BLUE = "#0072B2"
ORANGE = "#E69F00"
GREEN = "#009E73"
PURPLE = "#CC79A7"
PALETTE = (BLUE, ORANGE, GREEN, PURPLE)

INK = "#20242c"
MUTED = "#5f6672"
FAINT = "#dfe2e7"
SEQUENTIAL: Colormap = matplotlib.colormaps["Blues"].with_extremes(bad="white")

TITLE_PT = 11.0
AXIS_PT = 9.5
LABEL_PT = 8.5
SMALL_PT = 7.5
DPI = 130

_MAIN_FONT = "DejaVu Sans"
_FALLBACK_FONTS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Hiragino Sans",
    "PingFang SC",
    "Yu Gothic",
    "Microsoft YaHei",
    "Arial Unicode MS",
)
_EM_PER_COLUMN = 0.62
_NO_GLYPH = "Glyph .* missing from"


def shortened(name: str, limit: int) -> str:
    """Fit a name into ``limit`` columns by leaving out its middle.

    Args:
        name: Any text; line breaks and runs of spaces become one space.
        limit: Width in columns; East Asian characters take two.
    """
    name = " ".join(name.split())
    if _columns(name) <= limit:
        return name
    head = _start(name, limit // 2)
    tail = _start(name[::-1], limit - 1 - _columns(head))[::-1]
    return f"{head}…{tail}"


def text_width_in(text: str, size_pt: float) -> float:
    """Width of a line in inches, estimated without drawing it; rather too wide."""
    return _columns(text) * _EM_PER_COLUMN * size_pt / 72


def text_colour(background: Sequence[float]) -> str:
    """Ink on light and white on dark, with a WCAG 2 contrast of 3.5 : 1 or more.

    Args:
        background: Red, green, blue and opacity, 0 to 1; opacity is not used.
    """
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in background[:3]
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "white" if luminance < 0.25 else INK


def axes_in_inches(
    figure: Figure, left: float, bottom: float, width: float, height: float
) -> Axes:
    """Add axes whose place and size are in inches from the lower left corner."""
    wide, high = figure.get_size_inches()
    return figure.add_axes((left / wide, bottom / high, width / wide, height / high))


def write_head(
    figure: Figure,
    title: str,
    subtitle: str = "",
    *,
    corner_in: tuple[float, float] = (0.15, 0.15),
) -> None:
    """Write a title, and a fainter line below it, into the upper left corner."""
    left_in, top_in = corner_in
    wide, high = figure.get_size_inches()
    left, top, lower = left_in / wide, 1 - top_in / high, 1 - (top_in + 0.24) / high
    figure.text(left, top, title, va="top", size=TITLE_PT, weight="bold")
    if subtitle:
        figure.text(left, lower, subtitle, va="top", size=LABEL_PT, color=MUTED)


def finished(figure: Figure) -> Figure:
    """Let class names appear as they are spelled.

    Sets the fonts of every text, with those installed that can show what the main
    one lacks, and turns off the reading of ``$…$`` as a formula.
    """
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_fontfamily(_font_families())
        text.set_parse_math(False)
    return figure


def message_figure(sentence: str) -> Figure:
    """Figure for when there is nothing to draw: it says so in a sentence."""
    width_in = max(4.0, text_width_in(sentence, TITLE_PT) + 0.6)
    figure = Figure(figsize=(width_in, 1.2))
    figure.text(0.5, 0.5, sentence, ha="center", va="center", size=TITLE_PT, color=INK)
    return finished(figure)


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format of its suffix; what no font has becomes a box."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=_NO_GLYPH)
        options = {"quality": 85} if path.suffix == ".jpg" else {}
        figure.savefig(path, dpi=DPI, facecolor="white", pil_kwargs=options)


def pixels(figure: Figure) -> NDArray[np.uint8]:
    """Draw a figure as ``[height, width, 3]``; what no font has becomes a box."""
    canvas: Any = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=_NO_GLYPH)
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3]


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _start(text: str, limit: int) -> str:
    """Longest start of ``text`` that fits into ``limit`` columns."""
    end = len(text)
    while _columns(text[:end]) > limit:
        end -= 1
    return text[:end]


@cache
def _font_families() -> list[str]:
    """Main font, then the installed ones that have characters it lacks."""
    installed = set(fontManager.get_font_names())
    return [_MAIN_FONT, *(font for font in _FALLBACK_FONTS if font in installed)]
