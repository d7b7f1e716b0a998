"""Pipelines from a decoded photo to the square uint8 image that a network gets.

Normalisation is not among the steps: it is done for a whole batch at once, on the
device, by `Preprocessing.normalise`.
"""

from dataclasses import dataclass
from typing import Literal

import albumentations as A
import cv2
import numpy as np
import torch
from torch import Tensor

from clothing_lightning.errors import ConfigError

Image = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
Recipe = Literal["none", "light", "strong"]


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


class Pipeline:
    """A chain of albumentations transforms with a seed for each image.

    The seed makes the result depend on nothing but the image, the epoch and the
    run's seed, whichever worker does it and in whichever order.
    """

    def __init__(
        self, transforms: list[A.BasicTransform], size: int, crop_pct: float
    ) -> None:
        """Chain transforms, with a resize and centre crop after them if need be.

        Args:
            transforms: Applied in order to uint8 images of any size.
            size: Height and width of the result in pixels.
            crop_pct: Share of the resized short side that the crop keeps.
        """
        self.size = size
        self.random = A.Compose(transforms) if transforms else None
        self.geometry = A.Compose(centre_crop(size, crop_pct))

    def __call__(self, image: Image, seed: int) -> Image:
        """Transform one image, ``[H, W, 3]``.

        Raises:
            ConfigError: If the transforms make something else of it.
        """
        if self.random is not None:
            image = self._randomised(image, seed)
        # After chosen transforms only where they left another size; but a plain
        # photo is cropped like all others, even one that has the size by chance.
        if self.random is None or image.shape[:2] != (self.size, self.size):
            image = self.geometry(image=image)["image"]
        return image

    def _randomised(self, image: Image, seed: int) -> Image:
        assert self.random is not None
        self.random.set_random_seed(seed)
        made: Image = self.random(image=image)["image"]
        if getattr(made, "dtype", None) != np.uint8 or made.shape[2:] != (3,):
            raise ConfigError(
                "data.init_args.augmentation: makes an image of type "
                f"{getattr(made, 'dtype', type(made).__name__)} and shape "
                f"{tuple(made.shape)}, expected uint8 and (height, width, 3). Leave "
                "out Normalize, ToFloat and ToTensorV2; the model does this itself."
            )
        return made


def centre_crop(size: int, crop_pct: float) -> list[A.BasicTransform]:
    """Resize the short side to ``size / crop_pct`` and cut out the centre."""
    return [
        # Areas are averaged where it shrinks; enlarging by them would make blocks.
        A.SmallestMaxSize(
            round(size / crop_pct),
            interpolation=cv2.INTER_LINEAR,
            area_for_downscale="image",
        ),
        A.CenterCrop(size, size),
    ]


def recipe(name: Recipe, preprocessing: Preprocessing) -> list[A.BasicTransform]:
    """Transforms of a named pipeline.

    ``none``: resize and centre crop, as for validation. ``light``: flip, and a
    shift, scale and rotation so small that the garment stays in the picture.
    ``strong``: a random resized crop of at least 35 % of the area, flip, rotation,
    colour jitter, and sometimes a hole.
    """
    size = preprocessing.image_size
    if name == "light":
        return [
            *centre_crop(size, preprocessing.crop_pct),
            A.HorizontalFlip(p=0.5),
            A.Affine(
                scale=(0.9, 1.1),
                translate_percent=(-0.06, 0.06),
                rotate=(-10, 10),
                border_mode=cv2.BORDER_REFLECT_101,
                p=0.8,
            ),
        ]
    if name == "strong":
        return [
            A.RandomResizedCrop((size, size), scale=(0.35, 1.0)),
            A.HorizontalFlip(p=0.5),
            A.Affine(rotate=(-15, 15), border_mode=cv2.BORDER_REFLECT_101, p=0.3),
            A.ColorJitter(0.3, 0.3, 0.3, 0.05, p=0.8),
            A.CoarseDropout(p=0.25),
        ]
    return []
