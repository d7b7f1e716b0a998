"""Each format: written, read as its users read it, and the same function."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from clothing_lightning.compression.formats import (
    FORMATS,
    Format,
    licence_of_weights,
    onnx_format,
)
from clothing_lightning.compression.onnx_export import export_onnx
from clothing_lightning.compression.photo_sample import PhotoSample
from clothing_lightning.compression.pruning import Pruning, prune
from clothing_lightning.data.options import Preprocessing
from clothing_lightning.errors import ExportError
from clothing_lightning.inference.trained_network import TrainedNetwork
from clothing_lightning.models.description import KEY
from tests.compression.networks import NAMES, random_network

PREPROCESSING = Preprocessing(32)


@pytest.mark.parametrize(
    ("target", "file"),
    [
        (FORMATS["onnx"], "model.onnx"),
        (FORMATS["safetensors"], "model.safetensors"),
        (FORMATS["torch"], "model.pt2"),
    ],
    ids=["onnx", "safetensors", "torch"],
)
def test_what_is_read_back_is_the_same_function(
    target: Format, file: str, tmp_path: Path
) -> None:
    model = random_network(PREPROCESSING)
    target.write(model, tmp_path)
    assert (tmp_path / file).is_file()
    assert target.file == file
    network = target.read(tmp_path)
    for batch in (1, 2, 5):
        images = torch.randn(batch, 3, 32, 32)
        with torch.inference_mode():
            torch.testing.assert_close(
                network(images), model.network(images), atol=1e-4, rtol=0
            )


def test_timm_finds_classes_and_preprocessing_in_config(tmp_path: Path) -> None:
    preprocessing = Preprocessing(48, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), 0.9)
    model = random_network(preprocessing)
    FORMATS["safetensors"].write(model, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["architecture"] == "test_resnet"
    assert config["label_names"] == NAMES
    assert config["num_classes"] == len(NAMES)
    read = config["pretrained_cfg"]
    assert read["input_size"] == [3, 48, 48]
    assert (read["mean"], read["std"]) == ([0.1, 0.2, 0.3], [0.4, 0.5, 0.6])
    assert read["crop_pct"] == 0.9


def test_a_file_of_torch_describes_its_network(tmp_path: Path) -> None:
    model = random_network(PREPROCESSING)
    FORMATS["torch"].write(model, tmp_path)
    about = {KEY: ""}
    torch.export.load(tmp_path / "model.pt2", extra_files=about)
    assert json.loads(about[KEY])["class_names"] == NAMES


def test_the_network_itself_stays_as_it_was(tmp_path: Path) -> None:
    model = random_network(PREPROCESSING)
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    FORMATS["safetensors"].write(model, tmp_path)
    after = model.network.state_dict()
    assert all(after[name].equal(value) for name, value in before.items())


class Undecided(nn.Module):
    """A network that no tracer follows: what it does depends on what it sees."""

    def forward(self, images: Tensor) -> Tensor:
        if images.mean() > 0:
            return images.mean((2, 3))
        raise ValueError("\x1b[1mblack\x1b[0m images\nare not for me")


@pytest.mark.parametrize("name", ["onnx", "torch"])
def test_what_cannot_be_exported_is_told_in_one_line(name: str, tmp_path: Path) -> None:
    model = random_network(PREPROCESSING)
    undecided = TrainedNetwork(Undecided(), model.description, model.device)
    with pytest.raises(
        ExportError, match=f"^test_resnet: cannot be exported to {name} "
    ) as refused:
        FORMATS[name].write(undecided, tmp_path)
    message = str(refused.value)
    assert "Choose another format, or another network." in message
    assert "\n" not in message
    assert "\x1b" not in message


def test_the_reason_is_the_innermost_one(tmp_path: Path) -> None:
    class Refuses(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            raise ValueError("\x1b[1mblack\x1b[0m images\nare not for me")

    model = random_network(PREPROCESSING)
    refuses = TrainedNetwork(Refuses(), model.description, model.device)
    with pytest.raises(ExportError, match=r"to onnx \(black images\)\. Choose"):
        export_onnx(refuses, tmp_path / "model.onnx")


def test_onnx_with_preprocessing_is_read_back_as_onnx(tmp_path: Path) -> None:
    model = random_network(PREPROCESSING)
    target = onnx_format(with_preprocessing=True)
    target.write(model, tmp_path)
    photos = torch.zeros(3, 50, 40, 3, dtype=torch.uint8)
    assert target.read(tmp_path)(photos).shape == (3, len(NAMES))


@pytest.mark.parametrize(
    ("backbone", "licence"),
    [("tf_efficientnet_lite0.in1k", "apache-2.0"), ("small_cnn", None)],
)
def test_licence_of_weights(backbone: str, licence: str | None) -> None:
    assert licence_of_weights(backbone) == licence


def no_photos() -> PhotoSample:
    raise AssertionError("the importance needs no photos")


def test_timm_cannot_build_a_pruned_network(tmp_path: Path) -> None:
    model = prune(random_network(PREPROCESSING), Pruning(0.5, None), no_photos)
    with pytest.raises(ExportError, match=r"test_resnet: is pruned, and timm.*--to on"):
        FORMATS["safetensors"].write(model, tmp_path)
    FORMATS["torch"].write(model, tmp_path)
    images = torch.randn(2, 3, 32, 32)
    read = FORMATS["torch"].read(tmp_path)
    torch.testing.assert_close(read(images), model.network(images))
