import json
import logging
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pandas as pd
import pytest
import torch
from PIL import Image

from clothing_lightning.data.dataset import Batch, EpochSampler
from clothing_lightning.data.options import Preprocessing, Split
from clothing_lightning.data.table import Annotations, counts
from clothing_lightning.datamodules import base
from clothing_lightning.datamodules.clothing_dataset import ClothingDataset
from clothing_lightning.errors import ConfigError, DataError, ImageError

MakeDataset = Callable[..., Path]
HALVES = Split(val=0.25, test=0.25)


def module(root: Path, **kwargs: Any) -> ClothingDataset:
    defaults = {"batch_size": 4, "image_size": 16}
    return ClothingDataset(str(root), **(defaults | kwargs))


def transform(name: str, **arguments: Any) -> dict[str, Any]:
    return {"class_path": f"albumentations.{name}", "init_args": arguments}


def epoch_of(data: ClothingDataset, epoch: int, split: str = "train") -> list[Batch]:
    loader = getattr(data, f"{split}_dataloader")()
    loader.sampler.set_epoch(epoch)
    return [Batch(*batch) for batch in loader]


def numbers(batches: list[Batch]) -> list[int]:
    return [int(index) for batch in batches for index in batch.indices]


# The table


def test_table_has_splits_digests_and_further_columns(
    tiny_dataset: MakeDataset,
) -> None:
    data = module(tiny_dataset())
    columns = ["path", "label", "group", "kids", "sha256", "split"]
    assert list(data.table.columns) == columns
    assert data.table["path"].is_monotonic_increasing
    assert data.table["sha256"].str.fullmatch("[0-9a-f]{64}").all()
    assert data.table["sha256"].nunique() == 40
    assert data.class_names == ["Dress", "Hat", "Shirt"]
    # 14, 10 and 16 images; one of each goes to the test and one or two to val.
    assert data.train_counts == counts(data.table)["train"].to_list()
    assert sum(data.train_counts) == 32


