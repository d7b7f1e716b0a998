"""Which places of an image speak for a class: Grad-CAM.

Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", ICCV 2017, arXiv:1610.02391: ReLU(Σ_k w_k A^k), with A^k the k-th map of
the last features and w_k the mean over its places of the gradient of the class's logit.
"""

from typing import Any

import torch
from torch import Tensor, nn

from clothing_lightning.errors import ConfigError
from clothing_lightning.network_analysis.effective_field import feature_map


def grad_cam(network: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    """Compute for each image a map of the places that speak for a class.

    Of convolutional networks the last feature map is looked at. Of transformers it is
    the tokens that enter the last block: where a class token is read, those that leave
    it have no gradient.

    Args:
        network: A network with timm's methods, in eval mode.
        images: Normalised images, ``[N, C, H, W]``.
        classes: Number of the class to explain in each image, int64 ``[N]``.

    Returns:
        ``[N, h, w]`` on the grid of the features: 1 where most speaks for the class,
        0 where nothing does; all 0 where no place does.

    Raises:
        ConfigError: If the network's features have no places.
    """
    with torch.enable_grad():
        features, logits = (
            _by_tokens(network, images)
            if getattr(network, "num_prefix_tokens", 0) and hasattr(network, "blocks")
            else _by_maps(network, images)
        )
        chosen = logits.gather(1, classes[:, None]).sum()
        (gradient,) = torch.autograd.grad(chosen, features)
    size = images.shape[-2:]
    try:
        maps = feature_map(network, features.detach(), size)
        slopes = feature_map(network, gradient, size)
    except ValueError as err:
        raise _no_places(network) from err
    weights = slopes.mean(dim=(2, 3), keepdim=True)
    heat = (weights * maps).sum(dim=1).relu()
    return heat / heat.amax(dim=(1, 2), keepdim=True).clamp_min(1e-12)


def _by_maps(network: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the last features, and the logits that follow from them."""
    if not hasattr(network, "forward_head"):
        raise _no_places(network)
    with torch.no_grad():
        features = network.forward_features(images)
    if not isinstance(features, Tensor):
        raise _no_places(network)
    features = features.requires_grad_()
    # A copy: some heads begin with an operation in place.
    return features, network.forward_head(features.clone())


def _by_tokens(network: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the tokens that enter the last block, and the logits after it."""
    entered: list[Tensor] = []

    def begin_here(_: nn.Module, words: tuple[Any, ...]) -> tuple[Any, ...]:
        tokens: Tensor = words[0].detach().requires_grad_()
        entered.append(tokens)
        return tokens.clone(), *words[1:]

    hook = network.blocks[-1].register_forward_pre_hook(begin_here)
    try:
        logits: Tensor = network(images)
    finally:
        hook.remove()
    return entered[0], logits


def _no_places(network: nn.Module) -> ConfigError:
    return ConfigError(
        f"--explain: the features of {type(network).__name__} are neither maps nor "
        "tokens on a grid, which Grad-CAM needs. Leave --explain out, or name a run of "
        "another network."
    )
