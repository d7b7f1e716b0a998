from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from clothing_lightning.compression.onnx_export import export_onnx
from clothing_lightning.compression.photo_sample import PhotoSample
from clothing_lightning.compression.quantization import Quantization, quantize
from clothing_lightning.data.options import Preprocessing
from clothing_lightning.errors import ConfigError
from clothing_lightning.inference.onnx_network import OnnxNetwork, read_onnx
from clothing_lightning.inference.trained_network import TrainedNetwork
from clothing_lightning.models.description import NetworkDescription
from tests.compression.networks import random_network


class Fragile(nn.Module):
    """A network of which int8 spoils one layer.

    The second convolution reads a channel that is 10,000 times as large as the others,
    and nearly ignores it: with one scale for all, nothing is left of the others.
    """

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 9, 3, stride=2)
        self.second = nn.Conv2d(9, 8, 3, stride=2)
        self.head = nn.Linear(8, 4)
        with torch.no_grad():
            self.first.weight[0] *= 10_000
            self.first.bias[0] = 10_000  # type: ignore[index]
            self.second.weight[:, 0] /= 1e6

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.second(self.first(images).relu()).relu()
        return 40 * self.head(features.mean((2, 3)))  # type: ignore[no-any-return]


@pytest.fixture
def sample() -> PhotoSample:
    """Photos whose labels are what the network says of them."""
    description = NetworkDescription("test_resnet", list("abcd"), Preprocessing(32))
    network = Fragile().eval().requires_grad_(False)
    model = TrainedNetwork(network, description, torch.device("cpu"))
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (64, 4, 4, 3))
    photos = torch.from_numpy(colours.repeat(8, 1).repeat(8, 2).astype(np.uint8))
    mean = network(model.normalise(photos)).mean(dim=0)
    network.head.bias.copy_(network.head.bias - mean / 40)
    labels = network(model.normalise(photos)).argmax(dim=1).numpy()
    assert len(set(labels)) == 4
    return PhotoSample(model, photos, labels)


@pytest.fixture
def float32(sample: PhotoSample, tmp_path: Path) -> Path:
    file = tmp_path / "float32.onnx"
    export_onnx(sample.model, file)
    return file


def test_a_layer_that_loses_too_much_stays_float(
    sample: PhotoSample, float32: Path, tmp_path: Path
) -> None:
    file = tmp_path / "int8.onnx"
    spoilt = quantize(
        float32, file, tmp_path, Quantization(tolerance=1), sample, sample
    )
    assert spoilt.accuracy_before == 1
    assert spoilt.accuracy < 0.7
    assert [layer.precision for layer in spoilt.layers] == ["int8"] * 3
    assert all(np.isnan(layer.harm) for layer in spoilt.layers)

    made = quantize(float32, file, tmp_path, Quantization(), sample, sample)
    assert made.accuracy > 0.95
    assert [layer.name for layer in made.layers] == ["first", "second", "head"]
    by_harm = sorted(made.layers, key=lambda layer: layer.harm, reverse=True)
    kept = [layer.precision == "float32" for layer in by_harm]
    assert by_harm[-1].name == "head"
    assert by_harm[0].harm > 10 * by_harm[-1].harm
    assert kept == sorted(kept, reverse=True)
    assert 0 < sum(kept) < 3


@pytest.mark.parametrize("method", ["minmax", "entropy", "percentile"])
def test_an_int8_file_describes_itself_and_holds_integers(
    method: str, sample: PhotoSample, float32: Path, tmp_path: Path
) -> None:
    file = tmp_path / "int8.onnx"
    settings = Quantization(method=method, tolerance=1)
    quantize(float32, file, tmp_path, settings, sample, sample)
    assert read_onnx(file).description == sample.model.description
    graph = onnx.load(file).graph
    weights = [each for each in graph.initializer if each.name.endswith("_quantized")]
    types = {onnx.TensorProto.DataType.Name(each.data_type) for each in weights}
    assert {"INT8", "INT32"} <= types
    shapes = {tuple(each.dims) for each in weights}
    assert (9, 3, 3, 3) in shapes
    scales = {
        len(onnx.numpy_helper.to_array(each).reshape(-1))
        for each in graph.initializer
        if each.name.endswith("_scale")
    }
    assert {1, 9, 8} <= scales  # one an activation, one each output channel


def test_ranges_are_found_once(
    sample: PhotoSample,
    float32: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []
    batches = PhotoSample.batches

    def counted(self: PhotoSample, size: int = 32) -> object:
        calls.append(size)
        yield from batches(self, size)

    monkeypatch.setattr(PhotoSample, "batches", counted)
    file = tmp_path / "int8.onnx"
    quantize(float32, file, tmp_path, Quantization(), sample, sample)
    assert calls.count(1) == 1  # the photos of the training, one at a time


def test_the_last_bit_of_a_pixel_changes_no_answer(
    sample: PhotoSample, tmp_path: Path
) -> None:
    """With these means every pixel is half-way between two levels of -1 to 1."""
    model = random_network(Preprocessing(32, (0.5,) * 3, (0.5,) * 3))
    photos = replace(sample, model=model)
    export_onnx(model, tmp_path / "float32.onnx")
    file = tmp_path / "int8.onnx"
    settings = Quantization(tolerance=1)
    quantize(tmp_path / "float32.onnx", file, tmp_path, settings, photos, photos)
    network = OnnxNetwork(file)
    (images,) = photos.batches(64)
    above, below = (
        torch.nextafter(images, torch.full_like(images, end)) for end in (2.0, -2.0)
    )
    torch.testing.assert_close(network(above), network(below), atol=0, rtol=0)


@pytest.mark.parametrize(
    "values", [{"images": 0}, {"tolerance": -0.1}, {"tolerance": 1.5}]
)
def test_values_out_of_range_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(values))):
        Quantization(**values)  # type: ignore[arg-type]


def test_a_version_is_named_by_what_is_not_the_default() -> None:
    assert Quantization().label == ""
    changed = Quantization("entropy", tolerance=0).label
    assert changed == ", method entropy, tolerance 0"
