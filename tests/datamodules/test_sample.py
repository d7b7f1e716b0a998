from pathlib import Path

import pytest

from clothing_lightning.data.drawing import LABELS
from clothing_lightning.data.options import Split
from clothing_lightning.datamodules import sample
from clothing_lightning.datamodules.sample import Sample
from clothing_lightning.errors import ConfigError, StorageError

# Rare classes have one image in forty: too few here for a split of their own.
SMALL = Split(val=0.2, test=0.2, small_classes="train")


def test_sample_is_drawn_into_the_cache_and_split(own_cache: Path) -> None:
    data = Sample(images=40, split=SMALL, image_size=32)
    assert len(data.table) == 40
    assert data.class_names == sorted(LABELS)
    assert data.root == own_cache / "sample-40-0"
    assert list(data.table.columns[:4]) == ["path", "label", "group", "kids"]
    assert all((data.root / path).is_file() for path in data.table["path"])
    data.setup("fit")
    images, *_ = next(iter(data.val_dataloader()))
    assert images.shape[1:] == (32, 32, 3)


def test_sample_says_that_it_is_synthetic() -> None:
    data = Sample()
    assert data.synthetic
    assert "synthetic" in data.name


def test_sample_is_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = Sample(images=3).annotations()
    monkeypatch.setattr(sample, "draw_sample", None)
    assert Sample(images=3).annotations().table.equals(first.table)


def test_other_drawing_seed_or_number_is_another_folder() -> None:
    made = [
        Sample(images=images, drawing_seed=seed).annotations()
        for images, seed in ((2, 0), (3, 0), (2, 1))
    ]
    assert len({found.root for found in made}) == 3
    assert len({tuple(found.table["path"]) for found in made}) == 3


def test_empty_folder_in_the_cache_is_filled(own_cache: Path) -> None:
    (own_cache / "sample-2-0").mkdir(parents=True)
    assert len(Sample(images=2).annotations().table) == 2


def test_number_of_images_starts_at_one() -> None:
    with pytest.raises(ConfigError, match="images: 0 is too small"):
        Sample(images=0).annotations()


def test_cache_that_cannot_be_written_is_told(own_cache: Path) -> None:
    own_cache.write_text("a file where the folder should be")
    with pytest.raises(
        StorageError, match=r"sample-2-0: cannot be written .* set CLOTHING_CACHE"
    ):
        Sample(images=2).annotations()
