"""What an experiment can say about its data.

The parser needs these before it can tell a misspelt key, so nothing that takes long to
import is imported here.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from clothing_lightning.errors import ConfigError

Recipe = Literal["none", "light", "strong"]


@dataclass(frozen=True)
class Transform:
    """One albumentations transform, or one of your own that derives from theirs.

    Attributes:
        class_path: Its name, such as ``albumentations.HorizontalFlip``.
        init_args: Its arguments; the ``transforms`` of a composition like ``OneOf`` are
            listed in the same way.
    """

    class_path: str
    init_args: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Preprocessing:
    """What a backbone expects of its images.

    Attributes:
        image_size: Height and width in pixels.
        mean: Of the channels red, green, blue, for values from 0 to 1.
        std: Likewise.
        crop_pct: Share of the resized short side that the centre crop keeps.
    """

    image_size: int = 224
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    crop_pct: float = 0.875

    def normalise(self, images: Tensor) -> Tensor:
        """Standardise a batch.

        Args:
            images: uint8, ``[N, H, W, 3]``.

        Returns:
            float32, ``[N, 3, H, W]`` in channels-last memory order, without a copy
            for the change of shape.
        """
        mean = torch.tensor(self.mean, device=images.device) * 255
        scale = 1 / (torch.tensor(self.std, device=images.device) * 255)
        return (images - mean).mul_(scale).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Split:
    """How images are divided into train, val and test.

    Attributes:
        method: ``stratified``: every class in the same proportions; ``grouped``:
            likewise as far as possible, with all images of a group (a sender) on
            one side; ``file``: read from ``file``; ``own``: the data set's own.
        val: Share of all images for validation.
        test: Share of all images for the test. The default is 9:1 twice.
        seed: Another seed, another split.
        fraction: Keep this share of each class in each split, for quick runs.
        file: A CSV or Parquet file with the columns ``path`` and ``split``, such as
            the manifest of another run. Images that it lacks are left out.
        small_classes: What to do with a class that has fewer images (or groups)
            than there are splits: ``error``, or keep it in ``train`` alone.
    """

    method: Literal["stratified", "grouped", "file", "own"] = "stratified"
    val: float = 0.09
    test: float = 0.10
    seed: int = 0
    fraction: float = 1.0
    file: str | None = None
    small_classes: Literal["error", "train"] = "error"

    def __post_init__(self) -> None:
        """Check the shares.

        Raises:
            ConfigError: If a share is out of range or a file is missing.
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
