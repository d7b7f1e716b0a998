"""Counts, held against those done by hand."""

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clothing_lightning.network_analysis.complexity import NetworkReport, analyze


def report_of(network: nn.Module, side: int = 8) -> NetworkReport:
    return analyze(network, side)


def named(name: str, side: int = 224) -> NetworkReport:
    with torch.device("meta"):
        return report_of(timm.create_model(name), side)


def test_a_convolution_is_counted_by_hand() -> None:
    conv = nn.Conv2d(3, 6, (3, 5), stride=2, padding=1, groups=3)
    (layer,) = report_of(nn.Sequential(conv)).layers
    assert layer.output_shape == (1, 6, 4, 3)
    assert layer.macs == 4 * 3 * 6 * (3 // 3) * 3 * 5
    assert layer.flops == 2 * layer.macs
    assert layer.other_flops == 4 * 3 * 6  # biases
    assert layer.params == 6 * 1 * 3 * 5 + 6
    assert (layer.kernel, layer.stride, layer.groups, layer.filters) == (
        (3, 5),
        (2, 2),
        3,
        6,
    )
    assert layer.activation_bytes == 4 * 6 * 4 * 3
    assert layer.field is not None
    assert (layer.field.size_px, layer.field.padding_px) == ((3, 5), (1, 1))


class Attention(nn.Module):
    """Two products by matmul, einsum or the fused operation."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.qkv = nn.Linear(3, 12)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.qkv(images.flatten(2).transpose(1, 2))
        q, k, v = (part.unsqueeze(1) for part in tokens.split(4, dim=-1))
        if self.how == "fused":
            fused: Tensor = F.scaled_dot_product_attention(q, k, v)
            return fused
        if self.how == "einsum":
            scores = torch.einsum("bhnd,bhmd->bhnm", q, k).softmax(-1)
            mixed: Tensor = torch.einsum("bhnm,bhmd->bhnd", scores, v)
            return mixed
        product: Tensor = (q @ k.transpose(-2, -1)).softmax(-1) @ v
        return product


@pytest.mark.parametrize("how", ["fused", "einsum", "matmul"])
def test_attention_is_counted_however_it_is_written(how: str) -> None:
    report = report_of(Attention(how))
    tokens = 8 * 8
    assert report.macs == tokens * 3 * 12 + 2 * tokens * tokens * 4
    assert {layer.name for layer in report.layers if layer.sees_all} == {""}


def test_transposed_convolution_and_dense_layer() -> None:
    network = nn.Sequential(
        nn.ConvTranspose2d(3, 5, 4, stride=2, bias=False),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(5, 7),
    )
    first, _, last = report_of(network).layers
    assert first.macs == 8 * 8 * 3 * 5 * 4 * 4
    assert (last.macs, last.other_flops, last.filters) == (5 * 7, 7, 7)


def test_a_layer_that_is_used_twice_costs_twice_and_weighs_once() -> None:
    conv = nn.Conv2d(3, 3, 3, padding=1)
    report = report_of(nn.Sequential(conv, nn.ReLU(), conv))
    assert report.params == sum(p.numel() for p in conv.parameters())
    assert report.macs == 2 * 8 * 8 * 3 * 3 * 9
    assert [layer.params for layer in report.layers] == [84, 0, 0]


def test_activations_are_freed_as_soon_as_nothing_needs_them() -> None:
    wide, narrow = 4 * 8 * 8 * 8, 4 * 8 * 8 * 2  # bytes of 8 and of 2 channels
    chain = [nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 2, 1)]
    assert report_of(nn.Sequential(*chain)).peak_activation_bytes == 2 * wide

    class Kept(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            first = images.repeat(1, 2, 1, 1)[:, :2].contiguous()
            kept = first + 0
            for _ in range(5):
                first = first + 1
            return first + kept

    images, repeated = 4 * 8 * 8 * 3, 4 * 8 * 8 * 6
    expected = max(images * 0 + repeated + narrow, 4 * narrow)
    assert report_of(Kept()).peak_activation_bytes <= expected + images


@pytest.mark.parametrize(
    ("name", "params", "gmacs"),
    [  # published with the papers' models; also in timm's tables
        ("resnet18", 11_689_512, 1.81),
        ("resnet50", 25_557_032, 4.09),
        ("vgg16", 138_357_544, 15.47),
        ("mobilenetv2_100", 3_504_872, 0.30),
        ("efficientnet_b0", 5_288_548, 0.39),
        ("vit_base_patch16_224", 86_567_656, 17.56),
        ("swin_tiny_patch4_window7_224", 28_288_354, 4.49),
    ],
)
def test_known_networks(name: str, params: int, gmacs: float) -> None:
    report = named(name)
    assert report.params == params
    assert report.macs / 1e9 == pytest.approx(gmacs, abs=0.006)
    assert report.flops == 2 * report.macs == 2 * sum(x.macs for x in report.layers)
    assert report.size_mb("float32") == pytest.approx(4 * report.size_mb("int8"))


def test_a_giant_needs_no_memory() -> None:
    report = named("vit_giant_patch14_clip_224")
    assert report.params > 1_000_000_000
    assert report.macs / 1e9 == pytest.approx(267.2, abs=1)


def test_the_network_is_left_as_it_was() -> None:
    with torch.device("meta"):
        network = timm.create_model("test_resnet").eval()
    before = dict(network.__dict__)
    analyze(network, (160, 160), name="test_resnet")
    assert network.__dict__ == before
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())
