from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from clothing_lightning.metrics.classification_report import (
    confident_mistakes,
    confused_pairs,
)
from clothing_lightning.reports.thumbnails import confused_pairs_figure, mistakes_figure

NAMES = ["Shirt", "Blouse", "Hat"]


@pytest.fixture
def predictions() -> pd.DataFrame:
    """Seven of ten shirts are taken for blouses, one hat for a shirt."""
    shirts = [[0.3 - 0.01 * i, 0.7 + 0.01 * i, 0.0] for i in range(7)]
    rows = [*shirts, [0.9, 0.1, 0.0], [0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.6, 0.0, 0.4]]
    leading = pd.DataFrame(
        {
            "path": [f"images/{index}.png" for index in range(11)],
            "label": ["Shirt"] * 10 + ["Hat"],
        }
    )
    return pd.concat([leading, pd.DataFrame(rows, columns=NAMES)], axis=1)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Photos by turns upright, square and lying."""
    (tmp_path / "images").mkdir()
    for index in range(11):
        size = [(30, 90), (50, 50), (900, 300)][index % 3]
        Image.new("RGB", size, (20 * index, 90, 40)).save(
            tmp_path / "images" / f"{index}.png"
        )
    return tmp_path


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_rows_name_the_pairs_and_their_counts(
    predictions: pd.DataFrame, root: Path
) -> None:
    figure = confused_pairs_figure(confused_pairs(predictions), predictions, root)
    titles = [text for text in texts(figure) if "taken for" in text]
    assert titles == ["Shirt taken for Blouse: 7 of 10", "Hat taken for Shirt: 1 of 1"]


def test_at_most_five_photos_most_confident_first(
    predictions: pd.DataFrame, root: Path
) -> None:
    figure = confused_pairs_figure(confused_pairs(predictions), predictions, root)
    assert len(figure.axes[0].images) == 5 + 1
    percents = [text for text in texts(figure) if text.endswith("%")]
    assert percents == ["76 %", "75 %", "74 %", "73 %", "72 %", "60 %"]
    first = figure.axes[0].images[0].get_array()
    assert first is not None
    assert np.asarray(first)[0, 0, 0] == 20 * 6


def test_at_most_six_pairs(root: Path) -> None:
    names = list("abcdefgh")
    rows = np.roll(np.eye(8), 1, axis=1)
    leading = pd.DataFrame({"path": "images/0.png", "label": names})
    predictions = pd.concat([leading, pd.DataFrame(rows, columns=names)], axis=1)
    figure = confused_pairs_figure(confused_pairs(predictions), predictions, root)
    assert sum("taken for" in text for text in texts(figure)) == 6


def test_mistakes_show_true_and_predicted_class(
    predictions: pd.DataFrame, root: Path
) -> None:
    figure = mistakes_figure(confident_mistakes(predictions, 24), root)
    assert len(figure.axes[0].images) == 8
    assert texts(figure)[:2] == ["Shirt", "→ Blouse (76 %)"]
    assert texts(figure)[-2:] == ["Hat", "→ Shirt (60 %)"]


def test_photos_keep_their_proportions(predictions: pd.DataFrame, root: Path) -> None:
    figure = mistakes_figure(confident_mistakes(predictions, 24), root)
    shapes = []
    for image in figure.axes[0].images:
        left, right, bottom, top = image.get_extent()
        shapes.append((right - left) / (bottom - top))
    by_turns = [[1 / 3, 1, 3][index % 3] for index in (6, 5, 4, 3, 2, 1, 0, 10)]
    assert shapes == pytest.approx(by_turns, rel=0.02)
    width_in, height_in = figure.get_size_inches()
    assert figure.axes[0].get_xlim() == (0, width_in)
    assert figure.axes[0].get_ylim() == (height_in, 0)


@pytest.mark.filterwarnings("ignore:Glyph")
def test_texts_of_long_names_do_not_overlap(root: Path) -> None:
    long_name = "Women/Tops & Blouses/Long-sleeved W blouses"
    mistakes = pd.DataFrame(
        {
            "path": [f"images/{index % 11}.png" for index in range(24)],
            "label": long_name,
            "predicted": ["N/A ₤ 日本日本日本", long_name] * 12,
            "probability": 0.9999,
        }
    )
    figure = mistakes_figure(mistakes, root)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    for index, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert not any(box.overlaps(other) for other in boxes[index + 1 :])


@pytest.mark.parametrize("content", [None, b"not an image"])
def test_photo_that_cannot_be_read_is_a_box_that_says_so(
    predictions: pd.DataFrame, root: Path, content: bytes | None
) -> None:
    photo = root / "images" / "6.png"
    photo.unlink()
    if content is not None:
        photo.write_bytes(content)
    figure = mistakes_figure(confident_mistakes(predictions, 24), root)
    assert texts(figure).count("cannot be read") == 1
    assert len(figure.axes[0].images) == 7


def test_no_mistakes_say_so(predictions: pd.DataFrame, root: Path) -> None:
    right = predictions.iloc[7:10]
    for figure in (
        confused_pairs_figure(confused_pairs(right), right, root),
        mistakes_figure(confident_mistakes(right, 24), root),
    ):
        assert "no image was classified wrongly" in figure.texts[0].get_text()
