"""The MACs of a network as others count them, and what makes the difference.

`torch.utils.flop_counter` counts convolutions, matrix products and attention, as we
do. ptflops (Sovrasov, https://github.com/sovrasov/flops-counter.pytorch) has a rule for
some types of layers and for some functional calls; what it calls MACs has biases,
norms, activations and pools in it. It leaves out layers of any other type, subclasses
among them, attention by ``scaled_dot_product_attention``, products by ``@``, and what
is inside of a layer that has a rule, such as timm's ``Attention``.
"""

import io
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

import ptflops
import torch
import torch.nn.functional as F
from ptflops.pytorch_ops import MODULES_MAPPING
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from clothing_lightning.network_analysis.complexity import NetworkReport
from clothing_lightning.network_analysis.tracing import image_channels, trace

NEGLIGIBLE = 0.01  # of our MACs: differences that are left out sum up to less
WORTH_TELLING = 0.02  # off our MACs


@dataclass(frozen=True, slots=True)
class Difference:
    """Layers of one kind that another counter sees differently.

    Attributes:
        counter: ``torch`` or ``ptflops``.
        layers: The operations, the layers' type and their places in the network.
        macs: Of the other counter, less ours.
        reason: What the other counter does.
    """

    counter: str
    layers: str
    macs: int
    reason: str

    def __str__(self) -> str:
        return f"{self.layers}: {self.macs / 1e6:+,.1f} M MACs, {self.reason}"


@dataclass(frozen=True)
class CrossCheck:
    """The MACs of a network by three counters.

    Attributes:
        name: Of the network.
        macs: By ours.
        torch_macs: By torch's.
        ptflops_macs: By ptflops; not all of them are MACs.
        differences: Those of each counter, the largest first, until the ones that are
            left out sum up to less than 1 % of our MACs.
    """

    name: str
    macs: int
    torch_macs: int
    ptflops_macs: int
    differences: list[Difference]

    @property
    def torch_ratio(self) -> float:
        """Torch's MACs for each of ours."""
        return self.torch_macs / max(self.macs, 1)

    @property
    def ptflops_ratio(self) -> float:
        """MACs of ptflops for each of ours."""
        return self.ptflops_macs / max(self.macs, 1)

    def notes(self) -> list[str]:
        """The three totals in a sentence, and what makes them differ if they do."""
        totals = (
            f"MACs: {self.macs / 1e9:.3f} G; by torch's FlopCounterMode "
            f"{self.torch_macs / 1e9:.3f} G, by ptflops "
            f"{self.ptflops_macs / 1e9:.3f} G."
        )
        named = [
            f"By {found.counter}, {found}."
            for found in self.differences
            if abs(getattr(self, f"{found.counter}_ratio") - 1) > WORTH_TELLING
        ]
        return [totals, *named]


def torch_macs(network: nn.Module, image_size: tuple[int, int]) -> int:
    """Half of the FLOPs that `torch.utils.flop_counter` finds for one image.

    Args:
        network: With its parameters on the meta device, in eval mode.
        image_size: Height and width in pixels.
    """
    return _torch_counts(network, image_size).total()


def ptflops_macs(network: nn.Module, image_size: tuple[int, int]) -> int:
    """What ptflops counts for one image.

    Args:
        network: With its parameters on the meta device, in eval mode; it is left as it
            was.
        image_size: Height and width in pixels.

    Raises:
        RuntimeError: If one of its rules does not fit the network.
    """
    return _ptflops_counts(network, image_size).total()


def differences(report: NetworkReport, network: nn.Module) -> CrossCheck:
    """Count again by torch and ptflops, and name the layers that make a difference.

    Args:
        report: Of the whole network.
        network: The same, with its parameters on the meta device, in eval mode.

    Raises:
        RuntimeError: If ptflops cannot count it.
    """
    by_torch = _torch_counts(network, report.image_size)
    by_ptflops = _ptflops_counts(network, report.image_size)
    return CrossCheck(
        report.name,
        report.macs,
        by_torch.total(),
        by_ptflops.total(),
        [
            *_differences("torch", by_torch, report, network),
            *_differences("ptflops", by_ptflops, report, network),
        ],
    )


