import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from clothing_lightning.compression.fine_tuning import save_checkpoint
from clothing_lightning.compression.photo_sample import PhotoSample
from clothing_lightning.compression.pruning import Pruning, prune
from clothing_lightning.data.options import Preprocessing
from clothing_lightning.errors import ConfigError, ExportError
from clothing_lightning.inference.checkpoint import read_checkpoint
from clothing_lightning.inference.trained_network import TrainedNetwork, build_network
from clothing_lightning.models.backbones import heads, preprocessing_of
from clothing_lightning.models.description import NetworkDescription
from clothing_lightning.network_analysis import analyze
from tests.compression.networks import NAMES, random_network

SMALL = Preprocessing(64)
MODEL = random_network(SMALL)


def no_photos() -> PhotoSample:
    raise AssertionError("the importance needs no photos")


def macs(model: TrainedNetwork) -> int:
    return analyze(model.network, model.preprocessing.image_size).macs


def out_channels(network: nn.Module) -> dict[str, int]:
    return {
        name: layer.out_channels
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d)
    }


def test_a_share_of_the_channels_of_each_layer_goes() -> None:
    pruned = prune(MODEL, Pruning(0.3, None), no_photos)
    before, after = out_channels(MODEL.network), out_channels(pruned.network)
    assert sum(after.values()) < 0.8 * sum(before.values())
    for name, channels in after.items():
        assert channels % 8 == 0
        # Rounded to 8: at most 4 channels from what was asked for.
        assert abs(channels - 0.7 * before[name]) <= 4, name
    (head,) = heads(pruned.network)
    assert isinstance(head, nn.Linear)
    assert head.out_features == len(NAMES)
    assert pruned.description == replace(
        MODEL.description, shapes=pruned.description.shapes
    )


@pytest.mark.parametrize("target", [0.8, 0.4])
def test_so_many_macs_stay_at_most(target: float) -> None:
    pruned = prune(MODEL, Pruning(target_macs=target), no_photos)
    assert target - 0.15 < macs(pruned) / macs(MODEL) <= target


def test_what_matters_least_goes_first() -> None:
    model = random_network(SMALL)
    state = model.network.state_dict()
    weight, dead = state["layer1.0.conv1.weight"], [0, 1, 2, 3, 4, 5, 6, 7]
    weight[dead] = 0
    state["layer1.0.conv2.weight"][:, dead] = 0
    state["layer1.0.bn1.weight"][dead] = 0
    alive = weight[8:]
    pruned = prune(model, Pruning(1 - len(alive) / len(weight), None), no_photos)
    kept = pruned.network.state_dict()["layer1.0.conv1.weight"]
    assert kept.shape[0] == len(alive)
    assert kept.abs().sum((1, 2, 3)).min() > 0


def test_taylor_looks_at_photos_at_each_step() -> None:
    rng = np.random.default_rng(0)
    photos = torch.from_numpy(rng.integers(0, 256, (40, 64, 64, 3), np.uint8))
    sample = PhotoSample(MODEL, photos, rng.integers(0, len(NAMES), 40))
    reads = []

    def read() -> PhotoSample:
        reads.append(sample)
        return sample

    pruned = prune(MODEL, Pruning(0.3, None, "taylor", 2), read)
    other = prune(MODEL, Pruning(0.3, None, "norm", 2), no_photos)
    assert len(reads) == 2
    assert pruned.description.shapes == other.description.shapes
    weights = [model.network.state_dict()["fc.weight"] for model in (pruned, other)]
    assert not torch.equal(*weights)


def test_a_pruned_network_is_pruned_again() -> None:
    once = prune(MODEL, Pruning(0.3, None), no_photos)
    twice = prune(once, Pruning(target_macs=0.5), no_photos)
    assert macs(twice) <= 0.5 * macs(once)
    assert twice.description.shapes is not None
    assert once.description.shapes is not None
    assert twice.description.shapes.keys() >= once.description.shapes.keys()


def test_a_checkpoint_needs_no_pruning_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pruned = prune(MODEL, Pruning(0.5, None), no_photos)
    save_checkpoint(pruned, tmp_path / "pruned.ckpt")
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    read = read_checkpoint(tmp_path / "pruned.ckpt", device="cpu")
    assert read.description == pruned.description
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(read.network(images), pruned.network(images))
    with pytest.raises(ConfigError, match=r"torch_pruning is not installed. pip ins"):
        prune(MODEL, Pruning(0.5, None), no_photos)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"share": 1.5}, "--pruning is 1.5. It is the share of the channels"),
        ({"target_macs": 1}, "--target-macs is 1. It is the share of the MACs"),
        ({"steps": 0}, "--steps is 0. The least is 1."),
        ({"epochs": -1}, "--epochs is -1. The least is 1."),
    ],
)
def test_values_out_of_range_are_refused(
    settings: Mapping[str, float], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Pruning(**settings)  # type: ignore[arg-type]


def test_versions_are_told_apart_by_how_they_are_pruned() -> None:
    assert Pruning().label == ", macs 0.5, norm"
    label = Pruning(0.3, None, "taylor", 4, epochs=5).label
    assert label == ", without 0.3 of channels, taylor, steps 4"


def network_of(backbone: str) -> TrainedNetwork:
    torch.manual_seed(0)
    preprocessing = preprocessing_of(backbone)
    size = min(preprocessing.image_size, 224)
    about = NetworkDescription(
        backbone, NAMES, replace(preprocessing, image_size=size), image_size=size
    )
    return build_network(about, None, torch.device("cpu"))


def test_attention_stays_as_it_is() -> None:
    model = network_of("test_vit")
    pruned = prune(model, Pruning(0.5, None), no_photos)
    assert pruned.description.shapes is not None
    assert all(".mlp.fc" in name for name in pruned.description.shapes)
    with pytest.raises(
        ConfigError, match=r"--target-macs is 0.1, but test_vit keeps at"
    ):
        prune(model, Pruning(target_macs=0.1), no_photos)


def test_what_cannot_be_pruned_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "clothing_lightning.compression.pruning.TOLERANCE", float("nan")
    )
    with pytest.raises(ExportError, match=r"test_resnet: cannot be pruned here \(bui"):
        prune(MODEL, Pruning(0.5, None), no_photos)


@pytest.mark.slow
@pytest.mark.parametrize(
    "backbone",
    [
        *("resnet18", "resnext50_32x4d", "regnetx_002", "regnety_002", "densenet121"),
        *("vgg16", "tf_efficientnet_lite0", "efficientnet_b0", "mobilenetv2_100"),
        *("mobilenetv3_large_100", "convnext_tiny", "vit_tiny_patch16_224"),
        *("swin_tiny_patch4_window7_224", "fashion_mnist_cnn", "baseline_cnn"),
        *("compact_cnn", "compact_cnn_global_pooling", "nasnet_mobile"),
    ],
)
def test_networks_lose_half_of_their_macs(backbone: str) -> None:
    model = network_of(backbone)
    pruned = prune(model, Pruning(), no_photos)
    assert 0.3 < macs(pruned) / macs(model) <= 0.5
