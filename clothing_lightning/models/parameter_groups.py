"""Groups of parameters for the optimizer, by depth and by what should decay.

Layer-wise learning-rate decay: Clark et al., "ELECTRA", ICLR 2020, arXiv:2003.10555;
for fine-tuned image networks Bao et al., "BEiT", ICLR 2022, arXiv:2106.08254.
"""

from collections import defaultdict
from collections.abc import Collection
from typing import Any, cast

from timm.models import group_parameters
from torch import nn
from torch.optim import Optimizer

from clothing_lightning.models.backbones import head_names


def depths(network: nn.Module) -> dict[str, int]:
    """Return the place of each parameter along the network, from 0 at the images.

    The places are timm's: the stem, then each block, whatever their sizes. Where a
    network does not name its blocks, every layer that multiplies is a place, with the
    norm and biases after it. The head has the last place, together with what timm finds
    behind the last block, such as a last norm.
    """
    if hasattr(network, "group_matcher"):
        matcher = cast("Any", network).group_matcher(coarse=False)
        places: dict[str, int] = group_parameters(network, matcher, reverse=True)
    else:
        places, place = {}, -1
        for name, parameter in network.named_parameters():
            place += parameter.ndim > 1
            places[name] = max(place, 0)
    return places | dict.fromkeys(head_names(network), max(places.values()))


def parameter_groups(
    network: nn.Module, trained: Collection[str], layer_decay: float | None = None
) -> list[dict[str, Any]]:
    """Divide what trains into groups for an optimizer.

    Args:
        network: A network of timm's or of ours.
        trained: Names of the parameters that train.
        layer_decay: Factor of the learning rate from a place to the one before it;
            the head keeps the optimizer's rate. None: one rate for all.

    Returns:
        For each rate a group of weights, and a group of biases and norms without weight
        decay. ``lr_scale`` is the factor of the learning rate, for `scale_rates`.
    """
    places = depths(network) if layer_decay else {}
    last = max(places.values(), default=0)
    groups: dict[float, list[dict[str, Any]]] = defaultdict(
        lambda: [{"params": []}, {"params": [], "weight_decay": 0.0}]
    )
    for name, parameter in network.named_parameters():
        if name in trained:
            scale = (layer_decay or 1.0) ** (last - places.get(name, last))
            groups[scale][parameter.ndim <= 1]["params"].append(parameter)
    return [
        group | {"lr_scale": scale}
        for scale, both in groups.items()
        for group in both
        if group["params"]
    ]


def scale_rates(optimizer: Optimizer) -> None:
    """Multiply the learning rate of each group by its ``lr_scale``."""
    for group in optimizer.param_groups:
        group["lr"] *= group.pop("lr_scale", 1.0)
