"""Pictures of a receptive field: its window over the image, its growth by layer."""

import textwrap
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from clothing_lightning.network_analysis.complexity import NetworkReport
from clothing_lightning.network_analysis.layers import Layer
from clothing_lightning.reports import style

_WIDTH_IN = 6.8
_LEFT_IN = 0.65
_AROUND_IN = 0.9  # title, ticks and legend
_LINE_IN = 0.17
_MARGIN = 0.02  # of the longer side of what is shown
_CAPTION_COLUMNS = 92
_NAME_COLUMNS = 50
_IMAGE_COLOUR = "#cfe0ee"
_OUTSIDE_COLOUR = "#f6f7f9"
_HALO = withStroke(linewidth=3.8, foreground="white", alpha=0.8)
_STRIDE_HALO = withStroke(linewidth=1.4, foreground="white", alpha=0.5)
_GROWTH_WIDTH_IN = 7.4
_SIZES_IN = 2.6
_LEVEL_IN = 0.3


def by(sides: Sequence[int]) -> str:
    """Height and width as text, such as ``224 x 224``."""
    return " x ".join(f"{side:,}" for side in sides)


def share_of_side(report: NetworkReport) -> str:
    """Size of the window in percent of the image's, along the axis where it is more."""
    if report.field.field is None:
        return "unknown"
    sizes = zip(report.field.field.size_px, report.image_size, strict=True)
    return f"{max(size / side for size, side in sizes) * 100:,.0f} %"


def field_sentences(report: NetworkReport) -> list[str]:
    """What there is to say about what the features of a network see."""
    seen = report.field
    sentences = ["The receptive field is unknown."]
    if seen.field is not None:
        stride, padding = (
            by(sides[: len(set(sides))])  # one number where both are the same
            for sides in (seen.field.stride_px, seen.field.padding_px)
        )
        sentences = [
            f"Receptive field {by(seen.field.size_px)} px: {share_of_side(report)} of "
            f"the side of the image ({by(report.image_size)} px).",
            f"Stride {stride} px, padding {padding} px; the features have "
            f"{by(seen.grid)} positions.",
        ]
        if not seen.is_uniform:
            sentences.append("Its size varies over the positions: this is the largest.")
    if seen.global_from:
        layer = style.shortened(seen.global_from, _NAME_COLUMNS)
        sentences.append(
            f"From {layer} on, every position may depend on the whole image."
        )
    for mixing in seen.local_ops:
        layer = style.shortened(mixing.layer, _NAME_COLUMNS)
        sentences.append(
            f"{layer} mixes local windows of {by(mixing.positions)} positions "
            f"({by(mixing.size_px)} px), as attention does."
        )
    if seen.unknown_ops:
        unknown = style.shortened(", ".join(seen.unknown_ops), 2 * _NAME_COLUMNS)
        sentences.append(f"Could not be followed: {unknown}.")
    return sentences


def window_figure(photo: NDArray[np.uint8] | None, report: NetworkReport) -> Figure:
    """Draw what the feature position at the centre sees, over the image.

    All is to scale, also a window larger than the image. The windows of the positions
    at the corners are drawn faintly; thin lines part the strides around the centres.

    Args:
        photo: ``[H, W, 3]``, as the network is given it; None leaves the image blank.
        report: What a network sees at the size of the photo.

    Raises:
        ValueError: If the photo has another size.
    """
    height, width = report.image_size
    if photo is not None and photo.shape[:2] != (height, width):
        raise ValueError(
            f"The photo has {by(photo.shape[:2])} px, but {report.name} was analysed "
            f"at {by(report.image_size)} px. Resize the photo to that."
        )
    windows = _windows(report)
    caption = [
        line
        for sentence in field_sentences(report)
        for line in textwrap.wrap(sentence, _CAPTION_COLUMNS)
    ]
    boxes = np.array([*windows, (0, 0, height, width)])
    figure, axes = _canvas(boxes, len(caption))
    image = Rectangle((0, 0), width, height, facecolor=_IMAGE_COLOUR)
    image.set(edgecolor=style.MUTED, linewidth=0.8, label="image")
    axes.add_patch(image)
    if photo is not None:
        extent = (0, width, height, 0)
        axes.imshow(photo, extent=extent, interpolation="none")
        image.set(fill=False, zorder=2)
    _draw_windows(axes, windows)
    _draw_strides(axes, report)
    title = f"Receptive field: {style.shortened(report.name, _NAME_COLUMNS)}"
    axes.set_title(title, loc="left", size=style.TITLE_PT, weight="bold")
    axes.set_xlabel("\n".join(caption), loc="left", size=style.LABEL_PT)
    figure.legend(
        loc="outside lower left", ncols=4, frameon=False, fontsize=style.SMALL_PT
    )
    return style.finished(figure)


