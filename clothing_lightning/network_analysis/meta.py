"""Copies of networks on the meta device, where tensors have shapes and no contents."""

from copy import deepcopy
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from clothing_lightning.errors import ConfigError
from clothing_lightning.network_analysis.live_memory import tensors_in


def meta_copy(network: nn.Module) -> nn.Module:
    """Copy a network to the meta device, in eval mode, float32 and without gradients.

    The weights are never copied, so that a copy of a network of any size needs next to
    no memory, and a pass through it computes nothing but shapes. The network itself is
    left as it was.

    Args:
        network: A network on any device, in any mode.

    Raises:
        ConfigError: If it has lazy layers that have not seen a batch.
    """
    if any(map(is_lazy, network.parameters())):
        raise ConfigError(
            f"{type(network).__name__} has lazy layers, whose sizes are not known yet. "
            "Send a batch through it first."
        )
    copies: dict[int, Any] = {}
    for module in network.modules():
        for tensor in tensors_in(list(vars(module).values())):
            copies.setdefault(id(tensor), _without_contents(tensor))
    return deepcopy(network, copies).float().eval()


def _without_contents(tensor: Tensor) -> Tensor:
    meta = tensor.detach().to("meta")
    is_parameter = isinstance(tensor, nn.Parameter)
    return nn.Parameter(meta, requires_grad=False) if is_parameter else meta


def image_channels(network: nn.Module) -> int:
    """Find out how many channels a network expects images to have.

    They are the input channels of its first convolution. A network of timm whose first
    convolution is not that of the image has them in its ``pretrained_cfg``. Without
    any of these they are 3.

    Args:
        network: Any network.
    """
    convolutions = (
        m.in_channels for m in network.modules() if isinstance(m, nn.Conv2d)
    )
    first = next(convolutions, None)
    config = getattr(network, "pretrained_cfg", None)
    if first is not None and (first <= 4 or not config):
        return first
    return int(config["input_size"][0]) if config else 3
