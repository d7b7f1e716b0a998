"""int8 by ONNX Runtime: which layers can have it, and which are better left float.

Weights are int8, of one scale for each output channel, and activations uint8, of one
scale for each tensor, which CPUs multiply fastest. Scales of activations come from
photos of the training. Operators are put between QuantizeLinear and DequantizeLinear
(the format QDQ), which the runtime fuses into integer kernels.
"""

import io
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from clothing_lightning.compression.photo_sample import PhotoSample
from clothing_lightning.data.options import Preprocessing
from clothing_lightning.data.progress import with_progress
from clothing_lightning.errors import ConfigError
from clothing_lightning.inference.onnx_network import INPUT, OnnxNetwork

METHODS = ("minmax", "entropy", "percentile")
_OPERATORS = ("Conv", "Gemm", "MatMul")  # that have weights


@dataclass(frozen=True)
class Quantization:
    """How int8 is made.

    Attributes:
        method: How the range of an activation follows from the photos: ``minmax``,
            its extremes; ``percentile``, without the outermost 0.001 %; ``entropy``,
            the range that loses least of its distribution.
        images: Number of photos of the training that are looked at.
        tolerance: Validation accuracy that may be lost, 0 to 1.
    """

    method: str = "minmax"
    images: int = 128
    tolerance: float = 0.01

    @property
    def label(self) -> str:
        """What is not the default, as an addition to a name; empty if all is."""
        values = zip(fields(self), asdict(self).items(), strict=True)
        changed = [f"{k} {v}" for each, (k, v) in values if v != each.default]
        return "".join(f", {each}" for each in changed)

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: If one is out of its range.
        """
        if self.images < 1:
            raise ConfigError(f"--calibration-images is {self.images}. The least is 1.")
        if not 0 <= self.tolerance <= 1:
            raise ConfigError(
                f"--tolerance is {self.tolerance}. It is a share of the validation "
                "images, 0 to 1; 0.01 is one point of accuracy."
            )


@dataclass(frozen=True)
class QuantizedLayer:
    """A layer of an int8 file.

    Attributes:
        name: Name of the layer, as torch has it; of its node where that is not known.
        operator: ``Conv``, ``Gemm`` or ``MatMul``.
        precision: ``int8`` or ``float32``.
        harm: Mean Kullback-Leibler divergence, in nats, of the class probabilities if
            this layer alone is int8, on validation photos; NaN if it was not measured.
    """

    name: str
    operator: str
    precision: str
    harm: float = float("nan")


@dataclass(frozen=True)
class QuantizedNetwork:
    """What has become of a network.

    Attributes:
        layers: Its layers, in the order of the graph.
        accuracy_before: Validation accuracy of the float32 network, 0 to 1.
        accuracy: Validation accuracy of the int8 network, 0 to 1.
    """

    layers: list[QuantizedLayer]
    accuracy_before: float
    accuracy: float


class Quantizer:
    """Makes int8 files of a float32 file; the ranges of activations are found once."""

    def __init__(
        self, source: Path, folder: Path, method: str, photos: PhotoSample
    ) -> None:
        """Prepare a file.

        Args:
            source: The float32 file.
            folder: Folder for files that are needed meanwhile.
            method: One of `METHODS`.
            photos: Photos of the training.
        """
        import onnx
        from onnxruntime.quantization import quant_pre_process

        self._prepared = folder / "prepared.onnx"
        self._ranges = folder / "ranges.json"
        self._method, self._photos = method, photos
        with quiet():
            quant_pre_process(
                str(source), str(self._prepared), skip_symbolic_shape=True
            )
        graph = onnx.load(self._prepared).graph
        weights = {each.name for each in graph.initializer}
        self.layers: dict[str, tuple[str, str]] = {}
        """By the name of each node, the name of its layer and its operator."""
        for node in graph.node:
            own = [name for name in node.input if name in weights]
            if node.op_type in _OPERATORS and own:
                layer, _, kind = own[0].rpartition(".")
                named = layer if kind == "weight" else node.name
                self.layers[node.name] = named, str(node.op_type)

    def write(
        self, target: Path, *, kept: Sequence[str] = (), only: Sequence[str] = ()
    ) -> None:
        """Write a file.

        Args:
            target: Path of the file.
            kept: Nodes that stay float32.
            only: Nodes that become int8; by default all that the runtime has integer
                kernels for, such as additions of branches between the layers.
        """
        from onnxruntime import quantization as ort

        # Of many networks pixels lie half-way between two levels of their extremes,
        # where the last bit decides: a range that is a level wider keeps them apart.
        low, high = pixel_range(self._photos.model.preprocessing)
        widened = {"rmin": low - (high - low) / 255, "rmax": high}
        methods = {
            "minmax": ort.CalibrationMethod.MinMax,
            "entropy": ort.CalibrationMethod.Entropy,
            "percentile": ort.CalibrationMethod.Percentile,
        }
        with quiet():
            ort.quantize_static(
                self._prepared,
                target,
                Reader(self._photos.batches(1)),
                per_channel=True,
                activation_type=ort.QuantType.QUInt8,
                weight_type=ort.QuantType.QInt8,
                nodes_to_exclude=list(kept),
                nodes_to_quantize=list(only),
                calibrate_method=methods[self._method],
                calibration_cache_path=self._ranges,
                extra_options={"TensorQuantOverrides": {INPUT: [widened]}},
            )


def pixel_range(preprocessing: Preprocessing) -> tuple[np.float32, np.float32]:
    """Return the least value of a black pixel, and the largest of a white one."""
    mean, std = (
        np.array(each, np.float32) for each in (preprocessing.mean, preprocessing.std)
    )
    return (-mean / std).min(), ((1 - mean) / std).max()


class Reader:
    """Gives images to ONNX Runtime, one at a time."""

    def __init__(self, images: Iterator[Tensor]) -> None:
        """Give these images, each ``[1, C, H, W]``."""
        self._images = images

    def get_next(self) -> dict[str, Any] | None:
        """Return the next input of the network; None after the last one."""
        image = next(self._images, None)
        return None if image is None else {INPUT: image.numpy()}


def quantize(
    source: Path,
    target: Path,
    folder: Path,
    settings: Quantization,
    train: PhotoSample,
    val: PhotoSample,
) -> QuantizedNetwork:
    """Make int8 of as many layers as the tolerance allows.

    If int8 of all layers loses more validation accuracy than is tolerated, the harm
    that each layer does alone is measured, and the worst 1, 2, 4, ... stay float32
    until the loss is within.

    Args:
        source: The float32 file.
        target: Path of the int8 file that is written.
        folder: Folder for files that are needed meanwhile.
        settings: How it is made.
        train: Photos of the training, for the ranges of activations.
        val: Photos of the validation, for what is lost.
    """
    before = probabilities(source, val)
    least = accuracy(before, val) - settings.tolerance
    quantizer = Quantizer(source, folder, settings.method, train)
    names = list(quantizer.layers)
    quantizer.write(target)
    after = probabilities(target, val)
    harm: dict[str, float] = {}
    kept: list[str] = []
    while accuracy(after, val) < least and len(kept) < len(names):
        harm = harm or _harm(quantizer, folder, before, val)
        worst = sorted(names, key=harm.__getitem__, reverse=True)
        kept = worst[: max(1, 2 * len(kept))]
        quantizer.write(target, kept=kept)
        after = probabilities(target, val)
    layers = [
        QuantizedLayer(
            name,
            operator,
            "float32" if node in kept else "int8",
            harm.get(node, float("nan")),
        )
        for node, (name, operator) in quantizer.layers.items()
    ]
    return QuantizedNetwork(layers, accuracy(before, val), accuracy(after, val))


def _harm(
    quantizer: Quantizer, folder: Path, before: Tensor, val: PhotoSample
) -> dict[str, float]:
    """Measure the harm that each layer does if it alone is int8."""
    harm = {}
    layers: Sequence[str] = list(quantizer.layers)
    for name in with_progress(layers, "Measuring each layer", total=len(layers)):
        file = folder / "one_layer.onnx"
        quantizer.write(file, only=[name])
        after = probabilities(file, val)
        ratio = (before.clamp(min=1e-12) / after.clamp(min=1e-12)).log()
        harm[name] = float((before * ratio).sum(dim=1).mean())
    return harm


def probabilities(file: Path, sample: PhotoSample) -> Tensor:
    """Return the class probabilities of a file, ``[N, num_classes]``."""
    network = OnnxNetwork(file)
    return torch.cat([network(images).softmax(dim=1) for images in sample.batches()])


def accuracy(probabilities: Tensor, sample: PhotoSample) -> float:
    """Return the share of photos whose class is the most probable one, 0 to 1."""
    return float(np.mean(probabilities.argmax(dim=1).numpy() == sample.labels))


@contextmanager
def quiet() -> Iterator[None]:
    """Keep to itself what the library prints and warns of as it goes."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
