import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from clothing_lightning.datamodules.fashion_products import FashionProducts, read_styles
from clothing_lightning.errors import DataError, DatasetNotFoundError, DownloadError
from tests.trees import fashion_products

HEADER = (
    "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,"
    "productDisplayName\n"
)
ROW = "1,Men,Apparel,Topwear,Shirts,Navy Blue,Fall,2011,Casual,"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither real photos nor the folder that the tests are started in."""
    monkeypatch.delenv("CLOTHING_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


def module(root: Path, **kwargs: Any) -> FashionProducts:
    defaults: dict[str, Any] = {
        "image_size": 16,
        "min_images_per_class": 1,
    }
    return FashionProducts(str(root), **(defaults | kwargs))


def styles(tmp_path: Path, content: str | bytes) -> Path:
    file = tmp_path / "styles.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


# Layouts


@pytest.mark.parametrize("folder", [".", "fashion-dataset", "myntradataset"])
def test_every_layout_is_read(tmp_path: Path, folder: str) -> None:
    root = fashion_products(tmp_path / folder)
    found = module(tmp_path).annotations()
    assert found.root == root
    assert len(found.table) == 96
    assert all((root / path).is_file() for path in found.table["path"])


def test_missing_data_are_told_with_the_ways_to_get_them() -> None:
    with pytest.raises(DatasetNotFoundError) as error:
        FashionProducts().annotations()
    message = str(error.value)
    assert "'data/fashion-products/styles.csv' is not there" in message
    for part in (
        "kaggle datasets download paramaggarwal/fashion-product-images-small --unzip",
        "kaggle datasets download paramaggarwal/fashion-product-images-dataset --unzip",
        "--data.init_args.download=kaggle",
        "--data.init_args.root=FOLDER",
        "CLOTHING_DATA",
    ):
        assert part in message


def test_missing_folder_of_images_is_told(tmp_path: Path) -> None:
    root = fashion_products(tmp_path)
    shutil.rmtree(root / "images")
    with pytest.raises(DatasetNotFoundError, match="images' is not there"):
        module(root).annotations()


def test_rows_whose_images_are_all_missing_are_told(tmp_path: Path) -> None:
    root = fashion_products(tmp_path, 6)
    for photo in (root / "images").iterdir():
        photo.rename(photo.with_suffix(".png"))
    with pytest.raises(
        DataError,
        match=r"none of the 7 rows of styles\.csv has an image: '.*1000\.jpg'",
    ):
        module(root).annotations()


# What is read


def test_labels_groups_and_slices_are_those_of_the_rows(tmp_path: Path) -> None:
    found = module(fashion_products(tmp_path)).annotations()
    table = found.table
    columns = ["path", "label", "group", "gender", "season", "usage"]
    assert list(table.columns) == columns
    assert table["label"].value_counts().to_dict() == {
        "Tshirts": 24,
        "Shirts": 24,
        "Casual Shoes": 24,
        "Watches": 24,
    }
    # The name holds two commas and the colour has two words.
    assert table.iloc[13].to_dict() == {
        "path": "images/1013.jpg",
        "label": "Tshirts",
        "group": "brand4 women tshirts soft pack of 2",
        "gender": "Women",
        "season": "Summer",
        "usage": "Casual",
    }
    assert set(table.loc[table["label"] == "Watches", "usage"]) == {""}  # was NA
    assert found.findings == {
        "rows": 97,
        "rows without an image": 1,
        "images without a row": 1,
    }


def test_colours_of_a_product_are_one_group_and_stay_together(tmp_path: Path) -> None:
    root = fashion_products(tmp_path)
    data = module(root)
    assert (data.annotations().table["group"].value_counts() == 3).all()
    placed = data.table.groupby("group")["split"].nunique()
    assert len(placed) == 32
    assert (placed == 1).all()
    assert (data.table["split"] == "test").any()


@pytest.mark.parametrize(
    ("column", "classes"),
    [
        ("articleType", ["Casual Shoes", "Shirts", "Tshirts", "Watches"]),
        ("subCategory", ["Shoes", "Topwear", "Watches"]),
        ("masterCategory", ["Accessories", "Apparel", "Footwear"]),
    ],
)
def test_label_column_can_be_chosen(
    tmp_path: Path, column: Any, classes: list[str]
) -> None:
    data = module(fashion_products(tmp_path), label_column=column)
    assert data.class_names == classes


def test_class_with_exactly_the_least_images_stays(tmp_path: Path) -> None:
    root = fashion_products(tmp_path)
    (root / "images" / "1000.jpg").unlink()  # a T-shirt; now there are 23
    data = module(root, min_images_per_class=24)
    assert data.class_names == ["Casual Shoes", "Shirts", "Watches"]
    assert len(module(root, min_images_per_class=23).class_names) == 4


def test_nine_hundred_images_are_the_least_by_default(tmp_path: Path) -> None:
    assert FashionProducts(str(tmp_path)).selection.min_images_per_class == 900
    root = fashion_products(tmp_path)
    with pytest.raises(DataError):
        _ = FashionProducts(str(root)).table


# styles.csv


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("Plain Shirt", "Plain Shirt"),
        ("Shirt, Soft, Blue", "Shirt, Soft, Blue"),
        ('"Shirt, Soft"', "Shirt, Soft"),
        ('Shirt 5" wide', 'Shirt 5" wide'),
        ('"Shirt ""Soft"", new"', 'Shirt "Soft", new'),
        ('"Shirt that nobody closes', "Shirt that nobody closes"),
        ("", ""),
        ("NA", ""),
        (",,", ",,"),
        ("Été\u2028Shirt", "Été\u2028Shirt"),
    ],
)
def test_name_is_all_after_the_ninth_comma(
    tmp_path: Path, given: str, read: str
) -> None:
    text = HEADER + ROW + given + "\n" + ROW.replace("1", "2", 1) + "Next\n"
    table = read_styles(styles(tmp_path, text))
    assert table["productDisplayName"].to_list() == [read, "Next"]
    assert table["id"].to_list() == ["1", "2"]
    assert table["usage"].to_list() == ["Casual", "Casual"]


def test_row_may_end_before_the_name(tmp_path: Path) -> None:
    table = read_styles(styles(tmp_path, HEADER + ROW.rstrip(",") + "\n"))
    assert table["productDisplayName"].to_list() == [""]


def test_file_saved_by_a_spreadsheet_is_read(tmp_path: Path) -> None:
    quoted = ",".join(f'"{cell}"' for cell in [*ROW.split(",")[:9], "Shirt, Soft"])
    text = "\ufeff" + (HEADER + quoted + "\n").replace("\n", "\r\n") + "\r\n"
    table = read_styles(styles(tmp_path, text))
    assert table.iloc[0].to_dict() == {
        "id": "1",
        "gender": "Men",
        "masterCategory": "Apparel",
        "subCategory": "Topwear",
        "articleType": "Shirts",
        "baseColour": "Navy Blue",
        "season": "Fall",
        "year": "2011",
        "usage": "Casual",
        "productDisplayName": "Shirt, Soft",
    }


def test_names_may_be_in_latin_1_but_labels_may_not(tmp_path: Path) -> None:
    file = styles(tmp_path, (HEADER + ROW + "Café Shirt\n").encode("latin-1"))
    assert read_styles(file)["productDisplayName"].to_list() == ["Café Shirt"]
    row = ROW.replace("Shirts", "Décor") + "Shirt\n"
    with pytest.raises(
        DataError, match=r"no text in UTF-8, and read as Latin-1 it has 'Décor' as art"
    ):
        read_styles(styles(tmp_path, (HEADER + row).encode("latin-1")))
    table = read_styles(styles(tmp_path, (HEADER + row).encode()))
    assert table["articleType"].to_list() == ["Décor"]


@pytest.mark.parametrize(
    ("content", "begins"),
    [
        (b"", "''"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\n" * 20, ""),
        (b"PK\x03\x04" + bytes(300), "'PK"),
        (HEADER.encode("utf-16"), ""),
        (b"<html><body>404</body></html>", "'<html>"),
        ((ROW + "Shirt\n").encode(), "'1,Men"),
        (HEADER.replace("usage,", "").encode(), "'id,gender"),
        (HEADER.replace("season,year", "year,season").encode(), "'id,gender"),
        (HEADER.replace(",", ";").encode(), "'id;gender"),
    ],
)
def test_file_that_is_no_table_is_refused(
    tmp_path: Path, content: bytes, begins: str
) -> None:
    with pytest.raises(
        DataError,
        match=rf"styles\.csv: begins with {begins}.*, expected the columns id",
    ) as error:
        read_styles(styles(tmp_path, content))
    assert "\n" not in str(error.value)


def test_row_that_is_too_short_is_shown(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"the row '2,Men,Apparel' has 3 columns, expected 10"
    ):
        read_styles(styles(tmp_path, HEADER + ROW + "Shirt\n2,Men,Apparel\n"))


@pytest.mark.parametrize("number", ["../1", "/etc/1", "", "a", "-1", "1.5", "٣", "1/2"])
def test_ids_that_are_no_numbers_are_refused(tmp_path: Path, number: str) -> None:
    row = ROW.replace("1", number, 1)
    with pytest.raises(DataError, match=r"is no id \(1 such rows\)") as error:
        read_styles(styles(tmp_path, HEADER + row + "Shirt\n"))
    assert repr(number) in str(error.value)


def test_id_with_two_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the id 1 is listed more than once"):
        read_styles(styles(tmp_path, HEADER + ROW + "A\n" + ROW + "B\n"))


def test_file_without_rows_is_told(tmp_path: Path) -> None:
    styles(tmp_path, HEADER)
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match="has no rows"):
        module(tmp_path).annotations()


# Groups


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Red,x,x,x,Acme Men Red Shirt", "Blue,x,x,x,Acme Men Blue Shirt", True),
        ("Red,x,x,x,Acme  men RED Shirt", "Navy Blue,x,x,x,Acme Men Navy Shirt", True),
        ("Red,x,x,x,Acme Red Shirt", "Red,x,x,x,Acme Red Skirt", False),
        # A colour that is not the row's own may be a brand.
        ("Black,x,x,x,Red Tape Shoe", "Red,x,x,x,Red Tape Shoe", False),
        # Nothing left: the product stands for itself.
        ("Red,x,x,x,Red", "Blue,x,x,x,Blue", False),
        ("Red,x,x,x,", "Red,x,x,x,", False),
    ],
)
def test_group_is_the_name_without_its_own_colour(
    tmp_path: Path, one: str, other: str, same: bool
) -> None:
    rows = [
        f"{number},Men,Apparel,Topwear,Shirts,{rest}\n"
        for number, rest in enumerate((one, other), 1)
    ]
    styles(tmp_path, HEADER + "".join(rows))
    (tmp_path / "images").mkdir()
    for number in (1, 2):
        (tmp_path / "images" / f"{number}.jpg").write_bytes(b"")
    groups = module(tmp_path).annotations().table["group"]
    assert (groups[0] == groups[1]) is same


# Kaggle


@pytest.fixture
def kaggle(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A stand-in for kagglehub; set its ``dataset_download``."""
    stand_in = SimpleNamespace(asked=[])
    monkeypatch.setitem(sys.modules, "kagglehub", stand_in)
    return stand_in


