"""Images of one split, and the order in which they are read."""

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from clothing_lightning.data.decoding import read_image
from clothing_lightning.errors import ImageError

if TYPE_CHECKING:
    from clothing_lightning.data.augmentation import Pipeline


class Batch(NamedTuple):
    """A batch as loaders yield and training steps receive it.

    Attributes:
        images: uint8 ``[N, H, W, 3]`` from the loader; float32 ``[N, 3, H, W]``,
            normalised, in the steps.
        labels: int64 ``[N]``.
        indices: int64 ``[N]``, the row of each image in the split's table.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor


class Place(NamedTuple):
    """An image that is read.

    Attributes:
        epoch: The epoch in which it is read.
        number: The row of the image in the table of the split.
        copy: How often it has been read in this epoch before.
    """

    epoch: int
    number: int
    copy: int = 0


class PhotoDataset(Dataset[tuple[Tensor, int, int]]):
    """Decodes and augments one image at a time."""

    def __init__(
        self,
        root: Path,
        names: Sequence[str],
        labels: Sequence[int],
        pipeline: "Pipeline",
        seed: int,
        boxes: "np.ndarray[Any, Any] | None" = None,
    ) -> None:
        """Refer to images; nothing is read yet.

        Args:
            root: The folder that names are relative to.
            names: Paths of the image files.
            labels: The class number of each image.
            pipeline: What makes the network's input of a decoded photo.
            seed: The seed of the augmentation.
            boxes: Left, top, right and bottom of the part of each image that is used,
                in pixels, ``[N, 4]``; by default the whole image.
        """
        self.root = root
        # One block of memory that forked workers share; text would take four times it.
        self.names = np.array([os.fsencode(name) for name in names])
        self.labels = np.asarray(labels, dtype=np.int64)
        self.pipeline = pipeline
        self.seed = seed
        self.boxes = boxes

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.names)

    def path(self, index: int) -> Path:
        """Return the path of an image."""
        return self.root / os.fsdecode(self.names[index])

    def __getitem__(self, place: Place | int) -> tuple[Tensor, int, int]:
        """Return the image, its label and its index.

        A number alone, as of Lightning's own sampler for ``overfit_batches``, is read
        as in epoch 0.
        """
        epoch, index, *copy = place if isinstance(place, tuple) else (0, place)
        image = read_image(self.path(index))
        if self.boxes is not None:
            left, top, right, bottom = self.boxes[index]
            image = image[top:bottom, left:right]
        entropy = (self.seed, epoch, index, *(number for number in copy if number))
        (seed,) = np.random.SeedSequence(entropy).generate_state(1)
        image = self.pipeline(image, seed=int(seed))
        # Decoded images are read-only, which torch has no notion of.
        image = np.require(image, requirements=["C", "W"])
        return torch.from_numpy(image), self.labels[index], index


class UnlabelledPhotos(Dataset[Tensor | ImageError]):
    """Photos whose class is to be predicted; an item that cannot be read is an error.

    They are read by a `PhotoDataset`, so that a network gets the same pixels as in its
    test.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        pipeline: "Pipeline",
        boxes: "np.ndarray[Any, Any] | None" = None,
    ) -> None:
        """Refer to photos, with the pipeline and the boxes of a `PhotoDataset`."""
        names = [os.fspath(path) for path in paths]
        labels = [0] * len(names)
        self.photos = PhotoDataset(Path(), names, labels, pipeline, 0, boxes)

    def __len__(self) -> int:
        """Return the number of photos."""
        return len(self.photos)

    def __getitem__(self, index: int) -> Tensor | ImageError:
        """Return a photo, uint8 ``[H, W, 3]``, or the reason that it cannot be read."""
        try:
            return self.photos[index][0]
        except ImageError as err:
            return err

    def batches(
        self, batch_size: int, workers: int
    ) -> Iterator[tuple[Tensor | None, list[ImageError | None]]]:
        """Read all photos in order.

        Args:
            batch_size: Number of photos in a batch, unreadable ones included.
            workers: Number of processes that read; 0 reads in this process.

        Yields:
            The readable photos of a batch, uint8 ``[N, H, W, 3]``, or None if there is
            none; and for each photo of the batch its error, or None if it was read.
        """
        yield from PhotoLoader(
            self,
            batch_size,
            collate_fn=_split_off_errors,
            num_workers=workers,
            worker_init_fn=start_worker,
        )


