"""Mixed images of a batch, on the device that trains.

mixup: Zhang et al., ICLR 2018, arXiv:1710.09412. CutMix: Yun et al., ICCV 2019,
arXiv:1905.04899. Both are torchvision's.
"""

import math

import torch
from torch import Tensor
from torchvision.transforms import v2

from clothing_lightning.errors import ConfigError


class Mixing:
    """Mixes each image of a batch with the one before it."""

    def __init__(self, mixup: float, cutmix: float, num_classes: int) -> None:
        """Choose how images are mixed.

        Args:
            mixup: Both parameters of the beta distribution of the share of the second
                image; 0 turns mixup off.
            cutmix: Both parameters of the beta distribution of the share that the box
                of the second image takes; 0 turns cutmix off.
            num_classes: Number of classes.

        Raises:
            ConfigError: If a parameter is negative or no number.
        """
        self.ways: list[v2.Transform] = []
        both = (("mixup", mixup, v2.MixUp), ("cutmix", cutmix, v2.CutMix))
        for option, alpha, way in both:
            if not 0 <= alpha < math.inf:
                raise ConfigError(
                    f"model.init_args.{option} is {alpha}. It is 0 to leave it out, or "
                    "the parameter of a beta distribution, such as 0.2 or 1."
                )
            if alpha:
                self.ways.append(way(alpha=alpha, num_classes=num_classes))

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mix a batch in one of the ways, drawn by torch's global random generator.

        Args:
            images: ``[N, C, H, W]``.
            labels: ``[N]``.

        Returns:
            Images ``[N, C, H, W]`` and shares of the classes ``[N, num_classes]``; the
            arguments themselves if both ways are turned off.
        """
        if not self.ways:
            return images, labels
        way = self.ways[int(torch.randint(len(self.ways), ()))]
        mixed: tuple[Tensor, Tensor] = way(images, labels)
        return mixed
