"""Sheets of photos and texts, laid out in inches from the upper left corner."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from clothing_lightning.data.decoding import read_image
from clothing_lightning.errors import ImageError
from clothing_lightning.reports import style

GAP_IN = 0.2  # between photos
_THUMBNAIL_PX = 320


class PhotoSheet:
    """Photos in columns; those of any shape keep their proportions.

    Attributes:
        figure: The sheet.
        axes: Its whole area, in inches, ``y`` downwards.
        photo_in: Width and height of the place of a photo.
    """

    def __init__(
        self,
        columns: int,
        height_in: float,
        photo_in: tuple[float, float],
        pad_in: float,
    ) -> None:
        """Begin a sheet as wide as its columns, with a margin at both sides."""
        self.photo_in = photo_in
        self._pad_in = pad_in
        width_in = self.left(columns) - GAP_IN + pad_in
        self.figure = Figure(figsize=(width_in, height_in))
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        # Set before there is a photo, the limits are kept.
        self.axes.set(xlim=(0, width_in), ylim=(height_in, 0), xticks=[], yticks=[])
        self.axes.set_axis_off()

    def left(self, column: int) -> float:
        """Left edge of a column."""
        return self._pad_in + column * (self.photo_in[0] + GAP_IN)

    def write(
        self,
        left: float,
        top: float,
        text: str,
        size: float = style.LABEL_PT,
        **look: Any,
    ) -> None:
        """Write a line whose upper left corner is in a place."""
        look = {"color": style.INK, "va": "top", **look}
        self.axes.text(left, top, text, size=size, **look)

    def show(self, path: Path, left: float, top: float) -> None:
        """Fit a photo into its place, close to what is written below it.

        What cannot be read is a box that says so.
        """
        width, height = self.photo_in
        try:
            photo = Image.fromarray(read_image(path))
        except (ImageError, OSError):
            box = Rectangle((left, top), width, height, color=style.FAINT)
            self.axes.add_patch(box)
            self.write(
                left + width / 2,
                top + height / 2,
                "cannot be read",
                style.SMALL_PT,
                ha="center",
                va="center",
                color=style.MUTED,
            )
            return
        photo.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
        scale = min(width / photo.width, height / photo.height)
        right, bottom = left + photo.width * scale, top + height
        extent = (left, right, bottom, bottom - photo.height * scale)
        self.axes.imshow(photo, extent=extent, aspect="auto")
