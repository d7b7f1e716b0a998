"""What a model costs, one entry each: how it is logged, called and written."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """A cost of a model.

    Attributes:
        label: Heading of its column.
        metric: Name of the metric that runs log it as.
        unit: Unit that is written behind the value; empty for a large count, which is
            written as ``3.4 M``.
        lower_is_better: Whether it is a price that a better score may be worth.
    """

    label: str
    metric: str
    unit: str = ""
    lower_is_better: bool = True


COSTS = {
    "params": Cost("parameters", "model/params"),
    "macs": Cost("MACs", "model/macs"),
    "size_mb": Cost("size", "model/size_mb", "MB"),
    "latency_ms": Cost("latency", "model/latency_ms", "ms"),
    "receptive_field_px": Cost(
        "receptive field", "model/receptive_field_px", "px", lower_is_better=False
    ),
    "train_s": Cost("training", "train/time_s", "s"),
}


def cost_text(name: str, value: float, unknown: str = "-") -> str:
    """A cost for people: ``3.4 M``, ``0.39 G``, ``13.7 MB``, ``7 min``."""
    unit = COSTS[name].unit
    if math.isnan(value):
        return unknown
    if unit == "s":
        return f"{value / 60:,.0f} min" if value >= 90 else f"{value:.0f} s"
    if unit:
        return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"
    for prefix, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {prefix}"
    return f"{value:.0f}"
