"""Pages of photos, each with its predicted class and how sure the network is."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from clothing_lightning.data.decoding import read_image
from clothing_lightning.errors import ImageError
from clothing_lightning.reports import style

PHOTOS_PER_PAGE = 40
_COLUMNS = 8
_PAD_IN = 0.15
_PHOTO_IN = (1.55, 1.75)
_TEXT_IN = 0.5  # below a photo
_GAP_IN = 0.2
_HEAD_IN = 0.5
_BAR_IN = 0.05
_THUMBNAIL_PX = 260


@dataclass(frozen=True, slots=True)
class Labelled:
    """A photo and its predicted class.

    Attributes:
        path: Path of the photo.
        label: The predicted class.
        probability: Probability of the class, 0 to 1.
    """

    path: Path
    label: str
    probability: float


def contact_sheet(photos: Sequence[Labelled], *, title: str) -> Figure:
    """Draw one page, in the order given.

    Below each photo are its class, a bar as long as the class is probable, and the
    file's name. What cannot be read any more is an empty box.

    Args:
        photos: At most `PHOTOS_PER_PAGE` photos; more make a longer page.
        title: Title of the page.
    """
    if not photos:
        return style.message_figure("No photo to show.")
    columns = min(_COLUMNS, max(len(photos), 3))
    rows = -(-len(photos) // columns)
    cell_in = _PHOTO_IN[0] + _GAP_IN, _PHOTO_IN[1] + _TEXT_IN + _GAP_IN
    width_in = 2 * _PAD_IN + columns * cell_in[0] - _GAP_IN
    height_in = _HEAD_IN + rows * cell_in[1]
    figure = Figure(figsize=(width_in, height_in))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.text(_PAD_IN, 0.15, title, va="top", size=style.TITLE_PT, weight="bold")
    for index, photo in enumerate(photos):
        row, column = divmod(index, columns)
        left, top = _PAD_IN + column * cell_in[0], _HEAD_IN + row * cell_in[1]
        _show(axes, photo.path, left, top)
        _write(axes, photo, left, top + _PHOTO_IN[1])
    # Every photo has changed the limits.
    axes.set(xlim=(0, width_in), ylim=(height_in, 0), xticks=[], yticks=[])
    return style.finished(figure)


def _show(axes: Axes, path: Path, left: float, top: float) -> None:
    """Fit a photo into its place, next to the text below it."""
    width, height = _PHOTO_IN
    try:
        photo = Image.fromarray(read_image(path))
    except ImageError:
        axes.add_patch(Rectangle((left, top), width, height, color=style.FAINT))
        return
    photo.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
    scale = min(width / photo.width, height / photo.height)
    bottom = top + height
    extent = (left, left + photo.width * scale, bottom, bottom - photo.height * scale)
    axes.imshow(photo, extent=extent, aspect="auto")


def _write(axes: Axes, photo: Labelled, left: float, top: float) -> None:
    """Write class, probability and file name, with a bar between them."""
    width = _PHOTO_IN[0]
    percent = f"{photo.probability * 100:.0f} %"
    label = style.shortened(photo.label, 15)
    axes.text(left, top + 0.06, label, va="top", size=style.LABEL_PT, color=style.INK)
    axes.text(
        left + width,
        top + 0.06,
        percent,
        va="top",
        ha="right",
        size=style.LABEL_PT,
        color=style.INK,
    )
    for share, colour in ((1.0, style.FAINT), (photo.probability, style.BLUE)):
        bar = Rectangle((left, top + 0.25), share * width, _BAR_IN, color=colour, lw=0)
        axes.add_patch(bar)
    name = style.shortened(photo.path.name, 24)
    axes.text(
        left, top + 0.35, name, va="top", size=style.SMALL_PT - 1, color=style.MUTED
    )
