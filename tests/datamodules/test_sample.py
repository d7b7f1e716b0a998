from pathlib import Path

from PIL import Image

from clothing_lightning.datamodules.sample import PHOTOS, Sample

LABELS = (
    *("Dress", "Hat", "Longsleeve", "Outwear", "Pants"),
    *("Shirt", "Shoes", "Shorts", "Skirt", "T-Shirt"),
)


def test_every_class_has_as_many_photos() -> None:
    data = Sample()
    assert data.root == PHOTOS
    assert data.table["label"].value_counts().to_dict() == dict.fromkeys(LABELS, 48)
    assert data.table["sha256"].is_unique
    assert data.table["kids"].any()


def test_photos_of_a_sender_are_on_one_side() -> None:
    table = Sample().table
    assert set(table["split"]) == {"train", "val", "test"}
    assert (table.groupby("group")["split"].nunique() == 1).all()


def test_photos_are_small_and_none_lacks_its_row() -> None:
    files = [file for file in PHOTOS.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 3_000_000
    photos = {file for file in files if file.suffix == ".jpg"}
    assert photos == {PHOTOS / path for path in Sample().annotations().table["path"]}
    assert {short_side_px(file) for file in photos} == {160}


def short_side_px(file: Path) -> int:
    with Image.open(file) as image:
        return min(image.size)


def test_batches_are_read() -> None:
    data = Sample(image_size=32, num_workers=0)
    data.setup("fit")
    images, *_ = next(iter(data.val_dataloader()))
    assert images.shape[1:] == (32, 32, 3)
