"""State dicts from files, read without running what a file may hold."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clothing_lightning.errors import WeightsError

NETWORK = "network."  # where our classifier keeps its network


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
        content = _read(file)
    except Exception as err:  # unpickling garbage raises whatever it trips over
        raise WeightsError(
            f"model.init_args.weights: '{file}' is no file of weights that can be read "
            "safely: it is damaged, of another format, or holds more than tensors and "
            "plain values. Save a plain state dict, with torch.save or safetensors."
        ) from err
    if isinstance(content, dict):
        content = content.get("state_dict", content)
    state = _tensors(content)
    if not state:
        raise WeightsError(
            f"model.init_args.weights: '{file}' has no parameters, neither at its top "
            "level nor under 'state_dict'. Save a plain state dict."
        )
    return _network_part(state)


def _read(file: Path) -> Any:
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(file)
    # weights_only: a file from elsewhere cannot run code.
    return torch.load(file, map_location="cpu", weights_only=True)


def _tensors(content: Any) -> dict[str, Tensor]:
    if not isinstance(content, dict):
        return {}
    return {str(k): v for k, v in content.items() if isinstance(v, Tensor)}


def _network_part(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Drop the class weights that our checkpoints hold beside the network."""
    others = {key for key in state if not key.startswith(NETWORK)}
    if others == set(state) or others - {
        "class_weights",
        "weight",
    }:  # timm's volo has "network." too
        return state
    return {k.removeprefix(NETWORK): v for k, v in state.items() if k not in others}
