"""Derived windows, held against gradients at every position, and known answers."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from clothing_lightning.network_analysis.receptive_field import (
    ReceptiveField,
    field_report,
)
from clothing_lightning.network_analysis.tracing import trace
from tests.network_analysis.measured_field import measured_field

Function = Callable[[Tensor], Tensor]


class Network(nn.Module):
    """A function as a module."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, images: Tensor) -> Tensor:
        return self.function(images)


def ones(like: Tensor, *shape: int) -> Tensor:
    return torch.ones(*shape, dtype=like.dtype, device=like.device)


def conv(
    x: Tensor, kernel: tuple[int, int] = (3, 3), out: int | None = None, **options: int
) -> Tensor:
    groups = options.get("groups", 1)
    weight = ones(x, out or x.shape[1], x.shape[1] // groups, *kernel)
    made: Tensor = F.conv2d(x, weight, **options)  # type: ignore[call-overload]
    return made


Window = tuple[int, int]


def derived(function: Function, size: tuple[int, int]) -> list[list[Window]]:
    """Window of every row and every column of the features."""
    made = trace(Network(function), size)
    assert made.features is not None, [o for o in made.operations if o.unknown]
    assert not any(operation.unknown for operation in made.operations)
    grid = field_report(made, size).grid
    result = []
    for windows, count in zip(made.features.windows, grid, strict=True):
        ends = windows.at(np.arange(count))
        result.append([(int(a), int(b)) for a, b in zip(*ends, strict=True)])
    return result


def measured(function: Function, size: tuple[int, int]) -> list[list[Window | None]]:
    """Rows and columns of the image with a gradient, for each row and each column."""
    torch.manual_seed(0)
    images = torch.rand(1, 3, *size, dtype=torch.float64).add(0.1).requires_grad_()
    features = function(images)
    result: list[list[Window | None]] = [[], []]
    for axis in (0, 1):
        for place in range(features.shape[2 + axis]):
            part = features.select(2 + axis, place).sum()
            (gradient,) = torch.autograd.grad(part, images, retain_graph=True)
            lines = gradient.abs().sum((0, 1, 3 - axis)).nonzero().flatten()
            ends = (int(lines[0]), int(lines[-1])) if len(lines) else None
            result[axis].append(ends)
    return result


def windowed(x: Tensor, window: int) -> Tensor:
    """Divide into windows, take a mean in each, and put them together again."""
    n, c, h, w = x.shape
    parts = x.view(n, c, h // window, window, w // window, window)
    parts = parts.permute(0, 2, 4, 3, 5, 1).reshape(-1, window * window, c)
    parts = parts @ ones(x, c, c)
    parts = parts.view(n, h // window, w // window, window, window, c)
    return parts.permute(0, 5, 1, 3, 2, 4).reshape(n, c, h, w)


def space_to_depth(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    parts = x.view(n, c, h // 2, 2, w // 2, 2).permute(0, 3, 5, 1, 2, 4)
    return conv(parts.reshape(n, 4 * c, h // 2, w // 2), (1, 1))


def run_time_same(x: Tensor) -> Tensor:
    missing = [max((-(-n // 2) - 1) * 2 + 3 - n, 0) for n in x.shape[-2:]]
    (top, left) = (n // 2 for n in missing)
    padding = (left, missing[1] - left, top, missing[0] - top)
    return conv(F.pad(x, padding), stride=2)


FUNCTIONS: dict[str, Function] = {
    "convolution": lambda x: conv(conv(x, stride=2, padding=1), padding=1),
    "dilated": lambda x: conv(conv(x, dilation=3, padding=2), stride=2),
    "asymmetric": lambda x: conv(conv(x, (1, 7)), (5, 1), stride=2),
    "grouped and depthwise": lambda x: conv(conv(x, groups=3), (1, 1)),
    "valid, then padding": lambda x: conv(conv(x, stride=3), padding=2),
    "same, at run time": lambda x: conv(run_time_same(x), padding=1),
    "transposed": lambda x: F.conv_transpose2d(
        conv(x, stride=2), ones(x, 3, 2, 4, 4), stride=2, padding=1
    ),
    "transposed with an odd kernel": lambda x: F.conv_transpose2d(
        conv(x, stride=3), ones(x, 3, 2, 3, 3), stride=2, output_padding=1
    ),
    "pools": lambda x: F.avg_pool2d(F.avg_pool2d(x, 3, 2, 1), 2),
    "pool with ceil mode": lambda x: conv(F.avg_pool2d(x, 3, 2, ceil_mode=True)),
    "adaptive pool, real bins": lambda x: F.adaptive_avg_pool2d(conv(x), (5, 7)),
    "adaptive pool, then convolution": lambda x: conv(F.adaptive_avg_pool2d(x, 6)),
    "nearest up": lambda x: conv(F.interpolate(conv(x, stride=2), scale_factor=2)),
    "nearest to odd size": lambda x: F.interpolate(conv(x, stride=2), size=(15, 13)),
    "bilinear up": lambda x: F.interpolate(
        conv(x, stride=2), scale_factor=2, mode="bilinear"
    ),
    "bilinear with corners": lambda x: F.interpolate(
        conv(x), size=(9, 9), mode="bilinear", align_corners=True
    ),
    "bicubic": lambda x: F.interpolate(conv(x), size=(10, 7), mode="bicubic"),
    "reflection padding": lambda x: conv(F.pad(x, (1, 1, 1, 1), mode="reflect")),
    "cropped": lambda x: conv(F.pad(x, (-2, -1, -3, 0)), stride=2),
    "sliced": lambda x: conv(x, stride=2)[:, :, 1:-1, 2:],
    "every second": lambda x: conv(x[:, :, ::2, 1::2]),
    "focus": lambda x: conv(
        torch.cat([x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)], 1), (1, 1)
    ),
    "space to depth": space_to_depth,
    "depth to space": lambda x: conv(F.pixel_shuffle(conv(x, out=8, stride=2), 2)),
    "residual": lambda x: x + conv(conv(x, padding=1), padding=1),
    "branches": lambda x: torch.cat([conv(x, (1, 1)), conv(x, (5, 5), padding=2)], 1),
    "branches of other centres": lambda x: (
        conv(x, (2, 2), stride=2) + conv(x, (1, 1), stride=2)
    ),
    "branches of other strides": lambda x: (
        F.interpolate(conv(x, stride=2, padding=1), size=x.shape[-2:]) + conv(x, (1, 1))
    ),
    "blur pool": lambda x: conv(
        F.pad(conv(x, padding=1), (1, 1, 1, 1), mode="reflect"), groups=3, stride=2
    ),
    "channels last": lambda x: F.linear(
        conv(x, stride=2).permute(0, 2, 3, 1), ones(x, 5, 3)
    ).permute(0, 3, 1, 2),
    "tokens and back": lambda x: (
        (conv(x, (4, 4), stride=4).flatten(2).transpose(1, 2) @ ones(x, 3, 3))
        .transpose(1, 2)
        .reshape(1, 3, x.shape[2] // 4, x.shape[3] // 4)
    ),
    "class token put before and taken off": lambda x: (
        torch.cat(
            [
                ones(x, 1, 1, 3),
                conv(x, (4, 4), stride=4).flatten(2).transpose(1, 2),
            ],
            1,
        )[:, 1:]
        .transpose(1, 2)
        .reshape(1, 3, x.shape[2] // 4, x.shape[3] // 4)
    ),
    "windows": lambda x: windowed(conv(x, padding=1), 4),
    "pooled windows": lambda x: F.avg_pool2d(windowed(x, 4), 2),
    "rolled there and back": lambda x: conv(
        windowed(conv(x, padding=1).roll((-2, -2), (2, 3)), 4).roll((2, 2), (2, 3))
    ),
    "joined along the height": lambda x: conv(
        torch.cat([x[:, :, :6], x[:, :, 6:]], 2), padding=1
    ),
    "flipped twice": lambda x: conv(conv(x.flip(3), stride=3).flip(3), padding=1),
    "columns and back": lambda x: F.fold(
        ones(x, 27, 27) @ F.unfold(x, 3, padding=1, stride=2), x.shape[-2:], 3, 1, 1, 2
    ),
    "unfolded": lambda x: x.unfold(2, 4, 2).unfold(3, 4, 2).mean((4, 5)),
    "squeezed and excited": lambda x: (
        conv(x, padding=1) * conv(x.mean((2, 3), keepdim=True), (1, 1)).detach()
    ),
    "norms": lambda x: (
        F.layer_norm(
            F.batch_norm(
                conv(x),
                torch.zeros(3, dtype=x.dtype, device=x.device),
                ones(x, 3),
            ).permute(0, 2, 3, 1),
            (3,),
        ).permute(0, 3, 1, 2)
        + conv(x)
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_windows_are_where_the_gradient_is(name: str) -> None:
    function, size = FUNCTIONS[name], (24, 20)
    for ours, theirs, length in zip(
        derived(function, size), measured(function, size), size, strict=True
    ):
        assert len(ours) == len(theirs)
        inside = 0
        for (first, last), seen in zip(ours, theirs, strict=True):
            if first >= 0 and last < length:
                assert (first, last) == seen
                inside += 1
            elif seen is not None:  # of padding nothing is seen
                assert first <= seen[0] <= seen[1] <= last
        assert inside >= 2


@pytest.mark.parametrize(
    ("name", "size_px", "stride_px"),
    [
        ("vgg16", 212, 32),
        ("resnet18", 435, 32),
        ("resnet34", 899, 32),
        ("resnet50", 427, 32),  # the paper's strides elsewhere and has 483
        ("mobilenetv2_100", 491, 32),
        ("vit_base_patch16_224", 16, 16),
        ("swin_tiny_patch4_window7_224", 32, 32),
    ],
)
def test_known_networks(name: str, size_px: int, stride_px: int) -> None:
    with torch.device("meta"):
        network = timm.create_model(name).eval()
    field = field_report(trace(network, (224, 224)), (224, 224)).field
    assert field is not None
    assert (field.size_px, field.stride_px) == ((size_px,) * 2, (stride_px,) * 2)


def report_of(function: Function, size: int = 16) -> dict[str, object]:
    found = field_report(trace(Network(function), (size, size)), (size, size))
    return {key: getattr(found, key) for key in found.__slots__}


def test_an_unknown_operation_is_named() -> None:
    found = report_of(lambda x: conv(torch.fft.fft2(conv(x)).real, padding=1))
    assert found["unknown_ops"] == ["_fft_c2c"]
    assert found["field"] == ReceptiveField((3, 3), (1, 1), (0, 0))


@pytest.mark.parametrize(
    "activation",
    [
        nn.PReLU(3, device="meta"),
        *(nn.Hardswish(), nn.Hardtanh(inplace=True), nn.LeakyReLU(inplace=True)),
        *(nn.ELU(), nn.GELU(), nn.Mish(), nn.Softplus(), nn.LogSigmoid()),
    ],
    ids=lambda activation: type(activation).__name__,
)
def test_activations_see_what_they_are_given(activation: nn.Module) -> None:
    found = report_of(lambda x: conv(activation(conv(x))))
    assert found["unknown_ops"] == []
    assert found["field"] == ReceptiveField((5, 5), (1, 1), (0, 0))


def test_what_looks_at_the_whole_image_is_told_with_its_layer() -> None:
    with torch.device("meta"):
        network = timm.create_model("seresnet18").eval()
    found = field_report(trace(network, (224, 224)), (224, 224))
    assert found.global_from == "layer1.0.se"
    assert found.global_ops[-1] == "layer4.1.se"
    assert found.field is not None
    assert found.field.size_px == (435, 435)


def test_window_attention_is_told_with_its_window() -> None:
    with torch.device("meta"):
        network = timm.create_model("swin_tiny_patch4_window7_224").eval()
    found = field_report(trace(network, (224, 224)), (224, 224))
    (local,) = found.local_ops
    assert (local.layer, local.positions) == ("layers.0.blocks.0.attn", (7, 7))
    assert local.size_px == (28, 28)
    assert found.global_from == "layers.3.blocks.0.attn"  # its window is the whole map


def test_a_misaligned_join_is_told() -> None:
    found = report_of(lambda x: conv(x, (2, 2), stride=2) + conv(x, (1, 1), stride=2))
    assert found["misaligned"] == {"add": 0.5}
    aligned = report_of(
        lambda x: conv(x, stride=2, padding=1) + conv(x, (1, 1), stride=2)
    )
    assert aligned["misaligned"] == {}


def test_sums_over_height_or_width_alone_are_global_together() -> None:
    strips = report_of(lambda x: conv(x) * conv(x).mean(2, keepdim=True))
    assert (strips["global_ops"], strips["global_from"]) == (["mean"], None)
    both = report_of(
        lambda x: x * x.mean(2, keepdim=True) * x.mean(3, keepdim=True).sigmoid()
    )
    assert both["global_from"] == "mean"


def test_the_window_of_a_position() -> None:
    field = ReceptiveField((7, 5), (4, 2), (3, 0))
    assert field.window((0, 0)) == (-3, 0, 4, 5)
    assert field.window((2, 3)) == (5, 6, 12, 11)


def convolution(
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: int,
    groups: int,
) -> nn.Module:
    """With no more padding than the kernel reaches from its centre."""
    height, width = (
        min(wanted, dilation * (size - 1) // 2)
        for wanted, size in zip(padding, kernel, strict=True)
    )
    return nn.Conv2d(3, 3, kernel, stride, (height, width), dilation, groups)


def pairs(least: int, most: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(least, most), st.integers(least, most))


convolutions = st.builds(
    convolution,
    pairs(1, 5),
    pairs(1, 3),
    pairs(0, 4),
    st.integers(1, 3),
    st.sampled_from([1, 3]),
)
pools = st.one_of(
    st.builds(nn.MaxPool2d, st.integers(2, 3), st.integers(1, 2), st.integers(0, 1)),
    st.builds(nn.AvgPool2d, st.integers(1, 3), st.integers(1, 3)),
)


class Residual(nn.Module):
    """Two convolutions that keep the size, and what they are added to."""

    def __init__(self, kernel: int, dilation: int) -> None:
        super().__init__()
        conv = partial(nn.Conv2d, 3, 3, kernel, dilation=dilation, padding="same")
        self.body = nn.Sequential(
            conv(), nn.BatchNorm2d(3), nn.ReLU(), conv(bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = x + self.body(x)
        return made


residuals = st.builds(Residual, st.sampled_from([1, 3, 5]), st.integers(1, 2))


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(st.lists(st.one_of(convolutions, pools, residuals), min_size=1, max_size=5))
def test_random_networks_have_the_field_that_is_measured(
    layers: list[nn.Module],
) -> None:
    network = nn.Sequential(*layers).eval()
    measured = measured_field(network)
    found = field_report(trace(network.to("meta"), (96, 96)), (96, 96))
    assert found.field == measured
    assert found.is_uniform


@pytest.mark.parametrize(
    "name",
    ["test_resnet", "resnet18", "mobilenetv2_050", "tf_efficientnet_lite0", "vgg11"],
)
def test_real_networks_have_the_field_that_is_measured(name: str) -> None:
    network = timm.create_model(name).eval()
    size = 224, 224
    measured = measured_field(network, image_size=size)
    assert field_report(trace(network.to("meta"), size), size).field == measured