def _split_off_errors(
    items: Sequence[Tensor | ImageError],
) -> tuple[Tensor | None, list[ImageError | None]]:
    """Collate photos and errors, as `UnlabelledPhotos.batches` yields them."""
    photos = [item for item in items if isinstance(item, Tensor)]
    errors = [item if isinstance(item, ImageError) else None for item in items]
    return torch.stack(photos) if photos else None, errors


class EpochSampler(Sampler[Place]):
    """The order of the images in an epoch, a function of seed and epoch alone.

    So a resumed run reads the images as an uninterrupted one does. Of n devices each
    takes every n-th image. In training the last few images are left out so that all
    devices take equally many; in evaluation no image is left out or read twice.
    """

    def __init__(
        self,
        labels: "np.ndarray[Any, Any]",
        *,
        seed: int,
        shuffle: bool,
        per_class: int | None = None,
        rank: int = 0,
        devices: int = 1,
    ) -> None:
        """Describe an order.

        Args:
            labels: The class number of each image.
            seed: The seed of the order.
            shuffle: Whether to train: in random order, with equally many images on
                each device.
            per_class: How many images of each class are read in an epoch, by default
                all. Of a larger class it is others in each epoch; of a smaller one
                each image is read equally often, but for the last few.
            rank: The number of this device, from 0.
            devices: The number of devices.
        """
        self.seed, self.shuffle = seed, shuffle
        self.rank, self.devices = rank, devices
        self.per_class = per_class
        self.classes = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        self.size = len(labels)
        if per_class is not None:
            self.size = per_class * len(self.classes)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the number of the epoch; Lightning calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Return the number of images on this device."""
        if self.shuffle:
            return self.size // self.devices
        return math.ceil((self.size - self.rank) / self.devices)

    def __iter__(self) -> Iterator[Place]:
        """Yield the images of this device."""
        rng = np.random.default_rng((self.seed, self.epoch))
        places = np.stack([np.arange(self.size), np.zeros(self.size, int)], axis=1)
        if self.per_class is not None:
            places = self._same_number_of_each_class(rng, self.per_class)
        if self.shuffle:
            rng.shuffle(places)
        mine = places[self.rank :: self.devices][: len(self)].tolist()
        return (Place(self.epoch, number, copy) for number, copy in mine)

    def _same_number_of_each_class(
        self, rng: np.random.Generator, per_class: int
    ) -> "np.ndarray[Any, Any]":
        """Draw images of each class, with the number of each copy, ``[N, 2]``."""
        places = []
        for images in self.classes:
            copies = np.arange(per_class) // len(images)
            order = np.concatenate(
                [rng.permutation(images) for _ in range(copies[-1] + 1)]
            )
            places.append(np.stack([order[:per_class], copies], axis=1))
        return np.concatenate(places)


class PhotoLoader(DataLoader[Any]):
    """A loader whose workers begin to read when the first batch is asked for.

    torch's own begins as soon as it is iterated, and Lightning iterates it before it
    has set the sampler's epoch: in a resumed run the first epoch would be read in the
    order, and with the augmentation, of epoch 0.
    """

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Yield batches."""
        yield from super().__iter__()


def usable_cores() -> int:
    """The cores that this process may use, which a container may restrict."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def start_worker(_: int) -> None:
    """Leave the cores to the other workers: OpenCV would start threads of its own."""
    import cv2

    cv2.setNumThreads(0)
