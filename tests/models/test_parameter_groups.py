from typing import Any

import pytest
import timm
import torch
from timm.optim import param_groups_layer_decay  # type: ignore[attr-defined]
from torch import nn
from torch.optim import SGD

from clothing_lightning.models.backbones import head_names
from clothing_lightning.models.parameter_groups import (
    depths,
    parameter_groups,
    scale_rates,
)


def network(name: str) -> nn.Module:
    return timm.create_model(name, num_classes=4)


def names(net: nn.Module) -> list[str]:
    return [name for name, _ in net.named_parameters()]


class Chain(nn.Module):
    """Three layers and a head, which name no blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.second = nn.Conv2d(4, 4, 3)
        self.dense = nn.Linear(4, 8)
        self.head = nn.Linear(8, 4)

    def get_classifier(self) -> nn.Module:
        return self.head


def test_blocks_of_a_resnet_are_its_places() -> None:
    places = depths(network("resnet18"))
    assert places["conv1.weight"] == places["bn1.bias"] == 0
    blocks = [
        places[f"layer{stage}.{i}.conv1.weight"] for stage in "1234" for i in (0, 1)
    ]
    assert blocks == list(range(1, 9))
    assert places["layer2.0.downsample.0.weight"] == places["layer2.0.conv2.weight"]
    assert places["fc.weight"] == places["fc.bias"] == 9


def test_layers_are_the_places_where_no_blocks_are_named() -> None:
    places = depths(Chain())
    assert places["first.0.weight"] == places["first.1.bias"] == 0
    assert places["second.weight"] == places["second.bias"] == 1
    assert places["dense.weight"] == 2
    assert places["head.weight"] == places["head.bias"] == 3


@pytest.mark.parametrize(
    "name", ["test_resnet", "test_vit", "test_efficientnet", "test_convnext"]
)
def test_every_parameter_has_a_place_and_the_head_the_last(name: str) -> None:
    net = network(name)
    places = depths(net)
    assert set(places) == set(names(net))
    assert {places[each] for each in head_names(net)} == {max(places.values())}


def test_one_rate_makes_two_groups() -> None:
    net = network("test_resnet")
    decaying, plain = parameter_groups(net, names(net))
    assert "weight_decay" not in decaying
    assert plain["weight_decay"] == 0
    assert all(p.ndim > 1 for p in decaying["params"])
    assert all(p.ndim == 1 for p in plain["params"])


def test_what_does_not_train_is_in_no_group() -> None:
    net = network("test_resnet")
    (group,) = parameter_groups(net, {"fc.weight"}, layer_decay=0.5)
    assert group["params"] == [net.get_parameter("fc.weight")]
    assert group["lr_scale"] == 1


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_scales_of_layer_decay_are_those_of_timm(name: str) -> None:
    net = network(name)

    def scales(groups: list[dict[str, Any]]) -> dict[int, tuple[float, bool]]:
        return {
            id(p): (round(group["lr_scale"], 6), group.get("weight_decay") == 0)
            for group in groups
            for p in group["params"]
        }

    theirs = param_groups_layer_decay(net, weight_decay=0.1, layer_decay=0.75)
    ours = parameter_groups(net, names(net), layer_decay=0.75)
    assert scales(ours) == scales(theirs)


def test_rates_of_an_optimizer_are_scaled() -> None:
    net = Chain()
    optimizer = SGD(parameter_groups(net, names(net), layer_decay=0.5), lr=0.8)
    scale_rates(optimizer)
    rates = {
        id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]
    }
    found = [rates[id(net.get_parameter(name))] for name in names(net)]
    assert found == pytest.approx([0.1] * 4 + [0.2] * 2 + [0.4] * 2 + [0.8] * 2)
    assert not any("lr_scale" in group for group in optimizer.param_groups)
    net.head(torch.ones(1, 8)).sum().backward()
    optimizer.step()
