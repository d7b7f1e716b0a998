from collections.abc import Iterator
from copy import deepcopy

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

from clothing_lightning.network_analysis.effective_field import (
    EffectiveField,
    effective_field,
    smallest_set,
)
from tests.network_analysis.measured_field import measured_field


@pytest.fixture
def images() -> Tensor:
    return torch.rand(5, 3, 40, 48, generator=torch.Generator().manual_seed(1))


class Tokens(nn.Module):
    """The same features as a map, as tokens, or with channels last."""

    num_features = 4
    num_prefix_tokens = 2

    def __init__(self, layout: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.GELU(), nn.BatchNorm2d(4))
        self.layout = layout

    def forward_features(self, images: Tensor) -> Tensor:
        found: Tensor = self.body(images)
        if self.layout == "tokens":
            tokens = found.flatten(2).transpose(1, 2)
            return torch.cat([tokens[:, :2] * 7, tokens], 1)
        return found if self.layout == "map" else found.movedim(1, -1)


class Blind(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.detach()


def test_heat_is_the_mean_absolute_weight_at_the_central_position() -> None:
    network = nn.Conv2d(3, 1, (3, 5), stride=2, bias=False)
    field = effective_field(network, torch.rand(2, 3, 9, 11))
    expected = np.zeros((9, 11))
    weights = network.weight.detach()[0].abs().mean(0).double().numpy()
    expected[4:7, 4:9] = weights / weights.sum()
    assert (field.images, field.position, field.grid) == (2, (2, 2), (4, 4))
    np.testing.assert_allclose(field.heat, expected, atol=1e-7)


def test_area_is_the_smallest_set_that_holds_95_percent() -> None:
    heat = np.zeros((10, 10))
    heat[:4, :5] = 0.05
    field = EffectiveField(heat, images=1, position=(0, 0), grid=(1, 1))
    assert (field.area_px, field.half_px) == (19, 10)
    assert field.area_share == 0.19
    assert field.side_px == pytest.approx(19**0.5)


def test_smallest_set_gives_its_lowest_value() -> None:
    assert smallest_set(np.array([[1.0, 5.0], [3.0, 1.0]]), 0.6) == (2, 3.0)
    assert smallest_set(np.array([4.0]), 1.0) == (1, 4.0)


@pytest.mark.parametrize("layout", ["map", "tokens", "last"])
def test_features_are_read_in_every_layout(layout: str, images: Tensor) -> None:
    field = effective_field(Tokens(layout), images)
    assert (field.position, field.grid) == ((2, 3), (5, 6))
    assert {(int(y), int(x)) for y, x in zip(*np.nonzero(field.heat), strict=True)} == {
        (y, x) for y in range(16, 24) for x in range(24, 32)
    }


# The features of test_vit are normalised: their plain sum is always the same.
@pytest.mark.parametrize("name", ["test_vit", "test_resnet"])
def test_networks_of_timm(name: str) -> None:
    torch.manual_seed(0)
    network = timm.create_model(name)
    field = effective_field(network, torch.rand(1, 3, 160, 160))
    assert field.heat.shape == (160, 160)
    assert field.heat.sum() == pytest.approx(1)
    assert field.position == tuple(side // 2 for side in field.grid)
    (top, left), side = field.position, 160 // field.grid[0]
    own = field.heat[top * side :, left * side :][:side, :side]
    assert own.mean() > 2 * field.heat.mean()


def test_influence_ends_where_the_measured_window_ends(images: Tensor) -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1), nn.SiLU(), nn.Conv2d(4, 2, (3, 5), padding=(1, 2))
    )
    field = effective_field(network, images)
    top, left, bottom, right = measured_field(network).window(field.position)
    window = field.heat[top:bottom, left:right]
    assert window.shape == (7, 11)
    assert window.sum() == pytest.approx(1)
    assert (window > 0).all()


def test_batches_do_not_change_the_result(images: Tensor) -> None:
    network = Tokens("map")
    expected = effective_field(network, images)

    def batches() -> Iterator[Tensor]:
        yield images[:1]
        yield images[1:]

    for field in (
        effective_field(network, images, batch_size=2),
        effective_field(network, batches()),
    ):
        assert field.images == 5
        np.testing.assert_allclose(field.heat, expected.heat, atol=1e-8)


def test_network_and_images_are_left_as_they_were(images: Tensor) -> None:
    network = Tokens("map").train().to(memory_format=torch.channels_last)
    network.body[1].eval()
    network.body[0].bias.requires_grad_(False)
    before, pixels = deepcopy(network.state_dict()), images.clone()
    with torch.inference_mode():
        effective_field(network, images)
    with pytest.raises(IndexError):
        effective_field(
            network, images, lambda found: network.forward_features(found)[9]
        )
    assert [module.training for module in network.body] == [True, False, True]
    gradients = {name: p.requires_grad for name, p in network.named_parameters()}
    assert [name for name, wanted in gradients.items() if not wanted] == ["body.0.bias"]
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(value.equal(before[key]) for key, value in network.state_dict().items())
    weight = network.body.get_parameter("0.weight")
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert images.equal(pixels)
    assert not images.requires_grad


@pytest.mark.parametrize(
    ("network", "sizes", "message"),
    [
        (nn.Conv2d(3, 1, 1), [], "images: there is none"),
        (nn.Conv2d(3, 1, 1), [8, 9], r"some are 8 x 8 pixels, others 9 x 9"),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(192, 5)),
            [8],
            r"Sequential are of shape",
        ),
        (nn.MaxPool2d(2, return_indices=True), [8], "MaxPool2d are a tuple"),
        (nn.Sequential(nn.Conv2d(3, 1, 1), nn.Threshold(9, 0)), [8], "sums to 0.0"),
        (Blind(), [8], "sums to 0.0"),
    ],
)
def test_errors(network: nn.Module, sizes: list[int], message: str) -> None:
    batches = [torch.rand(1, 3, size, size) for size in sizes]
    with pytest.raises(ValueError, match=message):
        effective_field(network, batches)
