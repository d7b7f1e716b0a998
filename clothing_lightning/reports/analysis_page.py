"""One page, complete in itself, on what networks see and cost."""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from io import BytesIO

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from clothing_lightning.network_analysis.complexity import BYTES, Layer, NetworkReport
from clothing_lightning.reports.complexity import (
    cost_figure,
    layers_figure,
    number,
)
from clothing_lightning.reports.page import filled
from clothing_lightning.reports.receptive_field import (
    by,
    field_sentences,
    growth_figure,
    share_of_side,
    window_figure,
)
from clothing_lightning.wording import listed

COSTLIEST = 10

_DPI = 144
_COLOURS = 128
_LISTED = 6
_LAYER_HEADINGS = (
    "#",
    "layer",
    "type",
    "input",
    "output",
    "kernel",
    "stride",
    "groups",
    "filters",
    "parameters",
    "million MACs",
    "% of MACs",
    "million FLOPs",
    "output MB",
    "field px",
)
_COMPARED_HEADINGS = (
    "network",
    "image px",
    "million parameters",
    "GMACs",
    "GFLOPs",
    "float32 MB",
    "peak activation MB",
    "field px",
    "% of side",
    "stride px",
    "positions",
    "whole image from",
)


class _Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def analysis_page(
    reports: Sequence[NetworkReport],
    advice: Mapping[str, str],
    notes: Mapping[str, Sequence[str]],
    *,
    photos: Mapping[str, NDArray[np.uint8]] | None = None,
) -> str:
    """Write one HTML page with tables and figures; it needs nothing from elsewhere.

    Args:
        reports: One or more; several are compared first.
        advice: A sentence or more, by the title of the report.
        notes: Remarks on the numbers, likewise; such as what other tools count.
        photos: To draw the windows on, likewise: ``[H, W, 3]`` at the report's size.

    Returns:
        The page.
    """
    title = f"What {len(reports)} networks see and cost"
    if len(reports) == 1:
        title = f"What {reports[0].title} sees and costs"
    parts = [_comparison(reports)] if len(reports) > 1 else []
    for index, report in enumerate(reports):
        photo = (photos or {}).get(report.title)
        parts += [
            f'<section id="network-{index}">',
            f"<h2>{escape(report.title)}</h2>" if len(reports) > 1 else "",
            _advice(advice.get(report.title), notes.get(report.title, ())),
            f'<div class="beside">{_facts(report)}',
            _figure(window_figure(photo, report), " ".join(field_sentences(report))),
            _chart(growth_figure(report), "Receptive field and stride by layer"),
            _chart(layers_figure(report), "MACs, parameters and outputs by stage"),
            f"</div>{_layers(report, unfolded=len(reports) == 1)}</section>",
        ]
    return filled("analysis_page.html", title=escape(title), body="\n".join(parts))


def _comparison(reports: Sequence[NetworkReport]) -> str:
    rows = [
        _compared(report, link=f"#network-{index}")
        for index, report in enumerate(reports)
    ]
    picture = _chart(cost_figure(reports), "MACs, parameters and receptive fields")
    return f"<section>{_table(_COMPARED_HEADINGS, rows, 'compare')}{picture}</section>"


def _compared(report: NetworkReport, link: str) -> list[str]:
    field = report.field.field
    return [
        _Html(f'<a href="{link}">{_breakable(report.name)}</a>'),
        by(report.image_size),
        f"{report.params / 1e6:,.3f}",
        f"{report.macs / 1e9:,.3f}",
        f"{report.flops / 1e9:,.3f}",
        f"{report.size_mb('float32'):,.1f}",
        f"{report.peak_activation_bytes / 1e6:,.1f}",
        by(field.size_px) if field else "unknown",
        share_of_side(report).removesuffix(" %"),
        by(field.stride_px) if field else "unknown",
        by(report.field.grid),
        report.field.global_from or "",
    ]


def _advice(advice: str | None, notes: Iterable[str]) -> str:
    said = f'<p class="advice">{escape(advice)}</p>' if advice else ""
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f"{said}<h3>Notes</h3><ul>{items}</ul>" if items else said


