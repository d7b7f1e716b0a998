"""The formats that a network is exported to: how each is written and read back."""

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import timm
import torch
from timm.models import get_pretrained_cfg, save_for_hf
from torch import Tensor, nn
from torch.export import Dim

from clothing_lightning.compression.onnx_export import example, export_onnx, exporting
from clothing_lightning.errors import ExportError
from clothing_lightning.inference.onnx_network import OnnxNetwork
from clothing_lightning.inference.trained_network import TrainedNetwork
from clothing_lightning.models.description import KEY, NetworkDescription
from clothing_lightning.tracking import packaged_model

Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Format:
    """A format of files.

    Attributes:
        file: Path of the file that holds the weights.
        library: Name of the library that reads it, as model cards have it.
        write: Function that writes a network into a folder.
        read: Function from that folder to the network, in the way its users read it.
        others: Names of the files that are written besides.
        takes_photos: Whether the network takes photos of any size, uint8
            ``[N, H, W, 3]``, instead of normalised images.
    """

    file: str
    library: str
    write: Callable[[TrainedNetwork, Path], None]
    read: Callable[[Path], Network]
    others: tuple[str, ...] = ()
    takes_photos: bool = False

    @property
    def names(self) -> set[str]:
        """Names of all that stands in the folder."""
        return {Path(self.file).parts[0], *self.others}


def _write_torch(model: TrainedNetwork, folder: Path) -> None:
    """Write the program that torch.export traces; the batch size is free."""
    network, images = example(model)
    with exporting(model.description.backbone, "torch"):
        free = ({0: Dim.DYNAMIC},)
        program = torch.export.export(network, (images,), dynamic_shapes=free)
        text = json.dumps(model.description.to_values(), ensure_ascii=False)
        torch.export.save(program, folder / "model.pt2", extra_files={KEY: text})


def _read_torch(folder: Path) -> Network:
    module: Network = torch.export.load(folder / "model.pt2").module()
    return module


def _write_safetensors(model: TrainedNetwork, folder: Path) -> None:
    """Write weights and ``config.json`` in the layout of timm's models on the hub."""
    description, preprocessing = model.description, model.preprocessing
    if description.shapes:
        raise ExportError(
            f"{description.backbone}: is pruned, and timm, which reads this format, "
            "builds the whole network alone. Use --to onnx or --to torch."
        )
    network = deepcopy(model.network).cpu()
    # Its tensors are written in the order of their names, not of their memory.
    network = network.to(memory_format=torch.contiguous_format)
    size = preprocessing.image_size
    save_for_hf(
        network,
        str(folder),
        model_config={
            "label_names": description.class_names,
            "temperature": description.temperature,
        },
        safe_serialization=True,
        data_config={
            "input_size": (len(preprocessing.mean), size, size),
            "mean": preprocessing.mean,
            "std": preprocessing.std,
            "crop_pct": preprocessing.crop_pct,
            "interpolation": "bilinear",
            "crop_mode": "center",
        },
    )


def _read_safetensors(folder: Path) -> Network:
    network: nn.Module = timm.create_model(f"local-dir:{folder}", pretrained=True)
    return network.eval()


def _write_mlflow(model: TrainedNetwork, folder: Path) -> None:
    """Write an MLflow model around an ONNX file that prepares photos itself."""
    with TemporaryDirectory() as name:
        file = Path(name) / "model.onnx"
        export_onnx(model, file, with_preprocessing=True)
        with exporting(model.description.backbone, "mlflow"):
            packaged_model.write_model(folder, file)


def _read_mlflow(folder: Path) -> Network:
    classify = packaged_model.read_model(folder)
    text = OnnxNetwork(folder / packaged_model.NETWORK).metadata[KEY]
    about = NetworkDescription.from_values(json.loads(text))

    def logits(photos: Tensor) -> Tensor:
        answers = [classify(photo) for photo in photos.numpy()]
        rows = [[answer[name] for name in about.class_names] for answer in answers]
        return torch.tensor(rows).log() * about.temperature

    return logits


def onnx_format(*, with_preprocessing: bool) -> Format:
    """Return the format ONNX.

    Args:
        with_preprocessing: Whether resize, crop and normalisation are in the graph.
    """
    return Format(
        "model.onnx",
        "onnxruntime",
        lambda model, folder: export_onnx(
            model, folder / "model.onnx", with_preprocessing=with_preprocessing
        ),
        lambda folder: OnnxNetwork(folder / "model.onnx"),
        takes_photos=with_preprocessing,
    )


FORMATS: Mapping[str, Format] = {
    "onnx": onnx_format(with_preprocessing=False),
    "safetensors": Format(
        "model.safetensors",
        "timm",
        _write_safetensors,
        _read_safetensors,
        ("config.json",),
    ),
    "torch": Format("model.pt2", "torch", _write_torch, _read_torch),
    "mlflow": Format(
        packaged_model.NETWORK,
        "mlflow",
        _write_mlflow,
        _read_mlflow,
        packaged_model.OTHERS,
        takes_photos=True,
    ),
}


def licence_of_weights(backbone: str) -> str | None:
    """Return timm's word on the licence of pretrained weights; None if it has none."""
    cfg = get_pretrained_cfg(backbone)
    licence: str | None = cfg.license if cfg else None
    return licence
