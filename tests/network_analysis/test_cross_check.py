import copy

import pytest
import timm
import torch
import torch.nn.functional as F
from ptflops import get_model_complexity_info
from torch import Tensor, nn

from clothing_lightning.network_analysis.complexity import analyse
from clothing_lightning.network_analysis.cross_check import (
    CrossCheck,
    differences,
    ptflops_macs,
    torch_macs,
)


def on_meta(name: str) -> nn.Module:
    with torch.device("meta"):
        network: nn.Module = timm.create_model(name)
    return network.eval()


def check(name: str, size: tuple[int, int] = (224, 224)) -> CrossCheck:
    network = on_meta(name)
    return differences(analyse(network, name, size), network)


@pytest.mark.parametrize(
    "name",
    ["resnet18", "mobilenetv2_100", "vit_tiny_patch16_224", "pit_ti_224"],
)
def test_torch_counts_the_same(name: str) -> None:
    network = on_meta(name)
    ours = analyse(network, name, (224, 224)).macs
    assert torch_macs(network, (224, 224)) == ours


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224"])
def test_ptflops_counts_on_meta_as_it_does_on_the_cpu(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    expected, _ = get_model_complexity_info(
        timm.create_model(name),
        (3, 224, 224),
        print_per_layer_stat=False,
        as_strings=False,
    )
    capsys.readouterr()
    assert ptflops_macs(on_meta(name), (224, 224)) == expected
    assert capsys.readouterr() == ("", "")


def test_leaves_network_and_torch_as_they_were() -> None:
    network = on_meta("test_vit")
    modules = {
        name: copy.copy(vars(module)) for name, module in network.named_modules()
    }
    functions = [F.relu, F.softmax, torch.mm, torch.baddbmm, torch.Tensor.mul]
    differences(analyse(network, "test_vit", (160, 160)), network)
    assert modules == {name: vars(module) for name, module in network.named_modules()}
    assert functions == [F.relu, F.softmax, torch.mm, torch.baddbmm, torch.Tensor.mul]


def test_agreement_needs_no_explanation() -> None:
    found = check("resnet18")
    assert found.torch_macs == found.macs == 1_814_073_344
    assert found.ptflops_ratio == pytest.approx(1.0062, abs=1e-4)
    assert found.differences == []
    assert found.notes() == [
        "MACs: 1.814 G; by torch's FlopCounterMode 1.814 G, by ptflops 1.825 G."
    ]


def test_names_what_is_lost_inside_of_a_counted_layer() -> None:
    lost, *_ = check("vit_tiny_patch16_224").differences
    assert (lost.counter, lost.macs) == ("ptflops", -12 * 197 * 192 * 192 * 4)
    assert str(lost) == (
        "linear in Linear (blocks.*.attn.qkv, blocks.*.attn.proj): -348.6 M MACs, "
        "which ptflops does not count inside of Attention"
    )


class Small(nn.Module):
    """A biased linear layer, and arithmetic that is no MAC."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1, bias=False)
        self.act = nn.ReLU()
        self.head = nn.Linear(4, 10)

    def forward(self, images: Tensor) -> Tensor:
        features = self.act(self.conv(images)).mean((2, 3))
        logits: Tensor = self.head(features) + features @ self.head.weight.t()
        return logits


def test_every_kind_of_difference_is_accounted_for() -> None:
    with torch.device("meta"):
        network = Small().eval()
    found = differences(analyse(network, "small", (8, 8)), network)
    assert found.macs == 64 * 12 + 40 + 40
    by_reason = {d.reason: (d.layers, d.macs) for d in found.differences}
    assert by_reason == {
        "which ptflops counts as MACs": ("ReLU (act)", 2 * 64 * 4),
        "which ptflops does not count": ("matmul in Small", -40),
        "since ptflops counts biases as MACs": ("linear in Linear (head)", 10),
    }
    total = sum(difference.macs for difference in found.differences)
    assert found.ptflops_macs - found.macs == total


class Shared(nn.Module):
    """Two blocks that share a convolution, and attention."""

    def __init__(self) -> None:
        super().__init__()
        conv = nn.Conv2d(3, 3, 1, bias=False)
        self.blocks = nn.Sequential(nn.Sequential(conv), nn.Sequential(conv))

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.blocks(images).flatten(2).transpose(1, 2)
        return F.scaled_dot_product_attention(tokens, tokens, tokens)


def test_names_shared_modules_and_attention() -> None:
    with torch.device("meta"):
        network = Shared().eval()
    found = differences(analyse(network, "shared", (8, 8)), network)
    attention, convolution = 2 * 64 * 64 * 3, 64 * 9
    assert found.macs == found.torch_macs == attention + 2 * convolution
    assert [(d.layers, d.macs, d.reason) for d in found.differences] == [
        (
            "scaled_dot_product_attention in Shared",
            -attention,
            "which ptflops does not count",
        ),
        (
            "conv2d in Conv2d (blocks.*.*)",
            2 * convolution,
            "which ptflops counts at each of their places",
        ),
    ]
    assert len(found.notes()) == 3


def test_network_that_ptflops_cannot_run_is_an_error() -> None:
    with torch.device("meta"):
        network = nn.Sequential(nn.Flatten(), nn.Linear(3, 2)).eval()
    with pytest.raises(RuntimeError, match="ptflops cannot count this network: Flops"):
        ptflops_macs(network, (4, 4))
