"""The graph's preprocessing against the one that training and tests have."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from clothing_lightning.compression.graph_preprocessing import WithPreprocessing
from clothing_lightning.compression.onnx_export import export_onnx
from clothing_lightning.data.augmentation import Pipeline
from clothing_lightning.data.options import Preprocessing
from clothing_lightning.inference.onnx_network import OnnxNetwork
from tests.compression.networks import random_network

GRAY = ((0.286,), (0.353,))
COLOUR = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
LEVEL = 1 / 255
# Height and width: the same, shrunk, grown, with one side each, by odd factors.
SIZES = [(36, 36), (32, 32), (400, 533), (533, 400), (97, 61), (61, 97), (5, 7)]
SIZES += [(1, 1), (2, 90), (37, 36), (35, 200), (36, 101), (1000, 31), (73, 72)]


def photo(height: int, width: int) -> Tensor:
    rng = np.random.default_rng((height, width))
    return torch.from_numpy(rng.integers(0, 256, (height, width, 3), np.uint8))


def in_levels(images: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Normalised images as values from 0 to 1 again."""
    mean, std = (
        torch.tensor(each).reshape(-1, 1, 1)
        for each in (preprocessing.mean, preprocessing.std)
    )
    return images * std + mean


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("crop_pct", [0.875, 0.95, 1.0])
@pytest.mark.parametrize("channels", [GRAY, COLOUR], ids=["gray", "colour"])
def test_pixels_are_within_one_level_of_those_of_the_pipeline(
    height: int,
    width: int,
    crop_pct: float,
    channels: tuple[tuple[float, ...], tuple[float, ...]],
) -> None:
    preprocessing = Preprocessing(32, *channels, crop_pct)
    image = photo(height, width)
    expected = preprocessing.normalise(
        torch.from_numpy(Pipeline([], 32, crop_pct)(image.numpy(), 0))[None]
    )
    found = WithPreprocessing(nn.Identity(), preprocessing)(image[None])
    assert found.shape == expected.shape == (1, len(channels[0]), 32, 32)
    difference = in_levels(found, preprocessing) - in_levels(expected, preprocessing)
    assert difference.abs().max() <= LEVEL * 1.001
    assert difference.abs().mean() < LEVEL / 4


@pytest.mark.parametrize("channels", [GRAY, COLOUR], ids=["gray", "colour"])
def test_a_file_with_it_takes_photos_of_any_size(
    channels: tuple[tuple[float, ...], tuple[float, ...]], tmp_path: Path
) -> None:
    model = random_network(Preprocessing(32, *channels))
    file = tmp_path / "model.onnx"
    export_onnx(model, file, with_preprocessing=True)
    network = OnnxNetwork(file)
    wrapped = WithPreprocessing(model.network, model.preprocessing).eval()
    for height, width in SIZES:
        images = torch.stack([photo(height, width), photo(height, width).flip(0)])
        torch.testing.assert_close(network(images), wrapped(images), atol=1e-3, rtol=0)
