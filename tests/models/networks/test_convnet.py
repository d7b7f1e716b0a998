"""The plain networks: baseline_cnn, compact_cnn and fashion_mnist_cnn."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from timm.models import group_parameters
from torch import Tensor, nn

from clothing_lightning.errors import ConfigError
from clothing_lightning.models.backbones import (
    create_backbone,
    create_on_meta,
    input_size_of,
    preprocessing_of,
)
from clothing_lightning.network_analysis.complexity import analyze

FLAT = ["baseline_cnn", "compact_cnn", "fashion_mnist_cnn"]
NAMES = [*FLAT, "compact_cnn_global_pooling"]


def images_for(name: str, count: int = 2) -> Tensor:
    return torch.randn(count, *input_size_of(name))


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [
        # Convolutions and norms, then 64 x 26 x 26 values to 64, and to 17 classes.
        ("baseline_cnn", 3584 + 147_584 + 73_792 + 640 + 2_768_960 + 1105, None),
        # The same that docs/claims.md counts layer by layer, in FLOPs.
        ("baseline_cnn", None, (340_651_008 + 3_503_849_472 + 398_721_024) // 2),
        # Convolutions, then 128 x 30 x 30 values to 46 classes.
        ("compact_cnn", 896 + 18_496 + 73_856 + 115_200 * 46 + 46, 614_461_824),
        ("compact_cnn_global_pooling", 93_248 + 256 * 46 + 46, 609_174_400),
        ("fashion_mnist_cnn", 584_618, 29_424_640),
    ],
)
def test_cost_is_that_of_the_description(
    name: str, params: int | None, macs: int | None
) -> None:
    size = input_size_of(name)[1:]
    report = analyze(create_on_meta(name, size), size, name=name)
    assert params in (None, report.params)
    dense = (2_768_896 + 1088) if name == "baseline_cnn" else 0
    assert macs is None or report.macs == macs + dense
    assert not report.field.unknown_ops


def test_parameters_are_the_published_ones_to_the_digits_given() -> None:
    counts = {
        name: sum(p.numel() for p in create_on_meta(name, size).parameters()) / 1e6
        for name, size in (("baseline_cnn", (224, 224)), ("compact_cnn", (256, 256)))
    }
    assert 2.9 <= counts["baseline_cnn"] < 3.0
    assert round(counts["compact_cnn"]) == 5


@pytest.mark.parametrize("name", NAMES)
def test_network_has_a_head_for_the_classes(name: str) -> None:
    network = create_backbone(name, "none", 7, drop_rate=0.5).eval()
    images = images_for(name)
    assert network(images).shape == (2, 7)
    features = network.forward_features(images)  # type: ignore[operator]
    assert features.shape[1] == network.num_features
    before = network.forward_head(features, pre_logits=True)  # type: ignore[operator]
    assert before.shape == (2, network.head_hidden_size)


@pytest.mark.parametrize("name", FLAT)
def test_flattening_network_is_built_for_a_size(name: str) -> None:
    channels, height, width = input_size_of(name)
    size = height + 16, width + 8
    network = create_backbone(name, "none", 7, image_size=size).eval()
    assert network(torch.randn(1, channels, *size)).shape == (1, 7)
    with pytest.raises(
        ConfigError,
        match=rf"built for images of {size[0]} x {size[1]} px; these are {height} x "
        rf"{width} px\. Set data\.init_args\.image_size",
    ):
        network(images_for(name))


def test_image_too_small_for_the_stages_is_an_error() -> None:
    message = r"nothing is left of images of 16 x 20 px after the 3 stages"
    with pytest.raises(ConfigError, match=message):
        create_on_meta("baseline_cnn", (16, 20))
    with pytest.raises(ConfigError, match=message):
        create_backbone("baseline_cnn", "none", 7, image_size=(16, 20))


def test_pooling_network_takes_any_size() -> None:
    network = create_backbone("compact_cnn_global_pooling", "none", 7).eval()
    for side in (32, 75):
        assert network(torch.randn(1, 3, side, side)).shape == (1, 7)


@pytest.mark.parametrize(
    ("global_pool", "values"), [("avg", 128), ("max", 128), ("catavgmax", 256)]
)
def test_pooling_can_be_chosen(global_pool: str, values: int) -> None:
    network: Any = timm.create_model(
        "compact_cnn_global_pooling", global_pool=global_pool
    )
    assert network.head_hidden_size == values


def test_average_and_maximum_stand_side_by_side() -> None:
    network: Any = timm.create_model("compact_cnn_global_pooling", num_classes=0).eval()
    images = torch.randn(1, 3, 64, 64)
    maps = network.forward_features(images)
    expected = torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)
    torch.testing.assert_close(network(images), expected)


def test_head_can_be_changed_to_another_pooling() -> None:
    network: Any = timm.create_model("baseline_cnn", img_size=64).eval()
    network.reset_classifier(5, "avg")
    assert network(torch.randn(1, 3, 40, 40)).shape == (1, 5)
    network.reset_classifier(5, "")
    assert network(torch.randn(1, 3, 64, 64)).shape == (1, 5)


@pytest.mark.parametrize("name", NAMES)
def test_weights_that_it_saved_come_back(name: str, tmp_path: Path) -> None:
    file = tmp_path / "last.ckpt"
    state = create_backbone(name, "none", 5).state_dict()
    torch.save({"state_dict": {f"network.{k}": v for k, v in state.items()}}, file)
    loaded = create_backbone(name, str(file), 9).state_dict()
    assert loaded["classifier.weight"].shape[0] == 9
    assert all(loaded[k].equal(v) for k, v in state.items() if "classifier" not in k)


@pytest.mark.parametrize("name", FLAT)
def test_depth_is_told_stage_by_stage(name: str) -> None:
    network = create_on_meta(name, input_size_of(name)[1:])
    places = group_parameters(network, network.group_matcher(), reverse=True)  # type: ignore[operator]
    first, second = places["stages.0.0.weight"], places["stages.1.0.weight"]
    assert first < second < places["stages.2.0.weight"] < places["classifier.weight"]


@pytest.mark.parametrize("name", FLAT)
def test_maps_of_each_size_can_be_had(name: str) -> None:
    network: Any = timm.create_model(name, features_only=True, out_indices=(0, 1, 2))
    maps = network.eval()(images_for(name, 1))
    assert [each.shape[1] for each in maps] == network.feature_info.channels()


def test_fashion_mnist_network_has_six_convolutions_and_two_dense_layers() -> None:
    layers = list(create_on_meta("fashion_mnist_cnn", (28, 28)).modules())
    assert sum(isinstance(layer, nn.Conv2d) for layer in layers) == 6
    assert sum(isinstance(layer, nn.Linear) for layer in layers) == 2
    assert input_size_of("fashion_mnist_cnn") == (1, 28, 28)
    preprocessing = preprocessing_of("fashion_mnist_cnn")
    assert (preprocessing.mean, preprocessing.std) == ((0.2860,), (0.3530,))
    assert (preprocessing.image_size, preprocessing.crop_pct) == (28, 1.0)
