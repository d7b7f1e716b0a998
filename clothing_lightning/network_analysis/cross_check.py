"""The MACs of a network by three counters: ours, torch's FlopCounterMode, ptflops.

docs/counting.md says what each of them counts.
"""

import io
import re
from collections import Counter, defaultdict
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import ptflops
import torch
import torch.nn.functional as F
from torch import nn

# torch documents this way to extend it and has no public name for it.
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from clothing_lightning.network_analysis.complexity import NetworkReport
from clothing_lightning.network_analysis.meta import image_channels, meta_copy

NEGLIGIBLE = 0.01  # of our MACs: layers that differ by less are not named
FUNCTIONS = "calls of functions"


def cross_check(report: NetworkReport, network: nn.Module) -> list[str]:
    """Count the MACs of a network by torch and by ptflops as well.

    Args:
        report: Report of the whole network.
        network: The network; it is left as it was.

    Returns:
        A sentence on the three totals, and one on each kind of layers that ptflops sees
        otherwise. A layer that it has a rule for stands for all that is inside of it.

    Raises:
        RuntimeError: If ptflops cannot count the network.
    """
    network = meta_copy(network)
    size = (image_channels(network), *report.image_size)
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(1, *size, device="meta"))
    by_ptflops = ptflops_macs(network, size)
    alike: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for layer in report.layers:
        around = (name for name in by_ptflops if is_within(layer.name, name))
        alike[re.sub(r"\d+", "*", next(around, layer.name))][0] += layer.macs
    for name, macs in by_ptflops.items():
        alike[re.sub(r"\d+", "*", name)][1] += macs
    return [
        f"MACs: {_giga(report.macs)}; by torch's FlopCounterMode "
        f"{_giga(counter.get_total_flops() // 2)}, by ptflops "
        f"{_giga(by_ptflops.total())}.",
        *(
            f"{name or 'whole network'}: {_giga(ours)}; by ptflops {_giga(others)}."
            for name, (ours, others) in alike.items()
            if abs(ours - others) > NEGLIGIBLE * report.macs
        ),
    ]


def is_within(name: str, outer: str) -> bool:
    """Whether a module is another one or inside of it, by their paths."""
    return not outer or f"{name}.".startswith(f"{outer}.")


def _giga(macs: int) -> str:
    return f"{macs / 1e9:.3f} G"


def ptflops_macs(network: nn.Module, size: tuple[int, ...]) -> Counter[str]:
    """MACs of the outermost layers that ptflops has a rule for, and of functions.

    During a pass each of these layers holds them in ``__flops__``, where the rules that
    users write have to put them, too. What is in the total besides is of functions.

    Args:
        network: A network on the meta device, which is changed.
        size: Channels, height and width of the image.

    Raises:
        RuntimeError: If ptflops cannot count the network.
    """
    counts: Counter[str] = Counter()

    def note(*_: Any) -> None:
        for name, module in network.named_modules(remove_duplicate=False):
            inside = any(is_within(name, outer) for outer in counts)
            if hasattr(module, "__flops__") and not inside:
                counts[name] = int(module.__flops__)

    whole = nn.Sequential(network)
    whole.register_forward_hook(note)
    printed = io.StringIO()
    own_calls_only = _OwnCallsOnly()  # type: ignore[no-untyped-call]
    with redirect_stdout(printed), redirect_stderr(printed), own_calls_only:
        total, _ = ptflops.get_model_complexity_info(
            whole, size, print_per_layer_stat=False, as_strings=False
        )
    if total is None:
        raise RuntimeError(f"ptflops cannot count this network: {printed.getvalue()}")
    counts[FUNCTIONS] = total - counts.total()
    return counts


class _OwnCallsOnly(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Lets ptflops forget the functions that torch itself calls on the meta device.

    ptflops puts wrappers in the place of functions such as ``torch.mm``, and ``addmm``
    calls that one on the meta device: each linear layer would count twice.
    """

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        functions: list[Any] = [F.relu, torch.mm]
        counted = [f.collector for f in functions if hasattr(f, "collector")]
        lengths = [len(collector) for collector in counted]
        output = func(*args, **(kwargs or {}))
        for collector, length in zip(counted, lengths, strict=True):
            del collector[length:]
        return output
