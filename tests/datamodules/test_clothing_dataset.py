from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clothing_lightning.datamodules.clothing_dataset import (
    ClothingDataset,
    read_images_csv,
)
from clothing_lightning.errors import DataError, DatasetNotFoundError

MakeDataset = Callable[..., Path]
HEADER = "image,sender_id,label,kids\n"


@pytest.fixture(autouse=True)
def no_environment(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither real photos nor the folder that the tests are started in."""
    if request.node.get_closest_marker("photos") is None:
        monkeypatch.delenv("CLOTHING_DATA", raising=False)
        monkeypatch.chdir(tmp_path)


def module(root: Path, **kwargs: Any) -> ClothingDataset:
    return ClothingDataset(str(root), **kwargs)


# Layouts and counts


@pytest.mark.parametrize("folder", ["images", "images_original", "images_compressed"])
def test_every_layout_is_read(tiny_dataset: MakeDataset, folder: str) -> None:
    root = tiny_dataset(folder=folder)
    data = module(root)
    assert data.root == root
    assert list(data.table["path"]) == [f"{folder}/{i:04}.jpg" for i in range(40)]
    assert all((root / path).is_file() for path in data.table["path"])


def test_labels_senders_and_kids_are_those_of_the_rows(
    tiny_dataset: MakeDataset,
) -> None:
    table = module(tiny_dataset()).annotations().table
    assert list(table.columns) == ["path", "label", "group", "kids"]
    assert table["label"].value_counts().to_dict() == {
        "Dress": 14,
        "Hat": 10,
        "Shirt": 16,
    }
    assert table["group"].to_list() == [str(i % 7) for i in range(40)]
    assert table["kids"].to_list() == [i % 5 == 0 for i in range(40)]
    assert table["kids"].dtype == bool


def test_what_is_left_out_is_counted(tiny_dataset: MakeDataset) -> None:
    labels = {"Dress": 6, "Hat": 5, "Not sure": 3, "Skip": 4, "Other": 3}
    root = tiny_dataset(labels)
    for name in ("0002.jpg", "0014.jpg", "0015.jpg"):  # one Dress, two Skip
        (root / "images" / name).rename(root / "images" / f"stray {name}")
    (root / "images" / "more.jpg").write_bytes(b"")
    (root / "images" / ".DS_Store").write_bytes(b"")
    found = module(root).source
    assert found.findings == {
        "rows": 21,
        "rows with an excluded label": 5,
        "rows without an image": 3,
        "images without a row": 4,
        "unreadable images": 0,
    }
    assert found.table["label"].value_counts().to_dict() == {
        "Hat": 5,
        "Dress": 5,
        "Other": 3,
    }


def test_labels_to_leave_out_can_be_chosen(tiny_dataset: MakeDataset) -> None:
    labels = {"Dress": 4, "Hat": 4, "Not sure": 4, "Skip": 4, "Other": 4}
    root = tiny_dataset(labels)
    assert module(root).class_names == ["Dress", "Hat", "Other"]
    seventeen = module(root, exclude_labels=("Not sure", "Skip", "Other"))
    assert seventeen.class_names == ["Dress", "Hat"]
    assert module(root, exclude_labels=()).class_names == sorted(labels)
    assert seventeen.source.findings["rows with an excluded label"] == 12


@pytest.mark.photos
def test_real_photos_are_those_that_were_counted(photos: Path) -> None:
    found = module(photos).source
    assert found.findings == {
        "rows": 5403,
        # 12 Skip, of which 5 are those without an image, and 228 Not sure.
        "rows with an excluded label": 235,
        "rows without an image": 5,
        "images without a row": 358,
        "unreadable images": 0,
    }
    labels = found.table["label"].value_counts()
    assert (len(found.table), len(labels)) == (5163, 18)
    assert (labels["T-Shirt"], labels["Blouse"], labels["Body"]) == (1011, 23, 69)
    assert found.table.loc[found.table["label"] == "Body", "kids"].sum() == 68
    assert found.table["group"].nunique() == 346
    assert found.table["kids"].sum() == 468


@pytest.mark.photos
def test_real_photos_of_all_labels_are_those_that_were_counted(photos: Path) -> None:
    found = module(photos, exclude_labels=()).annotations().table
    assert (len(found), found["label"].nunique()) == (5398, 20)
    assert found["label"].value_counts()["Skip"] == 12 - 5
    assert found["kids"].sum() == 476
    sent = found["group"].value_counts()
    assert (len(sent), (sent == 1).sum()) == (348, 113)
    assert sent.iloc[:10].sum() / len(found) == pytest.approx(0.5, abs=0.01)
    # Three senders more are those of Skip rows without an image.
    assert read_images_csv(photos / "images.csv")["group"].nunique() == 351


@pytest.mark.photos
def test_real_photos_without_the_rest_class_are_17_classes(photos: Path) -> None:
    data = module(photos, exclude_labels=("Not sure", "Skip", "Other"))
    labels = data.source.table["label"]
    assert (len(labels), labels.nunique()) == (5096, 17)


# Where it lies


def test_root_is_the_given_one_else_the_environments_else_the_default(
    tiny_dataset: MakeDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = tiny_dataset(name="data/clothing-dataset")
    shared = tiny_dataset(name="shared/clothing-dataset")
    given = tiny_dataset(name="given")
    monkeypatch.setenv("CLOTHING_DATA", "")
    assert ClothingDataset().annotations().root.resolve() == default
    monkeypatch.setenv("CLOTHING_DATA", str(tmp_path / "shared"))
    assert ClothingDataset().annotations().root == shared
    assert ClothingDataset(str(given)).annotations().root == given
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ClothingDataset("~/given").annotations().root == given


def test_environment_is_read_when_the_data_are(
    tiny_dataset: MakeDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = ClothingDataset()
    root = tiny_dataset(name="shared/clothing-dataset")
    monkeypatch.setenv("CLOTHING_DATA", str(tmp_path / "shared"))
    assert data.annotations().root == root


def test_missing_data_are_told_with_the_ways_to_get_them(tmp_path: Path) -> None:
    missing = tmp_path / "clothes"
    with pytest.raises(DatasetNotFoundError) as error:
        _ = module(missing).table
    message = str(error.value)
    assert f"'{missing / 'images.csv'}' is not there" in message
    for way in (
        "--data.init_args.download=archive",
        "--data.init_args.download=kaggle",
        "kaggle datasets download agrigorev/clothing-dataset-full --unzip",
        "--data.init_args.root=FOLDER",
        "CLOTHING_DATA",
        "experiments/overlays/sample.yaml",
    ):
        assert way in message


def test_default_place_is_named_where_nothing_is_there() -> None:
    with pytest.raises(
        DatasetNotFoundError, match=r"'data/clothing-dataset/images\.csv' is not there"
    ):
        ClothingDataset().annotations()


def test_table_without_a_folder_of_images_is_told(tmp_path: Path) -> None:
    (tmp_path / "images.csv").write_text(HEADER)
    with pytest.raises(
        DatasetNotFoundError,
        match=r"has images\.csv, but no folder images, images_original, images_com",
    ):
        module(tmp_path).annotations()


def test_rows_whose_images_are_all_missing_are_told(tiny_dataset: MakeDataset) -> None:
    root = tiny_dataset()
    text = (root / "images.csv").read_text().replace(",", ".jpg,", 1)
    rows = [line.replace(",", ".jpg,", 1) for line in text.splitlines()[1:]]
    (root / "images.csv").write_text(HEADER + "\n".join(rows) + "\n")
    with pytest.raises(
        DataError, match=r"none of the 40 rows .* an image: '.*0000\.jpg\.jpg' and the"
    ):
        module(root).annotations()


# images.csv


def written(tmp_path: Path, text: str | bytes) -> Path:
    file = tmp_path / "images.csv"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def test_table_of_a_spreadsheet_is_read(tmp_path: Path) -> None:
    # A byte order mark, other columns and order, Windows line ends, upper case.
    text = '\ufeffid,kids,label,image,group,sender_id\r\n1,TRUE,"T-Shirt",a-1,x,7\r\n'
    table = read_images_csv(written(tmp_path, text))
    assert table.to_dict("records") == [
        {"path": "images/a-1.jpg", "label": "T-Shirt", "group": "7", "kids": True}
    ]


def test_comma_at_the_end_of_rows_does_not_shift_the_columns(tmp_path: Path) -> None:
    table = read_images_csv(written(tmp_path, HEADER + "a,7,Hat,False,\n"))
    assert table.iloc[0, :3].to_list() == ["images/a.jpg", "Hat", "7"]


def test_words_that_mean_missing_elsewhere_are_labels_here(tmp_path: Path) -> None:
    table = read_images_csv(written(tmp_path, HEADER + "a,7,None,False\nb,NA,,\n"))
    assert table["label"].fillna("empty").to_list() == ["None", "empty"]
    assert table["group"].to_list() == ["7", "NA"]
    assert table["kids"].to_list() == [False, False]


@pytest.mark.parametrize("missing", ["image", "sender_id", "label", "kids"])
def test_missing_column_is_named(tmp_path: Path, missing: str) -> None:
    file = written(tmp_path, HEADER.replace(missing, "other") + "a,1,Hat,True\n")
    with pytest.raises(
        DataError,
        match=rf"images\.csv: has no column '{missing}' but .*other.* It needs",
    ):
        read_images_csv(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no CSV in UTF-8"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\n" * 20, "is no CSV in UTF-8"),
        (bytes(range(256)) * 4, "is no CSV in UTF-8"),
        (b"PK\x03\x04" + bytes(300), "is no CSV|has no column"),
        ("image,sender_id,label,kids\né,1,Hat,True".encode("utf-16"), "is no CSV"),
        (HEADER.encode() + b'a,1,"Hat,True\n', "is no CSV in UTF-8"),
        (HEADER.encode() + b"a,1,Hat,True\nb,1,Hat,True,,,\n", "is no CSV in UTF-8"),
        (b"<html><body>404</body></html>", "has no column 'image' but <html>"),
    ],
)
def test_file_that_is_no_table_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    file = written(tmp_path, content)
    with pytest.raises(DataError, match=rf"images\.csv: ({message})") as error:
        read_images_csv(file)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "image", ["../secret", "/etc/passwd", "a/b", "..", "", "a b", "a\\b", "C:x", "x."]
)
def test_image_names_that_lead_elsewhere_are_refused(
    tmp_path: Path, image: str
) -> None:
    file = written(tmp_path, HEADER + f"sound,1,Hat,True\n{image},1,Hat,True\n")
    with pytest.raises(
        DataError, match=r"images\.csv: row 3 names the image "
    ) as error:
        read_images_csv(file)
    assert repr(image if image else float("nan")) in str(error.value)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"Dress": 20, "Hat": 1}, "'Hat' has 1 images, and 3 are needed"),
        ({"Dress": 20}, "the only class is 'Dress'"),
        ({"Skip": 3, "Not sure": 2}, "no image is left. Check the labels it excludes"),
        ({"Dress": 3, "": 2}, r"'images/0003\.jpg' has no label \(2 such rows\)"),
        ({"Dress": 3, "path": 3}, "'path' cannot be a class name"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(
    tiny_dataset: MakeDataset, labels: dict[str, int], message: str
) -> None:
    data = module(tiny_dataset(labels))
    with pytest.raises(DataError, match=message):
        _ = data.table


def test_image_with_two_rows_is_refused(tiny_dataset: MakeDataset) -> None:
    root = tiny_dataset()
    with (root / "images.csv").open("a") as file:
        file.write("0004,1,Hat,False\n")
    with pytest.raises(DataError, match=r"'images/0004\.jpg' is listed more than once"):
        _ = module(root).table
