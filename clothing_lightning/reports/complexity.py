"""Bars of what networks cost: several side by side, or one by stage."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clothing_lightning.network_analysis.complexity import NetworkReport
from clothing_lightning.network_analysis.layers import Layer
from clothing_lightning.network_analysis.text import number
from clothing_lightning.reports import style
from clothing_lightning.reports.receptive_field import by

_NAME_COLUMNS = 44
_ROW_IN = 0.27
_BARS_IN = 1.45
_AROUND_IN = 0.85  # title and headings of the panels, with the gaps between them
_LINE_IN = 0.18
_COSTLIEST = 20
_LEAST_STAGES, _MOST_STAGES = 4, 30
_DOMINANT = 0.6  # share of the MACs from which a stage is divided
_MAC_NOTE = "A MAC is one multiplication with one addition, that is two FLOPs."

Stage = tuple[str, list[Layer]]


@dataclass(frozen=True, slots=True)
class _Panel:
    """Bars of one kind, and what is written at their ends."""

    heading: str
    values: list[float]
    texts: list[str]
    colour: str

    @property
    def width_in(self) -> float:
        """Room for the longest bar with the longest text, and for the heading."""
        texts_in = [style.text_width_in(text, style.SMALL_PT) for text in self.texts]
        heading_in = style.text_width_in(self.heading, style.LABEL_PT)
        return max(_BARS_IN + max(texts_in), heading_in) + 0.15


def cost_figure(reports: Sequence[NetworkReport]) -> Figure:
    """Compare networks by MACs, parameters and receptive field, the cheapest first.

    Args:
        reports: One by network. Where they have several input sizes, each name is
            followed by its own.
    """
    if not reports:
        return style.message_figure("No costs: there are no networks.")
    reports = sorted(reports, key=lambda report: report.macs)
    names = [style.shortened(report.name, _NAME_COLUMNS) for report in reports]
    sizes = [by(report.image_size) for report in reports]
    size = sizes[0]
    if len(set(sizes)) > 1:
        size = "size as named"
        names = [f"{name}, {own}" for name, own in zip(names, sizes, strict=True)]
    notes = [_MAC_NOTE]
    if any(report.field.global_from for report in reports):
        notes.append(
            "* Of the convolutions; every position may depend on the whole image too."
        )
    gmacs = [report.macs / 1e9 for report in reports]
    millions = [report.params / 1e6 for report in reports]
    panels = [
        _Panel(f"GMACs (batch 1, {size})", gmacs, [*map(number, gmacs)], style.BLUE),
        _Panel(
            "parameters (millions)", millions, [*map(number, millions)], style.GREEN
        ),
        _field_panel(reports),
    ]
    return _bars_figure("What the networks cost and see", names, panels, notes)


def layers_figure(report: NetworkReport) -> Figure:
    """Draw where MACs, parameters and activations of a network are, by stage.

    Stages are the first parts of the names of layers. A network that does not have
    between 4 and 30 of them shows its costliest layers instead.
    """
    if not report.layers:
        return style.message_figure("No costs: the network has no layers.")
    name = style.shortened(report.name, _NAME_COLUMNS)
    title = f"What {name} costs, by stage"
    stages = _stages(report.layers)
    if not _LEAST_STAGES <= len(stages) <= _MOST_STAGES:
        layers = sorted(report.layers, key=lambda layer: -layer.macs)[:_COSTLIEST]
        stages = [(layer.name, [layer]) for layer in layers]
        title = f"The {len(layers)} costliest of {len(report.layers):,} layers: {name}"

    panels = []
    for heading, colour, attribute in (
        (f"million MACs (batch 1, {by(report.image_size)})", style.BLUE, "macs"),
        ("parameters (millions)", style.GREEN, "params"),
        ("outputs (MB, batch 1, float32)", style.PURPLE, "activation_bytes"),
    ):
        cost = attrgetter(attribute)
        total = sum(map(cost, report.layers)) / 1e6 or 1
        values = [sum(map(cost, layers)) / 1e6 for _, layers in stages]
        texts = [_with_share(value, value / total) for value in values]
        panels.append(_Panel(heading, values, texts, colour))
    names = [
        style.shortened(start or "(network itself)", _NAME_COLUMNS)
        for start, _ in stages
    ]
    peak = number(report.peak_activation_bytes / 1e6)
    notes = [
        _MAC_NOTE,
        "Outputs: of all layers together, as training keeps them; to classify, at "
        f"most {peak} MB are needed at one time.",
    ]
    return _bars_figure(title, names, panels, notes)


def _with_share(value: float, share: float) -> str:
    percent = f"{share * 100:.0f}" if share >= 0.005 else "<1"
    return f"{number(value)} ({percent} %)" if value else "0"


def _field_panel(reports: Sequence[NetworkReport]) -> _Panel:
    sides, texts = [], []
    for report in reports:
        field = report.field.field
        sides.append(max(field.size_px) if field else 0)
        star = " *" if report.field.global_from else ""
        texts.append(f"{sides[-1]:,}{star}" if field else "unknown")
    return _Panel("receptive field (px)", [*map(float, sides)], texts, style.ORANGE)


def _stages(layers: Sequence[Layer]) -> list[Stage]:
    """Group layers by the starts of their names.

    A group with most of the MACs is divided by the next part of the names, as long as
    the groups do not become too many.
    """
    stages = _grouped(layers, 1)
    total = sum(layer.macs for layer in layers)
    while True:
        largest = max(stages, key=_macs)
        name, inside = largest
        if _macs(largest) <= _DOMINANT * total:
            return stages
        parts = _grouped(inside, name.count(".") + 2)
        if len(stages) + len(parts) - 1 > _MOST_STAGES or parts == [largest]:
            return stages
        at = stages.index(largest)
        stages[at : at + 1] = parts


def _macs(stage: Stage) -> int:
    return sum(layer.macs for layer in stage[1])


def _grouped(layers: Sequence[Layer], parts: int) -> list[Stage]:
    """Layers by the first parts of their names, in order of the first of each."""
    groups: dict[str, list[Layer]] = {}
    for layer in layers:
        start = ".".join(layer.name.split(".")[:parts])
        groups.setdefault(start, []).append(layer)
    return list(groups.items())


def _bars_figure(
    title: str, names: list[str], panels: list[_Panel], notes: list[str]
) -> Figure:
    """Draw panels of bars side by side, a row by name, with the names at the left."""
    names_in = max(style.text_width_in(name, style.LABEL_PT) for name in names)
    widths_in = [panel.width_in for panel in panels]
    height_in = _AROUND_IN + _ROW_IN * len(names) + _LINE_IN * len(notes)
    size_in = (names_in + sum(widths_in) + 0.5, height_in)
    figure = Figure(figsize=size_in, layout="constrained")
    every_axes = figure.subplots(1, len(panels), sharey=True, width_ratios=widths_in)
    for axes, panel in zip(every_axes, panels, strict=True):
        _draw_bars(axes, panel)
    every_axes[0].set_yticks(range(len(names)), names, size=style.LABEL_PT)
    figure.suptitle(title, x=0.01, ha="left", size=style.TITLE_PT, weight="bold")
    caption = {"size": style.SMALL_PT, "color": style.MUTED, "x": 0.01, "ha": "left"}
    figure.supxlabel("\n".join(notes), **caption)
    return style.finished(figure)


def _draw_bars(axes: Axes, panel: _Panel) -> None:
    rows = range(len(panel.values))
    bars = axes.barh(rows, panel.values, height=0.7, color=panel.colour)
    most = max(panel.values) or 1
    axes.set_xlim(0, most * panel.width_in / _BARS_IN)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.bar_label(bars, panel.texts, padding=3, size=style.SMALL_PT, color=style.INK)
    axes.set_title(panel.heading, loc="left", size=style.LABEL_PT, color=style.MUTED)
    axes.set_xticks([])
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_color(style.MUTED)
