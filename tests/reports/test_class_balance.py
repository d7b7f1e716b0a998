import pandas as pd
import pytest

from clothing_lightning.reports.class_balance import class_counts_figure


@pytest.fixture
def counts() -> pd.DataFrame:
    return pd.DataFrame(
        {"train": [900, 8, 0], "val": [100, 1, 0], "test": [234, 3, 0]},
        index=["T-Shirt", "N/A ₤ 日本", "Hat"],
    )


def test_bars_have_the_length_of_the_counts(counts: pd.DataFrame) -> None:
    axes = class_counts_figure(counts, None).axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == list(counts.index)
    widths = [bar.get_width() for bar in axes.patches]  # type: ignore[attr-defined]
    assert widths == [900, 8, 0, 100, 1, 0, 234, 3, 0]
    starts = [bar.get_x() for bar in axes.patches]  # type: ignore[attr-defined]
    assert starts == [0, 0, 0, 900, 8, 0, 1000, 9, 0]


def test_first_class_is_on_top(counts: pd.DataFrame) -> None:
    bottom, top = class_counts_figure(counts, None).axes[0].get_ylim()
    assert top < 0 < bottom


def test_legend_names_the_splits_and_their_sizes(counts: pd.DataFrame) -> None:
    legend = class_counts_figure(counts, None).legends[0]
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == ["train (908)", "val (101)", "test (237)"]


def test_totals_and_weights_stand_beside_the_bars(counts: pd.DataFrame) -> None:
    weights = pd.Series({"N/A ₤ 日本": 12.345, "T-Shirt": 0.5})
    axes = class_counts_figure(counts, weights).axes[0]
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["images", "1,234", "12", "0", "weight", "0.50", "12.35", "-"]


def test_no_column_of_weights_without_weights(counts: pd.DataFrame) -> None:
    axes = class_counts_figure(counts, None).axes[0]
    assert [text.get_text() for text in axes.texts] == ["images", "1,234", "12", "0"]


@pytest.mark.parametrize("classes", [1, 46])
def test_texts_stay_inside_the_figure(classes: int) -> None:
    names = [f"Long-sleeved linen dress number {index}" for index in range(classes)]
    counts = pd.DataFrame({"train": 123_456, "val": 7}, index=names)
    figure = class_counts_figure(counts, pd.Series(1.0, index=names))
    figure.draw_without_rendering()
    axes = figure.axes[0]
    for text in [*figure.texts, *axes.texts, *axes.get_yticklabels()]:
        box = text.get_window_extent()
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1, text
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1, text


def test_no_classes_say_so() -> None:
    figure = class_counts_figure(pd.DataFrame(columns=["train"]), None)
    assert "there are no classes" in figure.texts[0].get_text()
