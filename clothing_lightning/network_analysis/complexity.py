"""What a network sees of an image and what it costs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rich.console import RenderableType
from rich.table import Table
from torch import Tensor, nn

from clothing_lightning.network_analysis.layers import Layer, layers_of
from clothing_lightning.network_analysis.operations import Shape
from clothing_lightning.network_analysis.receptive_field import (
    FieldReport,
    field_report,
)
from clothing_lightning.network_analysis.text import (
    layers_table,
    plain_text,
    stages_table,
    times,
)
from clothing_lightning.network_analysis.tracing import trace

BYTES = {"float32": 4, "float16": 2, "int8": 1}


@dataclass(frozen=True)
class NetworkReport:
    """What a network sees and what it costs at one input size.

    As text, it is a summary for people to read.

    Attributes:
        name: Name of the network.
        image_size: Height and width in pixels.
        features_shape: Shape of the last feature map.
        layers: Layers in the order in which they end.
        field: What the last feature map sees.
        params: Number of parameters that are used.
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

    def __str__(self) -> str:
        return plain_text(*self.summary(), layers_table(self.layers))

    @property
    def title(self) -> str:
        """The name with the input size, as in ``resnet18 at 224 x 224``."""
        return f"{self.name} at {times(self.image_size)}"

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        return sum(layer.macs for layer in self.layers)

    @property
    def flops(self) -> int:
        """Two for each MAC; other arithmetic is not in it."""
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

    def facts(self) -> dict[str, str]:
        """Cost and receptive field of the whole network, as text by name."""
        field = self.field.field
        share = size = stride = padding = "not known"
        if field:
            sides = field.size_px, field.stride_px, field.padding_px
            size, stride, padding = (f"{times(values)} px" for values in sides)
            shares = zip(field.size_px, self.image_size, strict=True)
            share = " x ".join(dict.fromkeys(f"{a / b:.2f}" for a, b in shares))
        return {
            "parameters": f"{self.params:,}",
            "MACs": f"{self.macs:,}",
            "FLOPs (2 x MACs)": f"{self.flops:,}",
            "other operations": f"{self.other_flops:,}",
            "size in MB": ", ".join(f"{self.size_mb(k):.1f} {k}" for k in BYTES),
            "peak activations": f"{self.peak_activation_bytes / 1e6:.1f} MB (batch 1)",
            "receptive field": size,
            "field / image side": share,
            "effective stride": stride,
            "effective padding": padding,
            "positions": times(self.field.grid),
            "whole image from": self.field.global_from or "none before the classifier",
        }

    def summary(self) -> Iterator[RenderableType]:
        """Title, facts, remarks on the receptive field and its growth, for rich."""
        yield f"[bold]{self.title}[/]"
        table = Table(show_header=False, box=None)
        for name, value in self.facts().items():
            table.add_row(name, value)
        yield table
        if not self.field.is_uniform:
            yield "The field is not the same everywhere: this is the largest."
        for local in self.field.local_ops:
            yield (
                f"{local.layer} attends within {times(local.positions)} positions "
                f"({times(local.size_px)} px)."
            )
        for unknown in self.field.unknown_ops:
            yield f"[yellow]Not known:[/] {unknown}; the field is that up to it."
        if joins := self.field.misaligned:
            layer, offset = max(joins.items(), key=lambda item: item[1])
            yield (
                f"{len(joins)} layers join paths whose centres differ, at most by "
                f"{offset:g} px ({layer}); the field is the hull of both."
            )
        yield stages_table(self.layers)


def analyze(
    network: nn.Module,
    image_size: int | tuple[int, int] = 224,
    *,
    name: str | None = None,
    channels: int | None = None,
    until: str | None = None,
    append: Callable[[Tensor], nn.Module] | None = None,
) -> NetworkReport:
    """Find out what a network sees of an image and what it costs.

    An image is sent through a copy of the network on the meta device, where tensors
    have shapes and no contents. That needs no memory for weights, and leaves the
    network as it was, on whatever device and in whatever mode.

    The receptive field is that of the last feature map. It is what
    ``forward_features`` returns, where the network has this method, as those of timm
    do. Otherwise it is the last tensor of the pass that has positions along height and
    width: in a classifier, what its global pool is given.

    Args:
        network: Any network whose ``forward`` takes images, ``[N, C, H, W]``.
        image_size: Height and width in pixels, or one number for both.
        name: Name of the network in the report; by default that of its class.
        channels: Channels of the images; by default what the first convolution takes,
            or else 3.
        until: Name of the last module to keep; what it returns are the features.
        append: Function from the features to a module that is to follow them, in place
            of the rest of the network; see `variants.appended`.

    Raises:
        ConfigError: If there is no such module as ``until``, or nothing says where the
            features end that ``append`` follows.
        Exception: Whatever the network raises for images of this size.
    """
    size = (image_size, image_size) if isinstance(image_size, int) else image_size
    made = trace(network, size, channels=channels, until=until, append=append)
    layers = layers_of(made.calls)
    return NetworkReport(
        name or type(network).__name__,
        size,
        made.features_shape,
        layers,
        field_report(made, size),
        sum(layer.params for layer in layers),
        made.peak_activation_bytes,
    )
