"""Effective receptive field: how much each pixel moves one position of the features.

After Luo, Li, Urtasun and Zemel, "Understanding the Effective Receptive Field in
Deep Convolutional Neural Networks", NeurIPS 2016, arXiv:1701.04128: the gradient of
the central position is propagated back to the images. Two things differ. Each channel
of the position counts with a random sign, another for every image: where the last
layer is a normalisation, channels add up to nearly the same whatever the image shows,
and the gradient of their plain sum vanishes. And the field is not the pixels above
4.55 % of the highest value, which a single pixel can change, but the smallest set
that holds 95 % of the sum.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from clothing_lightning.network_analysis.text import times


@dataclass(frozen=True, slots=True, eq=False)
class EffectiveField:
    """Where in the image the features of the central position come from.

    Attributes:
        heat: Share of every pixel in the gradient, of shape (height, width); the sum
            is 1. Mean of its absolute value over images and colours.
        images: Number of images.
        position: Row and column of the position in the feature map.
        grid: Rows and columns of the feature map.
    """

    heat: NDArray[np.float64]
    images: int
    position: tuple[int, int]
    grid: tuple[int, int]

    @property
    def area_px(self) -> int:
        """Number of pixels in the smallest set that holds 95 % of the heat."""
        return smallest_set(self.heat, 0.95)[0]

    @property
    def half_px(self) -> int:
        """Number of pixels in the smallest set that holds half of the heat."""
        return smallest_set(self.heat, 0.5)[0]

    @property
    def area_share(self) -> float:
        """Part of the image that `area_px` is, 0 to 1."""
        return self.area_px / self.heat.size

    @property
    def side_px(self) -> float:
        """Side of the square of `area_px` pixels."""
        return math.sqrt(self.area_px)


def smallest_set(heat: NDArray[np.float64], share: float) -> tuple[int, float]:
    """The highest values that together make up a share of the sum.

    Args:
        heat: Values from 0, of any shape; one is positive.
        share: Above 0, up to 1.

    Returns:
        How many they are, and the lowest of them.
    """
    falling = np.sort(heat, axis=None)[::-1]
    sums = falling.cumsum()
    # Rounding may leave the last sum, or that of equal values, a little too low.
    count = int(np.searchsorted(sums, share * sums[-1] * (1 - 1e-9))) + 1
    return count, float(falling[count - 1])


def effective_field(
    network: nn.Module,
    images: Tensor | Iterable[Tensor],
    features: Callable[[Tensor], Tensor] | None = None,
    *,
    batch_size: int = 16,
) -> EffectiveField:
    """Measure how much each pixel moves the central position of a feature map.

    The network is in evaluation mode meanwhile, and left as it was. Of an even
    number of rows or columns, the one below or right of the centre is taken. The same
    network and images give the same result.

    Args:
        network: Any network; its weights are used as they are.
        images: Of shape (images, channels, height, width), as the network expects
            them; or batches of these, all of one height and width.
        features: Gives the features of images, as `feature_map` reads them; by
            default the network's ``forward_features``, or the network itself.
        batch_size: Images at a time, where they come in one tensor.

    Raises:
        ValueError: If there is no image, the images differ in size, the features
            cannot be read as a map, or the gradient is zero or not finite.
    """
    read = reader(network, features)
    batches: Iterable[Tensor] = images
    if isinstance(images, Tensor):
        starts = range(0, len(images), batch_size)
        batches = [images[start : start + batch_size] for start in starts]
    signs = torch.Generator().manual_seed(0)
    total, count, grid = torch.zeros(0, 0), 0, (0, 0)
    with left_unchanged(network), torch.inference_mode(False), torch.enable_grad():
        for batch in batches:
            if count and batch.shape[-2:] != total.shape:
                raise ValueError(
                    f"images: some are {times(total.shape)} pixels, others "
                    f"{times(batch.shape[-2:])}. Bring them to one size."
                )
            gradient, grid = _central_gradient(network, read, batch, signs)
            heat = gradient.abs().mean(1).sum(0, dtype=torch.float64).cpu()
            total, count = total + heat if count else heat, count + len(batch)
    amount = total.sum().item()
    if not count:
        raise ValueError("images: there is none. Give at least one.")
    if not (0 < amount < math.inf):
        raise ValueError(
            f"features: the gradient of the central position sums to {amount}, which "
            "gives no pixel a share. Check the weights and the values of the images."
        )
    position = (grid[0] // 2, grid[1] // 2)
    return EffectiveField(total.numpy() / amount, count, position, grid)


def reader(
    network: nn.Module, features: Callable[[Tensor], Tensor] | None
) -> Callable[[Tensor], Tensor]:
    """``features``, or else a network's ``forward_features``, or else the network."""
    if features is not None:
        return features
    own: Callable[[Tensor], Tensor] = getattr(network, "forward_features", network)
    return own