def test_split_has_a_fingerprint(
    tiny_dataset: MakeDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tiny_dataset()
    data = module(root)
    assert data.split_digest == module(root).split_digest
    assert data.split_digest != module(root, split=HALVES).split_digest
    # It takes a second where there are many images.
    monkeypatch.setattr(base, "split_digest", None)
    assert len(data.split_digest) == 16


def test_part_is_in_the_order_of_the_batches(tiny_dataset: MakeDataset) -> None:
    data = module(tiny_dataset(), split=HALVES)
    data.setup("fit")
    rows = data.part("val")
    assert list(rows.index) == list(range(10))
    batches = epoch_of(data, 0, "val")
    assert numbers(batches) == list(range(10))
    labels = [data.class_names[label] for batch in batches for label in batch.labels]
    assert labels == rows["label"].to_list()


def test_split_and_fold_are_passed_on(tiny_dataset: MakeDataset) -> None:
    root = tiny_dataset()
    tested: list[str] = []
    for number in (1, 2, 3):
        tested += list(module(root, fold=f"{number} of 3").part("test")["path"])
    assert sorted(tested) == [f"images/{index:04}.jpg" for index in range(40)]
    grouped = module(root, split=Split("grouped", val=0.2, test=0.2)).table
    assert (grouped.groupby("group")["split"].nunique() == 1).all()


def test_class_names_are_those_of_the_images_used(
    tiny_dataset: MakeDataset, tmp_path: Path
) -> None:
    root = tiny_dataset()
    first = module(root, split=HALVES).table
    first[first["label"] != "Hat"].to_csv(tmp_path / "split.csv", index=False)
    data = module(root, split=Split("file", file=str(tmp_path / "split.csv")))
    assert data.class_names == ["Dress", "Shirt"]
    assert len(data.train_counts) == 2


def test_single_class_after_the_split_is_refused(
    tiny_dataset: MakeDataset, tmp_path: Path
) -> None:
    root = tiny_dataset()
    first = module(root, split=HALVES).table
    first[first["label"] == "Hat"].to_csv(tmp_path / "split.csv", index=False)
    data = module(root, split=Split("file", file=str(tmp_path / "split.csv")))
    with pytest.raises(DataError, match="the only class is 'Hat'"):
        _ = data.table


# What is left out or corrected


def test_excluded_labels_are_left_out_before_images_are_read(
    tiny_dataset: MakeDataset,
) -> None:
    root = tiny_dataset()
    (root / "images" / "0015.jpg").write_bytes(b"")  # a Hat
    data = module(root, exclude_labels=("Hat",))
    assert data.class_names == ["Dress", "Shirt"]
    assert data.source.findings["rows with an excluded label"] == 10
    assert len(data.table) == 30


def test_all_labels_excluded_is_told(tiny_dataset: MakeDataset) -> None:
    data = module(tiny_dataset(), exclude_labels=("Hat", "Dress", "Shirt"))
    with pytest.raises(DataError, match=r"no image is left\. Check the labels it excl"):
        _ = data.table


@pytest.mark.parametrize(
    ("least", "classes", "left_out"),
    [
        (10, ["Dress", "Hat", "Shirt"], 0),
        (11, ["Dress", "Shirt"], 10),
        (14, ["Dress", "Shirt"], 10),
    ],
)
def test_classes_with_as_many_images_as_asked_for_are_kept(
    tiny_dataset: MakeDataset, least: int, classes: list[str], left_out: int
) -> None:
    data = module(tiny_dataset(), min_images_per_class=least)
    assert data.class_names == classes
    what = f"rows of classes with fewer than {least} images"
    assert data.source.findings[what] == left_out


def test_only_one_class_with_enough_images_is_told(tiny_dataset: MakeDataset) -> None:
    data = module(tiny_dataset(), min_images_per_class=15)
    with pytest.raises(DataError, match="the only class is 'Shirt'"):
        _ = data.table


def test_corrections_are_applied_and_recorded(
    tiny_dataset: MakeDataset, tmp_path: Path
) -> None:
    file = tmp_path / "mine.csv"
    file.write_text(
        "path,label\nimages/0000.jpg,Hat\nimages/0001.jpg,\nimages/0002.jpg,Dress\n"
    )
    data = module(tiny_dataset(), corrections=str(file))
    rows = data.table.set_index("path")
    assert rows.loc["images/0000.jpg", "label"] == "Hat"
    assert rows["label_before"].dropna().to_dict() == {"images/0000.jpg": "Dress"}
    assert list(data.selected.dropped["path"]) == ["images/0001.jpg"]
    assert list(data.selected.dropped["reason"]) == ["dropped by mine.csv"]
    assert counts(data.table).sum(axis=1).to_dict() == {
        "Dress": 12,
        "Hat": 11,
        "Shirt": 16,
    }
    # They become an artifact of the run.
    assert json.loads(json.dumps(data.source.findings))["corrected labels"] == 1


def test_classes_are_counted_as_corrected(
    tiny_dataset: MakeDataset, tmp_path: Path
) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("path,label\nimages/0000.jpg,Hat\nimages/0001.jpg,Skip\n")
    data = module(tiny_dataset(), corrections=str(file), min_images_per_class=11)
    # One of 14 dresses became the 11th hat, another a label that is left out.
    assert counts(data.table).sum(axis=1).to_list() == [12, 11, 16]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\nimages/9999.jpg,Hat\n", "'images/9999.jpg' is not an image of"),
        ("path,kind\nimages/0000.jpg,Hat\n", "has no column 'label' but path, kind"),
        ("path,label\n" + "images/0000.jpg,Hat\n" * 2, "listed more than once"),
        (None, "corrections: '.*' is not a file"),
    ],
)
def test_corrections_that_do_not_fit_are_told(
    tiny_dataset: MakeDataset, tmp_path: Path, text: str | None, message: str
) -> None:
    if text is not None:
        (tmp_path / "mine.csv").write_text(text)
    data = module(tiny_dataset(), corrections=str(tmp_path / "mine.csv"))
    with pytest.raises(DataError, match=rf"{message}"):
        _ = data.table


def test_copies_are_dropped_where_that_is_asked_for(tiny_dataset: MakeDataset) -> None:
    root = tiny_dataset()
    folder = root / "images"
    for copy, original in (("0003", "0001"), ("0004", "0001"), ("0020", "0000")):
        shutil.copy(folder / f"{original}.jpg", folder / f"{copy}.jpg")
    assert len(module(root).table) == 40
    data = module(root, drop_duplicates=True)
    assert len(data.table) == 36
    assert data.selected.dropped.set_index("path")["reason"].to_dict() == {
        "images/0003.jpg": "same file as images/0001.jpg",
        "images/0004.jpg": "same file as images/0001.jpg",
        # A dress and a hat: nobody knows which.
        "images/0000.jpg": "same file as images/0000.jpg, other label",
        "images/0020.jpg": "same file as images/0000.jpg, other label",
    }
    assert data.table["sha256"].is_unique
    assert data.source.findings["dropped copies"] == 4


