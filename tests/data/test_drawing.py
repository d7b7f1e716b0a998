import csv
import hashlib
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from clothing_lightning.data.drawing import LABELS, draw_sample
from clothing_lightning.errors import ConfigError, DataError


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "images.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.*"))
    }


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawing") / "sample"
    draw_sample(folder, images=120, size_px=32)
    return folder


def test_table_has_the_columns_of_the_real_data_set(sample: Path) -> None:
    assert list(rows(sample)[0]) == ["image", "sender_id", "label", "kids"]
    assert {row["kids"] for row in rows(sample)} == {"True", "False"}


def test_every_row_has_an_rgb_jpeg_of_the_size_asked_for(sample: Path) -> None:
    names = {row["image"] for row in rows(sample)}
    assert {path.stem for path in (sample / "images").iterdir()} == names
    for name in names:
        with Image.open(sample / "images" / f"{name}.jpg") as photo:
            photo.load()
            assert (photo.format, photo.mode, photo.size) == ("JPEG", "RGB", (32, 32))


def test_readme_says_that_the_images_are_synthetic(sample: Path) -> None:
    text = (sample / "README.txt").read_text(encoding="utf-8")
    assert "synthetic" in text
    assert "clothing_lightning" in text
    assert "CC0" in text


def test_labels_are_as_unequal_as_promised(sample: Path) -> None:
    counts = Counter(row["label"] for row in rows(sample))
    assert set(counts) == set(LABELS)
    ordered = [counts[label] for label in LABELS]
    assert ordered == sorted(ordered, reverse=True)
    assert ordered[0] == 10 * ordered[-1] == 30


def test_a_few_senders_send_most(sample: Path) -> None:
    counts = Counter(row["sender_id"] for row in rows(sample)).most_common()
    assert len(counts) >= 20
    assert sum(count for _, count in counts[:8]) > 120 / 3


def test_same_seed_draws_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        draw_sample(tmp_path / name, images=4, seed=7, size_px=48)
    assert digests(tmp_path / "first") == digests(tmp_path / "second")


def test_image_does_not_depend_on_how_many_are_drawn(
    sample: Path, tmp_path: Path
) -> None:
    draw_sample(tmp_path / "few", images=3, size_px=32)
    assert rows(tmp_path / "few") == rows(sample)[:3]
    few = digests(tmp_path / "few" / "images")
    assert few.items() <= digests(sample / "images").items()


def test_annotation_is_the_same_on_every_machine(sample: Path) -> None:
    assert rows(sample)[0] == {
        "image": "bee98d4d-f84f-48cd-8699-8b3aec16def4",
        "sender_id": "188",
        "label": "Outwear",
        "kids": "False",
    }


def test_other_seed_draws_other_images(sample: Path, tmp_path: Path) -> None:
    draw_sample(tmp_path / "other", images=3, seed=1, size_px=32)
    assert not set(digests(tmp_path / "other" / "images")) & set(digests(sample))


def test_progress_counts_the_images(tmp_path: Path) -> None:
    seen: list[int] = []
    draw_sample(tmp_path / "sample", images=3, size_px=32, progress=seen.append)
    assert seen == [1, 2, 3]


def test_interrupted_drawing_leaves_no_data_set_and_can_be_repeated(
    tmp_path: Path,
) -> None:
    def interrupt(done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    folder = tmp_path / "sample"
    with pytest.raises(KeyboardInterrupt):
        draw_sample(folder, images=3, size_px=32, progress=interrupt)
    assert not folder.exists()
    assert not (tmp_path / "sample.part" / "images.csv").exists()
    draw_sample(folder, images=3, seed=1, size_px=32)
    assert [path.name for path in tmp_path.iterdir()] == ["sample"]
    assert len(list((folder / "images").iterdir())) == 3


def test_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "sample").mkdir()
    draw_sample(tmp_path / "sample", images=1, size_px=32)
    assert len(rows(tmp_path / "sample")) == 1


def test_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="something is there already"):
        draw_sample(tmp_path, images=1, size_px=32)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_foreign_part_folder_is_left_alone(tmp_path: Path) -> None:
    foreign = tmp_path / "sample.part" / "mine.txt"
    foreign.parent.mkdir()
    foreign.write_text("mine")
    with pytest.raises(DataError, match=r"sample\.part: .* in the way"):
        draw_sample(tmp_path / "sample", images=1, size_px=32)
    assert foreign.read_text() == "mine"


@pytest.mark.parametrize(
    ("images", "seed", "size_px", "name"),
    [(0, 0, 32, "images"), (1, -1, 32, "seed"), (1, 0, 31, "size_px")],
)
def test_number_that_is_too_small_is_refused_by_name(
    tmp_path: Path, images: int, seed: int, size_px: int, name: str
) -> None:
    with pytest.raises(ConfigError, match=f"{name}: -?\\d+ is too small"):
        draw_sample(tmp_path / "s", images=images, seed=seed, size_px=size_px)
