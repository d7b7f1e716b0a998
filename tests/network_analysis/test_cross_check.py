import copy

import pytest
import timm
import torch
import torch.nn.functional as F
from ptflops import get_model_complexity_info
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from clothing_lightning.network_analysis.complexity import analyze
from clothing_lightning.network_analysis.cross_check import (
    FUNCTIONS,
    cross_check,
    ptflops_macs,
)
from clothing_lightning.network_analysis.meta import meta_copy


def on_meta(name: str) -> nn.Module:
    with torch.device("meta"):
        network: nn.Module = timm.create_model(name)
    return network.eval()


def sentences(network: nn.Module, side: int = 224) -> list[str]:
    return cross_check(analyze(network, side), network)


def by_ptflops(network: nn.Module, side: int = 224) -> dict[str, int]:
    return dict(ptflops_macs(meta_copy(network), (3, side, side)))


@pytest.mark.parametrize(
    "name", ["resnet18", "mobilenetv2_100", "vit_tiny_patch16_224", "pit_ti_224"]
)
def test_torch_counts_the_same(name: str) -> None:
    network = on_meta(name).requires_grad_(False)
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(1, 3, 224, 224, device="meta"))
    assert counter.get_total_flops() == analyze(network).flops


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
    assert sum(by_ptflops(on_meta(name)).values()) == expected
    assert capsys.readouterr() == ("", "")


def test_leaves_network_and_torch_as_they_were() -> None:
    network = on_meta("test_vit")
    modules = {
        name: copy.copy(vars(module)) for name, module in network.named_modules()
    }
    functions = [F.relu, F.softmax, torch.mm, torch.baddbmm, torch.Tensor.mul]
    sentences(network, 160)
    assert modules == {name: vars(module) for name, module in network.named_modules()}
    assert functions == [F.relu, F.softmax, torch.mm, torch.baddbmm, torch.Tensor.mul]


def test_where_counters_agree_no_layer_is_named() -> None:
    assert sentences(on_meta("resnet18")) == [
        "MACs: 1.814 G; by torch's FlopCounterMode 1.814 G, by ptflops 1.825 G."
    ]


def test_what_is_lost_inside_of_a_counted_layer_is_named_by_it() -> None:
    """For timm's Attention ptflops has a rule that leaves out its linear layers."""
    assert sentences(on_meta("vit_tiny_patch16_224")) == [
        "MACs: 1.254 G; by torch's FlopCounterMode 1.254 G, by ptflops 0.913 G.",
        "blocks.*.attn: 0.527 G; by ptflops 0.181 G.",
    ]


class Small(nn.Module):
    """A biased linear layer, and arithmetic that is no MAC."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1, bias=False)
        self.act = nn.ReLU()
        self.head = nn.Linear(4, 10)

    def forward(self, images: Tensor) -> Tensor:
        features = self.act(self.conv(images)).mean((2, 3))
        product = features @ self.head.weight.t()
        logits: Tensor = self.head(features) + torch.matmul(product, product.t())
        return logits


def test_what_ptflops_counts() -> None:
    """Activations as a layer and again as a function, biases, but no product by @."""
    assert by_ptflops(Small(), 8) == {
        "conv": 64 * 12,
        "act": 64 * 4,
        "head": 40 + 10,
        FUNCTIONS: 64 * 4 + 10,
    }
    assert analyze(Small(), 8).macs == 64 * 12 + 40 + 40 + 10
    assert len(sentences(Small(), 8)) == 1 + len(["", "act", "head", FUNCTIONS])


class Shared(nn.Module):
    """Two blocks that share a convolution, and attention."""

    def __init__(self) -> None:
        super().__init__()
        conv = nn.Conv2d(3, 3, 1, bias=False)
        self.blocks = nn.Sequential(nn.Sequential(conv), nn.Sequential(conv))

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.blocks(images).flatten(2).transpose(1, 2)
        return F.scaled_dot_product_attention(tokens, tokens, tokens)


def test_shared_layers_count_at_each_place_and_attention_never() -> None:
    attention, convolution = 2 * 64 * 64 * 3, 64 * 9
    assert analyze(Shared(), 8).macs == attention + 2 * convolution
    places = {"blocks.0.0": 2 * convolution, "blocks.1.0": 2 * convolution}
    assert by_ptflops(Shared(), 8) == {**places, FUNCTIONS: 0}


def test_network_that_ptflops_cannot_run_is_an_error() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), Untouchable())
    with pytest.raises(RuntimeError, match="ptflops cannot count this network: Flops"):
        sentences(network, 4)


class Untouchable(nn.Module):
    """Fails where ptflops has put something else in the place of ``F.relu``."""

    def forward(self, images: Tensor) -> Tensor:
        assert not hasattr(F.relu, "collector")
        return images
