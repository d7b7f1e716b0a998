"""What `analyze` prints: tables for people, JSON and CSV for programs."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from clothing_lightning.network_analysis.advice import advice
from clothing_lightning.network_analysis.complexity import BYTES, Layer, NetworkReport
from clothing_lightning.reports.complexity import number

if TYPE_CHECKING:
    import pandas as pd

    from clothing_lightning.network_analysis.latency import Latency

COSTLIEST = 10


def as_json(report: NetworkReport, timed: "Sequence[Latency]" = ()) -> str:
    """One report as one line of JSON; sizes and counts are whole numbers."""
    field = report.field.field
    seen: dict[str, Any] = {
        "size_px": field and field.size_px,
        "stride_px": field and field.stride_px,
        "padding_px": field and field.padding_px,
        "global_from": report.field.global_from,
        "global_ops": report.field.global_ops,
        "local_ops": [
            {"layer": m.layer, "positions": m.positions, "size_px": m.size_px}
            for m in report.field.local_ops
        ],
        "unknown_ops": report.field.unknown_ops,
        "misaligned_joins": list(report.field.misaligned),
        "uniform": report.field.is_uniform,
    }
    found: dict[str, Any] = {
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
    mine = [_latency(entry) for entry in timed if entry.name == report.title]
    found |= dict(zip(("latency_ms", "latency_batch_ms"), mine, strict=False))
    return json.dumps(found)


def _layer(layer: Layer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "type": layer.type,
        "input_shape": layer.input_shape,
        "output_shape": layer.output_shape,
        "kernel": layer.kernel,
        "stride": layer.stride,
        "groups": layer.groups,
        "filters": layer.filters,
        "params": layer.params,
        "macs": layer.macs,
        "flops": layer.flops,
        "other_flops": layer.other_flops,
        "activation_bytes": layer.activation_bytes,
        "receptive_field_px": layer.field and layer.field.size_px,
    }


def _latency(entry: "Latency") -> dict[str, Any]:
    return {
        "p50": entry.median_ms,
        "p95": entry.p95_ms,
        "batch": entry.batch,
        "threads": entry.threads,
    }


def layer_table(reports: Sequence[NetworkReport]) -> "pd.DataFrame":
    """All layers of all reports, one row each."""
    import pandas as pd

    rows = [
        {
            "backbone": report.name,
            "image_size": _size(report.image_size),
            **_layer(layer),
            "share_of_macs": round(layer.macs / max(report.macs, 1), 6),
        }
        for report in reports
        for layer in report.layers
    ]
    table = pd.DataFrame(rows)
    for column in ("input_shape", "output_shape", "kernel", "stride"):
        table[column] = table[column].map(_size, na_action="ignore")
    table["receptive_field_px"] = table["receptive_field_px"].map(
        _size, na_action="ignore"
    )
    return table


def show(
    reports: Sequence[NetworkReport],
    notes: Mapping[str, Sequence[str]],
    timed: "Sequence[Latency]" = (),
    *,
    every_layer: bool = False,
) -> None:
    """Print one report at length, or several side by side."""
    console = Console(highlight=False)
    if len(reports) > 1:
        console.print(_side_by_side(reports))
    else:
        _show_one(console, reports[0])
    for report in reports:
        if len(reports) == 1 or every_layer:
            console.print(_layers(report, every_layer=every_layer))
        for note in notes.get(report.title, ()):
            name = f"{report.title}: " if len(reports) > 1 else ""
            console.print(f"{name}{note}")
    if len(reports) == 1:
        console.print(f"\n{advice(reports[0])}")
    if timed:
        console.print(_latency_table(timed))


def _facts(report: NetworkReport) -> dict[str, str]:
    field = report.field.field
    return {
        "parameters": f"{report.params:,}",
        "MACs": f"{report.macs:,}",
        "FLOPs (2 x MACs)": f"{report.flops:,}",
        "other operations": f"{report.other_flops:,}",
        "size in MB": ", ".join(f"{report.size_mb(k):.1f} {k}" for k in BYTES),
        "peak activations": f"{report.peak_activation_bytes / 1e6:.1f} MB (batch 1)",
        "receptive field": f"{_size(field.size_px)} px" if field else "not known",
        "field / image side": _share(report),
        "effective stride": f"{_size(field.stride_px)} px" if field else "not known",
        "effective padding": f"{_size(field.padding_px)} px" if field else "not known",
        "positions": _size(report.field.grid),
        "whole image from": report.field.global_from or "none before the classifier",
    }


def _share(report: NetworkReport) -> str:
    field = report.field.field
    if field is None:
        return "not known"
    shares = zip(field.size_px, report.image_size, strict=True)
    return " x ".join(dict.fromkeys(f"{size / side:.2f}" for size, side in shares))


def _show_one(console: Console, report: NetworkReport) -> None:
    console.print(f"[bold]{report.title}[/]")
    table = Table(show_header=False, box=None)
    for name, value in _facts(report).items():
        table.add_row(name, value)
    console.print(table)
    seen = report.field
    if not seen.is_uniform:
        console.print("The field is not the same everywhere: this is the largest.")
    for local in seen.local_ops:
        console.print(
            f"{local.layer} attends within {_size(local.positions)} positions "
            f"({_size(local.size_px)} px)."
        )
    for unknown in seen.unknown_ops:
        console.print(f"[yellow]Not known:[/] {unknown}; the field is that up to it.")
    if seen.misaligned:
        layer, offset = max(seen.misaligned.items(), key=lambda item: item[1])
        console.print(
            f"{len(seen.misaligned)} layers join paths whose centres differ, at most "
            f"by {offset:g} px ({layer}); the field is the hull of both."
        )
    console.print(_stages(report))


def _side_by_side(reports: Sequence[NetworkReport]) -> Table:
    table = Table("", *(report.title for report in reports))
    facts = [_facts(report) for report in reports]
    for column in table.columns[1:]:
        column.justify = "right"
    for name in facts[0]:
        table.add_row(name, *(found[name] for found in facts))
    return table


def _stages(report: NetworkReport) -> Table:
    """The field at the end of each stretch of layers with one stride."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title="Field at each stride")
    for name in ("stride px", "up to", "output", "field px"):
        table.add_column(name)
    last: dict[tuple[int, int], Layer] = {}
    for layer in report.layers:
        if layer.field:
            last[layer.field.stride_px] = layer
    for stride, layer in last.items():
        assert layer.field is not None
        shape = [str(n) for n in layer.output_shape[1:]]
        table.add_row(
            _side(stride), layer.name, "x".join(shape), _side(layer.field.size_px)
        )
    return table


