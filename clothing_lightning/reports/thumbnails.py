"""Sheets of photos: what the most confused pairs and the worst mistakes look like."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from clothing_lightning.metrics.classification_report import confident_mistakes
from clothing_lightning.reports import style
from clothing_lightning.reports.photo_sheet import GAP_IN, PhotoSheet

_PHOTO_IN = (1.45, 1.7)
_HEAD_IN = 0.75
_LINE_IN = 0.16
_ROW_TITLE_IN = 0.3
_COLUMNS = 6
_PAIRS = 6
_PHOTOS_PER_PAIR = 5
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
    row_in = _ROW_TITLE_IN + _PHOTO_IN[1] + _LINE_IN + GAP_IN
    sheet = _sheet(
        _PHOTOS_PER_PAIR,
        len(pairs) * row_in,
        "Most confused pairs",
        "below each photo: probability of the wrong class",
    )
    mistakes = confident_mistakes(predictions, len(predictions))
    by_pair = mistakes.groupby(["label", "predicted"])
    support = predictions["label"].value_counts()
    columns = pairs[["true", "predicted", "count"]]
    for row, (true, predicted, count) in enumerate(columns.itertuples(index=False)):
        top = _HEAD_IN + row * row_in
        names = [style.shortened(str(name), 30) for name in (true, predicted)]
        title = f"{' taken for '.join(names)}: {count} of {support[true]}"
        sheet.write(sheet.left(0), top, title, weight="bold")
        top += _ROW_TITLE_IN
        chosen = by_pair.get_group((true, predicted)).head(_PHOTOS_PER_PAIR)
        for column, mistake in enumerate(chosen.itertuples(index=False)):
            _show(sheet, root, mistake, column, top, [_percent(mistake.probability)])
    return style.finished(sheet.figure)


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
    row_in = _PHOTO_IN[1] + 2 * _LINE_IN + 0.1 + GAP_IN
    sheet = _sheet(
        max(columns, 3),
        -(-len(mistakes) // columns) * row_in,
        "Most confident mistakes",
        "true class → predicted class (its probability)",
    )
    for index, mistake in enumerate(mistakes.itertuples(index=False)):
        row, column = divmod(index, columns)
        predicted = style.shortened(str(mistake.predicted), 13)
        lines = [
            style.shortened(str(mistake.label), 22),
            f"→ {predicted} ({_percent(mistake.probability)})",
        ]
        _show(sheet, root, mistake, column, _HEAD_IN + row * row_in, lines)
    return style.finished(sheet.figure)


def _sheet(columns: int, rows_in: float, title: str, subtitle: str) -> PhotoSheet:
    sheet = PhotoSheet(columns, _HEAD_IN + rows_in, _PHOTO_IN, 0.2)
    style.write_head(sheet.figure, title, subtitle, corner_in=(0.2, 0.15))
    return sheet


def _show(
    sheet: PhotoSheet,
    root: Path,
    mistake: Any,
    column: int,
    top: float,
    lines: list[str],
) -> None:
    """Show the photo of a mistake, a row of a table, with lines below it."""
    left = sheet.left(column)
    sheet.show(root / str(mistake.path), left, top)
    for number, line in enumerate(lines):
        below = top + _PHOTO_IN[1] + 0.04 + number * _LINE_IN
        sheet.write(left, below, line, style.SMALL_PT)


def _percent(probability: object) -> str:
    return f"{float(str(probability)):.0%}".replace("%", " %")
