"""What the data modules of all data sets share."""

import logging
from abc import abstractmethod
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import lightning as L
from torch.utils.data import DataLoader

from clothing_lightning.data.dataset import (
    Batch,
    EpochSampler,
    PhotoDataset,
    PhotoLoader,
    start_worker,
    usable_cores,
)
from clothing_lightning.data.options import (
    AugmentationPolicy,
    Preprocessing,
    Sampling,
    Selection,
    Split,
)
from clothing_lightning.data.table import Annotations, check_table, counts, split_digest
from clothing_lightning.errors import ConfigError, DataError

if TYPE_CHECKING:
    import pandas as pd

    from clothing_lightning.data.augmentation import AnyTransform, Pipeline
    from clothing_lightning.data.selection import Selected

log = logging.getLogger(__name__)


class PhotoDataModule(L.LightningDataModule):
    """Photos with one label each, divided into train, val and test.

    A leaf says where the files lie and what their labels are (`annotations`);
    everything else is done here, on the annotation table.
    """

    name: str
    licence: str | None = None  # of the photos, where it is known
    group_noun = "group"  # what a group is, in messages
    groups_bind = False  # whether splits keep groups together unless told otherwise
    crop_to_boxes = False  # whether images are cut to the table's boxes

    def __init__(  # noqa: PLR0913  each is a line of the YAML
        self,
        *,
        split: Split = Split(),  # noqa: B008  frozen
        fold: str | None = None,
        exclude_labels: tuple[str, ...] = (),
        min_images_per_class: int = 1,
        corrections: str | None = None,
        drop_duplicates: bool = False,
        sampling: Sampling = "all",
        images_per_class: int | None = None,
        augmentation: AugmentationPolicy | list[dict[str, Any]] = "light",
        preprocessing: Preprocessing = Preprocessing(),  # noqa: B008  frozen
        image_size: int | None = None,
        train_image_size: int | None = None,
        batch_size: int = 32,
        num_workers: int | None = None,
        on_unreadable: Literal["error", "drop"] = "error",
        seed: int = 0,
    ) -> None:
        """Describe the data; nothing is read yet.

        Args:
            split: How the images are divided into train, val and test.
            fold: The part of a cross-validation that is the test split, such as
                ``2 of 5``.
            exclude_labels: Labels to leave out.
            min_images_per_class: Leave out classes with fewer images than this, counted
                before unreadable ones and copies are dropped.
            corrections: A CSV with ``path`` and ``label``: labels that are right, or
                empty for images to leave out. See ``prepare``.
            drop_duplicates: Keep one of each set of identical files, and none where
                their labels differ.
            sampling: ``all``: each training image once an epoch; ``balanced``: every
                class equally often, with as many images in all.
            images_per_class: Train on this many images of each class in an epoch:
                others each epoch of a class that has more, and repeated ones, each
                augmented in its own way, of a class that has fewer. Splits are made
                before, so that no copy of a test image is trained on.
            augmentation: How training images are changed at random: ``none``,
                ``light`` (flip, shift, scale, rotate), ``strong`` (random resized
                crop, flip, rotation, colour), or a list of albumentations transforms,
                each with ``class_path`` and ``init_args``.
            preprocessing: What the backbone expects of images; linked to the model.
            image_size: Height and width in pixels, instead of the backbone's own.
            train_image_size: Height and width for training alone. Objects in random
                crops look larger, so training on smaller images than testing is
                cheaper and often better (Touvron et al. 2019, arXiv:1906.06423).
            batch_size: Images in a batch, on each device.
            num_workers: Processes that read images; by default one for each core,
                at most eight.
            on_unreadable: ``error`` stops before training with the path of an image
                that cannot be read; ``drop`` leaves it out and records that.
            seed: The seed of the order and the augmentation of the images; linked to
                ``seed_everything``.

        Raises:
            ConfigError: If a number is out of range.
        """
        super().__init__()
        for option, value, least in (
            ("batch_size", batch_size, 1),
            ("num_workers", num_workers, 0),
            ("image_size", image_size, 16),
            ("train_image_size", train_image_size, 16),
            ("min_images_per_class", min_images_per_class, 1),
            ("images_per_class", images_per_class, 1),
        ):
            needed = option in ("batch_size", "min_images_per_class")
            if (value is None and needed) or (value is not None and value < least):
                raise ConfigError(
                    f"data.init_args.{option} is {value}. The least is {least}."
                )
        if images_per_class is not None and sampling != "all":
            raise ConfigError(
                f"data.init_args.images_per_class is {images_per_class} and "
                f"data.init_args.sampling {sampling!r}. Both say how often a class is "
                "seen: give one of them."
            )
        self.split = split
        self.fold = fold
        self.selection = Selection(
            exclude_labels,
            min_images_per_class,
            corrections,
            drop_duplicates,
            on_unreadable,
        )
        self.sampling: Sampling = sampling
        self.images_per_class = images_per_class
        self.augmentation: AugmentationPolicy | list[AnyTransform]
        if isinstance(augmentation, str):
            self.augmentation = augmentation
        else:
            from clothing_lightning.data.augmentation import build

            self.augmentation = [build(transform) for transform in augmentation]
        size = image_size or preprocessing.image_size
        self.preprocessing = replace(preprocessing, image_size=size)
        self.train_image_size = train_image_size or size
        self.batch_size = batch_size
        self.num_workers = _worker_count(num_workers)
        self.seed = seed

    @abstractmethod
    def annotations(self) -> Annotations:
        """Read the annotation table; the images themselves are not opened."""

    def annotations_of_rows(
        self, root: Path, table: "pd.DataFrame", photos: set[str], listing: str
    ) -> Annotations:
        """Keep the rows of a list whose image is there, and count the others.

        Paths in the table and those of all photos on disk are relative to the root;
        ``listing`` is the name of the list in messages.

        Raises:
            DataError: If there are rows, and none has an image.
        """
        paths = table["path"].to_list()
        there = [path in photos for path in paths]  # `isin` takes ten times as long
        if paths and not any(there):
            raise DataError(
                f"{type(self).__name__}: none of the {len(paths):,} rows of {listing} "
                f"has an image: '{root / paths[0]}' and the others are not there."
            )
        findings = {
            "rows": len(paths),
            "rows without an image": there.count(False),
            "images without a row": len(photos.difference(paths)),
        }
        return Annotations(root, table[there].reset_index(drop=True), findings)

    def remarks(self) -> list[tuple[str, str]]:
        """Return facts that an audit should state, each with what is to be done."""
        return []

    @cached_property
    def selected(self) -> "Selected":
        """The images that are used, and those that were left out."""
        # Here, since it imports pandas, and a misspelt key should be told before.
        from clothing_lightning.data.selection import select

        return select(
            self.annotations(), self.selection, name=self.name, workers=self.num_workers
        )

    @property
    def source(self) -> Annotations:
        """The annotations of the images that are used, with the digest of each file."""
        return self.selected.source

    @cached_property
    def table(self) -> "pd.DataFrame":
        """The annotation table with ``split`` and ``sha256``, sorted by path.

        Raises:
            DatasetNotFoundError: If the data set is not where it was looked for.
            DataError: If it cannot be read, or cannot be divided as was asked for.
        """
        from clothing_lightning.data.splits import assign_splits

        table = assign_splits(
            self.source.table, self.split, self.fold, groups_bind=self.groups_bind
        )
        check_table(table, self.name)
        return table

    @cached_property
    def split_digest(self) -> str:
        """Fingerprint of all images, their labels and their splits."""
        return split_digest(self.table)

    @property
    def root(self) -> Path:
        """The folder that paths in the table are relative to."""
        return self.source.root

    @cached_property
    def class_names(self) -> list[str]:
        """The classes, sorted by name; a class's number is its place here."""
        return sorted(set(self.table["label"]))

    @cached_property
    def train_counts(self) -> list[int]:
        """Training images of each class, in class order."""
        return [int(n) for n in counts(self.table)["train"]]

    def part(self, split: str) -> "pd.DataFrame":
        """Return the rows of one split, in the order in which batches index them."""
        return self.table[self.table["split"] == split].reset_index(drop=True)

    def setup(self, stage: str) -> None:
        """Build the data sets; Lightning calls this.

        Raises:
            ConfigError: If the user's transforms fail on the first training image.
        """
        from clothing_lightning.data.augmentation import Pipeline, policy_transforms

        size, crop_pct = self.train_image_size, self.preprocessing.crop_pct
        transforms = self.augmentation
        if isinstance(transforms, str):
            transforms = policy_transforms(transforms, size, crop_pct)
        plain = Pipeline([], self.preprocessing.image_size, crop_pct)
        self.datasets = {
            "train": self._dataset("train", Pipeline(transforms, size, crop_pct)),
            "val": self._dataset("val", plain),
            "test": self._dataset("test", plain),
        }
        if transforms is self.augmentation:
            _check_transforms(self.datasets["train"])

    def _dataset(self, split: str, pipeline: "Pipeline") -> PhotoDataset:
        rows = self.part(split)
        number = {name: index for index, name in enumerate(self.class_names)}
        labels = rows["label"].map(number).to_list()
        boxes = None
        if self.crop_to_boxes:
            from clothing_lightning.data.selection import clipped_boxes

            boxes = clipped_boxes(rows, self.selected.inspected, self.name)
        names = list(rows["path"])
        return PhotoDataset(self.root, names, labels, pipeline, self.seed, boxes)

    def _loader(self, split: str) -> DataLoader[Any]:
        dataset = self.datasets[split]
        training = split == "train"
        trainer = self.trainer
        per_class = self.images_per_class
        if self.sampling == "balanced":
            present = [count for count in self.train_counts if count]
            per_class = round(sum(present) / len(present))
        sampler = EpochSampler(
            dataset.labels,
            seed=self.seed,
            shuffle=training,
            per_class=per_class if training else None,
            rank=trainer.global_rank if trainer else 0,
            devices=trainer.world_size if trainer else 1,
        )
        return PhotoLoader(
            dataset,
            self.batch_size,
            sampler=sampler,
            # A last batch of one image would end batch norm's statistics.
            drop_last=training and len(sampler) > self.batch_size,
            num_workers=self.num_workers,
            # Test images are read once: workers that stayed would only cost memory.
            persistent_workers=self.num_workers > 0 and split != "test",
            pin_memory=trainer is not None
            and trainer.strategy.root_device.type == "cuda",
            worker_init_fn=start_worker,
        )

    def train_dataloader(self) -> DataLoader[Any]:
        """Return a loader of augmented training images."""
        return self._loader("train")

    def val_dataloader(self) -> DataLoader[Any]:
        """Return a loader of validation images."""
        return self._loader("val")

    def test_dataloader(self) -> DataLoader[Any]:
        """Return a loader of test images."""
        return self._loader("test")

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Batch:
        """Normalise a batch on the device."""
        images, labels, indices = batch
        return Batch(self.preprocessing.normalise(images), labels, indices)


def _check_transforms(dataset: PhotoDataset) -> None:
    """Let a user's transforms fail here, not in the middle of a worker's traceback."""
    try:
        dataset[0]
    except ConfigError:
        raise
    except Exception as err:  # whatever the transforms raise
        raise ConfigError(
            f"data.init_args.augmentation: fails on {dataset.path(0)} "
            f"({' '.join(str(err).split()) or type(err).__name__})."
        ) from err


def _worker_count(requested: int | None) -> int:
    cores = usable_cores()
    if requested is None:
        return min(cores, 8)
    if requested > cores:
        log.warning(
            f"data.init_args.num_workers is {requested}, but this machine has {cores} "
            f"cores: workers will wait for each other. {cores} would do."
        )
    return requested
