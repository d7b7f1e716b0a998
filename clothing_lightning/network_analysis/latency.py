"""How long a forward pass takes on this machine: measured, not derived from FLOPs."""

import math
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from clothing_lightning.network_analysis.meta import image_channels

PRECISIONS = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
WARM_UP = 3  # calls that are not counted: memory is requested, kernels are chosen
LEAST_REPEATS = 3


@dataclass(frozen=True, slots=True)
class Latency:
    """Time of one forward pass.

    Attributes:
        name: Name of the network.
        image_size: Height and width in pixels.
        batch: Images at a time.
        median_ms: Milliseconds that half of the passes stay under, for the whole batch.
        p95_ms: Milliseconds that 95 % of them do not exceed; the longest of under 20.
        repeats: Passes that were timed.
        threads: Threads of torch on the CPU.
        precision: Type of parameters and images.
        memory_format: ``channels_first`` or ``channels_last``.
        device: ``cpu``, or the name of the GPU.
    """

    name: str
    image_size: tuple[int, int]
    batch: int
    median_ms: float
    p95_ms: float
    repeats: int
    threads: int
    precision: str
    memory_format: str
    device: str


@dataclass
class _Run:
    """One network at one batch size, and what its passes took."""

    name: str
    network: nn.Module
    images: Tensor
    spent_s: float = 0.0
    times_s: list[float] = field(default_factory=list)

    def once(self) -> float:
        _synchronize(self.images.device)
        begin = time.perf_counter()
        self.network(self.images)
        _synchronize(self.images.device)
        took = time.perf_counter() - begin
        self.spent_s += took
        return took

    def warm_up(self, budget_s: float) -> None:
        for _ in range(WARM_UP):
            if self.spent_s < budget_s / WARM_UP:
                self.once()

    def is_over(self, budget_s: float, repeats: int) -> bool:
        done = len(self.times_s)
        return done >= repeats or (done >= LEAST_REPEATS and self.spent_s >= budget_s)


def latency(
    networks: Mapping[str, nn.Module],
    image_sizes: Mapping[str, tuple[int, int]] | tuple[int, int],
    batch_sizes: Sequence[int] = (1, 32),
    *,
    device: str = "cpu",
    precision: str = "float32",
    channels_last: bool = False,
    threads: int | None = None,
    budget_s: float = 5.0,
    repeats: int = 100,
) -> list[Latency]:
    """Time networks in turns, so that what slows the machine down hits all alike.

    Args:
        networks: By the names to call them by; with contents in their parameters, be
            they random. They are copied.
        image_sizes: Height and width in pixels, for all or for each name.
        batch_sizes: Images at a time.
        device: Name of the device in torch, such as ``cuda``.
        precision: ``float32``, ``float16`` or ``bfloat16``, of parameters and images.
        channels_last: Whether channels are innermost in memory.
        threads: Threads of torch on the CPU; by default as many as it has now.
        budget_s: Time for each network and batch size, from which on there is no other
            pass, after three.
        repeats: Passes at most.

    Returns:
        One for each network and batch size, in their order.

    Raises:
        ValueError: If a network is on the meta device, or an argument out of its range.
    """
    _check(networks, batch_sizes, precision, repeats)
    dtype = PRECISIONS[precision]
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    runs = []
    for name, network in networks.items():
        size = image_sizes if isinstance(image_sizes, tuple) else image_sizes[name]
        copied = deepcopy(network).eval().to(device, dtype)
        copied = copied.to(memory_format=memory_format)
        for batch in batch_sizes:
            images = torch.rand(batch, image_channels(network), *size).to(
                device, dtype, memory_format=memory_format
            )
            runs.append(_Run(name, copied, images))
    with _threads(threads), torch.inference_mode():
        _take_turns(runs, budget_s, repeats)
        return [_latency(run, precision, channels_last) for run in runs]


def _check(
    networks: Mapping[str, nn.Module],
    batch_sizes: Sequence[int],
    precision: str,
    repeats: int,
) -> None:
    if precision not in PRECISIONS:
        raise ValueError(
            f"precision is {precision!r}, expected one of {', '.join(PRECISIONS)}."
        )
    if repeats < 1 or any(batch < 1 for batch in batch_sizes):
        raise ValueError(
            f"repeats is {repeats}, batch_sizes {tuple(batch_sizes)}: all start at 1."
        )
    for name, network in networks.items():
        if any(parameter.is_meta for parameter in network.parameters()):
            raise ValueError(
                f"{name}: its parameters are on the meta device, where nothing is "
                "computed. Create it without torch.device('meta')."
            )


def _take_turns(runs: Sequence[_Run], budget_s: float, repeats: int) -> None:
    for run in runs:
        run.warm_up(budget_s)
    waiting = list(runs)
    while waiting:
        for run in waiting:
            run.times_s.append(run.once())
        waiting = [run for run in waiting if not run.is_over(budget_s, repeats)]


def _latency(run: _Run, precision: str, channels_last: bool) -> Latency:
    batch, _, height, width = run.images.shape
    times_ms = sorted(1000 * seconds for seconds in run.times_s)
    device = run.images.device
    return Latency(
        run.name,
        (height, width),
        batch,
        statistics.median(times_ms),
        times_ms[math.ceil(0.95 * len(times_ms)) - 1],
        len(times_ms),
        torch.get_num_threads(),
        precision,
        "channels_last" if channels_last else "channels_first",
        torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
    )


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _synchronize(device: torch.device) -> None:
    """Wait until a device that works on its own has done all that it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
