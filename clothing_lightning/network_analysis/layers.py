"""What each layer of a network costs and sees."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Any

from clothing_lightning.network_analysis.operations import LayerCall, Shape
from clothing_lightning.network_analysis.receptive_field import (
    ReceptiveField,
    receptive_field,
)


@dataclass(frozen=True, slots=True)
class Layer:
    """One call of a module, without the modules inside of it.

    Attributes:
        name: Path of the module in the network; empty for the network itself.
        type: Class of the module.
        input_shape: Shape of what it is given, ``[N, …]`` with N = 1.
        output_shape: Shape of what it returns.
        kernel: Height and width of the kernel, of convolutions and pools.
        stride: Strides along height and width, of convolutions and pools.
        groups: Number of groups, of convolutions.
        filters: Number of output channels, of convolutions and linear layers.
        params: Number of parameters that it uses and no layer before it has used.
        macs: Number of multiply-accumulates.
        other_flops: Number of other arithmetic operations; see `counting.other_flops`.
        activation_bytes: Memory of its output in float32.
        field: What its output sees; None if that is unknown or without positions.
        sees_all: Whether it looks at whole rows, columns or images.
    """

    name: str
    type: str
    input_shape: Shape
    output_shape: Shape
    kernel: tuple[int, ...] | None
    stride: tuple[int, ...] | None
    groups: int | None
    filters: int | None
    params: int
    macs: int
    other_flops: int
    activation_bytes: int
    field: ReceptiveField | None
    sees_all: bool

    @property
    def flops(self) -> int:
        """Two for each MAC; other arithmetic is not in it."""
        return 2 * self.macs


def layers_of(calls: Iterable[LayerCall]) -> list[Layer]:
    """Sum up calls of modules, and leave out those that cost nothing.

    Args:
        calls: Calls in the order in which they ended.
    """
    layers = map(_layer, calls)
    return [x for x in layers if x.params or x.macs or x.other_flops or x.kernel]


def _layer(call: LayerCall) -> Layer:
    module = call.module
    own = call.operations
    leaf = not any(True for _ in module.children())
    shape = call.output_shape if leaf or not own else own[-1].shape
    seen = call.seen if leaf or not own else own[-1].seen
    kernel = _pair(getattr(module, "kernel_size", None))
    filters = [getattr(module, key, None) for key in ("out_channels", "out_features")]
    return Layer(
        name=call.name,
        type=type(module).__name__,
        input_shape=call.input_shape,
        output_shape=shape,
        kernel=kernel,
        stride=_pair(getattr(module, "stride", None)) if kernel else None,
        groups=getattr(module, "groups", None) if leaf else None,
        filters=next((int(count) for count in filters if count), None),
        params=call.params,
        macs=sum(operation.macs for operation in own),
        other_flops=sum(operation.other_flops for operation in own),
        activation_bytes=4 * prod(shape),
        field=receptive_field(seen) if seen and seen.axes else None,
        sees_all=any(mixing.whole for o in own for mixing in o.mixings),
    )


def _pair(value: Any) -> tuple[int, ...] | None:
    if isinstance(value, int):
        return (value, value)
    if isinstance(value, list | tuple) and all(isinstance(v, int) for v in value):
        return tuple(value)
    return None
