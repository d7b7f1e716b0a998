"""What an experiment can say about its data.

The parser needs these before it can tell a misspelt key, so nothing that takes long to
import is imported here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from clothing_lightning.errors import ConfigError

AugmentationPolicy = Literal["none", "light", "strong"]
Sampling = Literal["all", "balanced"]

LUMA = (299, 587, 114)  # ITU-R BT.601: thousandths of red, green and blue


@dataclass(frozen=True)
class Preprocessing:
    """What a backbone expects of its images.

    Attributes:
        image_size: Height and width in pixels.
        mean: The mean of each channel for values from 0 to 1: of red, green and blue,
            or of the luma alone where the backbone takes gray images.
        std: The standard deviation of each channel, in the same order as the mean.
        crop_pct: Share of the resized short side that the centre crop keeps.
    """

    image_size: int = 224
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    crop_pct: float = 0.875

    def __post_init__(self) -> None:
        """Check the channels.

        Raises:
            ConfigError: If there are neither one nor three.
        """
        channels = len(self.mean), len(self.std)
        if channels not in ((1, 1), (3, 3)):
            raise ConfigError(
                f"preprocessing: mean has {channels[0]} values and std {channels[1]}. "
                "Photos are red, green and blue, or made gray: give both three or one."
            )

    def in_channels(self, count: int) -> "Preprocessing":
        """Convert to gray images from coloured ones, or the other way round.

        The mean of the luma is the weighted mean of the channels. Its standard
        deviation does not follow from theirs: their weighted mean stands for it,
        which is exact where photos are gray.

        Args:
            count: The number of channels, 1 or 3.

        Raises:
            ConfigError: If the number of channels is neither 1 nor 3.
        """
        if count not in (1, 3):
            raise ConfigError(
                f"model.init_args.in_chans is {count}. Photos have 3 channels, or 1 if "
                "they are made gray."
            )
        if count == len(self.mean):
            return self
        mean, std = (
            (_luma(values),) if count == 1 else values * 3
            for values in (self.mean, self.std)
        )
        return replace(self, mean=mean, std=std)

    def normalise(self, images: Tensor) -> Tensor:
        """Standardise a batch.

        Args:
            images: uint8, ``[N, H, W, 3]``.

        Returns:
            float32, ``[N, 3, H, W]`` in channels-last memory order, without a copy
            for the change of shape; ``[N, 1, H, W]``, the luma, if there is one mean.
        """
        if len(self.mean) == 1:
            # Whole numbers up to 255,000, so that a gray pixel keeps its very value.
            weights = torch.tensor(LUMA, device=images.device)
            images = (images * weights).sum(-1, keepdim=True) / sum(LUMA)
        mean = torch.tensor(self.mean, device=images.device) * 255
        scale = 1 / (torch.tensor(self.std, device=images.device) * 255)
        return (images - mean).mul_(scale).permute(0, 3, 1, 2)


def _luma(values: Sequence[float]) -> float:
    weighted = (part * value for part, value in zip(LUMA, values, strict=True))
    return sum(weighted) / sum(LUMA)


@dataclass(frozen=True)
class Split:
    """How images are divided into train, val and test.

    Attributes:
        method: ``stratified`` divides every class in the same proportions; ``grouped``
            does so as far as is possible with all images of a group (a sender) on
            one side; ``file`` reads the splits from ``file``; ``own`` takes the data
            set's own splits, and a missing one from train; ``auto`` takes the data
            set's own splits where it has some, else the method that suits it.
        val: The share of all images that are for validation.
        test: The share of all images that are for the test.
        seed: The number that decides, with its name, where an image goes.
        fraction: The share of each class in each split that is kept, for quick runs.
        file: A CSV or Parquet file with the columns ``path`` and ``split``, such as
            the manifest of another run. Images that it lacks are left out.
        small_classes: What to do with a class that has fewer images (or groups)
            than there are splits: ``error``, or keep it in ``train`` alone.
    """

    method: Literal["auto", "stratified", "grouped", "file", "own"] = "auto"
    val: float = 0.09
    test: float = 0.10
    seed: int = 0
    fraction: float = 1.0
    file: str | None = None
    small_classes: Literal["error", "train"] = "error"

    def __post_init__(self) -> None:
        """Check the shares.

        Raises:
            ConfigError: If a share is out of range, or a file is given without method
                ``file`` or the other way round.
        """
        if not (0 < self.val < 1 and 0 < self.test < 1 and self.val + self.test < 1):
            raise ConfigError(
                f"split: val is {self.val} and test is {self.test}. Both must be above "
                "0 and leave something to train on, such as 0.09 and 0.1."
            )
        if not 0 < self.fraction <= 1:
            raise ConfigError(
                f"split.fraction is {self.fraction}. It is a share: above 0, at most 1."
            )
        if (self.method == "file") != (self.file is not None):
            raise ConfigError(
                f"split.method is {self.method!r} and split.file is {self.file!r}. "
                "Give a file with method 'file', and only then."
            )


@dataclass(frozen=True)
class Selection:
    """Which images of a data set are used: options of `PhotoDataModule`."""

    exclude_labels: tuple[str, ...] = ()
    min_images_per_class: int = 1
    corrections: str | None = None
    drop_duplicates: bool = False
    on_unreadable: Literal["error", "drop"] = "error"
