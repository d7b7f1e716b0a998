"""What `analyze` prints: tables for people, JSON and CSV for programs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from clothing_lightning.network_analysis.advice import advice
from clothing_lightning.network_analysis.complexity import BYTES, NetworkReport
from clothing_lightning.network_analysis.latency import Latency
from clothing_lightning.network_analysis.layers import Layer
from clothing_lightning.network_analysis.text import layers_table, times
from clothing_lightning.wording import on_machine

if TYPE_CHECKING:
    import pandas as pd


def as_json(
    report: NetworkReport, timed: Sequence[Latency] = (), notes: Sequence[str] = ()
) -> str:
    """One report as one line of JSON; sizes and counts are whole numbers.

    Args:
        report: What the network sees and costs.
        timed: Latencies of networks; those of this one are taken.
        notes: Remarks on the numbers, which are left out if there is none.
    """
    field = report.field.field
    seen = {
        "size_px": field and field.size_px,
        "stride_px": field and field.stride_px,
        "padding_px": field and field.padding_px,
        "global_from": report.field.global_from,
        "global_ops": report.field.global_ops,
        "local_ops": [asdict(mixing) for mixing in report.field.local_ops],
        "unknown_ops": report.field.unknown_ops,
        "misaligned_joins": list(report.field.misaligned),
        "uniform": report.field.is_uniform,
    }
    entries: dict[str, Any] = {
        "backbone": report.name,
        "image_size": report.image_size,
        "params": report.params,
        "macs": report.macs,
        "flops": report.flops,
        "other_flops": report.other_flops,
        "size_bytes": {key: report.params * size for key, size in BYTES.items()},
        "peak_activation_bytes": report.peak_activation_bytes,
        "features_shape": report.features_shape,
        "receptive_field": seen,
        "layers": [_layer(layer) for layer in report.layers],
    }
    mine = [
        {"p50": t.median_ms, "p95": t.p95_ms, "batch": t.batch, "threads": t.threads}
        for t in timed
        if t.name == report.title
    ]
    entries |= dict(zip(("latency_ms", "latency_batch_ms"), mine, strict=False))
    if notes:
        entries["notes"] = list(notes)
    return json.dumps(entries)


_SHAPES = ("input_shape", "output_shape", "kernel", "stride")
_COUNTS = ("groups", "filters", "params", "macs", "flops", "other_flops")
_LAYER_COLUMNS = ("name", "type", *_SHAPES, *_COUNTS, "activation_bytes")


def _layer(layer: Layer) -> dict[str, Any]:
    entries = {column: getattr(layer, column) for column in _LAYER_COLUMNS}
    return {**entries, "receptive_field_px": layer.field and layer.field.size_px}


def layer_table(reports: Sequence[NetworkReport]) -> "pd.DataFrame":
    """All layers of all reports, one row each."""
    import pandas as pd

    rows = [
        {
            "backbone": report.name,
            "image_size": times(report.image_size),
            **_layer(layer),
            "share_of_macs": round(layer.macs / max(report.macs, 1), 6),
        }
        for report in reports
        for layer in report.layers
    ]
    table = pd.DataFrame(rows)
    for column in (*_SHAPES, "receptive_field_px"):
        table[column] = table[column].map(times, na_action="ignore")
    return table


def show(
    reports: Sequence[NetworkReport],
    notes: Mapping[str, Sequence[str]],
    timed: Sequence[Latency] = (),
    *,
    every_layer: bool = False,
) -> None:
    """Print one report at length, or several side by side.

    Args:
        reports: One or more.
        notes: Remarks on the numbers, by the title of the report.
        timed: Latencies of the networks, if they were measured.
        every_layer: Whether to print all layers, not the costliest of a single report.
    """
    console = Console(highlight=False)
    alone = len(reports) == 1
    for part in reports[0].summary() if alone else [_side_by_side(reports)]:
        console.print(part)
    for report in reports:
        if alone or every_layer:
            title = f"Layers of {report.title}" if every_layer else None
            console.print(layers_table(report.layers, title))
        for note in notes.get(report.title, ()):
            console.print(note if alone else f"{report.title}: {note}")
    if alone:
        console.print(f"\n{advice(reports[0])}")
    if timed:
        console.print(_latency_table(timed))


def _side_by_side(reports: Sequence[NetworkReport]) -> Table:
    table = Table("", *(report.title for report in reports))
    for column in table.columns[1:]:
        column.justify = "right"
    facts = [report.facts() for report in reports]
    for name in facts[0]:
        table.add_row(name, *(values[name] for values in facts))
    return table


def _latency_table(timed: Sequence[Latency]) -> Table:
    first = timed[0]
    machine = on_machine(first.device, first.threads)
    table = Table(
        *("network", "batch", "median ms", "p95 ms", "repeats"),
        title=f"Latency on {machine}, {first.precision}, {first.memory_format}",
    )
    for entry in timed:
        times_ms = f"{entry.median_ms:.1f}", f"{entry.p95_ms:.1f}"
        table.add_row(entry.name, str(entry.batch), *times_ms, str(entry.repeats))
    return table
