import os
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clothing_lightning.data.options import Split
from clothing_lightning.data.table import counts
from clothing_lightning.datamodules.image_folder import ImageFolder
from clothing_lightning.datamodules.image_folder_tree import read_tree
from clothing_lightning.errors import ConfigError, DataError, DatasetNotFoundError

HALVES = Split(val=0.25, test=0.25)
Folders = Callable[[Mapping[str, int]], Path]


def photo(file: Path, number: int = 0) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (24, 20, 3), np.uint8)
    Image.fromarray(pixels).save(file)
    return file


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """Makes folders below ``tmp_path / "my photos"``, each with so many images."""

    def make(sizes: Mapping[str, int]) -> Path:
        root = tmp_path / "my photos"
        root.mkdir(exist_ok=True)
        number = len(list(root.rglob("*.png")))
        for folder, images in sizes.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            for _ in range(images):
                photo(root / folder / f"{number:03}.png", number)
                number += 1
        return root

    return make


def module(root: Path | None = None, **kwargs: Any) -> ImageFolder:
    defaults: dict[str, Any] = {"image_size": 16, "split": HALVES}
    return ImageFolder(str(root) if root else None, **(defaults | kwargs))


# Folders


def test_folders_are_classes(folders: Folders) -> None:
    data = module(folders({"Hat": 4, "Coat": 8}))
    assert data.class_names == ["Coat", "Hat"]
    assert list(data.table.columns) == ["path", "label", "sha256", "split"]
    assert data.table["path"].iloc[0] == "Coat/004.png"
    assert counts(data.table).to_numpy().tolist() == [[4, 2, 2], [2, 1, 1]]


@pytest.mark.parametrize("val", ["validation", "val", "valid", "Val"])
def test_own_split_is_kept(folders: Folders, val: str) -> None:
    sizes = {"train/Hat": 3, "train/Coat": 2, f"{val}/Hat": 1, f"{val}/Coat": 2}
    data = module(folders(sizes | {"test/Hat": 1, "test/Coat": 1}))
    assert counts(data.table).to_numpy().tolist() == [[2, 2, 1], [3, 1, 1]]
    assert all(
        path.lower().startswith(split)
        for path, split in zip(data.table["path"], data.table["split"], strict=True)
    )


@pytest.mark.parametrize("there", [(), ("val",), ("test",)])
def test_missing_part_is_taken_from_train(
    folders: Folders, there: tuple[str, ...]
) -> None:
    sizes = {"train/Hat": 8, "train/Coat": 8}
    sizes |= {f"{split}/{label}": 3 for split in there for label in ("Hat", "Coat")}
    table = module(folders(sizes)).table
    assert set(table["split"]) == {"train", "val", "test"}
    for split in there:
        own = table["path"].str.startswith(f"{split}/")
        assert (own == (table["split"] == split)).all()


def test_own_split_can_be_made_anew(folders: Folders) -> None:
    root = folders({"train/Hat": 4, "train/Coat": 4, "test/Hat": 4, "test/Coat": 4})
    table = module(root, split=Split("stratified", val=0.25, test=0.25)).table
    in_test = table["path"][table["split"] == "test"].str.partition("/")[0]
    assert set(in_test) == {"train", "test"}


def test_images_in_folders_inside_a_class_belong_to_it(folders: Folders) -> None:
    data = module(folders({"Hat": 3, "Hat/2020/may": 2, "Hat/2021": 1, "Coat": 4}))
    assert data.train_counts == counts(data.table)["train"].to_list()
    assert (data.table["label"] == "Hat").sum() == 6
    findings = data.source.findings
    assert findings["images in folders inside a class folder"] == 3


def test_other_files_are_left_out_and_counted(folders: Folders) -> None:
    root = folders({"Hat": 3, "Coat": 3, ".git": 1, "__MACOSX": 1})
    for name in ("Thumbs.db", ".DS_Store", "._000.png", "notes.txt", "a.zip", "b.HEIC"):
        (root / "Hat" / name).write_bytes(b"x")
    photo(root / "overview.png")
    findings = read_tree(root).findings
    assert findings == {
        "files that are no images": 2,
        "photos in formats that are not read": 1,
        "images outside of a class folder": 1,
    }