def test_kaggles_copy_is_used_where_kagglehub_keeps_it(
    kaggle: SimpleNamespace, tmp_path: Path
) -> None:
    root = fashion_products(tmp_path / "kaggle")

    def answer(name: str) -> str:
        kaggle.asked.append(name)
        return str(root)

    kaggle.dataset_download = answer
    data = module(tmp_path / "none", download="kaggle")
    assert data.annotations().root == root
    assert kaggle.asked == ["paramaggarwal/fashion-product-images-small"]


def test_data_that_are_there_are_not_fetched(
    kaggle: SimpleNamespace, tmp_path: Path
) -> None:
    root = fashion_products(tmp_path / "mine")
    assert module(root, download="kaggle").annotations().root == root
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    with pytest.raises(DatasetNotFoundError):
        module(tmp_path / "other", download="kaggle").annotations()
    with pytest.raises(DatasetNotFoundError):
        module(tmp_path / "none").annotations()


def test_failure_of_kaggle_says_what_else_to_do(
    kaggle: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> str:
        raise ConnectionError("no route\nmore")

    kaggle.dataset_download = fail
    data = module(tmp_path / "none", download="kaggle")
    with pytest.raises(
        DownloadError, match=r"-small could not be fetched \(no route\).*by hand and pa"
    ):
        data.annotations()
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(DownloadError, match="FashionProducts: download=kaggle needs"):
        data.annotations()
