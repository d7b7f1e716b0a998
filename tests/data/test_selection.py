from pathlib import Path

import pandas as pd
import pytest

from clothing_lightning.data.selection import corrected, without, without_copies
from clothing_lightning.errors import DataError


@pytest.fixture
def table() -> pd.DataFrame:
    """Six images of which c, d and e, f are the same files."""
    labels = ["Hat", "Hat", "Coat", "Coat", "Coat", "Hat"]
    return pd.DataFrame(
        {
            "path": [f"{name}.jpg" for name in "abcdef"],
            "label": labels,
            "sha256": ["0", "1", "2", "2", "3", "3"],
        }
    )


def csv(folder: Path, text: str) -> Path:
    file = folder / "corrections.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_rows_are_dropped_with_their_reasons(table: pd.DataFrame) -> None:
    left, dropped = without(table, pd.Series({1: "blurred", 4: "empty"}))
    assert list(left.index) == [0, 2, 3, 5]
    assert list(dropped["path"]) == ["b.jpg", "e.jpg"]
    assert list(dropped["reason"]) == ["blurred", "empty"]
    assert "reason" not in left


def test_no_reason_drops_nothing(table: pd.DataFrame) -> None:
    left, dropped = without(table, pd.Series(dtype=str))
    assert left.equals(table)
    assert dropped.empty
    assert "reason" in dropped


# Corrections


def test_labels_are_corrected_and_remembered(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    file = csv(tmp_path, "path,label\nb.jpg, Scarf \nc.jpg,Coat\n")
    left, dropped = corrected(table, file)
    assert list(left["label"]) == ["Hat", "Scarf", "Coat", "Coat", "Coat", "Hat"]
    # A correction that changes nothing is none.
    assert left["label_before"].dropna().to_dict() == {1: "Hat"}
    assert dropped.empty


@pytest.mark.parametrize("label", ["", "  "])
def test_empty_label_drops_the_image(
    table: pd.DataFrame, tmp_path: Path, label: str
) -> None:
    left, dropped = corrected(table, csv(tmp_path, f"path,label\nb.jpg,{label}\n"))
    assert list(left["path"]) == ["a.jpg", "c.jpg", "d.jpg", "e.jpg", "f.jpg"]
    assert list(dropped["path"]) == ["b.jpg"]
    assert list(dropped["label"]) == ["Hat"]
    assert list(dropped["reason"]) == ["dropped by corrections.csv"]


def test_label_that_pandas_takes_for_nothing_is_a_label(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    left, _ = corrected(table, csv(tmp_path, "path,label\na.jpg,None\nb.jpg,NA\n"))
    assert list(left["label"][:2]) == ["None", "NA"]


def test_further_columns_and_a_byte_order_mark_do_not_matter(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    file = csv(tmp_path, "\ufeffpath,note,label\r\na.jpg,sure,Scarf\r\n")
    left, _ = corrected(table, file)
    assert left["label"].iloc[0] == "Scarf"


def test_no_corrections_change_nothing(table: pd.DataFrame, tmp_path: Path) -> None:
    left, dropped = corrected(table, csv(tmp_path, "path,label\n"))
    assert list(left["label"]) == list(table["label"])
    assert left["label_before"].isna().all()
    assert dropped.empty


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "path,label\na.jpg,Hat\nx.jpg,Hat\ny.jpg,\n",
            r"'x\.jpg' is not an image of this data set \(2 such rows\)\. Paths are",
        ),
        ("path,class\na.jpg,Hat\n", "has no column 'label' but path, class. It needs"),
        ("image,label\na.jpg,Hat\n", "has no column 'path' but image, label"),
        ("path,label\na.jpg,Hat\na.jpg,\n", r"'a\.jpg' is listed more than once \(1 "),
        ("", r"is no CSV in UTF-8 \(No columns"),
        ("path,label\na.jpg,Hat\nb.jpg,Hat,red\n", "is no CSV in UTF-8"),
    ],
)
def test_corrections_that_do_not_fit_are_refused(
    table: pd.DataFrame, tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(DataError, match=rf"corrections\.csv: {message}"):
        corrected(table, csv(tmp_path, text))


def test_file_of_corrections_must_be_there_and_text(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    file = tmp_path / "corrections.csv"
    with pytest.raises(DataError, match=r"init_args\.corrections: '.*' is not a file"):
        corrected(table, file)
    file.write_bytes(b"path,label\ncaf\xe9.jpg,Hat\n")
    with pytest.raises(DataError, match=r"is no CSV in UTF-8 \(.*utf-8"):
        corrected(table, file)


# Copies


def test_one_of_identical_files_is_kept_and_none_if_labels_differ(
    table: pd.DataFrame,
) -> None:
    left, dropped = without_copies(table)
    assert list(left["path"]) == ["a.jpg", "b.jpg", "c.jpg"]
    assert dropped.set_index("path")["reason"].to_dict() == {
        "d.jpg": "same file as c.jpg",
        "e.jpg": "same file as e.jpg, other label",
        "f.jpg": "same file as e.jpg, other label",
    }


def test_of_copies_a_test_image_is_kept(table: pd.DataFrame) -> None:
    table = table.assign(split=["train", "test", "train", "test", "val", "train"])
    left, dropped = without_copies(table)
    assert list(left["path"]) == ["a.jpg", "b.jpg", "d.jpg"]
    assert dropped.set_index("path")["reason"]["c.jpg"] == "same file as d.jpg"


def test_files_that_differ_are_all_kept(table: pd.DataFrame) -> None:
    left, dropped = without_copies(table.assign(sha256=list("012345")))
    assert len(left) == 6
    assert dropped.empty
    assert "reason" in dropped
