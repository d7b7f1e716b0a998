"""Devices that networks compute on."""

import torch

from clothing_lightning.errors import ConfigError


def select_device(name: str) -> torch.device:
    """Return the device that the option ``--device`` means.

    Args:
        name: ``cpu``, ``cuda``, or ``auto``, which is a GPU where there is one.

    Raises:
        ConfigError: If the name is another, or there is no GPU for ``cuda``.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"--device: {name!r} is none of auto, cpu, cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "--device: torch finds no GPU here for 'cuda'. Leave it out to use the CPU."
        )
    gpu = name == "cuda" or (name == "auto" and torch.cuda.is_available())
    return torch.device("cuda" if gpu else "cpu")


def device_name(device: torch.device) -> str:
    """Return the name of the GPU that a device is, or its type, such as ``cpu``."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return device.type
