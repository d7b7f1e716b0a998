import resource
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from clothing_lightning.datamodules.deepfashion import DeepFashion
from clothing_lightning.datamodules.deepfashion_lists import grown, read_list
from clothing_lightning.errors import ConfigError, DataError, DatasetNotFoundError
from tests.trees import deepfashion

CLOTH = "Anno/list_category_cloth.txt"
CATEGORY = "Anno/list_category_img.txt"
BOXES = "Anno/list_bbox.txt"
PARTITION = "Eval/list_eval_partition.txt"
FIRST = "img/Plain_No0_Anorak/img_00000000.jpg"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither real photos nor the folder that the tests are started in."""
    monkeypatch.delenv("CLOTHING_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


def module(root: Path, **kwargs: Any) -> DeepFashion:
    defaults: dict[str, Any] = {"image_size": 16}
    return DeepFashion(str(root), **(defaults | kwargs))


def rows(root: Path, **kwargs: Any) -> pd.DataFrame:
    return module(root, **kwargs).annotations().table


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


# Layouts


@pytest.mark.parametrize("annotations", ["Anno", "anno", "Anno_coarse", "anno_fine"])
@pytest.mark.parametrize("partition", ["Eval", "eval"])
def test_every_spelling_of_the_list_folders_is_read(
    tmp_path: Path, annotations: str, partition: str
) -> None:
    root = deepfashion(tmp_path, 8, annotations=annotations, partition=partition)
    assert len(rows(root)) == 8


def test_lists_can_lie_beside_the_images(tmp_path: Path) -> None:
    assert len(rows(deepfashion(tmp_path, 8, annotations="", partition=""))) == 8


@pytest.mark.parametrize(
    "photos",
    ["img", "Img", "Img/img", "IMG/img", "img_highres", "Img/img_highres", "img/img"],
)
def test_every_layout_of_the_images_is_read(tmp_path: Path, photos: str) -> None:
    root = deepfashion(tmp_path, 8, photos=photos)
    found = module(root).annotations()
    assert found.root == root
    assert found.table["path"][0] == f"{photos}/Plain_No0_Anorak/img_00000000.jpg"
    assert all((root / path).is_file() for path in found.table["path"])


def test_coarse_annotations_win_over_those_of_a_part(tmp_path: Path) -> None:
    deepfashion(tmp_path, 8, annotations="Anno_fine")
    deepfashion(tmp_path, 16, annotations="Anno_coarse")
    assert len(rows(tmp_path)) == 16


def test_resolution_is_chosen_where_there_are_both(tmp_path: Path) -> None:
    deepfashion(tmp_path, 8, photos="Img/img_highres")
    root = deepfashion(tmp_path, 8, photos="Img/img")
    assert rows(root, resolution="low")["path"].str.startswith("Img/img/").all()
    high = rows(root, resolution="high")["path"]
    assert high.str.startswith("Img/img_highres/").all()
    with pytest.raises(
        ConfigError, match=r"images of both resolutions\. Choose by --data\."
    ):
        rows(root)


def test_resolution_that_is_not_there_is_told(tmp_path: Path) -> None:
    root = deepfashion(tmp_path, 8)
    with pytest.raises(
        DatasetNotFoundError, match="img_highres' is not there, or has no folders"
    ):
        rows(root, resolution="high")


def test_missing_data_are_told_with_where_to_ask(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFoundError) as error:
        DeepFashion().annotations()
    message = str(error.value)
    assert "'data/deepfashion/Anno/list_category_img.txt' is not there" in message
    for part in (
        "https://mmlab.ie.cuhk.edu.hk/projects/DeepFashion/AttributePrediction.html",
        "agreement",
        "list_category_cloth.txt",
        "list_bbox.txt",
        "Eval/",
        "img_highres/",
        "--data.init_args.root=FOLDER",
        "CLOTHING_DATA",
    ):
        assert part in message


@pytest.mark.parametrize("name", [CLOTH, CATEGORY, BOXES, PARTITION])
def test_missing_list_is_named(tmp_path: Path, name: str) -> None:
    root = deepfashion(tmp_path, 8)
    (root / name).unlink()
    with pytest.raises(DatasetNotFoundError, match=rf"{name}' is not there"):
        rows(root, crop="bbox")


def test_boxes_are_not_needed_where_nothing_is_cropped(tmp_path: Path) -> None:
    root = deepfashion(tmp_path, 8)
    (root / BOXES).unlink()
    data = module(root)
    assert "left" not in data.annotations().table
    assert not data.crop_to_boxes


# What is read


def test_labels_garments_and_partition_are_those_of_the_lists(tmp_path: Path) -> None:
    table = rows(deepfashion(tmp_path, 96))
    assert list(table.columns) == ["path", "group", "split", "label"]
    assert table["label"].value_counts().to_dict() == {
        "Anorak": 24,
        "Blazer": 24,
        "Blouse": 24,
        "Bomber": 24,
    }
    assert table["group"].nunique() == 24
    assert table["split"].value_counts().to_dict() == {
        "train": 64,
        "val": 16,
        "test": 16,
    }
    # Garment 10 is the third one of the third category.
    assert table.iloc[43].to_dict() == {
        "path": "img/Plain_No10_Blouse/img_00000043.jpg",
        "group": "Plain_No10_Blouse",
        "split": "test",
        "label": "Blouse",
    }


def test_category_ids_count_the_rows_of_the_list_of_names(tmp_path: Path) -> None:
    root = deepfashion(tmp_path, 8)
    edit(root / CATEGORY, f"{FIRST.ljust(70)} 1\n", f"{FIRST.ljust(70)} 050\n")
    assert rows(root)["label"][0] == "Sundress"


def test_own_split_is_the_default_and_is_kept(tmp_path: Path) -> None:
    root = deepfashion(tmp_path, 96)
    listed = rows(root).set_index("path")["split"]
    used = module(root).table.set_index("path")["split"]
    assert used.to_dict() == listed.to_dict()


def test_names_of_folders_are_labels_if_asked_for(tmp_path: Path) -> None:
    root = deepfashion(tmp_path, 96)
    table = rows(root, labels="folder_name")
    assert (table["label"] == table["group"].str.rpartition("_")[2]).all()
    # Every seventh garment's folder names the next category: 6, 13 and 20 of 24.
    assert table["label"].value_counts().to_dict() == {
        "Bomber": 28,
        "Blazer": 24,
        "Blouse": 24,
        "Anorak": 20,
    }


def test_disagreement_of_the_two_labels_is_counted(tmp_path: Path) -> None:
    root = deepfashion(tmp_path, 96)
    for labels in ("benchmark", "folder_name"):
        data = module(root, labels=labels)
        # Three garments of four photos each.
        key = "rows whose folder names another category"
        assert data.annotations().findings[key] == 12
        ((what, _),) = data.remarks()
        assert "give 12.5% of the images another label" in what
        assert "most often Blazer for Anorak (4)." in what


def test_letter_case_is_no_disagreement(tmp_path: Path) -> None:
    root = deepfashion(tmp_path, 8)
    edit(root / CLOTH, "Anorak", "ANORAK")
    assert module(root).remarks() == []


def test_what_does_not_fit_is_counted(tmp_path: Path) -> None:
    root = deepfashion(tmp_path, 16)
    garment = root / "img" / "Plain_No0_Anorak"
    (garment / "img_00000000.jpg").rename(garment / "img_99999999.jpg")
    (garment / "img_00000001.jpg").unlink()
    (garment / "notes.txt").write_text("")
    (root / "img" / ".DS_Store").write_bytes(b"")
    found = module(root).annotations()
    assert len(found.table) == 14
    assert found.findings == {
        "rows": 16,
        "rows without an image": 2,
        "images without a row": 1,
        "rows whose folder names another category": 0,
    }


def test_tree_without_any_of_the_listed_images_is_told(tmp_path: Path) -> None:
    root = deepfashion(tmp_path, 4)
    (root / "img" / "Plain_No0_Anorak").rename(root / "img" / "Other")
    with pytest.raises(
        DataError, match=r"none of the 4 rows .* has an image: '.*img_0"
    ):
        rows(root)


# Boxes


def boxes(root: Path, **kwargs: Any) -> list[int]:
    table = rows(root, crop="bbox", **kwargs)
    return [int(table[side][0]) for side in ("left", "top", "right", "bottom")]


def test_boxes_of_low_resolution_are_those_of_the_list(tmp_path: Path) -> None:
    assert boxes(deepfashion(tmp_path, 8, size=(24, 32))) == [6, 8, 18, 24]


def test_margin_is_a_share_of_the_sides(tmp_path: Path) -> None:
    root = deepfashion(tmp_path, 8, size=(24, 32))
    assert boxes(root, margin=0.25) == [3, 4, 21, 28]
    assert boxes(root, margin=0.26) == [2, 3, 22, 29]  # outwards to whole pixels
    assert boxes(root, margin=2.0) == [0, 0, 42, 56]  # the image ends it later


def test_boxes_of_high_resolution_are_scaled_by_the_long_side(tmp_path: Path) -> None:
    root = deepfashion(tmp_path, 8, photos="img_highres", size=(450, 600))
    # Boxes are of images of 225 x 300 px: 56 75 168 225.
    assert boxes(root) == [112, 150, 336, 450]
    assert boxes(root, margin=0.5) == [0, 0, 448, 600]


def test_broken_image_of_high_resolution_is_left_to_the_check(tmp_path: Path) -> None:
    root = deepfashion(tmp_path, 96, photos="img_highres")
    (root / "img_highres/Plain_No0_Anorak/img_00000000.jpg").write_bytes(b"none")
    assert boxes(root)[:2] == [0, 0]
    data = module(root, crop="bbox", on_unreadable="drop")
    assert len(data.table) == 95


def test_images_are_cut_to_their_boxes(tmp_path: Path) -> None:
    root = deepfashion(tmp_path, 96, size=(24, 32))
    for photo in (root / "img").rglob("*.jpg"):
        image = Image.new("RGB", (24, 32), "black")
        image.paste("white", (6, 8, 18, 24))
        image.save(photo, quality=95)
    whole, cut = module(root), module(root, crop="bbox")
    means = []
    for data in (whole, cut):
        data.setup("fit")
        means.append(next(iter(data.test_dataloader()))[0].float().mean())
    assert means[0] < 128
    assert means[1] > 240


def test_boxes_are_scaled_each_by_its_own_image() -> None:
    given = pd.DataFrame({"left": [1, 1], "top": 2, "right": 3, "bottom": 4})
    assert grown(given, 0, pd.Series([1.0, 2.5]).to_numpy()).to_numpy().tolist() == [
        [1, 2, 3, 4],
        [2, 5, 8, 10],
    ]


@pytest.mark.parametrize("margin", [-0.1, float("nan"), float("inf")])
def test_margin_that_is_no_share_is_refused(tmp_path: Path, margin: float) -> None:
    with pytest.raises(ConfigError, match=r"margin is .*\. It is a share of the box"):
        module(tmp_path, crop="bbox", margin=margin)


@pytest.mark.parametrize(
    "box", ["18 8 6 24", "6 24 18 8", "6 8 6 24", "-9 8 0 24", "6 8 x 24", "6 8 1.5 24"]
)
def test_box_that_is_none_is_refused(tmp_path: Path, box: str) -> None:
    root = deepfashion(tmp_path, 8)
    edit(root / BOXES, "006 008 018 024", box)
    with pytest.raises(DataError, match=rf"box of '{FIRST}' is {box} \(1 such rows\)"):
        rows(root, crop="bbox")


def test_box_that_begins_outside_is_cut(tmp_path: Path) -> None:
    root = deepfashion(tmp_path, 8)
    edit(root / BOXES, "006 008 018 024", "-3 -1 18 24")
    assert boxes(root) == [0, 0, 18, 24]


# Malformed lists


@pytest.mark.parametrize("name", [CLOTH, CATEGORY, BOXES, PARTITION])
def test_byte_order_mark_windows_line_ends_and_empty_lines_are_read(
    tmp_path: Path, name: str
) -> None:
    root = deepfashion(tmp_path, 8)
    before = rows(root, crop="bbox")
    text = "\ufeff" + (root / name).read_text().replace("\n", "\r\n") + "\r\n \r\n"
    (root / name).write_bytes(text.encode())
    pd.testing.assert_frame_equal(rows(root, crop="bbox"), before)


def test_spaces_and_letters_of_all_kinds_can_be_in_names(tmp_path: Path) -> None:
    root = deepfashion(tmp_path, 8)
    for name in (CATEGORY, PARTITION):
        text = (root / name).read_text().replace("Plain_No0_Anorak", "Été  chic_Anorak")
        (root / name).write_text(text, encoding="utf-8")
    (root / "img/Plain_No0_Anorak").rename(root / "img/Été  chic_Anorak")
    assert rows(root)["group"][0] == "Été  chic_Anorak"


@pytest.mark.parametrize("name", [CLOTH, CATEGORY, BOXES, PARTITION])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n \r\n", "is empty"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\n" * 20, "is no text in UTF-8"),
        (
            b"3\nImage Name\nimg/\xe9t\xe9/a.jpg 1",
            r"no text in UTF-8 \(byte 17 is 0xe9",
        ),
        (bytes(300), "begins with "),
        (b"image_name category_label\nimg/a/b.jpg 1", "begins with 'image_name"),
        (b"<html>404</html>", "begins with '<html>"),
        (b"-1\na b\n", "begins with '-1'"),
        (b"1\n", "begins with '1'"),
        (b"9" * 5000 + b"\na b\n", "begins with '999"),
    ],
)
def test_file_that_is_no_list_is_refused(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    root = deepfashion(tmp_path, 8)
    (root / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}: .*{message}") as error:
        rows(root, crop="bbox")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", [CLOTH, CATEGORY, BOXES, PARTITION])
@pytest.mark.parametrize("count", ["0", "7", "9", "289222"])
def test_wrong_count_is_refused(tmp_path: Path, name: str, count: str) -> None:
    root = deepfashion(tmp_path, 8)
    lines = (root / name).read_text().splitlines()
    (root / name).write_text("\n".join([count, *lines[1:]]))
    said, there = f"{int(count):,}", lines[0]
    with pytest.raises(DataError, match=rf"says {said} rows, and there are {there}\."):
        rows(root, crop="bbox")


@pytest.mark.parametrize("name", [CLOTH, CATEGORY, BOXES, PARTITION])
def test_missing_header_is_told(tmp_path: Path, name: str) -> None:
    root = deepfashion(tmp_path, 8)
    lines = (root / name).read_text().splitlines()
    (root / name).write_text("\n".join([lines[0], *lines[2:]]))
    with pytest.raises(DataError, match="as its second line, expected the names of"):
        rows(root, crop="bbox")


def test_list_without_rows_is_told(tmp_path: Path) -> None:
    root = deepfashion(tmp_path, 8)
    (root / CATEGORY).write_text("0\nimage_name category_label\n")
    with pytest.raises(DataError, match="says 0 rows, and there are 0"):
        rows(root)


def test_missing_column_is_told(tmp_path: Path) -> None:
    root = deepfashion(tmp_path, 8)
    edit(root / BOXES, "  y_2", "")
    with pytest.raises(DataError, match="expected the names of 5 columns"):
        rows(root, crop="bbox")


def test_row_that_is_too_short_is_shown(tmp_path: Path) -> None:
    root = deepfashion(tmp_path, 8)
    edit(root / CATEGORY, f"{FIRST.ljust(70)} 1\n", f"{FIRST}\n")
    with pytest.raises(
        DataError, match=rf"the row '{FIRST}' has 1 columns, expected 2"
    ):
        rows(root)


@pytest.mark.parametrize("number", ["0", "51", "-1", "x", "1.0", "٣"])
def test_unknown_category_is_refused(tmp_path: Path, number: str) -> None:
    root = deepfashion(tmp_path, 8)
    edit(root / CATEGORY, f"{FIRST.ljust(70)} 1\n", f"{FIRST} {number}\n")
    with pytest.raises(
        DataError,
        match=rf"category of '{FIRST}' is '{number}' \(1 such.* from 1 to 50, the rows",
    ):
        rows(root)


@pytest.mark.parametrize(
    "path",
    [
        "img/../secret.jpg",
        "img/../../secret/a.jpg",
        "../img/a/b.jpg",
        "/etc/a/passwd",
        "img/a/..",
        "img/a.jpg",
        "img/a/b/c.jpg",
        "other/a/b.jpg",
        "img//b.jpg",
        "img/a\\b/c.jpg",
        "C:/a/b.jpg",
        "img/a\x00/b.jpg",
    ],
)
def test_paths_that_lead_elsewhere_are_refused(tmp_path: Path, path: str) -> None:
    root = deepfashion(tmp_path, 8)
    edit(root / CATEGORY, FIRST, path)
    with pytest.raises(DataError, match="is no path of an image") as error:
        rows(root)
    assert repr(path) in str(error.value)


@pytest.mark.parametrize("name", [CATEGORY, BOXES, PARTITION])
def test_image_with_two_rows_is_refused(tmp_path: Path, name: str) -> None:
    root = deepfashion(tmp_path, 8)
    edit(root / name, "img_00000001", "img_00000000")
    with pytest.raises(DataError, match=rf"{name}: '{FIRST}' is listed more than once"):
        rows(root, crop="bbox")


@pytest.mark.parametrize("name", [BOXES, PARTITION])
def test_image_that_a_list_lacks_is_named(tmp_path: Path, name: str) -> None:
    root = deepfashion(tmp_path, 8)
    edit(root / name, "img_00000000", "img_00000100")
    with pytest.raises(DataError, match=rf"{name}: has no row for '{FIRST}' \(1 such"):
        rows(root, crop="bbox")


def test_unknown_part_is_refused(tmp_path: Path) -> None:
    root = deepfashion(tmp_path, 8)
    edit(root / PARTITION, "train", "query")
    with pytest.raises(
        DataError,
        match=rf"puts '{FIRST}' into 'query' \(1 such rows\), .* another benc",
    ):
        rows(root)


def test_lists_may_be_in_different_orders(tmp_path: Path) -> None:
    root = deepfashion(tmp_path, 96)
    before = rows(root, crop="bbox")
    for name in (BOXES, PARTITION):
        count, header, *lines = (root / name).read_text().splitlines()
        (root / name).write_text("\n".join([count, header, *reversed(lines)]))
    pd.testing.assert_frame_equal(rows(root, crop="bbox"), before)


# Size


def test_whole_benchmark_is_read_quickly_and_in_little_memory(tmp_path: Path) -> None:
    head = "289222\nimage_name x_1 y_1 x_2 y_2\n"
    lines = (
        f"img/Garment_No{n // 52}_Dress/img_{n:08}.jpg      1 2 3 4\n"
        for n in range(289_222)
    )
    (tmp_path / "list.txt").write_text(head + "".join(lines))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    table = read_list(tmp_path / "list.txt", ("path", "a", "b", "c", "d"))
    assert len(table) == 289_222
    assert time.process_time() - start < 3  # of which it takes a quarter
    added = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert added < 400 << 10  # KiB
