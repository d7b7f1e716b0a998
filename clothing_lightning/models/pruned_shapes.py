"""Shapes of a network from which channels were removed.

They rebuild it without the library that removed them: parameters and buffers become
smaller, and the layers' own numbers follow.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd


def changed_shapes(network: nn.Module, original: nn.Module) -> dict[str, list[int]]:
    """Return the shapes of a network that are not those of the original.

    Args:
        network: The network.
        original: The network before channels were removed; may be on torch's device
            ``meta``.

    Returns:
        The shape of each parameter and buffer that has another one, by its name.

    Raises:
        ValueError: If the parameters and buffers have other names.
    """
    before = {name: value.shape for name, value in original.state_dict().items()}
    after = {name: value.shape for name, value in network.state_dict().items()}
    if odd := before.keys() ^ after.keys():
        raise ValueError(f"{min(odd)} is in one of the networks alone")
    return {name: list(shape) for name, shape in after.items() if shape != before[name]}


def reshape(
    network: nn.Module,
    shapes: Mapping[str, Sequence[int]],
    image_shape: Sequence[int],
) -> None:
    """Give a network as its backbone has it the shapes of one with fewer channels.

    Of each parameter and buffer the first entries stay, until others are loaded.

    Args:
        network: The network, which is changed.
        shapes: What `changed_shapes` has returned, or what a file says.
        image_shape: Channels, height and width of its images.

    Raises:
        ValueError: If there is no such parameter, it cannot have such a shape, or the
            shapes do not fit each other.
    """
    if unknown := shapes.keys() - network.state_dict().keys():
        raise ValueError(f"shapes has {min(unknown)[:80]!r}, which the network has not")
    changed: dict[str, nn.Module] = {}
    for name, shape in shapes.items():
        path, _, own_name = name.rpartition(".")
        changed[path] = network.get_submodule(path)
        old = getattr(changed[path], own_name)
        if len(shape) != old.dim() or any(
            not 1 <= length <= most
            for length, most in zip(shape, old.shape, strict=True)
        ):
            whole = list(old.shape)
            raise ValueError(
                f"{name} is {list(shape)[:8]}, which is no part of {whole}"
            )
        setattr(changed[path], own_name, _first_entries(old, shape))
    for path, layer in changed.items():
        if not _follow(layer):
            kind = type(layer).__name__
            raise ValueError(f"{path} is a {kind}, whose shape is not changed here")
    _require_consistent(network, image_shape)


def _first_entries(old: Tensor, shape: Sequence[int]) -> Tensor:
    kept = old.detach()[tuple(map(slice, shape))].clone()
    is_parameter = isinstance(old, nn.Parameter)
    return nn.Parameter(kept, old.requires_grad) if is_parameter else kept


def _require_consistent(network: nn.Module, image_shape: Sequence[int]) -> None:
    """Run the network without memory for its values."""
    images = torch.empty(1, *image_shape, device="meta")
    try:
        with torch.inference_mode():
            deepcopy(network).to("meta").eval()(images)
    except (
        RuntimeError,
        ValueError,
        TypeError,
        IndexError,
        AssertionError,  # of timm, for images of another size
    ) as err:
        raise ValueError(f"shapes do not fit each other ({err})") from err


def _follow(layer: nn.Module) -> bool:
    """Set the numbers of a layer that follow from its shapes; False if unknown."""
    known: Any = layer
    if isinstance(layer, _ConvNd) and not isinstance(layer, _ConvTransposeNd):
        outputs, inputs = known.weight.shape[:2]
        if layer.groups == layer.in_channels == layer.out_channels:
            layer.groups = outputs  # one filter for each channel
        layer.in_channels, layer.out_channels = inputs * layer.groups, outputs
    elif isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = known.weight.shape
    elif isinstance(layer, _NormBase):
        layer.num_features = len(known.running_mean)
    elif isinstance(layer, nn.GroupNorm):
        layer.num_channels = len(known.weight)
    elif hasattr(layer, "normalized_shape"):  # timm has several beside nn.LayerNorm
        known.normalized_shape = tuple(known.weight.shape)
    # Others have parameters alone, such as the scale of ConvNeXt's blocks.
    elif type(layer).__module__.startswith("torch.nn"):
        return False
    return True
