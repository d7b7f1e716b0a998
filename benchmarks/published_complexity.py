"""Hold parameters and MACs against those that timm publishes.

    python benchmarks/published_complexity.py [NAME ...]

tests/network_analysis/timm_published.csv has 302 rows of its results. They were counted
with fvcore 0.1.5, attention not fused, after `timm.utils.reparameterize_model`. What
fvcore calls a FLOP is a MAC, or one of 2 to 5 operations for each entry of a norm.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from rich.progress import track
from timm.layers.config import set_fused_attn
from timm.utils.model import reparameterize_model
from torch import nn

from clothing_lightning.models.backbones import create_on_meta
from clothing_lightning.network_analysis.complexity import analyze
from clothing_lightning.network_analysis.tracing import trace

PUBLISHED = (
    Path(__file__).parents[1] / "tests" / "network_analysis" / "timm_published.csv"
)
PARAMS_TOLERANCE = 0.01
MACS_TOLERANCE = 0.03
ROUNDED_TO = 0.01  # millions of parameters, 10^9 MACs
NORMS = ("batch_norm", "layer_norm", "group_norm")


class Row(NamedTuple):
    """What timm publishes."""

    name: str
    size: tuple[int, int]
    gmacs: float
    mparams: float

    def has_macs(self, macs: int) -> bool:
        """Whether that many MACs are as published."""
        return _close(macs / 1e9, self.gmacs, MACS_TOLERANCE)

    def has_params(self, params: int) -> bool:
        """Whether that many parameters are as published."""
        return _close(params / 1e6, self.mparams, PARAMS_TOLERANCE)


class Comparison(NamedTuple):
    """What we count, and why that differs."""

    row: Row
    macs: int
    params: int
    reasons: list[str]
    explained: bool

    @property
    def agrees(self) -> bool:
        """Whether it does."""
        return self.row.has_macs(self.macs) and self.row.has_params(self.params)

    def __str__(self) -> str:
        row = self.row
        return (
            f"{row.name:32} {row.size[0]:4}  {self.macs / 1e9:8.3f} {row.gmacs:8.2f} "
            f"{self.macs / 1e9 / row.gmacs - 1:+7.1%}  {self.params / 1e6:8.3f} "
            f"{row.mparams:8.2f} {self.params / 1e6 / row.mparams - 1:+7.1%}  "
            + ("; ".join(self.reasons) if self.explained else "UNEXPLAINED")
        )


def main() -> None:
    """Print the shares that agree and each exception."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="by default all")
    names = parser.parse_args().names
    rows = [row for row in _rows() if not names or row.name in names]
    compared = [_compared(row) for row in track(rows, "analysing")]
    macs = sum(entry.row.has_macs(entry.macs) for entry in compared)
    params = sum(entry.row.has_params(entry.params) for entry in compared)
    print(f"rows                     {len(rows)}")
    print(f"MACs within {MACS_TOLERANCE:.0%}           {macs} ({macs / len(rows):.1%})")
    print(f"parameters within {PARAMS_TOLERANCE:.0%}     {params} ")
    print(f"not explained            {sum(not entry.explained for entry in compared)}")
    print(
        f"{'exception':32} {'px':>4}  {'GMACs':>8} {'timm':>8} {'':7}  {'M params':>8} "
        f"{'timm':>8} {'':7}  reason"
    )
    for entry in compared:
        if not entry.agrees:
            print(entry)


def _rows() -> Iterator[Row]:
    with PUBLISHED.open(newline="", encoding="utf-8") as file:
        for entry in csv.DictReader(line for line in file if line[0] != "#"):
            size = int(entry["infer_img_size"])
            yield Row(
                entry["model"],
                (size, size),
                float(entry["infer_gmacs"]),
                float(entry["param_count"]),
            )


def _close(ours: float, published: float, tolerance: float) -> bool:
    """Whether both are the same but for the tolerance and the rounding."""
    return abs(ours - published) <= tolerance * published + ROUNDED_TO / 2


def _compared(row: Row) -> Comparison:
    network = create_on_meta(row.name, row.size)
    report = analyze(network, row.size, name=row.name)
    compared = Comparison(row, report.macs, report.params, [], explained=True)
    return compared if compared.agrees else _explained(compared, network)


def _explained(compared: Comparison, network: nn.Module) -> Comparison:
    """Count as timm's script does, one step after the other, until it agrees."""
    row, macs, params = compared.row, compared.macs, compared.params
    reasons = []
    if not row.has_params(params):
        with torch.device("meta"):
            network = reparameterize_model(network).eval()
        report = analyze(network, row.size, name=row.name)
        macs, params = report.macs, report.params
        reasons.append("branches and norms merged by timm's reparameterize_model")
    for reason, change in _steps(row, network):
        if row.has_macs(macs):
            break
        if abs(change) > compared.macs * 0.005:
            macs += change
            reasons.append(f"{reason} ({change / 1e9:+.3f} G)")
    return compared._replace(
        reasons=reasons, explained=row.has_macs(macs) and row.has_params(params)
    )


def _steps(row: Row, network: nn.Module) -> Iterator[tuple[str, int]]:
    """What fvcore sees otherwise, and by how many MACs."""
    operations = trace(network, row.size).operations
    yield (
        "fvcore leaves out LSTMs",
        -sum(o.macs for o in operations if o.name == "lstm"),
    )
    same = {
        name
        for name, module in network.named_modules()
        if getattr(module, "padding", None) == "same"
    }
    yield (
        "fvcore leaves out convolutions with padding='same'",
        -sum(o.macs for o in operations if o.layer in same),
    )
    yield (
        "fvcore counts norms",
        sum(o.other_flops for o in operations if any(n in o.name for n in NORMS)),
    )
    yield (
        "counted with attention that is not fused",
        _unfused(row) - sum(operation.macs for operation in operations),
    )


def _unfused(row: Row) -> int:
    """MACs where products of queries and keys are made as such."""
    set_fused_attn(False)
    try:
        network = create_on_meta(row.name, row.size)
    finally:
        set_fused_attn(True)
    return analyze(network, row.size, name=row.name).macs


if __name__ == "__main__":
    main()
