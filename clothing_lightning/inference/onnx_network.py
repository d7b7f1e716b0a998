"""A network that stands in an ONNX file, called as any other network is."""

import json
import os
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from clothing_lightning.errors import ConfigError, RunError
from clothing_lightning.inference.trained_network import TrainedNetwork
from clothing_lightning.models.description import KEY, NetworkDescription

# Before ONNX Runtime is imported anywhere: it would tell its makers that it is used.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

INPUT, OUTPUT = "images", "logits"
PREPROCESSED = f"{KEY}.takes"
"""Key of the metadata that says whether the graph takes photos or normalised images."""


class OnnxNetwork(nn.Module):
    """Runs an ONNX file with ONNX Runtime, on the CPU.

    Attributes:
        file: Path of the file.
        metadata: Texts that the file holds besides its graph, by their keys.
    """

    def __init__(self, file: Path, threads: int | None = None) -> None:
        """Load a file.

        Args:
            file: Path of the file.
            threads: Threads that compute one batch; by default those of torch.

        Raises:
            ConfigError: If ONNX Runtime is not installed.
            RunError: If the file cannot be read, or is of another kind.
        """
        super().__init__()
        self.file = file
        self.session = open_session(file, threads or torch.get_num_threads())
        names = [[each.name for each in self.session.get_inputs()]]
        names.append([each.name for each in self.session.get_outputs()])
        if names != [[INPUT], [OUTPUT]]:
            raise RunError(
                f"'{file}': takes {names[0]} and gives {names[1]}, expected "
                f"['{INPUT}'] and ['{OUTPUT}']. Use a file that export has written."
            )
        self.metadata = dict(self.session.get_modelmeta().custom_metadata_map)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, float32 ``[N, num_classes]``.

        Args:
            images: Normalised images, float32 ``[N, C, H, W]``; or photos, uint8
                ``[N, H, W, 3]``, where the preprocessing stands in the graph.
        """
        array = np.ascontiguousarray(images.numpy())
        return torch.from_numpy(self.session.run([OUTPUT], {INPUT: array})[0])

    def require_shapes(self, description: NetworkDescription) -> None:
        """Hold inputs and outputs against a description.

        Raises:
            ValueError: If they are others.
        """
        size = description.preprocessing.image_size
        wanted = [
            [len(description.preprocessing.mean), size, size],
            [len(description.class_names)],
        ]
        ends = self.session.get_inputs() + self.session.get_outputs()
        shapes = [each.shape[1:] for each in ends]
        if shapes != wanted:
            raise ValueError(f"its shapes are {shapes}, and it describes {wanted}")

    @property
    def pretrained_cfg(self) -> dict[str, Any]:
        """The shape of its images, ``[C, H, W]``, where timm's networks have it."""
        return {"input_size": self.session.get_inputs()[0].shape[1:]}

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return the network itself, since it holds nothing that changes."""
        return self


def open_session(file: Path, threads: int) -> Any:
    """Open an ONNX file in ONNX Runtime.

    Args:
        file: Path of the file.
        threads: Threads that compute one batch.

    Returns:
        An ``onnxruntime.InferenceSession`` on the CPU.

    Raises:
        ConfigError: If ONNX Runtime is not installed.
        RunError: If the file cannot be read.
    """
    try:
        import onnxruntime
    except ImportError as err:
        raise ConfigError(
            "onnxruntime is not installed, which runs ONNX files. pip install "
            "'clothing-lightning[export]'"
        ) from err
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Threads would go on spinning after a call, and slow down whatever computes next:
    # files that are timed in turns would seem up to three times as slow.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.log_severity_level = 3  # errors, which are raised as well
    try:
        return onnxruntime.InferenceSession(
            file, options, providers=["CPUExecutionProvider"]
        )
    except Exception as err:  # its classes derive from Exception alone
        reason = " ".join(str(err).split())[:200]
        raise RunError(
            f"'{file}': is no ONNX file that can be run ({reason})."
        ) from err


def read_onnx(
    file: Path, device: str = "auto", threads: int | None = None
) -> TrainedNetwork:
    """Make a network of an ONNX file that `export` or `compress` has written.

    Args:
        file: Path of the file.
        device: ``auto`` or ``cpu``.
        threads: Threads that compute one batch; by default those of torch.

    Raises:
        ConfigError: If ONNX Runtime is not installed, or is to run on another device.
        RunError: If the file is damaged, does not describe itself, or takes other
            images than those that are given to networks here.
    """
    if device not in ("auto", "cpu"):
        raise ConfigError(
            f"--device {device}: '{file}' is an ONNX file, which is run on the CPU "
            "here. Leave it out, or name the run."
        )
    network = OnnxNetwork(file, threads).eval()
    if network.metadata.get(PREPROCESSED) == "photos":
        raise RunError(
            f"'{file}': prepares photos itself, which is for other software. Name its "
            "run, or a file that export has written without --with-preprocessing."
        )
    try:
        values = json.loads(network.metadata.get(KEY, "{}"))
        description = NetworkDescription.from_values(values)
        network.require_shapes(description)
    except (RecursionError, ValueError) as err:
        raise RunError(
            f"'{file}': does not describe its network ({err}). Use a file that "
            "export has written."
        ) from err
    return TrainedNetwork(network, description, torch.device("cpu"))
