"""The rungs of the ladder: how each makes the ONNX file of a smaller network."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from clothing_lightning.compression.onnx_export import export_onnx, exporting
from clothing_lightning.compression.photo_sample import PhotoSample, sample_photos
from clothing_lightning.compression.quantization import Quantization, quantize
from clothing_lightning.inference.trained_network import TrainedNetwork
from clothing_lightning.tracking.read import ONNX_FILE, StoredRun

LAYERS = "reports/layers.csv"
_VAL_PHOTOS = 512


@dataclass(frozen=True)
class Source:
    """What the rungs are made of.

    Attributes:
        model: The network of the run.
        run: The run that trained it.
        root: Folder that the run's images are in now; None: where they were.
        quantization: How int8 is made.
        float32: The ONNX file of the network as it was trained.
        folder: Folder for files that are needed meanwhile.
    """

    model: TrainedNetwork
    run: StoredRun
    root: str | None
    quantization: Quantization
    float32: Path
    folder: Path

    @cached_property
    def train(self) -> PhotoSample:
        """Photos of the training, for the ranges of activations."""
        return self._sample("train", self.quantization.images)

    @cached_property
    def val(self) -> PhotoSample:
        """Photos of the validation, for what is lost."""
        return self._sample("val", _VAL_PHOTOS)

    def _sample(self, split: str, most: int) -> PhotoSample:
        return sample_photos(self.model, self.run, split, most=most, root=self.root)


def _float32(source: Source, folder: Path) -> None:
    export_onnx(source.model, folder / ONNX_FILE)


def _float16(source: Source, folder: Path) -> None:
    """Store and compute in half precision; images and logits stay float32."""
    with exporting(source.model.description.backbone, "float16"):
        import onnx
        from onnxruntime.transformers.float16 import convert_float_to_float16

        half = convert_float_to_float16(onnx.load(source.float32), keep_io_types=True)
        onnx.save(half, folder / ONNX_FILE)


def _int8(source: Source, folder: Path) -> None:
    with exporting(source.model.description.backbone, "int8"):
        made = quantize(
            source.float32,
            folder / ONNX_FILE,
            source.folder,
            source.quantization,
            source.train,
            source.val,
        )
    table = pd.DataFrame([asdict(layer) for layer in made.layers])
    table.to_csv(folder / LAYERS, index=False)
    summary = {
        "validation_photos": len(source.val.labels),
        "validation_accuracy_float32": made.accuracy_before,
        "validation_accuracy_int8": made.accuracy,
        **asdict(source.quantization),
    }
    text = json.dumps(summary, indent=2) + "\n"
    (folder / "config/quantization.json").write_text(text, encoding="utf-8")


RUNGS: dict[str, Callable[[Source, Path], None]] = {
    "float32": _float32,
    "float16": _float16,
    "int8": _int8,
}
"""By its name, the function that writes a rung's files into the folder of its run."""