@pytest.mark.parametrize(
    "suffix", ["jpg", "JPEG", "png", "webp", "bmp", "gif", "tif", "TIFF"]
)
def test_images_are_told_by_their_suffix(folders: Folders, suffix: str) -> None:
    root = folders({"Hat": 1, "Coat": 1})
    photo(root / "Hat" / f"other.{suffix}")
    table = read_tree(root).table
    assert f"Hat/other.{suffix}" in set(table["path"])


def test_names_with_spaces_and_letters_of_any_script(folders: Folders) -> None:
    labels = ["Blue jeans", "帽子", "Jäckchen", "пальто"]
    data = module(folders(dict.fromkeys(labels, 4)))
    data.setup("fit")
    assert data.class_names == sorted(labels)
    assert len(next(iter(data.train_dataloader()))[0]) == 8


def test_composed_and_decomposed_names_are_one_class(folders: Folders) -> None:
    composed = unicodedata.normalize("NFC", "Jäckchen")
    decomposed = unicodedata.normalize("NFD", composed)
    sizes = {f"train/{composed}": 3, "train/Hat": 3, f"test/{decomposed}": 1}
    data = module(folders(sizes | {"test/Hat": 1, "val/Hat": 1}))
    assert data.class_names == ["Hat", composed]
    assert counts(data.table).to_numpy().tolist() == [[3, 1, 1], [3, 0, 1]]
    assert data.source.findings["classes without an image in val"] == 1


def test_class_may_be_called_like_a_split(folders: Folders) -> None:
    data = module(folders({"train": 4, "Bus": 4}))
    assert data.class_names == ["Bus", "train"]


