import copy

import pytest
import torch
from torch import Tensor, nn

from clothing_lightning.network_analysis.latency import latency

SIZES = {"small": (8, 8), "large": (16, 12)}


class Watched(nn.Module):
    """A convolution that writes down who was called, and with how many images."""

    def __init__(self, name: str, calls: list[tuple[str, int]]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)
        self.name = name
        self.calls = calls

    def __deepcopy__(self, memo: dict[int, object]) -> "Watched":
        return Watched(self.name, self.calls)

    def forward(self, images: Tensor) -> Tensor:
        assert not self.training
        assert torch.is_inference_mode_enabled()
        self.calls.append((self.name, len(images)))
        output: Tensor = self.conv(images)
        return output


def convolution() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 2, 3))


def test_one_entry_for_each_network_and_batch_size_in_order() -> None:
    networks = {name: convolution() for name in SIZES}
    found = latency(networks, SIZES, (1, 4), repeats=20)
    assert [(entry.name, entry.batch) for entry in found] == [
        ("small", 1),
        ("small", 4),
        ("large", 1),
        ("large", 4),
    ]
    assert [entry.image_size for entry in found] == [(8, 8), (8, 8), (16, 12), (16, 12)]
    for entry in found:
        assert 0 < entry.median_ms <= entry.p95_ms
        assert entry.repeats == 20
        assert (entry.precision, entry.device) == ("float32", "cpu")
        assert entry.memory_format == "channels_first"
        assert entry.threads == torch.get_num_threads()


def test_networks_take_turns_after_a_warm_up() -> None:
    calls: list[tuple[str, int]] = []
    networks = {name: Watched(name, calls) for name in "ab"}
    latency(networks, (8, 8), (1, 2), repeats=5)
    turn = [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    assert calls == [run for run in turn for _ in range(3)] + 5 * turn


def test_budget_ends_slow_networks_after_three_passes() -> None:
    calls: list[tuple[str, int]] = []
    (found,) = latency({"a": Watched("a", calls)}, (8, 8), (1,), budget_s=0)
    assert found.repeats == 3
    assert len(calls) == 3


def test_precision_and_memory_format_are_those_asked_for() -> None:
    seen: list[tuple[torch.dtype, bool]] = []

    def note(_: nn.Module, args: tuple[Tensor, ...]) -> None:
        (images,) = args
        packed = images.is_contiguous(memory_format=torch.channels_last)
        seen.append((images.dtype, packed))

    network = convolution()
    network.register_forward_pre_hook(note)
    (found,) = latency(
        {"a": network}, (8, 8), (2,), precision="bfloat16", channels_last=True
    )
    assert set(seen) == {(torch.bfloat16, True)}
    assert (found.precision, found.memory_format) == ("bfloat16", "channels_last")


def test_networks_and_threads_are_left_as_they_were() -> None:
    network = convolution().train()
    before, state = torch.get_num_threads(), copy.deepcopy(network.state_dict())
    (found,) = latency(
        {"a": network}, (8, 8), (1,), precision="bfloat16", threads=before + 1
    )
    assert found.threads == before + 1
    assert torch.get_num_threads() == before
    assert network.training
    assert all(torch.equal(state[key], v) for key, v in network.state_dict().items())


def test_threads_are_restored_when_a_network_fails() -> None:
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError):
        latency({"a": convolution()}, (2, 2), (1,), threads=before + 1)
    assert torch.get_num_threads() == before


def test_network_without_contents_is_refused() -> None:
    with torch.device("meta"):
        network = convolution()
    with pytest.raises(ValueError, match="a: its parameters are on the meta device"):
        latency({"a": network}, (8, 8))


def test_arguments_out_of_range_are_refused() -> None:
    with pytest.raises(
        ValueError, match="precision is 'int8', expected one of float32"
    ):
        latency({}, (8, 8), precision="int8")
    with pytest.raises(ValueError, match=r"repeats is 100, batch_sizes \(1, 0\)"):
        latency({}, (8, 8), (1, 0))
