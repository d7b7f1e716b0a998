"""Images of one split, and the order in which they are read."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from clothing_lightning.data.decoding import read_image

if TYPE_CHECKING:
    from clothing_lightning.data.augmentation import Pipeline


class Batch(NamedTuple):
    """What loaders yield and steps receive.

    Attributes:
        images: uint8 ``[N, H, W, 3]`` from the loader; float32 ``[N, 3, H, W]``,
            normalised, in the steps.
        labels: int64 ``[N]``.
        indices: int64 ``[N]``, the rows of the split's table.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor


class Place(NamedTuple):
    """Number of an image, and the epoch in which it is read."""

    epoch: int
    number: int


class PhotoDataset(Dataset[tuple[Tensor, int, int]]):
    """Decodes and augments one image at a time."""

    def __init__(
        self,
        paths: Sequence[Path],
        labels: Sequence[int],
        pipeline: "Pipeline",
        seed: int,
    ) -> None:
        """Refer to images; nothing is read yet.

        Args:
            paths: Of the image files.
            labels: Class number of each.
            pipeline: From a decoded photo to the network's input.
            seed: Of the augmentation.
        """
        # A string array is one block of memory that forked workers share.
        self.paths = np.array([str(path) for path in paths])
        self.labels = np.asarray(labels, dtype=np.int64)
        self.pipeline = pipeline
        self.seed = seed

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.paths)

    def __getitem__(self, place: Place | int) -> tuple[Tensor, int, int]:
        """Return the image, its label and its index.

        A number alone, as of Lightning's own sampler for ``overfit_batches``, is read
        as in epoch 0.
        """
        epoch, index = place if isinstance(place, tuple) else (0, place)
        image = read_image(Path(self.paths[index]))
        words = np.random.SeedSequence((self.seed, epoch, index)).generate_state(1)
        image = self.pipeline(image, seed=int(words[0]))
        # Decoded images are read-only, which torch has no notion of.
        image = np.require(image, requirements=["C", "W"])
        return torch.from_numpy(image), self.labels[index], index


class EpochSampler(Sampler[Place]):
    """Order of the images in an epoch, a function of seed and epoch alone.

    So a resumed run sees what an uninterrupted one sees. Over several devices each
    takes every n-th image; in training the last few are left out so that all take
    equally many, in evaluation no image is left out or seen twice.
    """

    def __init__(
        self, size: int, *, seed: int, shuffle: bool, rank: int = 0, devices: int = 1
    ) -> None:
        """Describe an order.

        Args:
            size: Number of images.
            seed: Of the order.
            shuffle: Training: random order, equally many images on each device.
            rank: Number of this device.
            devices: How many there are.
        """
        self.size, self.seed, self.shuffle = size, seed, shuffle
        self.rank, self.devices = rank, devices
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Tell the number of the epoch; Lightning calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Return the number of images on this device."""
        if self.shuffle:
            return self.size // self.devices
        return math.ceil((self.size - self.rank) / self.devices)

    def __iter__(self) -> Iterator[Place]:
        """Yield the images of this device."""
        order = np.arange(self.size)
        if self.shuffle:
            np.random.default_rng((self.seed, self.epoch)).shuffle(order)
        mine = order[self.rank :: self.devices][: len(self)]
        return (Place(self.epoch, int(index)) for index in mine)


def start_worker(_: int) -> None:
    """Leave the cores to the other workers: OpenCV would start threads of its own."""
    import cv2

    cv2.setNumThreads(0)
