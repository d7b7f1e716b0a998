import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from clothing_lightning.models.pruned_shapes import changed_shapes, reshape


class Small(nn.Module):
    """A layer of each kind that is reshaped."""

    def __init__(self, channels: int, inner: int, grouped: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, channels, 3)
        self.norm = nn.BatchNorm2d(channels)
        self.depthwise = nn.Conv2d(channels, channels, 3, groups=channels)
        self.scale = nn.Parameter(torch.rand(channels, 1, 1))
        self.grouped = nn.Conv2d(channels, grouped, 1, groups=2, bias=False)
        self.groups = nn.GroupNorm(2, grouped)
        self.inner = nn.Linear(grouped, inner)
        self.layer_norm = nn.LayerNorm(inner)
        self.head = nn.Linear(inner, 5)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.scale * self.depthwise(self.norm(self.first(images)))
        features = self.groups(self.grouped(maps)).mean((2, 3))
        logits: Tensor = self.head(self.layer_norm(self.inner(features)))
        return logits


SHAPE = (3, 9, 9)


def test_a_network_with_the_shapes_is_the_pruned_one() -> None:
    pruned = Small(6, 7, 4).eval()
    shapes = changed_shapes(pruned, Small(12, 9, 10))
    assert shapes["first.weight"] == [6, 3, 3, 3]
    assert "head.bias" not in shapes
    network = Small(12, 9, 10).eval()
    network.norm.weight.requires_grad_(False)
    reshape(network, shapes, SHAPE)
    assert repr(network) == repr(pruned)  # with the numbers of all layers
    assert not network.norm.weight.requires_grad
    network.load_state_dict(pruned.state_dict())
    images = torch.randn(2, *SHAPE)
    assert torch.equal(network(images), pruned(images))


def test_the_first_entries_stay() -> None:
    network, whole = Small(12, 9, 10), Small(12, 9, 10)
    whole.load_state_dict(network.state_dict())
    reshape(network, changed_shapes(Small(6, 7, 4), whole), SHAPE)
    assert torch.equal(network.inner.weight, whole.inner.weight[:7, :4])
    assert changed_shapes(whole, network) != {}


def test_networks_with_other_layers_are_no_pruned_ones() -> None:
    with pytest.raises(ValueError, match=r"0\.bias is in one of the networks alone"):
        changed_shapes(nn.Sequential(nn.Linear(2, 2)), Small(6, 7, 4))


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"other.weight": [1]}, "'other.weight', which the network has not"),
        ({"inner.weight": [9]}, r"inner.weight is [9], which is no part of [9, 10]"),
        ({"inner.weight": [9, 11]}, r"inner.weight is [9, 11], which is no part"),
        ({"inner.weight": [0, 10]}, r"inner.weight is [0, 10], which is no part"),
        ({"inner.weight": [9, 8]}, "shapes do not fit each other"),
        ({"norm.running_mean": [8]}, "shapes do not fit each other"),
        ({"grouped.weight": [9, 6, 1, 1]}, "shapes do not fit each other"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(
    shapes: dict[str, list[int]], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        reshape(Small(12, 9, 10), shapes, SHAPE)


@pytest.mark.parametrize(
    "layer", [lambda: nn.ConvTranspose2d(4, 4, 1), lambda: nn.PReLU(4)]
)
def test_layers_that_are_not_known_are_named(layer: Callable[[], nn.Module]) -> None:
    network = nn.Sequential(layer())
    with pytest.raises(ValueError, match=r"0 is a .*, whose shape is not changed here"):
        reshape(
            network, {"0.weight": [2, *next(network.parameters()).shape[1:]]}, (4, 1, 1)
        )
