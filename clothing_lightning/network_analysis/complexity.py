"""What a network costs: parameters, MACs, FLOPs, memory, layer by layer."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import Tensor, nn

from clothing_lightning.network_analysis.field import ReceptiveField
from clothing_lightning.network_analysis.receptive_field import (
    FieldReport,
    field_report,
    receptive_field,
)
from clothing_lightning.network_analysis.tracing import LayerCall, Shape, Trace, trace

BYTES = {"float32": 4, "float16": 2, "int8": 1}


@dataclass(frozen=True, slots=True)
class Layer:
    """One call of a module, without the modules inside of it.

    Attributes:
        name: Its path in the network.
        type: Its class.
        input_shape: ``[N, …]`` of what it is given, with N = 1.
        output_shape: Of what it returns.
        kernel: Height and width, of convolutions and pools.
        stride: Likewise.
        groups: Of convolutions.
        filters: Output channels of convolutions and linear layers.
        params: Those that it uses, less those that a layer before it has used.
        macs: Multiply-accumulates.
        other_flops: Arithmetic beside them.
        activation_bytes: Of its output in float32.
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
        """Two for each MAC; the other arithmetic is not in it."""
        return 2 * self.macs


@dataclass(frozen=True)
class NetworkReport:
    """What a network sees and what it costs at one input size.

    Attributes:
        name: Of the network.
        image_size: Height and width in pixels.
        features_shape: Of what the classifier is given.
        layers: In the order in which they end.
        field: What the features see.
        params: Parameters that are used.
        peak_activation_bytes: Most memory that activations need at one time, at batch
            size 1 in float32, with each freed as soon as nothing needs it.
    """

    name: str
    image_size: tuple[int, int]
    features_shape: Shape
    layers: list[Layer]
    field: FieldReport
    params: int
    peak_activation_bytes: int

    @property
    def title(self) -> str:
        """The name with the input size, as in ``resnet18 at 224 x 224``."""
        return f"{self.name} at {self.image_size[0]} x {self.image_size[1]}"

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        return sum(layer.macs for layer in self.layers)

    @property
    def flops(self) -> int:
        """Two for each MAC; the other arithmetic is not in it."""
        return 2 * self.macs

    @property
    def other_flops(self) -> int:
        """Biases, norms, activations, pools and sums; see `counting.other_flops`."""
        return sum(layer.other_flops for layer in self.layers)

    def size_mb(self, precision: str) -> float:
        """Size of the parameters in megabytes (10^6 bytes).

        Args:
            precision: ``float32``, ``float16`` or ``int8``.
        """
        return self.params * BYTES[precision] / 1e6


def analyse(
    network: nn.Module,
    name: str,
    image_size: tuple[int, int],
    *,
    until: str | None = None,
    append: Callable[[Tensor], nn.Module] | None = None,
) -> NetworkReport:
    """Trace a network and sum up what it sees and costs.

    Args:
        network: With its parameters on the meta device, in eval mode.
        name: To call it by.
        image_size: Height and width in pixels.
        until: Last module that is kept; see `tracing.trace`.
        append: What is put after the features; likewise.

    Raises:
        Exception: Whatever the network raises for this size.
    """
    made = trace(network, image_size, until=until, append=append)
    layers = list(_layers(made))
    return NetworkReport(
        name,
        image_size,
        made.features_shape,
        layers,
        field_report(made, image_size),
        sum(layer.params for layer in layers),
        made.peak_activation_bytes,
    )


def _layers(made: Trace) -> Iterable[Layer]:
    for call in made.calls:
        layer = _layer(call)
        if layer.params or layer.macs or layer.other_flops or layer.kernel:
            yield layer


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
