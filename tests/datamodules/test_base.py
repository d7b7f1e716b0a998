import logging
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pandas as pd
import pytest
import torch
from PIL import Image

from clothing_lightning.data.dataset import Batch, EpochSampler
from clothing_lightning.data.options import Preprocessing, Split, Transform
from clothing_lightning.data.table import counts
from clothing_lightning.datamodules.clothing_dataset import ClothingDataset
from clothing_lightning.errors import ConfigError, DataError, ImageError

MakeDataset = Callable[..., Path]
HALVES = Split(val=0.25, test=0.25)


def module(root: Path, **kwargs: Any) -> ClothingDataset:
    defaults = {"batch_size": 4, "num_workers": 0, "image_size": 16}
    return ClothingDataset(str(root), **(defaults | kwargs))


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
    assert list(data.dropped["path"]) == [f"images/000{i}.jpg" for i in range(4)]
    assert set(data.dropped["label"]) == {"Dress"}
    assert data.dropped["sha256"].str.fullmatch("[0-9a-f]{64}").all()
    for reason, (_, _, message) in zip(data.dropped["reason"], BROKEN, strict=True):
        assert pd.Series([reason]).str.contains(message).all()


def test_nothing_is_dropped_from_sound_images(tiny_dataset: MakeDataset) -> None:
    data = module(tiny_dataset(), on_unreadable="drop")
    assert data.source.findings["unreadable images"] == 0
    assert len(data.dropped) == 0
    assert "reason" in data.dropped


def test_nothing_left_to_train_on_is_told(tiny_dataset: MakeDataset) -> None:
    root = tiny_dataset({"Dress": 3, "Hat": 3})
    for image in (root / "images").iterdir():
        image.write_bytes(b"")
    with pytest.raises(DataError, match="clothing-dataset: no image is left"):
        _ = module(root, on_unreadable="drop").table


# Loading


@pytest.mark.parametrize(
    "augmentation",
    ["strong", [Transform("albumentations.InvertImg", {"p": 0.4})]],
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
    black = Transform(
        "albumentations.RandomBrightnessContrast",
        {"brightness_limit": (-1, -1), "contrast_limit": (0, 0), "p": 1},
    )
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
    transform = Transform(f"albumentations.{name}", size)
    data = module(tiny_dataset(), augmentation=[transform])
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
    ],
)
def test_number_out_of_range_is_refused_by_name(
    option: str, value: int, least: int
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
