from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from clothing_lightning.errors import DataError, StorageError
from clothing_lightning.metrics.classification_report import confusion_matrix, per_class
from clothing_lightning.reports.classification import write_classification_report

NAMES = ["Dress", "N/A ₤ 日本", "a|b *c*", "Hat"]
TABLES = {
    "test_per_class.csv",
    "test_per_class.md",
    "test_confusion_matrix.csv",
    "test_confusion_matrix.png",
    "test_confusion_matrix_normalised.png",
    "test_confused_pairs.csv",
}
PHOTOS = {"test_confused_pairs.jpg", "test_confident_mistakes.jpg"}


@pytest.fixture
def predictions() -> pd.DataFrame:
    """Eight dresses, six right; two of the second class, one right; no others."""
    labels = ["Dress"] * 8 + ["N/A ₤ 日本"] * 2
    predicted = [0] * 6 + [1, 1] + [1, 2]
    rows = np.full((10, 4), 0.1, dtype=np.float32)
    rows[np.arange(10), predicted] = 0.7
    leading = pd.DataFrame({"path": "photo.png", "label": labels})
    return pd.concat([leading, pd.DataFrame(rows, columns=NAMES)], axis=1)


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.filterwarnings("error")
def test_all_reports_are_written(predictions: pd.DataFrame, tmp_path: Path) -> None:
    Image.new("RGB", (40, 60), "teal").save(tmp_path / "photo.png")
    folder = tmp_path / "run" / "reports"
    write_classification_report(predictions, folder, stage="test", image_root=tmp_path)
    assert names_in(folder) == TABLES | PHOTOS
    for path in folder.glob("*.png"):
        with Image.open(path) as image:
            assert min(image.size) > 200


def test_no_photos_without_image_root(
    predictions: pd.DataFrame, tmp_path: Path
) -> None:
    write_classification_report(predictions, tmp_path, stage="val", image_root=None)
    assert names_in(tmp_path) == {name.replace("test", "val") for name in TABLES}


def test_csv_files_hold_what_the_analysis_returns(
    predictions: pd.DataFrame, tmp_path: Path
) -> None:
    write_classification_report(predictions, tmp_path, stage="test", image_root=None)
    scores = pd.read_csv(tmp_path / "test_per_class.csv", index_col="class")
    pd.testing.assert_frame_equal(scores, per_class(predictions))
    matrix = pd.read_csv(tmp_path / "test_confusion_matrix.csv", index_col="true")
    assert matrix.columns.tolist() == matrix.index.tolist() == NAMES
    np.testing.assert_array_equal(matrix, confusion_matrix(predictions))
    pairs = pd.read_csv(tmp_path / "test_confused_pairs.csv")
    assert pairs.to_dict("list") == {
        "true": ["Dress", "N/A ₤ 日本"],
        "predicted": ["N/A ₤ 日本", "a|b *c*"],
        "count": [2, 1],
        "share": [0.25, 0.5],
    }


def test_page_shows_classes_averages_and_uncertainty(
    predictions: pd.DataFrame, tmp_path: Path
) -> None:
    write_classification_report(predictions, tmp_path, stage="test", image_root=None)
    page = (tmp_path / "test_per_class.md").read_text(encoding="utf-8")
    lines = page.splitlines()
    assert lines[0] == "# Classification report: test"
    assert "| Dress | 1.000 | 0.750 | 0.857 | 8 |" in lines
    assert "| N/A ₤ 日本 | 0.333 | 0.500 | 0.400 | 2 |" in lines
    assert "| a\\|b \\*c\\* | 0.000 | - | 0.000 | 0 |" in lines
    assert "| Hat | - | - | - | 0 |" in lines
    assert any(line.startswith("A dash stands for") for line in lines)
    assert "| Accuracy | 0.700 |" in lines
    assert "| Macro F1 (classes with images) | 0.629 |" in lines
    assert any(line.startswith("| True class among the first 3 |") for line in lines)
    assert "top5" not in page
    assert "first 5" not in page
    assert (
        "Accuracy: 7 of 10 images are right, 70.0 % (95 % Wilson interval 39.7 % to "
        "89.2 %, n = 10). The interval takes the images as independent of each other."
    ) in lines


def test_evaluation_without_images_is_reported(
    predictions: pd.DataFrame, tmp_path: Path
) -> None:
    write_classification_report(
        predictions.iloc[:0], tmp_path, stage="test", image_root=tmp_path
    )
    assert names_in(tmp_path) == TABLES | PHOTOS
    page = (tmp_path / "test_per_class.md").read_text(encoding="utf-8")
    assert "Accuracy: n = 0, no images." in page


def test_earlier_reports_are_replaced(
    predictions: pd.DataFrame, tmp_path: Path
) -> None:
    for table in (predictions, predictions.iloc[:4]):
        write_classification_report(table, tmp_path, stage="test", image_root=None)
    page = (tmp_path / "test_per_class.md").read_text(encoding="utf-8")
    assert "4 of 4 images are right" in page


def test_broken_table_is_refused_before_anything_is_written(
    predictions: pd.DataFrame, tmp_path: Path
) -> None:
    predictions.loc[0, "label"] = "Hoodie"
    with pytest.raises(DataError, match="has the label 'Hoodie'"):
        write_classification_report(
            predictions, tmp_path / "new", stage="test", image_root=None
        )
    assert not (tmp_path / "new").exists()


def test_folder_that_cannot_be_made_is_named(
    predictions: pd.DataFrame, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "reports"
    with pytest.raises(StorageError, match=r"file/reports: .* cannot be written"):
        write_classification_report(predictions, folder, stage="test", image_root=None)