def growth_figure(report: NetworkReport) -> Figure:
    """Draw how field and stride grow from layer to layer.

    Both are taken along the axis where they are larger. A layer that calls others
    stands after them; one whose output has no positions is left out.
    """
    layers = report.layers
    seen = [(layer.name, layer.field) for layer in layers if layer.field is not None]
    if not seen:
        return style.message_figure("No receptive field: no layer has positions.")
    levels = sorted({max(field.stride_px) for _, field in seen})
    heights_in = (_SIZES_IN, _LEVEL_IN * max(len(levels) + 0.5, 2.7))
    size_in = (_GROWTH_WIDTH_IN, sum(heights_in) + 1.9)
    figure = Figure(figsize=size_in, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=heights_in)
    _draw_growth(upper, [max(field.size_px) for _, field in seen])
    for side in sorted(set(report.image_size)):
        label = f"side of the image, {side:,} px"
        upper.axhline(side, color=style.INK, dashes=(4, 3), linewidth=1.2, label=label)
    _mark_global(upper, layers, report.field.global_from)
    ranks = [levels.index(max(field.stride_px)) for _, field in seen]
    _draw_growth(lower, ranks)
    _name_levels(lower, ranks, [name for name, _ in seen])
    lower.set_yticks(range(len(levels)), [f"{level:,}" for level in levels])
    upper.set_ylim(bottom=0)
    upper.set_ylabel("receptive field (px)", size=style.LABEL_PT)
    lower.set_ylabel("stride (px)", size=style.LABEL_PT)
    lower.set_xlabel("layers, in the order in which they end", size=style.LABEL_PT)
    title = f"How the field grows: {style.shortened(report.name, _NAME_COLUMNS)}"
    upper.set_title(title, size=style.TITLE_PT, loc="left", weight="bold")
    figure.legend(
        *upper.get_legend_handles_labels(),
        loc="outside lower left",
        fontsize=style.SMALL_PT,
        frameon=False,
    )
    return style.finished(figure)


def _windows(report: NetworkReport) -> list[tuple[int, int, int, int]]:
    """Of the position at the centre first, then of those at the corners."""
    field, (rows, columns) = report.field.field, report.field.grid
    if field is None:
        return []
    corners = [(row, column) for row in (0, rows - 1) for column in (0, columns - 1)]
    return [field.window(place) for place in [(rows // 2, columns // 2), *corners]]


def _canvas(boxes: NDArray[np.int64], caption_lines: int) -> tuple[Figure, Axes]:
    """Axes to scale that hold all boxes: top, left, bottom and right of each."""
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    margin = _MARGIN * (high - low).max()
    (top, left), (bottom, right) = low - margin, high + margin
    height_in = (_WIDTH_IN - _LEFT_IN) * min(1, (bottom - top) / (right - left))
    size_in = (_WIDTH_IN, height_in + _AROUND_IN + _LINE_IN * caption_lines)
    figure = Figure(figsize=size_in, layout="constrained")
    axes = figure.add_subplot(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    axes.set_facecolor(_OUTSIDE_COLOUR)
    axes.tick_params(labelsize=style.SMALL_PT, colors=style.MUTED)
    axes.set_anchor("W")
    axes.set_ylabel("pixels of the image", size=style.SMALL_PT, color=style.MUTED)
    axes.spines[:].set_visible(False)
    return figure, axes


def _draw_windows(axes: Axes, windows: list[tuple[int, int, int, int]]) -> None:
    for index, (top, left, bottom, right) in enumerate(windows):
        outline = Rectangle(
            (left, top), right - left, bottom - top, fill=False, edgecolor=style.ORANGE
        )
        if index == 0:
            outline.set(linewidth=2.2, path_effects=[_HALO], zorder=5)
            outline.set_label("window of the central position")
        else:
            outline.set(linewidth=1, linestyle=(0, (2, 2)), alpha=0.8, zorder=4)
            outline.set_label("windows at the corners" if index == 1 else "")
        axes.add_patch(outline)


def _draw_strides(axes: Axes, report: NetworkReport) -> None:
    """Draw lines halfway between the centres of the windows."""
    field = report.field.field
    if field is None:
        return
    sides = field.size_px, field.stride_px, field.padding_px, report.field.grid
    rows, columns = (
        (size - stride) / 2 - padding + stride * np.arange(count + 1)
        for size, stride, padding, count in zip(*sides, strict=True)
    )
    for lines in (
        axes.hlines(rows, columns[0], columns[-1], label="strides"),
        axes.vlines(columns, rows[0], rows[-1]),
    ):
        lines.set(color=style.INK, linewidth=0.4, alpha=0.7, zorder=3)
        lines.set_path_effects([_STRIDE_HALO])


def _draw_growth(axes: Axes, values: list[int]) -> None:
    places = range(1, len(values) + 1)
    most = list(accumulate(values, max))
    axes.plot(places, values, ".", color=style.BLUE, markersize=3.5, label="a layer")
    label = "the most so far"
    axes.step(places, most, where="post", color=style.BLUE, linewidth=1.2, label=label)
    axes.tick_params(labelsize=style.SMALL_PT)
    axes.grid(color=style.FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlim(0, len(values) + 1)


def _mark_global(axes: Axes, layers: list[Layer], name: str | None) -> None:
    """Mark the first layer that sees the whole image, or the next with positions."""
    names = [layer.name for layer in layers]
    if name is None or name not in names:
        return
    before = layers[: names.index(name)]
    place = sum(layer.field is not None for layer in before) + 1
    layer = style.shortened(name, _NAME_COLUMNS)
    label = f"from {layer} on, every position may depend on the whole image"
    axes.axvline(place, color=style.ORANGE, linewidth=1.6, label=label)


def _name_levels(axes: Axes, ranks: list[int], names: list[str]) -> None:
    """Write below each stride, and beside the step to it, the layer that begins it."""
    axes.set_ylim(-0.9, max(ranks) + 0.4)
    for rank in sorted(set(ranks)):
        at = ranks.index(rank)
        name = style.shortened(names[at], _NAME_COLUMNS)
        right = at < len(ranks) / 2
        gap = 0.008 * len(ranks)
        axes.text(
            at + 1 + (gap if right else -gap),
            rank - 0.45,
            name,
            ha="left" if right else "right",
            va="center",
            size=style.SMALL_PT,
            color=style.MUTED,
        )
