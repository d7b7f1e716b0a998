from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from clothing_lightning.reports import style
from clothing_lightning.reports.confusion import confusion_figure


def matrix_of(counts: list[list[int]], names: list[str]) -> pd.DataFrame:
    return pd.DataFrame(counts, index=names, columns=names)


def cells(axes: Axes) -> dict[tuple[int, int], str]:
    return {
        (round(text.get_position()[1]), round(text.get_position()[0])): text.get_text()
        for text in axes.texts
    }


@pytest.fixture
def matrix() -> pd.DataFrame:
    return matrix_of([[3, 1, 0], [0, 300, 1], [0, 0, 0]], ["Hat", "Dress", "Polo"])


def test_axes_carry_names_and_numbers_of_images(matrix: pd.DataFrame) -> None:
    figure = confusion_figure(matrix, normalise=False, title="test: 305 images")
    axes = figure.axes[0]
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert rows == ["Hat (4)", "Dress (301)", "Polo (0)"]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["Hat", "Dress", "Polo"]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true (images)", "predicted")
    texts = [text.get_text() for text in figure.texts]
    assert texts == ["test: 305 images", "in the cells: number of images"]


def test_cells_show_counts_and_zeros_are_left_out(matrix: pd.DataFrame) -> None:
    axes = confusion_figure(matrix, normalise=False, title="").axes[0]
    assert cells(axes) == {(0, 0): "3", (0, 1): "1", (1, 1): "300", (1, 2): "1"}


def test_normalised_cells_show_percent_of_the_true_class(matrix: pd.DataFrame) -> None:
    figure = confusion_figure(matrix, normalise=True, title="")
    expected = {(0, 0): "75", (0, 1): "25", (1, 1): "100", (1, 2): "<1"}
    assert cells(figure.axes[0]) == expected
    assert "% of the true class's images" in figure.texts[1].get_text()


def test_normalised_row_without_images_is_blank(matrix: pd.DataFrame) -> None:
    image = confusion_figure(matrix, normalise=True, title="").axes[0].images[0]
    shown = image.get_array()
    assert isinstance(shown, np.ma.MaskedArray)
    assert shown.mask.tolist() == [[False] * 3, [False] * 3, [True] * 3]
    assert image.get_cmap().get_bad()[:3].tolist() == [1, 1, 1]


def test_text_is_white_on_dark_cells_only(matrix: pd.DataFrame) -> None:
    axes = confusion_figure(matrix, normalise=False, title="").axes[0]
    colours = {text.get_text(): to_rgb(text.get_color()) for text in axes.texts}
    assert colours["300"] == to_rgb("white")
    assert colours["1"] == to_rgb(style.INK)


@pytest.mark.parametrize("classes", [1, 2, 18, 46])
def test_nothing_is_cut_off_or_overlaps(classes: int) -> None:
    names = [f"Long-sleeved linen dress number {index}" for index in range(classes)]
    counts = 1000 * np.eye(classes, k=-1, dtype=int) + 1000 * np.eye(classes, dtype=int)
    matrix = pd.DataFrame(counts, index=names, columns=names)
    figure = confusion_figure(matrix, normalise=False, title="A title of some length")
    figure.draw_without_rendering()
    axes = figure.axes[0]
    texts = [*figure.texts, *axes.get_xticklabels(), *axes.get_yticklabels()]
    texts += [axes.xaxis.label, axes.yaxis.label]
    for text in texts:
        box = text.get_window_extent()
        assert figure.bbox.x0 <= box.x0, text
        assert box.x1 <= figure.bbox.x1, text
        assert figure.bbox.y0 <= box.y0, text
        assert box.y1 <= figure.bbox.y1, text
    cell_px = axes.bbox.width / classes
    assert max(text.get_window_extent().width for text in axes.texts) < cell_px
    names_left = min(t.get_window_extent().x0 for t in axes.get_yticklabels())
    assert axes.yaxis.label.get_window_extent().x1 < names_left
    names_bottom = min(t.get_window_extent().y0 for t in axes.get_xticklabels())
    assert axes.xaxis.label.get_window_extent().y1 < names_bottom


def test_matrix_without_images_can_be_drawn(tmp_path: Path) -> None:
    matrix = matrix_of([[0, 0], [0, 0]], ["Hat", "Dress"])
    for normalise in (False, True):
        figure = confusion_figure(matrix, normalise=normalise, title="none")
        style.save(figure, tmp_path / "matrix.png")
        assert cells(figure.axes[0]) == {}


@pytest.mark.filterwarnings("error")
def test_unusual_names_appear_as_spelled(tmp_path: Path) -> None:
    names = ["N/A ₤ 日本", "$x_1$ & {"]
    figure = confusion_figure(
        matrix_of([[1, 0], [0, 1]], names), normalise=False, title="$"
    )
    style.save(figure, tmp_path / "matrix.png")
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == names
    assert not any(t.get_parse_math() for t in figure.axes[0].get_xticklabels())
