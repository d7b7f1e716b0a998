"""What is recorded of a forward pass: its operations and its calls of modules."""

from dataclasses import dataclass, field

from torch import nn

from clothing_lightning.network_analysis.layout import Field, Mixing

Shape = tuple[int, ...]


@dataclass
class Operation:
    """One call of a torch operation.

    Attributes:
        layer: Name of the innermost module that called it.
        name: Name of the operation, such as ``conv2d``.
        macs: Number of multiply-accumulates.
        other_flops: Number of other arithmetic operations.
        offsets_px: How far apart the centres of paths are that it joins out of step;
            see `windows.joined`.
        mixings: Positions that it sums over.
        shape: Shape of its (first) result.
        unknown: Why nobody can say what its result sees; None if that is known.
        seen: What its (first) result sees; None if that is unknown, or nothing.
    """

    layer: str
    name: str
    macs: int
    other_flops: int
    offsets_px: list[float]
    mixings: list[Mixing]
    shape: Shape
    unknown: str | None = None
    seen: Field | None = None


@dataclass
class LayerCall:
    """One call of a module.

    Attributes:
        name: Path of the module in the network; empty for the network itself.
        module: The module.
        input_shape: Shape of the first tensor that it is given.
        output_shape: Shape of the first tensor that it returns.
        operations: Operations that it calls itself, not through a module inside of it.
        seen: What its output sees.
        params: Number of parameters that its operations are the first to use.
    """

    name: str
    module: nn.Module
    input_shape: Shape = ()
    output_shape: Shape = ()
    operations: list[Operation] = field(default_factory=list)
    seen: Field | None = None
    params: int = 0


@dataclass
class Trace:
    """What a forward pass did.

    Attributes:
        calls: Calls of all modules, in the order in which they ended: blocks come
            after what is inside of them.
        operations: All operations, in order.
        features: What the features see that the classifier is given.
        features_shape: Shape of the features.
        features_at: Number of operations until the features are there.
        peak_activation_bytes: Most memory that tensors made on the way hold at one
            time.
    """

    calls: list[LayerCall]
    operations: list[Operation]
    features: Field | None
    features_shape: Shape
    features_at: int
    peak_activation_bytes: int
