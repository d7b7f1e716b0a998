"""The receptive field of a network, derived from one traced forward pass.

Terms and the arithmetic of one path are those of Araujo, Norris and Sim, "Computing
Receptive Fields of Convolutional Neural Networks", Distill, 2019,
doi:10.23915/distill.00021. Where paths meet, a position sees the hull of both.

A network's field depends on its implementation: the ResNet-50 of that paper strides in
the last unit of a stage and has 483 px, timm's strides in the first and has 427.
"""

from dataclasses import dataclass

import numpy as np

from clothing_lightning.network_analysis.layout import AXES, Field, Mixing, extent
from clothing_lightning.network_analysis.operations import Operation, Trace


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """The window that moves over the image as one moves over a feature map.

    Position ``i`` of an axis sees the pixels from ``i * stride - padding`` to
    ``i * stride - padding + size - 1``; what lies outside of the image is padding.

    Attributes:
        size_px: Height and width of the window.
        stride_px: How far it moves from one position to the next, down and right.
        padding_px: How far the first window reaches beyond the top and the left edge;
            negative if it begins inside.
    """

    size_px: tuple[int, int]
    stride_px: tuple[int, int]
    padding_px: tuple[int, int]

    def window(self, position: tuple[int, int]) -> tuple[int, int, int, int]:
        """The pixels that a position (row, column) sees.

        Returns:
            Top, left, bottom, right; the last two are the first pixels outside.
        """
        row, column = position
        top = row * self.stride_px[0] - self.padding_px[0]
        left = column * self.stride_px[1] - self.padding_px[1]
        return top, left, top + self.size_px[0], left + self.size_px[1]


@dataclass(frozen=True, slots=True)
class LocalMixing:
    """Attention, or another mixing that is not a convolution, within windows.

    Attributes:
        layer: The first that does it with this window.
        positions: Height and width of the window on the layer's own grid.
        size_px: What that spans of the image.
    """

    layer: str
    positions: tuple[int, int]
    size_px: tuple[int, int]


@dataclass(frozen=True, slots=True)
class FieldReport:
    """What the features of a network see.

    Attributes:
        field: Field of the convolutional path; None if an unknown operation hides it.
        is_uniform: Whether the window has the same size at every position. It has not
            after a resize or adaptive pooling between sizes that do not divide; the
            field is the largest one then, and the stride the mean, rounded.
        global_from: The first layer after which every position may depend on every
            pixel; None if there is none before the classifier.
        global_ops: Layers that look at whole rows, columns or images.
        local_ops: Layers that mix positions within windows otherwise.
        unknown_ops: Operations that cannot be followed, with their layers.
        misaligned: Layers that join paths whose windows have different centres, and by
            how many pixels at most (infinite if they move at different speeds).
        grid: Positions of the features along height and width.
    """

    field: ReceptiveField | None
    is_uniform: bool
    global_from: str | None
    global_ops: list[str]
    local_ops: list[LocalMixing]
    unknown_ops: list[str]
    misaligned: dict[str, float]
    grid: tuple[int, int]


def receptive_field(seen: Field) -> ReceptiveField:
    """The window of what a tensor's positions see."""
    height, width = seen.windows
    return ReceptiveField(
        (height.size, width.size),
        (round(height.stride), round(width.stride)),
        (-height.first[0], -width.first[0]),
    )


def field_report(trace: Trace, image_size: tuple[int, int]) -> FieldReport:
    """Sum up what the features see, and by which layers.

    Args:
        trace: Record of a forward pass.
        image_size: Height and width of its image in pixels.
    """
    before = trace.operations[: trace.features_at]
    seen = trace.features
    axes: set[int] = set()
    global_from = None
    global_ops: list[str] = []
    for operation in before:
        whole = {
            mixing.axis
            for mixing in operation.mixings
            if _sees_all(mixing, operation.seen, image_size)
        }
        if whole:
            axes |= whole
            global_ops.append(operation.layer or operation.name)
            if len(axes) == len(AXES):
                global_from = global_from or global_ops[-1]
    return FieldReport(
        receptive_field(seen) if seen else None,
        seen is not None and all(windows.is_uniform for windows in seen.windows),
        global_from,
        list(dict.fromkeys(global_ops)),
        _local(before, image_size),
        _unknown(trace.operations),
        _misaligned(before),
        (extent(seen.positions(0)), extent(seen.positions(1))) if seen else (0, 0),
    )


def _sees_all(mixing: Mixing, seen: Field | None, image_size: tuple[int, int]) -> bool:
    """Whether windows reach from edge to edge, be it with gaps between their positions.

    Attention between every second position, as in MobileViT, does.
    """
    if mixing.whole or seen is None:
        return mixing.whole
    windows = seen.windows[mixing.axis]
    last = max(extent(seen.positions(mixing.axis)) - mixing.positions, 0)
    lowest, highest = windows.at(np.array([last, mixing.positions - 1]))
    return bool(lowest[0] <= 0 and highest[1] >= image_size[mixing.axis] - 1)


def _local(
    operations: list[Operation], image_size: tuple[int, int]
) -> list[LocalMixing]:
    """Local mixings, one for each size of window, in order."""
    by_window: dict[tuple[int, int], LocalMixing] = {}
    for operation in operations:
        inside = {
            m.axis: m.positions
            for m in operation.mixings
            if not _sees_all(m, operation.seen, image_size)
        }
        if not inside or operation.seen is None:
            continue
        rows, columns = positions = inside.get(0, 1), inside.get(1, 1)
        field = receptive_field(operation.seen)
        top, left, _, _ = field.window((0, 0))
        _, _, bottom, right = field.window((rows - 1, columns - 1))
        spanned = LocalMixing(operation.layer, positions, (bottom - top, right - left))
        by_window.setdefault(positions, spanned)
    return list(by_window.values())


def _unknown(operations: list[Operation]) -> list[str]:
    """Unknown operations of the whole network: what follows one has no field."""
    unknown = [o for o in operations if o.unknown]
    names = [f"{o.name} in {o.layer}" if o.layer else o.name for o in unknown]
    return list(dict.fromkeys(names))


def _misaligned(operations: list[Operation]) -> dict[str, float]:
    worst: dict[str, float] = {}
    for operation in operations:
        if operation.offsets_px:
            layer = operation.layer or operation.name
            worst[layer] = max(worst.get(layer, 0), *operation.offsets_px)
    return worst
