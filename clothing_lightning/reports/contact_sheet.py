"""Pages of photos, each with its predicted class and how sure the network is."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from clothing_lightning.data.progress import with_progress
from clothing_lightning.reports import style
from clothing_lightning.reports.photo_sheet import GAP_IN, PhotoSheet
from clothing_lightning.reports.predicted import Prediction

PHOTOS_PER_PAGE = 40
MOST_PAGES = 25
_COLUMNS = 8
_PAD_IN = 0.15
_PHOTO_IN = (1.55, 1.75)
_ROW_IN = _PHOTO_IN[1] + 0.5 + GAP_IN  # with the text below the photos
_HEAD_IN = 0.5


def sheet_files(file: Path, count: int) -> list[Path]:
    """Name the files of the pages that photos fill, at most `MOST_PAGES`."""
    pages = min(-(-count // PHOTOS_PER_PAGE), MOST_PAGES)
    more = [file.with_stem(f"{file.stem}-{page}") for page in range(2, pages + 1)]
    return [file, *more]


def write_sheet(
    predictions: Sequence[Prediction], files: Sequence[Path], run: str
) -> None:
    """Write contact sheets of a run's predictions to the files `sheet_files` names.

    Raises:
        OSError: If one cannot be written.
    """
    pages = with_progress(files, "Drawing the sheet", total=len(files))
    for page, file in enumerate(pages):
        first = page * PHOTOS_PER_PAGE
        shown = predictions[first : first + PHOTOS_PER_PAGE]
        title = run
        if len(files) > 1:
            title += f", {first + 1} to {first + len(shown)} of {len(predictions)}"
        style.save(contact_sheet(shown, title=title), file)


def contact_sheet(photos: Sequence[Prediction], *, title: str) -> Figure:
    """Draw one page, in the order given.

    Below each photo are the answer, a bar as long as its class is probable, orange if
    the network is unsure, and the file's name. What cannot be read any more is a box
    that says so. More photos than `PHOTOS_PER_PAGE` make a longer page.
    """
    if not photos:
        return style.message_figure("No photo to show.")
    columns = min(_COLUMNS, max(len(photos), 3))
    height_in = _HEAD_IN + -(-len(photos) // columns) * _ROW_IN
    sheet = PhotoSheet(columns, height_in, _PHOTO_IN, _PAD_IN)
    style.write_head(sheet.figure, title, corner_in=(_PAD_IN, 0.15))
    for index, photo in enumerate(photos):
        row, column = divmod(index, columns)
        left, top = sheet.left(column), _HEAD_IN + row * _ROW_IN
        sheet.show(photo.path, left, top)
        _write(sheet, photo, left, top + _PHOTO_IN[1])
    return style.finished(sheet.figure)


def _write(sheet: PhotoSheet, photo: Prediction, left: float, top: float) -> None:
    """Write answer, probability and file name, with a bar between them."""
    label, probability = photo.classes[0]
    colour_of_bar = style.BLUE if photo.answer == label else style.ORANGE
    width = _PHOTO_IN[0]
    sheet.write(left, top + 0.06, style.shortened(photo.answer, 15))
    sheet.write(left + width, top + 0.06, f"{probability * 100:.0f} %", ha="right")
    for share, colour in ((1.0, style.FAINT), (probability, colour_of_bar)):
        bar = Rectangle((left, top + 0.25), share * width, 0.05, color=colour, lw=0)
        sheet.axes.add_patch(bar)
    name = style.shortened(photo.path.name, 24)
    sheet.write(left, top + 0.35, name, style.SMALL_PT - 1, color=style.MUTED)