def _facts(report: NetworkReport) -> str:
    """What is known of the whole network, as a table of two columns."""
    seen, field = report.field, report.field.field
    sizes = [f"{number(report.size_mb(kind))} MB in {kind}" for kind in BYTES]
    facts = {
        "image": f"{by(report.image_size)} px, batch 1",
        "features": str(list(report.features_shape)),
        "parameters": f"{report.params:,}",
        "size of the parameters": ", ".join(sizes),
        "MACs": f"{report.macs:,} ({number(report.macs / 1e9)} GMACs)",
        "FLOPs (2 x MACs)": f"{report.flops:,} ({number(report.flops / 1e9)} GFLOPs)",
        "other operations": f"{report.other_flops:,}",
        "peak activations": f"{number(report.peak_activation_bytes / 1e6)} MB, float32",
        "receptive field": "unknown",
    }
    if field is not None:
        alike = (
            "" if seen.is_uniform else "; the largest, it is not the same everywhere"
        )
        facts |= {
            "receptive field": f"{by(field.size_px)} px, {share_of_side(report)} of "
            f"the side of the image{alike}",
            "stride": f"{by(field.stride_px)} px",
            "padding": f"{by(field.padding_px)} px",
            "positions": by(seen.grid),
        }
    local = [
        f"{mixing.layer}: {by(mixing.positions)} positions, {by(mixing.size_px)} px"
        for mixing in seen.local_ops
    ]
    joins = [f"{layer}: {offset:g} px" for layer, offset in seen.misaligned.items()]
    facts |= {
        "whole image from": seen.global_from or "no layer before the classifier",
        "layers over whole rows, columns or images": _some(seen.global_ops),
        "local windows, as of attention": _some(local),
        "operations that could not be followed": _some(seen.unknown_ops),
        "joins of paths with different centres": _some(joins),
    }
    rows = "".join(
        f"<tr><th scope=row>{escape(name)}<td>{escape(value)}"
        for name, value in facts.items()
    )
    return f'<table class="facts">{rows}</table>'


def _some(items: Sequence[str]) -> str:
    """The first few of a list, and how many more there are."""
    return listed(items, _LISTED) or "none"


def _layers(report: NetworkReport, *, unfolded: bool) -> str:
    """The costliest layers, and all of them to unfold, sort and search."""
    numbered = list(enumerate(report.layers, 1))
    costliest = sorted(numbered, key=lambda pair: -pair[1].macs)[:COSTLIEST]
    every, first = (
        _table(_LAYER_HEADINGS, [_layer(*pair, report) for pair in chosen], "layers")
        for chosen in (numbered, costliest)
    )
    return (
        f"<h3>The {len(costliest)} layers with most MACs</h3>"
        f"{first}"
        f'<details class="every"{" open" if unfolded else ""}>'
        f"<summary>All {len(numbered):,} layers, in order of call</summary>"
        '<label><input type="search" placeholder="search name or type" '
        'aria-label="search layers" hidden><span class="count small"></span></label>'
        f"{every}</details>"
    )


def _layer(place: int, layer: Layer, report: NetworkReport) -> tuple[str, ...]:
    def sides(values: Sequence[int] | None) -> str:
        return by(values) if values else ""

    return (
        str(place),
        _Html(_breakable(layer.name or "(network itself)")),
        layer.type,
        str(list(layer.input_shape)),
        str(list(layer.output_shape)),
        sides(layer.kernel),
        sides(layer.stride if layer.kernel else None),
        str(layer.groups or ""),
        str(layer.filters or ""),
        f"{layer.params:,}",
        f"{layer.macs / 1e6:,.3f}",
        f"{layer.macs / max(report.macs, 1) * 100:.2f}",
        f"{layer.flops / 1e6:,.3f}",
        f"{layer.activation_bytes / 1e6:,.3f}",
        sides(layer.field.size_px if layer.field else None),
    )


def _breakable(name: str) -> str:
    """Escape a path, with places where a line may break."""
    return escape(name).replace(".", ".<wbr>").replace("_", "_<wbr>")


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]], kind: str) -> str:
    """A table that can be scrolled; end tags that HTML does not need are left out."""
    head = "".join(f"<th>{escape(heading)}" for heading in headings)
    body = "\n".join("<tr>" + "".join(map(_cell, row)) for row in rows)
    return (
        f'<div class="wide" tabindex="0"><table class="{kind}">'
        f"<thead><tr>{head}<tbody>\n{body}</table></div>"
    )


def _cell(value: str) -> str:
    return f"<td>{value if isinstance(value, _Html) else escape(value)}"


def _chart(figure: Figure, alt: str) -> str:
    """Embed a figure that dark pages invert; narrow ones scroll it for its texts."""
    return _figure(figure, alt, "chart", least_scale=0.7)


def _figure(
    figure: Figure, alt: str, kind: str = "photo", *, least_scale: float = 0.55
) -> str:
    """Embed a figure as PNG with a palette, a third as large as one without."""
    file, small = BytesIO(), BytesIO()
    quick = {"compress_level": 1}
    figure.savefig(file, dpi=_DPI, format="png", facecolor="white", pil_kwargs=quick)
    image = Image.open(file).convert("RGB")
    image.quantize(_COLOURS, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    data = b64encode(small.getvalue()).decode()
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    return (
        f'<figure><img class="{kind}" alt="{escape(alt)}" width="{width}" '
        f'height="{height}" style="min-width:{least_scale * width:.0f}px" '
        f'src="data:image/png;base64,{data}"></figure>'
    )
