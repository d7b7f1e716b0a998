from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from clothing_lightning.reports.contact_sheet import PHOTOS_PER_PAGE, contact_sheet
from clothing_lightning.reports.predicted import Prediction


@pytest.fixture
def photos(tmp_path: Path) -> list[Prediction]:
    """A full page: upright, square and lying by turns, with long names."""
    found = []
    for index in range(PHOTOS_PER_PAGE):
        size = [(30, 90), (50, 50), (90, 30)][index % 3]
        file = tmp_path / f"{index:02}-a-name-that-is-much-too-long-for-its-place.png"
        Image.new("RGB", size, (3 * index, 90, 40)).save(file)
        classes = [("Longsleeve with a $hood$", index / 39)]
        found.append(Prediction(file, classes))
    return found


def test_texts_are_readable_and_apart(
    photos: list[Prediction], check_readable: Callable[[Figure], None]
) -> None:
    check_readable(contact_sheet(photos, title="efficientnet_lite0, 1 to 40 of 123"))
    check_readable(contact_sheet(photos[:1], title="one"))


def test_bars_are_as_long_as_classes_are_probable(photos: list[Prediction]) -> None:
    figure = contact_sheet(photos[:5], title="five")
    widths = [
        patch.get_width()
        for axes in figure.axes
        for patch in axes.patches
        if isinstance(patch, Rectangle)
    ]
    expected = [photo.classes[0][1] * widths[0] for photo in photos[:5]]
    assert widths[1::2] == pytest.approx(expected)
    assert sum(len(axes.images) for axes in figure.axes) == 5


def test_a_photo_that_is_gone_is_a_box_that_says_so(photos: list[Prediction]) -> None:
    photos[0].path.unlink()
    axes = contact_sheet(photos[:3], title="three").axes[0]
    assert len(axes.images) == 2
    assert "cannot be read" in [text.get_text() for text in axes.texts]


def test_no_photos_is_said() -> None:
    assert contact_sheet([], title="none").texts[0].get_text() == "No photo to show."
