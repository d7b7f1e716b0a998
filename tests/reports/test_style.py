from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from clothing_lightning.reports import style


@pytest.mark.parametrize(
    ("name", "limit", "expected"),
    [
        ("Dress", 5, "Dress"),
        ("Long-sleeved dress", 9, "Long…ress"),
        ("Long-sleeved dress", 8, "Long…ess"),
        ("  Not \n sure ", 8, "Not sure"),
        ("日本日本", 8, "日本日本"),
        ("日本日本", 7, "日…日本"),
    ],
)
def test_long_name_loses_its_middle(name: str, limit: int, expected: str) -> None:
    assert style.shortened(name, limit) == expected


def test_text_is_dark_on_light_and_white_on_dark() -> None:
    assert style.text_colour((1.0, 1.0, 1.0, 1.0)) == style.INK
    assert style.text_colour((0.0, 0.1, 0.4, 1.0)) == "white"


def test_estimated_width_is_not_below_the_drawn_width() -> None:
    text = "Longsleeve taken for Undershirt: 7 of 38"
    figure = Figure(dpi=100)
    drawn = figure.text(0, 0, text, size=8.5)
    drawn_in = drawn.get_window_extent().width / 100
    assert drawn_in <= style.text_width_in(text, 8.5) < 1.4 * drawn_in


@pytest.mark.filterwarnings("error")
def test_any_class_name_can_be_drawn_and_saved(tmp_path: Path) -> None:
    figure = style.message_figure("N/A ₤ 日本 $\\frac{1$ a_b % \U0001f457")
    style.save(figure, tmp_path / "name.png")
    with Image.open(tmp_path / "name.png") as image:
        assert image.width > 400
    assert style.pixels(figure).shape[2] == 3


def test_message_figure_holds_the_sentence() -> None:
    figure = style.message_figure("Nothing here.")
    assert [text.get_text() for text in figure.texts] == ["Nothing here."]