def _torch_counts(network: nn.Module, image_size: tuple[int, int]) -> Counter[str]:
    network = _copied(network)
    images = torch.empty(1, image_channels(network), *image_size, device="meta")
    mode = FlopCounterMode(display=False)
    with mode, _by_layer(network, mode.get_total_flops) as flops:
        network(images)
    return Counter({layer: count // 2 for layer, count in flops.items()})


def _ptflops_counts(network: nn.Module, image_size: tuple[int, int]) -> Counter[str]:
    network = _copied(network)
    outer = nn.Sequential(network)
    layers: Counter[str] = Counter()
    outer.register_forward_hook(lambda *_: layers.update(_counted(network)))
    printed = io.StringIO()
    with (
        redirect_stdout(printed),
        redirect_stderr(printed),
        _OwnCallsOnly(),  # type: ignore[no-untyped-call]
        _by_layer(network, lambda: sum(map(sum, _functional()))) as calls,
    ):
        total, _ = ptflops.get_model_complexity_info(
            outer,
            (image_channels(network), *image_size),
            print_per_layer_stat=False,
            as_strings=False,
            backend="pytorch",
        )
    if total is None:
        raise RuntimeError(f"ptflops cannot count this network: {printed.getvalue()}")
    return layers + calls


def _copied(network: nn.Module) -> nn.Module:
    """A network to do with as one likes.

    ptflops leaves attributes behind. Torch's counter fails where a module is given a
    parameter that requires gradients while ``no_grad`` switches them off.
    """
    return deepcopy(network).requires_grad_(False)


def _counted(network: nn.Module) -> Counter[str]:
    """What the layers hold that ptflops sums up, during a pass.

    It goes down to the first module that has a rule, and counts a module that has
    several places once for each.
    """
    names = {module: name for name, module in network.named_modules()}

    def with_rule(module: nn.Module) -> Iterator[nn.Module]:
        if type(module) in MODULES_MAPPING:
            yield module
        else:
            for child in module.children():
                yield from with_rule(child)

    counts: Counter[str] = Counter()
    for module in with_rule(network):
        counts[names[module]] += int(module.__flops__)  # type: ignore[arg-type]
    return counts


def _functional() -> list[list[int]]:
    """What ptflops has counted so far by functions that it put in torch's places."""
    replaced: list[Any] = [F.relu, torch.mm]
    return [function.collector for function in replaced if hasattr(function, "op")]


class _OwnCallsOnly(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Lets ptflops forget what torch itself calls.

    On the meta device some operations are Python: ``addmm`` calls ``torch.mm``, so that
    each linear layer would count twice.
    """

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        before = [(found, len(found)) for found in _functional()]
        output = func(*args, **(kwargs or {}))
        for found, length in before:
            del found[length:]
        return output


@contextmanager
def _by_layer(network: nn.Module, total: Callable[[], int]) -> Iterator[Counter[str]]:
    """Tell which layer, without those inside of it, lets a total grow."""
    counts: Counter[str] = Counter()
    open_layers = [""]
    seen = 0

    def note() -> None:
        nonlocal seen
        counts[open_layers[-1]] += total() - seen
        seen = total()

    def begin(name: str, *_: Any) -> None:
        note()
        open_layers.append(name)

    def end(*_: Any) -> None:
        note()
        open_layers.pop()

    hooks = []
    for name, module in network.named_modules():
        hooks.append(module.register_forward_pre_hook(partial(begin, name)))
        hooks.append(module.register_forward_hook(end))
    try:
        yield counts
    finally:
        for hook in hooks:
            hook.remove()


def _differences(
    counter: str, theirs: Counter[str], report: NetworkReport, network: nn.Module
) -> Iterable[Difference]:
    ours: Counter[str] = Counter()
    biases: Counter[str] = Counter()
    for layer in report.layers:
        ours[layer.name] += layer.macs
        biases[layer.name] += layer.other_flops
    operations = _operations(report, network)
    places = Counter(m for _, m in network.named_modules(remove_duplicate=False))
    groups: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for name, module in network.named_modules():
        if theirs[name] == ours[name]:
            continue
        if not theirs[name]:
            reason = f"which {counter} does not count{_inside(network, name)}"
        elif not ours[name]:
            reason = f"which {counter} counts as MACs"
        elif theirs[name] - ours[name] == biases[name]:
            reason = f"since {counter} counts biases as MACs"
        elif places[module] > 1:
            reason = f"which {counter} counts at each of their places"
        else:
            reason = f"since {counter} counts them otherwise"
        kind = type(module).__name__
        used = ", ".join(operations[name])
        groups[f"{used} in {kind}" if used else kind, reason][
            re.sub(r"\d+", "*", name)
        ] += theirs[name] - ours[name]
    return _largest(counter, groups, NEGLIGIBLE * report.macs)


def _operations(report: NetworkReport, network: nn.Module) -> dict[str, list[str]]:
    """The operations with MACs of each layer."""
    found: dict[str, list[str]] = defaultdict(list)
    for operation in trace(network, report.image_size).operations:
        if operation.macs and operation.name not in found[operation.layer]:
            found[operation.layer].append(operation.name)
    return found


def _inside(network: nn.Module, name: str) -> str:
    """Name the layer around another one that ptflops has a rule for."""
    while name:
        name = name.rpartition(".")[0]
        kind = type(network.get_submodule(name))
        if kind in MODULES_MAPPING:
            return f" inside of {kind.__name__}"
    return ""


def _largest(
    counter: str, groups: dict[tuple[str, str], Counter[str]], enough: float
) -> Iterator[Difference]:
    left = sum(abs(places.total()) for places in groups.values())
    for (kind, reason), places in sorted(
        groups.items(), key=lambda group: -abs(group[1].total())
    ):
        if left < enough:
            return
        left -= abs(places.total())
        shown = ", ".join([*places][:3]) + ", …" * (len(places) > 3)
        where = f"{kind} ({shown})" if shown else kind
        yield Difference(counter, where, places.total(), reason)