def feature_map(network: nn.Module, features: Tensor, size: torch.Size) -> Tensor:
    """Read features as a map of shape (images, channels, rows, columns).

    Args:
        network: Where they come from. If its ``output_fmt`` or ``num_features`` say
            so, channels come last; its first ``num_prefix_tokens`` are no positions.
        features: A map with channels first or last, or tokens of shape (images,
            tokens, channels), row by row.
        size: Height and width of the image; tokens have its proportions.

    Raises:
        ValueError: If they are neither.
    """
    shape = tuple(features.shape) if isinstance(features, Tensor) else ()
    if len(shape) == 4:
        return features.movedim(-1, 1) if _channels_last(network, shape) else features
    if len(shape) == 3:
        tokens = features[:, getattr(network, "num_prefix_tokens", 0) :]
        stride = math.sqrt(math.prod(size) / max(tokens.shape[1], 1))
        rows, columns = (max(1, round(side / stride)) for side in size)
        if rows * columns == tokens.shape[1]:
            return tokens.reshape(shape[0], rows, columns, -1).movedim(-1, 1)
    got = f"are of shape {shape}" if shape else f"are a {type(features).__name__}"
    raise ValueError(
        f"features: those of {type(network).__name__} {got}, which is no map of an "
        f"image of {times(size)} pixels. Pass a function that returns (images, "
        "channels, rows, columns)."
    )


@contextmanager
def left_unchanged(network: nn.Module) -> Iterator[None]:
    """Set a network to evaluation without gradients of its own, for a while."""
    modes = [(module, module.training) for module in network.modules()]
    gradients = [(tensor, tensor.requires_grad) for tensor in network.parameters()]
    try:
        for module, _ in modes:
            module.training = False
        for parameter, _ in gradients:
            parameter.requires_grad_(False)
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for parameter, requires_grad in gradients:
            parameter.requires_grad_(requires_grad)


def _central_gradient(
    network: nn.Module,
    features: Callable[[Tensor], Tensor],
    images: Tensor,
    signs: torch.Generator,
) -> tuple[Tensor, tuple[int, int]]:
    """Gradient of the central position's channels; rows and columns of the map."""
    weight = next(network.parameters(), images)
    images = images.detach().to(weight.device, weight.dtype, copy=True)
    mapped = feature_map(network, features(images.requires_grad_()), images.shape[-2:])
    rows, columns = mapped.shape[-2:]
    centre = mapped[:, :, rows // 2, columns // 2]
    if not centre.requires_grad:
        return torch.zeros_like(images), (rows, columns)
    sign = 2 * torch.randint(2, centre.shape, generator=signs) - 1
    (gradient,) = torch.autograd.grad(centre, images, sign.to(centre))
    return gradient, (rows, columns)


def _channels_last(network: nn.Module, shape: tuple[int, ...]) -> bool:
    written = getattr(network, "output_fmt", None)
    if written is not None:
        return bool(written == "NHWC")
    return shape[1] != getattr(network, "num_features", shape[1]) == shape[3]