class Grouped(ClothingDataset):
    groups_bind = True


class Placed(ClothingDataset):
    groups_bind = True

    def annotations(self) -> Annotations:
        source = super().annotations()
        number = source.table["path"].str[-6:-4].astype(int)
        source.table["split"] = (number % 4).map(
            ["train", "train", "val", "test"].__getitem__
        )
        return source


def test_split_is_what_suits_the_data_unless_told(tiny_dataset: MakeDataset) -> None:
    root = str(tiny_dataset())
    options: dict[str, Any] = {"image_size": 16}
    split = Split(val=0.2, test=0.2)
    stratified = ClothingDataset(root, split=split, **options).table
    assert (stratified.groupby("group")["split"].nunique() > 1).any()
    grouped = Grouped(root, split=split, **options).table
    assert (grouped.groupby("group")["split"].nunique() == 1).all()
    own = Placed(root, split=split, **options).table
    assert own["split"].value_counts().to_dict() == {"train": 20, "val": 10, "test": 10}
    told = Placed(root, split=replace(split, method="stratified"), **options).table
    assert told["split"].equals(stratified["split"])


# Boxes


class Boxed(ClothingDataset):
    crop_to_boxes = True
    box = (4, 8, 14, 26)

    def annotations(self) -> Annotations:
        source = super().annotations()
        source.table[["left", "top", "right", "bottom"]] = self.box
        return source


def first_test_image(cls: type[ClothingDataset], root: Path) -> torch.Tensor:
    data = cls(str(root), image_size=16)
    data.setup("test")
    return epoch_of(data, 0, "test")[0].images[0]


def test_images_are_cut_to_their_boxes(tiny_dataset: MakeDataset) -> None:
    root = tiny_dataset()
    for path in (root / "images").iterdir():
        image = Image.new("RGB", (24, 32), "black")
        image.paste("white", Boxed.box)
        image.save(path, quality=100, subsampling=0)
    assert first_test_image(Boxed, root).min() > 240
    assert first_test_image(ClothingDataset, root).min() < 10


