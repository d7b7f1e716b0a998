"""One page, complete in itself, on what networks see and cost."""

from collections.abc import Mapping, Sequence
from typing import Any

from clothing_lightning.network_analysis.complexity import BYTES, NetworkReport
from clothing_lightning.network_analysis.layers import Layer
from clothing_lightning.network_analysis.text import COSTLIEST, number
from clothing_lightning.reports.complexity import cost_figure, layers_figure
from clothing_lightning.reports.page import breakable, png, render
from clothing_lightning.reports.receptive_field import (
    by,
    field_sentences,
    growth_figure,
    share_of_side,
    window_figure,
)
from clothing_lightning.wording import listed


def analysis_page(
    reports: Sequence[NetworkReport],
    advice: Mapping[str, str],
    notes: Mapping[str, Sequence[str]],
) -> str:
    """Write one HTML page with tables and figures.

    Args:
        reports: The reports of one or more networks. Several are compared first.
        advice: A sentence or more on a network, by the title of its report.
        notes: Remarks on the numbers of a network, by the title of its report, such as
            what other tools count.
    """
    title = f"What {len(reports)} networks see and cost"
    if len(reports) == 1:
        title = f"What {reports[0].title} sees and costs"
    return render(
        "analysis_page.html",
        title=title,
        costs=png(cost_figure(reports)) if len(reports) > 1 else None,
        networks=[
            {
                "advice": advice.get(report.title),
                "notes": notes.get(report.title, ()),
                **_network(report),
            }
            for report in reports
        ],
    )


def _network(report: NetworkReport) -> dict[str, Any]:
    """Gather what the page shows of a network."""
    layers = [_layer(*each, report) for each in enumerate(report.layers, 1)]
    by_macs = sorted(range(len(layers)), key=lambda n: -report.layers[n].macs)
    return {
        "name": report.name,
        "title": report.title,
        "compared": _compared(report),
        "facts": _facts(report),
        "field_sentences": " ".join(field_sentences(report)),
        "window": png(window_figure(None, report)),
        "growth": png(growth_figure(report)),
        "stages": png(layers_figure(report)),
        "costliest": [layers[n] for n in by_macs[:COSTLIEST]],
        "layers": layers,
    }


def _compared(report: NetworkReport) -> dict[str, str]:
    """Gather a network's row of the table that compares several, by heading."""
    field = report.field.field
    return {
        "image px": by(report.image_size),
        "million parameters": f"{report.params / 1e6:,.3f}",
        "GMACs": f"{report.macs / 1e9:,.3f}",
        "GFLOPs": f"{report.flops / 1e9:,.3f}",
        "float32 MB": f"{report.size_mb('float32'):,.1f}",
        "peak activation MB": f"{report.peak_activation_bytes / 1e6:,.1f}",
        "field px": by(field.size_px) if field else "unknown",
        "% of side": share_of_side(report).removesuffix(" %"),
        "stride px": by(field.stride_px) if field else "unknown",
        "positions": by(report.field.grid),
        "whole image from": report.field.global_from or "",
    }


def _facts(report: NetworkReport) -> dict[str, str]:
    """Gather what is known of the whole network, by what it is called."""
    seen, field = report.field, report.field.field
    sizes = [f"{number(report.size_mb(kind))} MB in {kind}" for kind in BYTES]
    window = {"receptive field": "unknown"}
    if field is not None:
        size = (
            f"{by(field.size_px)} px, {share_of_side(report)} of the side of the image"
        )
        if not seen.is_uniform:
            size += "; the largest, it is not the same everywhere"
        window = {
            "receptive field": size,
            "stride": f"{by(field.stride_px)} px",
            "padding": f"{by(field.padding_px)} px",
            "positions": by(seen.grid),
        }
    local = [
        f"{mixing.layer}: {by(mixing.positions)} positions, {by(mixing.size_px)} px"
        for mixing in seen.local_ops
    ]
    joins = [f"{layer}: {offset:g} px" for layer, offset in seen.misaligned.items()]
    return {
        "image": f"{by(report.image_size)} px, batch 1",
        "features": str(list(report.features_shape)),
        "parameters": f"{report.params:,}",
        "size of the parameters": ", ".join(sizes),
        "MACs": f"{report.macs:,} ({number(report.macs / 1e9)} GMACs)",
        "FLOPs (2 x MACs)": f"{report.flops:,} ({number(report.flops / 1e9)} GFLOPs)",
        "other operations": f"{report.other_flops:,}",
        "peak activations": f"{number(report.peak_activation_bytes / 1e6)} MB, float32",
        **window,
        "whole image from": seen.global_from or "no layer before the classifier",
        "layers over whole rows, columns or images": listed(seen.global_ops) or "none",
        "local windows, as of attention": listed(local) or "none",
        "operations that could not be followed": listed(seen.unknown_ops) or "none",
        "joins of paths with different centres": listed(joins) or "none",
    }


def _layer(place: int, layer: Layer, report: NetworkReport) -> dict[str, str]:
    """Gather a layer's row of the table of layers, by heading."""

    def sides(values: Sequence[int] | None) -> str:
        return by(values) if values else ""

    return {
        "#": str(place),
        "layer": breakable(layer.name or "(network itself)"),
        "type": layer.type,
        "input": str(list(layer.input_shape)),
        "output": str(list(layer.output_shape)),
        "kernel": sides(layer.kernel),
        "stride": sides(layer.stride if layer.kernel else None),
        "groups": str(layer.groups or ""),
        "filters": str(layer.filters or ""),
        "parameters": f"{layer.params:,}",
        "million MACs": f"{layer.macs / 1e6:,.3f}",
        "% of MACs": f"{layer.macs / max(report.macs, 1) * 100:.2f}",
        "million FLOPs": f"{layer.flops / 1e6:,.3f}",
        "output MB": f"{layer.activation_bytes / 1e6:,.3f}",
        "field px": sides(layer.field.size_px if layer.field else None),
    }
