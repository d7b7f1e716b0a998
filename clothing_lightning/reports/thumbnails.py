"""Sheets of photos: what the most confused pairs and the worst mistakes look like.

A sheet is one set of axes in inches, ``y`` downwards, so that photos of any shape
keep their proportions and texts have a place of their own.
"""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from clothing_lightning.data.decoding import read_image
from clothing_lightning.errors import ImageError
from clothing_lightning.metrics.classification_report import confident_mistakes
from clothing_lightning.reports import style

_PAD_IN = 0.2
_PHOTO_IN = (1.45, 1.7)
_GAP_IN = 0.2
_HEAD_IN = 0.75
_LINE_IN = 0.16
_ROW_TITLE_IN = 0.3
_COLUMNS = 6
_PAIRS = 6
_PHOTOS_PER_PAIR = 5
_THUMBNAIL_PX = 320
_NO_MISTAKES = "Nothing to show: no image was classified wrongly."


def confused_pairs_figure(
    pairs: pd.DataFrame, predictions: pd.DataFrame, root: Path
) -> Figure:
    """Show up to 5 photos of each of the 6 most confused pairs, a row per pair.

    In a row the photo with the most confident mistake comes first. A photo that
    cannot be read is a box that says so.

    Args:
        pairs: The table that ``classification_report.confused_pairs`` returns.
        predictions: The table that the pairs were counted in.
        root: Folder that ``path`` is relative to.
    """
    pairs = pairs.head(_PAIRS)
    if pairs.empty:
        return style.message_figure(_NO_MISTAKES)
    row_in = _ROW_TITLE_IN + _PHOTO_IN[1] + _LINE_IN + _GAP_IN
    axes = _sheet(_PHOTOS_PER_PAIR, len(pairs) * row_in)
    _write_head(
        axes,
        "Most confused pairs",
        "below each photo: probability of the wrong class",
    )
    mistakes = confident_mistakes(predictions, len(predictions))
    support = predictions["label"].value_counts()
    for row, (true, predicted, count) in enumerate(
        zip(pairs["true"], pairs["predicted"], pairs["count"], strict=True)
    ):
        top = _HEAD_IN + row * row_in
        names = f"{_short(true)} taken for {_short(predicted)}"
        _write(axes, 0, top, f"{names}: {count} of {support[true]}", bold=True)
        chosen = (mistakes["label"] == true) & (mistakes["predicted"] == predicted)
        for column, mistake in enumerate(
            mistakes[chosen].head(_PHOTOS_PER_PAIR).itertuples(index=False)
        ):
            photo_top = top + _ROW_TITLE_IN
            _draw_photo(axes, root / str(mistake.path), column, photo_top)
            below = photo_top + _PHOTO_IN[1] + 0.04
            _write(axes, column, below, _percent(mistake.probability))
    return _completed(axes)


def mistakes_figure(mistakes: pd.DataFrame, root: Path) -> Figure:
    """Show wrongly classified photos with true and predicted class.

    A photo that cannot be read is a box that says so.

    Args:
        mistakes: The table of ``classification_report.confident_mistakes``.
        root: Folder that ``path`` is relative to.
    """
    if mistakes.empty:
        return style.message_figure(_NO_MISTAKES)
    columns = min(_COLUMNS, len(mistakes))
    rows = -(-len(mistakes) // columns)
    row_in = _PHOTO_IN[1] + 2 * _LINE_IN + 0.1 + _GAP_IN
    axes = _sheet(max(columns, 3), rows * row_in)
    _write_head(
        axes,
        "Most confident mistakes",
        "true class → predicted class (its probability)",
    )
    for index, mistake in enumerate(mistakes.itertuples(index=False)):
        row, column = divmod(index, columns)
        top = _HEAD_IN + row * row_in
        _draw_photo(axes, root / str(mistake.path), column, top)
        below = top + _PHOTO_IN[1] + 0.04
        _write(axes, column, below, style.shortened(str(mistake.label), 22))
        predicted = style.shortened(str(mistake.predicted), 13)
        answer = f"→ {predicted} ({_percent(mistake.probability)})"
        _write(axes, column, below + _LINE_IN, answer)
    return _completed(axes)


def _sheet(columns: int, rows_in: float) -> Axes:
    """Axes over a whole new figure, in inches from its upper left corner."""
    width_in = 2 * _PAD_IN + columns * (_PHOTO_IN[0] + _GAP_IN) - _GAP_IN
    figure = Figure(figsize=(width_in, _HEAD_IN + rows_in))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    return axes


def _completed(axes: Axes) -> Figure:
    """Set the limits, which every photo changes, and the fonts."""
    figure = axes.figure
    assert isinstance(figure, Figure)
    width_in, height_in = figure.get_size_inches()
    axes.set_xlim(0, width_in)
    axes.set_ylim(height_in, 0)
    return style.finished(figure)


def _draw_photo(axes: Axes, path: Path, column: int, top: float) -> None:
    """Fit a photo into its place, next to the text below it."""
    left = _left(column)
    width, height = _PHOTO_IN
    try:
        photo = Image.fromarray(read_image(path))
    except (ImageError, OSError):
        _draw_missing(axes, left, top)
        return
    photo.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
    scale = min(width / photo.width, height / photo.height)
    bottom = top + height
    right, upper = left + photo.width * scale, bottom - photo.height * scale
    extent = (left, right, bottom, upper)
    axes.imshow(photo, extent=extent, aspect="auto")


def _draw_missing(axes: Axes, left: float, top: float) -> None:
    width, height = _PHOTO_IN
    axes.fill_between([left, left + width], top, top + height, color=style.FAINT)
    axes.text(
        left + width / 2,
        top + height / 2,
        "cannot be read",
        ha="center",
        va="center",
        size=style.SMALL_PT,
        color=style.MUTED,
    )


def _left(column: int) -> float:
    return _PAD_IN + column * (_PHOTO_IN[0] + _GAP_IN)


def _write_head(axes: Axes, title: str, subtitle: str) -> None:
    axes.text(_PAD_IN, 0.15, title, va="top", size=style.TITLE_PT, weight="bold")
    axes.text(_PAD_IN, 0.39, subtitle, va="top", size=style.LABEL_PT, color=style.MUTED)


def _write(
    axes: Axes, column: int, top: float, text: str, *, bold: bool = False
) -> None:
    """Write a line that begins at the left edge of a column."""
    axes.text(
        _left(column),
        top,
        text,
        va="top",
        size=style.LABEL_PT if bold else style.SMALL_PT,
        weight="bold" if bold else "normal",
        color=style.INK,
    )


def _short(name: object) -> str:
    return style.shortened(str(name), 30)


def _percent(probability: object) -> str:
    return f"{float(str(probability)):.0%}".replace("%", " %")
