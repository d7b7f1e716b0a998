"""Resize, crop and normalisation as part of a network's graph."""

import torch
from torch import Tensor, nn

from clothing_lightning.data.options import Preprocessing


class WithPreprocessing(nn.Module):
    """A network that takes photos of any size as they are decoded.

    The photo is resized as `data.augmentation.centre_crop` resizes it: areas are
    averaged where it shrinks, and pixels interpolated where it grows. Each is a linear
    map of rows and one of columns, so that a graph for any size needs two products of
    matrices. What differs is rounding: by at most one of 255 levels.
    """

    def __init__(self, network: nn.Module, preprocessing: Preprocessing) -> None:
        """Wrap a network.

        Args:
            network: The network, which takes normalised images.
            preprocessing: What it expects of them.
        """
        super().__init__()
        self.network = network
        self.preprocessing = preprocessing

    def forward(self, photos: Tensor) -> Tensor:
        """Return logits ``[N, num_classes]`` of photos, uint8 ``[N, H, W, 3]``."""
        size, crop_pct = self.preprocessing.image_size, self.preprocessing.crop_pct
        height, width = photos.shape[1], photos.shape[2]
        lengths = torch.tensor([height, width], dtype=torch.float32)
        scale = lengths.min() / round(size / crop_pct)
        rows = resize_weights(torch.arange(height), lengths[0], scale, size)
        columns = resize_weights(torch.arange(width), lengths[1], scale, size)
        planes = photos.permute(0, 3, 1, 2).float()
        resized = (rows @ planes @ columns.T).round().clamp(0, 255)
        return self.network(  # type: ignore[no-any-return]
            self.preprocessing.normalise(resized.permute(0, 2, 3, 1))
        )


def resize_weights(
    positions: Tensor, length: Tensor, scale: Tensor, size: int
) -> Tensor:
    """Return what each pixel of a line gives to each pixel of the resized, cut line.

    Args:
        positions: Positions of the line's pixels: 0, 1, ... ``[length]``.
        length: Number of the line's pixels.
        scale: Pixels of the line in one pixel of the resized line.
        size: Number of pixels that are cut out of the middle.

    Returns:
        float32 ``[size, length]``; each row sums to 1.
    """
    resized = (length / scale).round()
    scale = length / resized
    place = torch.arange(size) + torch.floor((resized - size) / 2)
    begin, end = place * scale, (place + 1) * scale
    overlap = torch.minimum(end[:, None], positions + 1.0)
    overlap = overlap - torch.maximum(begin[:, None], positions.float())
    averaged = overlap.clamp(min=0) / scale
    centre = ((place + 0.5) * scale - 0.5).clamp(min=0)
    centre = torch.minimum(centre, length - 1)
    interpolated = (1 - (centre[:, None] - positions).abs()).clamp(min=0)
    return torch.where(scale > 1, averaged, interpolated)
