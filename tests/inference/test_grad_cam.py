from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from clothing_lightning.errors import ConfigError
from clothing_lightning.inference.grad_cam import grad_cam


class Pixels(nn.Module):
    """Features are the image itself; class k's logit is the mean of channel k."""

    def forward_features(self, images: Tensor) -> Tensor:
        return images.clone()

    def forward_head(self, features: Tensor) -> Tensor:
        return features.mul_(1.0).mean(dim=(2, 3))  # in place, as some heads begin

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(images))


class PixelsLast(Pixels):
    """The same with the channels last, as Swin has them."""

    output_fmt = "NHWC"

    def forward_features(self, images: Tensor) -> Tensor:
        return images.permute(0, 2, 3, 1).clone()

    def forward_head(self, features: Tensor) -> Tensor:
        return features.mean(dim=(1, 2))


@pytest.mark.parametrize("network", [Pixels(), PixelsLast()])
def test_the_heat_of_a_class_is_the_positive_part_of_its_map(
    network: nn.Module,
) -> None:
    images = torch.tensor([[[[0.0, 2.0], [-1.0, 4.0]], [[-3.0, -1.0], [0.0, 0.0]]]])
    images = images.repeat(2, 1, 1, 1)
    heat = grad_cam(network, images, torch.tensor([0, 1]))
    assert heat.tolist() == [[[0.0, 0.5], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]]


@pytest.mark.parametrize(
    ("name", "grid"),
    [
        ("test_resnet", 5),
        ("test_vit", 10),
        ("test_vit2", 10),
        ("test_efficientnet", 5),
        ("baseline_cnn", None),
    ],
)
def test_networks_of_every_kind_have_a_map(name: str, grid: int | None) -> None:
    from clothing_lightning.models import networks  # noqa: F401  registers ours

    torch.manual_seed(0)
    network: Any = timm.create_model(name, num_classes=4).eval().requires_grad_(False)
    size = network.pretrained_cfg["input_size"][-1]
    images = torch.randn(2, 3, size, size)
    before = network(images)
    heat = grad_cam(network, images, torch.tensor([1, 3]))
    if grid:
        assert heat.shape == (2, grid, grid)
    assert heat.min() >= 0
    assert heat.amax(dim=(1, 2)).tolist() == pytest.approx([1, 1])
    assert torch.equal(network(images), before)  # nothing is left hooked


def test_weights_are_the_mean_gradients_of_the_logit() -> None:
    torch.manual_seed(0)
    network: Any = timm.create_model("test_resnet", num_classes=4).eval()
    images = torch.randn(1, 3, 160, 160)
    features = network.forward_features(images).detach()[0]
    # The head is linear in the pooled maps: its weights are the gradients.
    weights = network.get_classifier().weight.detach()
    expected = torch.einsum("ck,khw->chw", weights, features).relu()
    assert (expected.amax(dim=(1, 2)) > 0).any()
    heat = grad_cam(network, images.repeat(4, 1, 1, 1), torch.arange(4))
    for found, wanted in zip(heat, expected, strict=True):
        largest = wanted.max().clamp_min(1e-12)
        assert torch.allclose(found, wanted / largest, atol=1e-5)


class Flat(nn.Module):
    def forward_features(self, images: Tensor) -> Tensor:
        return images.flatten(1)

    def forward_head(self, features: Tensor) -> Tensor:
        return features[:, :3]


@pytest.mark.parametrize("network", [Flat(), nn.Flatten()])
def test_features_without_places_are_told(network: nn.Module) -> None:
    with pytest.raises(
        ConfigError, match=r"--explain: the features of \w+ are neither"
    ):
        grad_cam(network, torch.zeros(1, 3, 2, 2), torch.tensor([0]))