def test_name_is_that_of_the_root_unless_given(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folders({"Hat": 3, "Coat": 3})
    assert module(root).name == "my photos"
    assert module(root, name="wardrobe").name == "wardrobe"
    monkeypatch.chdir(root / "Hat")
    assert module(Path("..")).name == "my photos"
    assert ImageFolder("/").name == "image-folder"


# Layouts that are wrong


WRONG: dict[str, tuple[dict[str, int], str]] = {
    "empty": ({}, r"my photos': holds no image and no folder of a class\. Put each"),
    "no classes": ({".": 2}, r"holds images, but no folder of a class\. .*init_args.t"),
    "one class": ({"Hat": 4}, "my photos: the only class is 'Hat'"),
    "empty class": (
        {"Hat": 4, "Coat": 0},
        r"folder of class 'Coat' holds no image \(1 such classes\)\. Add some \(bmp",
    ),
    "one level too deep": (
        {"clothes/Hat": 2, "clothes/Coat": 2},
        "the only folder is 'clothes'.*init_args.root=.*my photos/clothes",
    ),
    "splits one level too deep": (
        {"clothes/train/Hat": 2, "clothes/test/Hat": 2},
        "the only folder is 'clothes'.*init_args.root=.*my photos/clothes",
    ),
    "class in test that train lacks": (
        {"train/Hat": 4, "train/Coat": 4, "test/Hat": 1, "test/Scarf": 1},
        "class 'Scarf' has no image in train",
    ),
    "val twice": (
        {"train/Hat": 1, "val/Hat": 1, "validation/Hat": 1},
        "has both 'val' and 'validation'",
    ),
    "no train": ({"val/Hat": 1, "test/Hat": 1}, "has 'test', but no 'train'"),
    "classes beside splits": (
        {"train/Hat": 1, "test/Hat": 1, "Coat": 1},
        "has 'Coat' beside 'test'",
    ),
    "test without classes": (
        {"train/Hat": 1, "train/Coat": 1, "test": 3},
        "test': holds images, but no folder of a class.*Or move 'test' away",
    ),
    "train without classes": (
        {"train": 3, "test": 3},
        "test': holds images, but no folder of a class",
    ),
    "split of empty classes": (
        {"train/Hat": 1, "train/Coat": 1, "test/Hat": 0, "test/Coat": 0},
        "no folder of test holds an image",
    ),
    "splits inside classes": (
        {"Hat/train": 2, "Hat/test": 1, "Coat/train": 2},
        "Coat': holds 'train'. Splits come before classes",
    ),
    "class with a name of ours": ({"label": 3, "Hat": 3}, "'label' cannot be a class"),
}


@pytest.mark.parametrize(("sizes", "message"), WRONG.values(), ids=WRONG)
def test_wrong_layout_is_told(
    folders: Folders, sizes: dict[str, int], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        _ = module(folders(sizes)).table


def test_files_that_are_no_images_are_no_class(folders: Folders) -> None:
    root = folders({"Hat": 3, "Coat": 0})
    (root / "Coat" / "photo.heic").write_bytes(b"x")
    with pytest.raises(DataError, match=r"'Coat' holds no image .* Add some \(bmp, gi"):
        read_tree(root)


def test_root_is_required_and_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"root is not given[\s\S]*FILE\.csv"):
        ImageFolder()
    with pytest.raises(DatasetNotFoundError, match=r"none' is not there\. Name your"):
        module(tmp_path / "none").annotations()
    with pytest.raises(DatasetNotFoundError, match=r"none\.csv' is not there"):
        module(table=str(tmp_path / "none.csv")).annotations()
    (tmp_path / "labels.csv").write_text("path,label\n")
    with pytest.raises(DataError, match=r"is a file. Pass .*table=.*labels\.csv"):
        module(tmp_path / "labels.csv").annotations()
    (tmp_path / "photos.zip").write_text("")
    with pytest.raises(DatasetNotFoundError, match="zip' is not what was expected"):
        module(tmp_path / "photos.zip").annotations()


def test_name_that_is_not_utf8_is_refused(folders: Folders) -> None:
    root = folders({"Hat": 3, "Coat": 3})
    photo(root / "Hat" / "a.png").rename(root / "Hat" / os.fsdecode(b"caf\xe9.png"))
    with pytest.raises(DataError, match=r"'Hat/caf\\xe9\.png' is not UTF-8. Rename"):
        read_tree(root)
    (root / "Hat" / os.fsdecode(b"caf\xe9.png")).unlink()
    (root / os.fsdecode(b"H\xfcte")).mkdir()
    with pytest.raises(DataError, match=r"'H\\xfcte' is not UTF-8"):
        read_tree(root)


@pytest.fixture
def nobody() -> Iterator[None]:
    """Permissions bind, also where the tests are run by root."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


def test_folder_that_cannot_be_listed_is_told(
    folders: Folders, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    # Relative, since another user may not enter the folders above.
    monkeypatch.chdir(folders({"Hat": 3, "Coat": 3}))
    Path("Hat").chmod(0)
    request.getfixturevalue("nobody")
    with pytest.raises(DataError, match=r"'Hat': cannot be listed \(Permission deni"):
        read_tree(Path())


# Links


def test_links_to_folders_are_not_followed(folders: Folders) -> None:
    root = folders({"Hat": 3, "Coat": 3})
    (root / "Hat" / "up").symlink_to("..")
    (root / "Hat" / "itself").symlink_to("itself")
    (root / "Coats").symlink_to("Coat")
    (root / "elsewhere").symlink_to(root.parent)
    found = read_tree(root)
    assert len(found.table) == 6
    assert found.findings["links to folders, not followed"] == 3
    assert found.findings["files that are no images"] == 1


def test_link_to_an_image_may_not_lead_out(folders: Folders, tmp_path: Path) -> None:
    root = folders({"Hat": 3, "Coat": 3})
    (root / "Hat" / "again.png").symlink_to("../Coat/003.png")
    assert len(read_tree(root).table) == 7
    photo(tmp_path / "private.png")
    (root / "Hat" / "x.png").symlink_to("../../private.png")
    with pytest.raises(DataError, match=r"'Hat/x\.png': is a link that leads out of"):
        read_tree(root)


# Tables


@pytest.fixture
def table(folders: Folders) -> Callable[..., Path]:
    """Writes a CSV beside twelve images, ``photos/000.png`` and so on."""
    root = folders({"photos": 12})

    def write(
        rows: str | None = None, header: str = "path,label", name: str = "labels.csv"
    ) -> Path:
        if rows is None:
            labels = ["Hat", "Coat"] * 6
            lines = [f"photos/{i:03}.png,{label}" for i, label in enumerate(labels)]
            rows = "\n".join(lines)
        (root / name).write_text(f"{header}\n{rows}\n", encoding="utf-8")
        return root / name

    return write


def rows(*further: Callable[[int], str]) -> str:
    """Twelve rows of a path, a label and further cells."""
    cells = [
        [f"photos/{i:03}.png", ("Hat", "Coat")[i % 2], *(cell(i) for cell in further)]
        for i in range(12)
    ]
    return "\n".join(",".join(row) for row in cells)


def test_table_names_the_images(table: Callable[..., Path]) -> None:
    data = module(table=str(table()))
    assert data.class_names == ["Coat", "Hat"]
    assert data.name == "my photos"
    assert data.root.name == "my photos"
    labels = dict(zip(data.table["path"], data.table["label"], strict=True))
    assert labels == {f"photos/{i:03}.png": ("Hat", "Coat")[i % 2] for i in range(12)}
    assert list(data.table.columns) == ["path", "label", "sha256", "split"]


def test_table_may_lie_elsewhere(table: Callable[..., Path], tmp_path: Path) -> None:
    file = table().rename(tmp_path / "labels.csv")
    with pytest.raises(
        DataError, match=r"none of the 12 rows has an image: '.*/photos/000"
    ):
        module(table=str(file), root=None).annotations()
    assert len(module(tmp_path / "my photos", table=str(file)).table) == 12


def test_columns_may_have_other_names(table: Callable[..., Path]) -> None:
    file = table(
        rows(lambda i: f"p{i // 3}", lambda i: "test" if i < 3 else "Train"),
        header="file,kind,sender,part",
    )
    names = {"path": "file", "label": "kind", "group": "sender", "split": "part"}
    options: dict[str, Any] = {
        f"{ours}_column": theirs for ours, theirs in names.items()
    }
    data = module(table=str(file), **options)
    columns = ["path", "label", "group", "sha256", "split"]
    assert sorted(data.table.columns) == sorted(columns)
    assert set(data.table["split"][data.table["path"] < "photos/003"]) == {"test"}


def test_groups_bind_where_there_are_any(table: Callable[..., Path]) -> None:
    file = table(rows(lambda i: f"p{i // 2}"), header="path,label,group")
    data = module(table=str(file))
    assert (data.table.groupby("group")["split"].nunique() == 1).all()
    free = module(table=str(file), group_column=None)
    assert "group" not in free.table
    assert not free.groups_bind


def test_image_without_group_is_a_group_of_its_own(table: Callable[..., Path]) -> None:
    file = table(rows(lambda i: "p" if i < 2 else ""), header="path,label,group")
    data = module(table=str(file))
    assert data.source.findings["images without a group"] == 10
    assert data.table["group"].nunique() == 11


def test_splits_of_a_table_are_kept(table: Callable[..., Path]) -> None:
    parts = ["Train", "train", "valid", "validation", "test", "train"]
    file = table(rows(lambda i: parts[i % 6]), header="path,label,split")
    found = module(table=str(file)).table["split"].value_counts().to_dict()
    assert found == {"train": 6, "val": 4, "test": 2}


def test_further_columns_become_slices(table: Callable[..., Path]) -> None:
    file = table(
        rows(lambda i: "red" if i % 3 else "", lambda i: "f00d", lambda i: ""),
        header="path,label,colour,sha256,empty",
    )
    found = module(table=str(file)).table
    assert set(found["colour"]) == {"red", ""}
    assert "empty" not in found
    assert (found["sha256"] != "f00d").all()


def test_paths_and_labels_are_written_in_one_way(table: Callable[..., Path]) -> None:
    decomposed = unicodedata.normalize("NFD", "Jäckchen")
    text = f"photos\\000.png, {decomposed} \n./photos//001.png,Jäckchen\n"
    annotations = module(table=str(table(text + "photos/002.png,NA"))).annotations()
    assert list(annotations.table["path"]) == [f"photos/00{i}.png" for i in range(3)]
    assert list(annotations.table["label"]) == ["Jäckchen", "Jäckchen", "NA"]


def test_rows_without_image_are_counted(table: Callable[..., Path]) -> None:
    annotations = module(
        table=str(table(rows() + "\nphotos/none.png,Hat\n"))
    ).annotations()
    assert annotations.findings == {"rows": 13, "rows without an image": 1}
    assert len(annotations.table) == 12


@pytest.mark.parametrize(
    "path", ["../x.png", "photos/../../x.png", "/etc/x.png", "C:\\x.png", "..\\x", ""]
)
def test_path_that_leads_out_is_refused(
    table: Callable[..., Path], path: str, tmp_path: Path
) -> None:
    photo(tmp_path / "x.png")
    file = table(f"photos/000.png,Hat\n{path},Coat")
    with pytest.raises(DataError, match=r"labels\.csv: row 3 names the image '.*below"):
        module(table=str(file)).annotations()


def test_link_in_a_table_may_not_lead_out(
    table: Callable[..., Path], tmp_path: Path
) -> None:
    photo(tmp_path / "private" / "x.png")
    root = tmp_path / "my photos"
    (root / "out").symlink_to(tmp_path / "private")
    (root / "photos" / "x.png").symlink_to(tmp_path / "private" / "x.png")
    (root / "inside").symlink_to("photos")
    file = str(table("inside/000.png,Hat\nphotos/001.png,Coat"))
    assert len(module(table=file).annotations().table) == 2
    for path in ("out/x.png", "photos/x.png"):
        file = str(table(f"photos/000.png,Hat\n{path},Coat"))
        with pytest.raises(DataError, match="is a link that leads out of"):
            module(table=file).annotations()


@pytest.mark.parametrize(
    ("text", "header", "message"),
    [
        ("a,b", "image,label", "no column 'path' but image, label. .*path_column=COL"),
        ("a,b", "path,class", "no column 'label' but path, class. .*label_column=COL"),
        ("a;b", "path;label", "divided by ';', expected commas"),
        ("", "path,label", "has no rows"),
        ("a,Hat,red,new", "path,label", "needs quotes"),
        ("photos/000.png,Hat,dev", "path,label,split", "'photos/000.png' is 'dev'"),
        ("photos/000.png,Hat,", "path,label,split", r"is '' \(1 such.*column=null"),
        ("none.png,Hat", "path,label", "none of the 1 rows has an image"),
    ],
)
def test_malformed_table_is_refused(
    table: Callable[..., Path], text: str, header: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        module(table=str(table(text, header))).annotations()


@pytest.mark.parametrize("column", ["group_column", "split_column"])
def test_named_column_must_be_there(table: Callable[..., Path], column: str) -> None:
    options: dict[str, Any] = {column: "sender"}
    with pytest.raises(DataError, match="has no column 'sender'"):
        module(table=str(table()), **options).annotations()


def test_table_that_is_no_text_is_refused(table: Callable[..., Path]) -> None:
    file = table()
    file.write_bytes(b"path,label\ncaf\xe9.png,Hat\n")
    with pytest.raises(DataError, match=r"is not in UTF-8 \(.*Save it as such"):
        module(table=str(file)).annotations()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"\.csv: is empty\. Each image takes a row"),
        ("path;label\nphotos/000.png;Hat\n", "divided by ';', expected commas"),
        ("path\tlabel\nphotos/000.png\tHat\n", r"divided by '\\t', expected commas"),
    ],
)
def test_table_that_is_none_with_commas_is_refused(
    table: Callable[..., Path], content: str, message: str
) -> None:
    file = table()
    file.write_text(content)
    with pytest.raises(DataError, match=message):
        module(table=str(file)).annotations()


def test_byte_order_mark_and_windows_line_ends(table: Callable[..., Path]) -> None:
    file = table()
    content = file.read_bytes().replace(b"\n", b"\r\n")
    file.write_bytes(b"\xef\xbb\xbf" + content)
    assert module(table=str(file)).class_names == ["Coat", "Hat"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("photos/001.png,\n", "'photos/001.png' has no label"),
        ("photos//000.png,Hat\n", "'photos/000.png' is listed more than once"),
    ],
)
def test_rows_that_do_not_say_one_label(
    table: Callable[..., Path], text: str, message: str
) -> None:
    file = table(f"photos/000.png,Hat\nphotos/002.png,Coat\n{text}")
    with pytest.raises(DataError, match=message):
        _ = module(table=str(file)).table