def test_boxes_end_where_the_image_ends(
    tiny_dataset: MakeDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tiny_dataset()
    monkeypatch.setattr(Boxed, "box", (-3, -1, 25, 999))
    whole = first_test_image(ClothingDataset, root)
    assert torch.equal(first_test_image(Boxed, root), whole)


@pytest.mark.parametrize("box", [(24, 0, 30, 9), (0, -9, 9, 0), (5, 5, 5, 9)])
def test_box_outside_of_its_image_is_told(
    tiny_dataset: MakeDataset, monkeypatch: pytest.MonkeyPatch, box: tuple[int, ...]
) -> None:
    monkeypatch.setattr(Boxed, "box", box)
    message = (
        r"the box of 'images/\d{4}\.jpg' lies outside of the image \(\d+ such rows"
    )
    with pytest.raises(DataError, match=message):
        first_test_image(Boxed, tiny_dataset())


# Sampling


def drawn(data: ClothingDataset, epoch: int) -> dict[str, list[str]]:
    """Paths of the images of each class in an epoch, as often as they are read."""
    rows = data.part("train")
    read = rows.iloc[numbers(epoch_of(data, epoch))]
    return {str(label): list(paths) for label, paths in read.groupby("label")["path"]}


def test_each_epoch_has_as_many_images_of_each_class_as_asked_for(
    tiny_dataset: MakeDataset,
) -> None:
    # 8 and 24 training images; 12 are more than the one class has, and fewer.
    split = Split(val=0.25, test=0.25)
    root = tiny_dataset({"Hat": 16, "Shirt": 48})
    data = module(root, images_per_class=12, split=split)
    data.setup("fit")
    assert data.train_counts == [8, 24]
    first, second = drawn(data, 0), drawn(data, 1)
    for epoch in (first, second):
        assert [len(epoch["Hat"]), len(epoch["Shirt"])] == [12, 12]
        # Every hat is read, and none twice as often as another.
        times = pd.Series(epoch["Hat"]).value_counts()
        assert sorted(times) == [1] * 4 + [2] * 4
        assert len(set(epoch["Shirt"])) == 12
    assert set(first["Shirt"]) != set(second["Shirt"])
    assert len(data.train_dataloader()) == 6


def test_balanced_sampling_reads_as_many_images_as_there_are(
    tiny_dataset: MakeDataset,
) -> None:
    root = tiny_dataset({"Hat": 16, "Shirt": 48})
    data = module(root, sampling="balanced", split=HALVES)
    data.setup("fit")
    assert [len(paths) for paths in drawn(data, 0).values()] == [16, 16]


def test_copies_are_augmented_each_in_its_own_way(tiny_dataset: MakeDataset) -> None:
    root = tiny_dataset({"Hat": 8, "Shirt": 8})
    options: dict[str, Any] = {"images_per_class": 12, "split": HALVES}
    data = module(root, augmentation="strong", batch_size=1, **options)
    data.setup("fit")
    seen: dict[int, list[torch.Tensor]] = {}
    for batch in epoch_of(data, 0):
        seen.setdefault(int(batch.indices), []).append(batch.images)
    assert [len(copies) for copies in seen.values()] == [3] * 8
    alike = [torch.equal(one, other) for one, other, _ in seen.values()]
    assert sum(alike) <= 1


@pytest.mark.parametrize(
    "options", [{"sampling": "balanced"}, {"images_per_class": 9}], ids=str
)
def test_sampled_order_is_a_function_of_seed_and_epoch(
    tiny_dataset: MakeDataset, options: dict[str, Any]
) -> None:
    root = tiny_dataset()
    orders = []
    for seed, epoch in ((5, 2), (5, 2), (5, 3), (6, 2)):
        data = module(root, seed=seed, **options)
        data.setup("fit")
        orders.append(numbers(epoch_of(data, epoch)))
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]
    assert orders[0] != orders[3]


@pytest.mark.parametrize("augmentation", ["light", "strong"])
@pytest.mark.parametrize(
    "options", [{"sampling": "balanced"}, {"images_per_class": 50}], ids=str
)
def test_no_copy_of_a_val_or_test_image_is_ever_trained_on(
    tiny_dataset: MakeDataset, options: dict[str, Any], augmentation: Any
) -> None:
    root = tiny_dataset()
    plain = module(root, split=HALVES)
    plain.setup("fit")
    data = module(root, split=HALVES, augmentation=augmentation, **options)
    data.setup("fit")
    # The split is the same, and so is what is validated and tested.
    assert data.table.astype(str).equals(plain.table.astype(str))
    for split in ("val", "test"):
        batches = epoch_of(data, 3, split)
        assert numbers(batches) == list(range(len(data.part(split))))
        for one, other in zip(batches, epoch_of(plain, 0, split), strict=True):
            assert torch.equal(one.images, other.images)
    held_out = data.table[data.table["split"] != "train"]
    assert len(held_out) == 20
    # What is not there cannot be trained on, under whatever name.
    for path in held_out["path"]:
        (root / path).unlink()
    read = {
        path
        for epoch in range(5)
        for paths in drawn(data, epoch).values()
        for path in paths
    }
    assert read == set(data.part("train")["path"])
    assert read.isdisjoint(held_out["path"])
    trained = data.table[data.table["path"].isin(read)]
    assert set(trained["sha256"]).isdisjoint(held_out["sha256"])


def test_two_ways_of_sampling_at_once_are_refused() -> None:
    message = r"images_per_class is 9 and .*sampling 'balanced'\. .*give one of them"
    with pytest.raises(ConfigError, match=message):
        module(Path(), images_per_class=9, sampling="balanced")


# Images that cannot be read


