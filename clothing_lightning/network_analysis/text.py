"""Tables of layers for people to read."""

from collections.abc import Sequence
from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.table import Table

from clothing_lightning.network_analysis.layers import Layer

COSTLIEST = 10


def number(value: float) -> str:
    """A number that is not negative, with three significant digits or more."""
    if value < 0.0005:
        return "<0.001" if value else "0"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:,.{digits}f}"


def times(sizes: Sequence[int]) -> str:
    """Sizes along several dimensions, such as ``224 x 224``."""
    return " x ".join(map(str, sizes))


def side(sizes: Sequence[int]) -> str:
    """One number for a square, such as ``3``, and ``3x5`` for what is none."""
    return "x".join(map(str, sizes if len(set(sizes)) > 1 else sizes[:1]))


def plain_text(*parts: RenderableType) -> str:
    """Tables and markup of rich as text of 100 columns without colours."""
    text = StringIO()
    console = Console(file=text, width=100, highlight=False, color_system=None)
    for part in parts:
        console.print(part)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def stages_table(layers: Sequence[Layer]) -> Table:
    """The receptive field at the end of each stretch of layers with one stride."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title="Field at each stride")
    for name in ("stride px", "up to", "output", "field px"):
        table.add_column(name)
    last = {x.field.stride_px: (x, x.field.size_px) for x in layers if x.field}
    for stride, (layer, size) in last.items():
        shape = "x".join(map(str, layer.output_shape[1:]))
        table.add_row(side(stride), layer.name, shape, side(size))
    return table


def layers_table(layers: Sequence[Layer], title: str | None = None) -> Table:
    """Layers with their costs and receptive fields.

    Args:
        layers: All layers of a network, in order.
        title: Title of a table of all of them; by default the costliest are shown.
    """
    total = max(sum(layer.macs for layer in layers), 1)
    shown = layers
    if title is None:
        shown = sorted(layers, key=lambda layer: -layer.macs)[:COSTLIEST]
        title = f"The costliest {len(shown)} of {len(layers)} layers"
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("layer", overflow="fold", min_width=22)
    table.add_column("type", no_wrap=True, overflow="ellipsis", max_width=12)
    table.add_column("output", no_wrap=True)
    for name in ("kernel", "params M", "MACs M", "share", "field px"):
        table.add_column(name, justify="right", no_wrap=True)
    for layer in shown:
        table.add_row(
            layer.name,
            layer.type,
            "x".join(map(str, layer.output_shape[1:])),
            _kernel(layer),
            number(layer.params / 1e6),
            number(layer.macs / 1e6),
            f"{layer.macs / total:.1%}",
            side(layer.field.size_px) if layer.field else "",
        )
    return table


def _kernel(layer: Layer) -> str:
    """Kernel and stride, such as ``3/2``: kernel 3 x 3, stride 2."""
    if not layer.kernel or not layer.stride:
        return ""
    strided = max(layer.stride) > 1
    return side(layer.kernel) + (f"/{side(layer.stride)}" if strided else "")