def _layers(report: NetworkReport, *, every_layer: bool) -> Table:
    layers = report.layers
    title = f"Layers of {report.title}"
    if not every_layer:
        layers = sorted(layers, key=lambda layer: -layer.macs)[:COSTLIEST]
        title = f"The costliest {len(layers)} of {len(report.layers)} layers"
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("layer", overflow="fold", min_width=22)
    table.add_column("type", no_wrap=True, overflow="ellipsis", max_width=12)
    table.add_column("output", no_wrap=True)
    for name in ("kernel", "params M", "MACs M", "share", "field px"):
        table.add_column(name, justify="right", no_wrap=True)
    for layer in layers:
        table.add_row(
            layer.name,
            layer.type,
            "x".join(str(entries) for entries in layer.output_shape[1:]),
            _kernel(layer),
            number(layer.params / 1e6),
            number(layer.macs / 1e6),
            f"{layer.macs / max(report.macs, 1):.1%}",
            _side(layer.field.size_px) if layer.field else "",
        )
    return table


def _kernel(layer: Layer) -> str:
    """Such as ``3/2``: kernel 3 x 3, stride 2."""
    if not layer.kernel or not layer.stride:
        return ""
    strided = max(layer.stride) > 1
    return _side(layer.kernel) + (f"/{_side(layer.stride)}" if strided else "")


def _side(values: Sequence[int]) -> str:
    """One number for a square."""
    return str(values[0]) if len(set(values)) == 1 else "x".join(map(str, values))


def _latency_table(timed: "Sequence[Latency]") -> Table:
    first = timed[0]
    table = Table(
        "network",
        "batch",
        "median ms",
        "p95 ms",
        "repeats",
        title=(
            f"Latency on {first.device}, {first.threads} threads, {first.precision}, "
            f"{first.memory_format}"
        ),
    )
    for entry in timed:
        table.add_row(
            entry.name,
            str(entry.batch),
            f"{entry.median_ms:.1f}",
            f"{entry.p95_ms:.1f}",
            str(entry.repeats),
        )
    return table


def _size(values: Sequence[int]) -> str:
    return " x ".join(str(value) for value in values)