def huge_png() -> bytes:
    """A file of less than 100 bytes that claims 60,000 x 60,000 px."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + crc

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"\0"))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


BROKEN: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("text", lambda sound: b"<html>not found</html>", "is no image that can be read"),
    ("truncated", lambda sound: sound[: len(sound) // 2], "is damaged or cut short"),
    ("empty", lambda sound: b"", r"is empty \(0 bytes\)"),
    ("huge", lambda sound: huge_png(), "has 60,000 x 60,000 px, more than"),
]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [case[1:] for case in BROKEN],
    ids=[case[0] for case in BROKEN],
)
def test_unreadable_image_stops_with_its_path(
    tiny_dataset: MakeDataset, spoil: Callable[[bytes], bytes], message: str
) -> None:
    root = tiny_dataset()
    image = root / "images" / "0007.jpg"
    image.write_bytes(spoil(image.read_bytes()))
    with pytest.raises(ImageError, match=rf"{image}: {message}") as error:
        module(root).setup("fit")
    assert "--data.init_args.on_unreadable=drop" in str(error.value)
    assert "more)" not in str(error.value)


def test_unreadable_images_are_dropped_and_recorded(tiny_dataset: MakeDataset) -> None:
    root = tiny_dataset()
    for index, (_, spoil, _) in enumerate(BROKEN):
        image = root / "images" / f"{index:04}.jpg"
        image.write_bytes(spoil(image.read_bytes()))
    with pytest.raises(ImageError, match=r"0000\.jpg: .* \(and 3 more\)\. Replace or"):
        _ = module(root).table
    data = module(root, on_unreadable="drop")
    assert len(data.table) == 36
    assert data.source.findings["unreadable images"] == 4
    assert list(data.selected.dropped["path"]) == [
        f"images/000{i}.jpg" for i in range(4)
    ]
    assert set(data.selected.dropped["label"]) == {"Dress"}
    assert data.selected.dropped["sha256"].str.fullmatch("[0-9a-f]{64}").all()
    for reason, (_, _, message) in zip(
        data.selected.dropped["reason"], BROKEN, strict=True
    ):
        assert pd.Series([reason]).str.contains(message).all()


def test_nothing_is_dropped_from_sound_images(tiny_dataset: MakeDataset) -> None:
    data = module(tiny_dataset(), on_unreadable="drop")
    assert data.source.findings["unreadable images"] == 0
    assert len(data.selected.dropped) == 0
    assert "reason" in data.selected.dropped


def test_misspelt_label_to_exclude_is_told(tiny_dataset: MakeDataset) -> None:
    data = module(tiny_dataset(), exclude_labels=("Drss",))
    with pytest.raises(DataError, match=r"has the label 'Drss'\. Closest names: Dress"):
        _ = data.table
    # What just does not occur is no mistake.
    assert module(tiny_dataset(name="other"), exclude_labels=("Skip",)).class_names


def test_classes_that_are_all_too_small_are_told(tiny_dataset: MakeDataset) -> None:
    data = module(tiny_dataset(), min_images_per_class=100)
    with pytest.raises(DataError, match=r"no class has 100 images. Lower data\.init_"):
        _ = data.table


def test_nothing_left_to_train_on_is_told(tiny_dataset: MakeDataset) -> None:
    root = tiny_dataset({"Dress": 3, "Hat": 3})
    for image in (root / "images").iterdir():
        image.write_bytes(b"")
    with pytest.raises(DataError, match="clothing-dataset: no image is left"):
        _ = module(root, on_unreadable="drop").table


# Loading


@pytest.mark.parametrize(
    "augmentation",
    ["strong", [transform("InvertImg", p=0.4)]],
)
def test_batches_do_not_depend_on_the_number_of_workers(
    tiny_dataset: MakeDataset, augmentation: Any
) -> None:
    root = tiny_dataset()
    modules = [
        module(root, num_workers=workers, augmentation=augmentation, seed=5)
        for workers in (0, 2)
    ]
    epochs = []
    for data in modules:
        data.setup("fit")
        loader = data.train_dataloader()
        made = []
        for epoch in (0, 1):
            assert isinstance(loader.sampler, EpochSampler)
            loader.sampler.set_epoch(epoch)
            made.append([Batch(*batch) for batch in loader])
        epochs.append(made)
    for alone, by_workers in zip(*epochs, strict=True):
        assert len(alone) == len(by_workers) == 8
        for one, other in zip(alone, by_workers, strict=True):
            assert all(map(torch.equal, one, other))
    first, second = epochs[0]
    assert numbers(first) != numbers(second)
    by_number = [
        {int(i): x for b in batches for i, x in zip(b.indices, b.images, strict=True)}
        for batches in (first, second)
    ]
    changed = [not torch.equal(by_number[0][i], by_number[1][i]) for i in by_number[0]]
    assert sum(changed) > len(changed) / 4


def test_another_seed_is_another_order(tiny_dataset: MakeDataset) -> None:
    root = tiny_dataset()
    orders = []
    for seed in (0, 1):
        data = module(root, seed=seed)
        data.setup("fit")
        orders.append(numbers(epoch_of(data, 0)))
    assert orders[0] != orders[1]


def test_only_training_images_are_augmented(tiny_dataset: MakeDataset) -> None:
    data = module(tiny_dataset(), augmentation="strong", split=HALVES)
    data.setup("fit")
    for split in ("val", "test"):
        first, second = (epoch_of(data, epoch, split) for epoch in (0, 1))
        assert all(map(torch.equal, first[0], second[0]))


@pytest.mark.parametrize(
    ("batch_size", "sizes"), [(4, [4] * 8), (5, [5] * 6), (32, [32]), (64, [32])]
)
def test_last_batch_is_left_out_where_there_are_others(
    tiny_dataset: MakeDataset, batch_size: int, sizes: list[int]
) -> None:
    data = module(tiny_dataset(), batch_size=batch_size)
    data.setup("fit")
    assert [len(batch.labels) for batch in epoch_of(data, 0)] == sizes
    val = [len(batch.labels) for batch in epoch_of(data, 0, "val")]
    assert sum(val) == len(data.part("val"))


def test_devices_divide_the_images(tiny_dataset: MakeDataset) -> None:
    data = module(tiny_dataset(), batch_size=1, split=HALVES)
    data.setup("fit")
    seen: dict[str, list[int]] = {"train": [], "test": []}
    for rank in range(3):
        strategy = SimpleNamespace(root_device=torch.device("cpu"))
        trainer = SimpleNamespace(global_rank=rank, world_size=3, strategy=strategy)
        data.trainer = trainer  # type: ignore[assignment]
        for split, found in seen.items():
            found += numbers(epoch_of(data, 0, split))
    assert sorted(seen["test"]) == list(range(10))
    assert len(set(seen["train"])) == len(seen["train"]) == 18


def test_loader_keeps_workers_between_epochs_but_not_for_the_test(
    tiny_dataset: MakeDataset,
) -> None:
    data = module(tiny_dataset(), num_workers=1)
    data.setup("fit")
    assert data.train_dataloader().persistent_workers
    assert data.val_dataloader().persistent_workers
    assert not data.test_dataloader().persistent_workers
    assert not data.train_dataloader().pin_memory


def test_batches_are_normalised_after_the_transfer(tiny_dataset: MakeDataset) -> None:
    half = Preprocessing(16, mean=(0.0, 0.0, 0.0), std=(1 / 255,) * 3)
    data = module(tiny_dataset(), preprocessing=half, image_size=None)
    data.setup("fit")
    batch = epoch_of(data, 0)[0]
    assert (batch.images.shape, batch.images.dtype) == ((4, 16, 16, 3), torch.uint8)
    assert batch.labels.dtype == batch.indices.dtype == torch.int64
    made = data.on_after_batch_transfer(tuple(batch), 0)
    assert isinstance(made, Batch)
    assert made.images.shape == (4, 3, 16, 16)
    torch.testing.assert_close(
        made.images, batch.images.permute(0, 3, 1, 2).float(), rtol=0, atol=1e-3
    )
    assert torch.equal(made.labels, batch.labels)
    assert torch.equal(made.indices, batch.indices)


def test_training_size_and_image_size_can_differ(tiny_dataset: MakeDataset) -> None:
    data = module(tiny_dataset(), image_size=32, train_image_size=24)
    assert data.preprocessing.image_size == 32
    data.setup("fit")
    assert epoch_of(data, 0)[0].images.shape == (4, 24, 24, 3)
    assert epoch_of(data, 0, "val")[0].images.shape[1:] == (32, 32, 3)


def test_size_is_the_backbones_unless_given(tiny_dataset: MakeDataset) -> None:
    backbone = Preprocessing(48, mean=(0.5, 0.5, 0.5), crop_pct=0.9)
    data = module(tiny_dataset(), preprocessing=backbone, image_size=None)
    assert data.preprocessing == backbone
    assert data.train_image_size == 48
    data = module(tiny_dataset(name="b"), preprocessing=backbone, image_size=20)
    assert data.preprocessing == Preprocessing(20, mean=(0.5, 0.5, 0.5), crop_pct=0.9)


def test_image_of_exactly_the_size_is_cropped_like_the_others(
    tiny_dataset: MakeDataset,
) -> None:
    # A white frame of 3 of 48 px: the centre crop keeps 87.5 % of the side.
    root = tiny_dataset(size=(48, 48))
    for path in (root / "images").iterdir():
        photo = Image.new("RGB", (48, 48), "white")
        photo.paste("black", (2, 2, 46, 46))
        photo.save(path, quality=100, subsampling=0)
    data = module(root, image_size=48, augmentation="none")
    data.setup("fit")
    assert epoch_of(data, 0)[0].images.max() < 60
    assert epoch_of(data, 0, "val")[0].images.max() < 60


def test_given_transforms_are_used_for_training(tiny_dataset: MakeDataset) -> None:
    limits = {"brightness_limit": (-1, -1), "contrast_limit": (0, 0)}
    black = transform("RandomBrightnessContrast", **limits, p=1)
    data = module(tiny_dataset(), augmentation=[black])
    data.setup("fit")
    assert epoch_of(data, 0)[0].images.max() == 0
    assert epoch_of(data, 0, "val")[0].images.max() > 0


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("Normalize", {}, "augmentation: makes an image of type float32 .*Leave out"),
        (
            "RandomCrop",
            {"height": 500, "width": 500},
            r"augmentation: fails on .*\.jpg \(.*[Cc]rop",
        ),
    ],
)
def test_given_transforms_fail_before_the_training(
    tiny_dataset: MakeDataset, name: str, size: dict[str, int], message: str
) -> None:
    data = module(tiny_dataset(), augmentation=[transform(name, **size)])
    with pytest.raises(ConfigError, match=message):
        data.setup("fit")


class Mean(L.LightningModule):
    """Learns one number, and notes which images it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[list[int]] = []

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        self.seen.append(batch.indices.tolist())
        return (self.weight - batch.images.mean()) ** 2

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def fitted(data: ClothingDataset, **kwargs: Any) -> Mean:
    model = Mean()
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
        use_distributed_sampler=False,
        **kwargs,
    )
    trainer.fit(model, datamodule=data)
    return model


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_lightning_tells_the_epoch(tiny_dataset: MakeDataset) -> None:
    data = module(tiny_dataset(), augmentation="none")
    seen = fitted(data).seen
    expected = [
        batch.indices.tolist() for epoch in (0, 1) for batch in epoch_of(data, epoch)
    ]
    assert seen == expected


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_overfitting_to_one_batch_works(tiny_dataset: MakeDataset) -> None:
    seen = fitted(module(tiny_dataset()), overfit_batches=1).seen
    assert seen == [[0, 1, 2, 3]] * 2


