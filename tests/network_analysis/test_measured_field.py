from collections.abc import Sequence
from copy import deepcopy
from typing import NamedTuple

import pytest
import timm
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from timm.layers.create_conv2d import create_conv2d
from torch import Tensor, nn

from clothing_lightning.network_analysis.receptive_field import ReceptiveField
from tests.network_analysis.measured_field import measured_field

few = settings(max_examples=40, deadline=None, derandomize=True, database=None)


def square(size: int, stride: int, padding: int) -> ReceptiveField:
    return ReceptiveField((size,) * 2, (stride,) * 2, (padding,) * 2)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # 212 and 491: Araujo et al.; ResNets with timm's place of the stride.
        ("vgg16", square(212, 32, 90)),
        ("resnet18", square(435, 32, 217)),
        ("resnet34", square(899, 32, 449)),
        ("resnet50", square(427, 32, 213)),
        ("seresnet50", square(427, 32, 213)),
        ("mobilenetv2_100", square(491, 32, 245)),
        ("tf_efficientnet_lite0", square(851, 32, 394)),
    ],
)
def test_known_networks(name: str, expected: ReceptiveField) -> None:
    with torch.device("meta"):
        network = timm.create_model(name)
    assert measured_field(network) == expected


class Layer(NamedTuple):
    kind: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]

    def module(self) -> nn.Module:
        window = (self.kernel, self.stride, self.padding)
        match self.kind:
            case "convolution":
                return nn.Conv2d(2, 2, *window, self.dilation)
            case "depthwise":
                return nn.Conv2d(2, 2, *window, self.dilation, groups=2)
            case "maximum":
                return nn.MaxPool2d(*window, self.dilation)
            case _:
                return nn.MaxPool2d(*window, self.dilation, ceil_mode=True)


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    kind = draw(st.sampled_from(("convolution", "depthwise", "maximum", "ceiling")))

    def pair(low: int, highest: Sequence[int]) -> tuple[int, int]:
        first, second = (draw(st.integers(low, high)) for high in highest)
        return first, second

    kernel, stride = pair(1, (5, 5)), pair(1, (3, 3))
    dilation = pair(1, (20, 20) if kind == "convolution" else (2, 2))
    # Torch refuses pools with more; beyond it some positions see padding alone.
    padding = pair(0, (kernel[0] // 2, kernel[1] // 2))
    return Layer(kind, kernel, stride, padding, dilation)


def recurrence(chain: Sequence[Layer]) -> ReceptiveField:
    """Equations 1 to 4 of Araujo, Norris and Sim."""
    by_axis = []
    for axis in (0, 1):
        size, stride, padding = 1, 1, 0
        for layer in chain:
            size += layer.dilation[axis] * (layer.kernel[axis] - 1) * stride
            padding += layer.padding[axis] * stride
            stride *= layer.stride[axis]
        by_axis.append((size, stride, padding))
    (h, w) = by_axis
    return ReceptiveField((h[0], w[0]), (h[1], w[1]), (h[2], w[2]))


@few
@given(st.lists(layers(), min_size=1, max_size=4))
def test_chains_agree_with_the_recurrence(chain: list[Layer]) -> None:
    expected = recurrence(chain)
    assume(max(expected.size_px) <= 1000)
    between = (nn.BatchNorm2d(2), nn.ReLU6(), nn.Hardswish(), nn.Identity())
    pairs = zip((layer.module() for layer in chain), between, strict=False)
    network = nn.Sequential(*(module for pair in pairs for module in pair))
    assert measured_field(network, channels=2) == expected


class Branches(nn.Module):
    """A squeeze-excitation gate, and branches of three sizes that meet in many ways."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 2, 1)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1))
        self.wide = nn.Conv2d(4, 4, 7, padding=3, groups=2)
        self.tall = nn.Conv2d(4, 4, (9, 1), padding=(4, 0))
        self.norm = nn.LayerNorm(4)
        self.scale = nn.Parameter(torch.zeros(4, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        stem = self.stem(images)
        stem = stem * self.gate(stem).sigmoid() * stem.mean((2, 3), keepdim=True)
        wide = stem - self.scale * self.wide(stem).relu_()
        wide *= 1 - stem.amax(1, keepdim=True)
        tall = self.norm(self.tall(stem).movedim(1, -1)).movedim(-1, 1)
        return torch.cat([wide / stem.std((2, 3), keepdim=True), tall], 1)


def test_the_largest_branch_counts_and_whole_image_gates_do_not() -> None:
    # Rows: 3 + (9 - 1) * 2; columns: 3 + (7 - 1) * 2.
    assert measured_field(Branches()) == ReceptiveField((19, 15), (2, 2), (9, 7))


def test_weights_do_not_count() -> None:
    network = Branches()
    expected = measured_field(network)
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    assert measured_field(network) == expected
    for parameter in network.parameters():
        nn.init.constant_(parameter, -1)
    assert measured_field(network.double()) == expected


def test_network_is_left_as_it_was() -> None:
    network = Branches().train()
    network.norm.eval()
    network.stem.weight.requires_grad_(False)
    before = deepcopy(network.state_dict())
    measured_field(network)
    assert (network.training, network.norm.training) == (True, False)
    assert not network.stem.weight.requires_grad
    assert network.scale.requires_grad
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(value.equal(before[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("image_size", "padding"), [((224, 224), (0, 0)), ((225, 224), (1, 0))]
)
def test_padding_by_image_size_is_that_of_the_given_size(
    image_size: tuple[int, int], padding: tuple[int, int]
) -> None:
    network = create_conv2d(  # type: ignore[no-untyped-call]
        3, 3, 3, stride=2, padding="same"
    )
    field = measured_field(network, image_size=image_size)
    assert field == ReceptiveField((3, 3), (2, 2), padding)


def test_features_may_come_from_within_and_be_tokens() -> None:
    network = timm.create_model("test_vit")
    assert measured_field(network) == square(16, 16, 0)
    assert measured_field(network, network.get_submodule("patch_embed.proj")) == square(
        16, 16, 0
    )


def test_gradients_may_be_switched_off_outside() -> None:
    with torch.inference_mode():
        assert measured_field(nn.Conv2d(3, 3, 5)) == square(5, 1, 0)


def test_error_names_the_size_that_the_network_refuses() -> None:
    network = timm.create_model("test_vit", dynamic_img_size=False, img_size=224)
    match = (
        r"VisionTransformer does not take .* 1056 x 1056 .*doesn't match model \(224\)"
    )
    with pytest.raises(ValueError, match=match):
        measured_field(network)


@pytest.mark.parametrize(
    "network",
    [
        nn.Upsample(scale_factor=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Conv2d(3, 3, (3, 1), padding=(127, 0), dilation=127),
    ],
)
def test_error_if_windows_differ_or_are_too_large(network: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"no image of up to 100 pixels shows"):
        measured_field(network, limit_px=100)