# Numbers out of range


@pytest.mark.parametrize(
    ("option", "value", "least"),
    [
        ("batch_size", 0, 1),
        ("batch_size", -3, 1),
        ("num_workers", -1, 0),
        ("image_size", 0, 16),
        ("image_size", 15, 16),
        ("train_image_size", 0, 16),
        ("min_images_per_class", 0, 1),
        ("min_images_per_class", None, 1),
        ("images_per_class", 0, 1),
    ],
)
def test_number_out_of_range_is_refused_by_name(
    option: str, value: int | None, least: int
) -> None:
    message = f"data.init_args.{option} is {value}. The least is {least}"
    with pytest.raises(ConfigError, match=message):
        module(Path(), **{option: value})


@pytest.fixture
def three_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)


@pytest.mark.usefixtures("three_cores")
def test_more_workers_than_cores_are_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        assert ClothingDataset(num_workers=4).num_workers == 4
    assert "num_workers is 4, but this machine has 3 cores" in caplog.text


@pytest.mark.usefixtures("three_cores")
def test_as_many_workers_as_cores_are_no_news(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ClothingDataset(num_workers=3).num_workers == 3
    assert ClothingDataset().num_workers == 3
    assert ClothingDataset(num_workers=0).num_workers == 0
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    assert ClothingDataset().num_workers == 8
    assert caplog.text == ""


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    data = module(tmp_path / "none")
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    assert data.batch_size == 4
    assert list(tmp_path.iterdir()) == []
