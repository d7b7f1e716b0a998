"""One forward pass on the meta device that records every layer of a network.

Tensors have no contents there, so neither weights nor memory are needed. The pass meets
whatever the network does, with functional calls and control flow, and module hooks tell
which layer does it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary

from clothing_lightning.network_analysis.counting import macs, other_flops
from clothing_lightning.network_analysis.joining import Meeting
from clothing_lightning.network_analysis.layout import (
    Field,
    LayoutError,
    Mixing,
    image,
)
from clothing_lightning.network_analysis.live_memory import LiveMemory, tensors_in
from clothing_lightning.network_analysis.propagation import (
    RULES,
    Call,
    elementwise,
    is_elementwise,
)

Shape = tuple[int, ...]


@dataclass
class Operation:
    """One call of a torch operation.

    Attributes:
        layer: The innermost module that made it.
        name: Of the operation.
        macs: Multiply-accumulates.
        other_flops: Other arithmetic operations.
        meetings: Paths out of step that it joins.
        mixings: Positions that it sums over.
        unknown: Why nobody can say what its result sees; None if that is known.
        seen: What its (first) result sees; None if that is unknown, or nothing.
        shape: Of its (first) result.
    """

    layer: str
    name: str
    macs: int
    other_flops: int
    meetings: list[Meeting]
    mixings: list[Mixing]
    unknown: str | None
    seen: Field | None
    shape: Shape


@dataclass
class LayerCall:
    """One call of a module.

    Attributes:
        name: Its path in the network; empty for the network itself.
        module: The module.
        input_shape: Of the first tensor that it is given.
        output_shape: Of the first that it returns.
        operations: Those that it makes itself, not through a module inside of it.
        seen: What the output sees.
        params: Parameters that its operations are the first to use.
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
        calls: Of all modules, in the order in which they ended: blocks come after
            what is inside of them.
        operations: All of them, in order.
        features: What the features see that the classifier is given.
        features_shape: Their shape.
        features_at: Number of operations until they are there.
        peak_activation_bytes: The most that tensors made on the way hold at one time.
    """

    calls: list[LayerCall]
    operations: list[Operation]
    features: Field | None
    features_shape: Shape
    features_at: int
    peak_activation_bytes: int


def trace(
    network: nn.Module,
    image_size: tuple[int, int],
    *,
    until: str | None = None,
    append: Callable[[Tensor], nn.Module] | None = None,
) -> Trace:
    """Send an image through a network whose parameters are on the meta device.

    Features are what ``forward_features`` returns, as in timm, or else the last tensor
    that has positions.

    Args:
        network: In eval mode; it is left as it was.
        image_size: Height and width in pixels.
        until: Name of the module that is to be the last; what it returns are the
            features.
        append: Given the features, returns a module to send them through; what that
            returns are the features then. What follows in the network is left out.

    Raises:
        Exception: Whatever the network raises for this size.
    """
    images = torch.empty(1, image_channels(network), *image_size, device="meta")
    tracer = _Tracer()
    tracer.fields[images] = image(images.shape)
    tracer.until, tracer.append = until, append
    with torch.inference_mode(), tracer.watching(network):
        with tracer, suppress(_Reached):
            network(images)
        if append is not None and (kept := tracer.features) is not None:
            module = append(kept.tensor)  # whose making is not traced
            with tracer:
                tracer.extend(module, kept.tensor)
    return tracer.result()


def image_channels(network: nn.Module) -> int:
    """Of the images: those of the first convolution, if they can be an image's."""
    convolutions = (m for m in network.modules() if isinstance(m, nn.Conv2d))
    first = next((conv.in_channels for conv in convolutions), 0)
    known = getattr(network, "pretrained_cfg", None) or {"input_size": (3,)}
    return first if 1 <= first <= 4 else int(known["input_size"][0])


class _Reached(Exception):  # noqa: N818  a way out, not an error
    """The last module that is wanted has returned."""


class _Features(NamedTuple):
    tensor: Tensor
    seen: Field | None
    operations: int


class _Tracer(TorchDispatchMode):  # type: ignore[no-untyped-call]
    until: str | None = None
    append: Any = None

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.fields: Any = WeakIdKeyDictionary()
        self.calls: list[LayerCall] = []
        self.open: list[LayerCall] = []
        self.operations: list[Operation] = []
        self.features: _Features | None = None
        self.memory = LiveMemory()
        self.used: set[int] = set()  # parameters, by their id

    def result(self) -> Trace:
        place, seen = len(self.operations), None
        shape: Shape = ()
        if self.features is not None:
            tensor, seen, place = self.features
            shape = tuple(tensor.shape)
        if seen is None:  # no features are named, or they cannot be followed so far
            for index, operation in enumerate(self.operations[:place]):
                if operation.seen is not None and operation.seen.axes:
                    place, seen, shape = index + 1, operation.seen, operation.shape
        calls = [*self.calls, *reversed(self.open)]  # what a truncation left open
        return Trace(calls, self.operations, seen, shape, place, self.memory.peak)

    def extend(self, module: nn.Module, given: Tensor) -> None:
        with self.watching(module, "append."):
            self._keep(module(given))

    @contextmanager
    def watching(self, network: nn.Module, prefix: str = "") -> Iterator[None]:
        hooks = []
        self.memory.leave_out([*network.parameters(), *network.buffers()])
        for name, module in network.named_modules():
            begin, end = partial(self._begin, prefix + name), self._end
            hooks.append(module.register_forward_pre_hook(begin, with_kwargs=True))
            hooks.append(module.register_forward_hook(end))
        features = getattr(network, "forward_features", None)
        if features is not None:
            wrapped = partial(self._note_features, features)
            network.forward_features = wrapped  # type: ignore[assignment]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
            if features is not None:
                del network.forward_features

    def _begin(self, name: str, module: nn.Module, args: Any, kwargs: Any) -> None:
        given = tensors_in([*args, *kwargs.values()])
        call = LayerCall(name, module, tuple(given[0].shape) if given else ())
        self.open.append(call)

    def _end(self, module: nn.Module, args: Any, output: Any) -> None:
        call = self.open.pop()
        self.calls.append(call)
        made = tensors_in([output])
        if made:
            call.output_shape = tuple(made[0].shape)
            call.seen = self.fields.get(made[0])
        if call.name == self.until:
            self._keep(output)
            raise _Reached

    def _note_features(self, features: Any, *args: Any, **kwargs: Any) -> Any:
        output = features(*args, **kwargs)
        self._keep(output)
        if self.append is not None:
            raise _Reached
        return output

    def _keep(self, output: Any) -> None:
        """Note the features: of several tensors, the last one with positions."""
        made = [(tensor, self.fields.get(tensor)) for tensor in tensors_in([output])]
        with_positions = [pair for pair in made if pair[1] is not None and pair[1].axes]
        if made:
            tensor, seen = (with_positions or made)[-1]
            self.features = _Features(tensor, seen, len(self.operations))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name.partition("::")[2]
        if not name.startswith("_"):
            name = name.removesuffix("_")
        given = tensors_in([*args, *kwargs.values()])
        self._note_parameters(given)
        seen = {
            id(tensor): self.fields[tensor] for tensor in given if tensor in self.fields
        }
        rule = RULES.get(name) or (elementwise if is_elementwise(func) else None)
        count = macs(name)
        if rule is None and count is None:
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        output = func(*args, **kwargs)
        self.memory.note(output)
        if not isinstance(output, Tensor | list | tuple):
            return output
        call = Call(name, _arguments(func, args, kwargs), output, seen)
        operation = Operation(
            self.open[-1].name if self.open else "",
            name,
            count(call) if count else 0,
            other_flops(call, is_elementwise(func)),
            call.meetings,
            call.mixings,
            None,
            None,
            next((tuple(tensor.shape) for tensor in tensors_in([output])), ()),
        )
        if seen:
            self._propagate(call, operation, rule)
        self.operations.append(operation)
        if self.open:
            self.open[-1].operations.append(operation)
        return output

    def _note_parameters(self, given: list[Tensor]) -> None:
        """Count parameters where they are used, be their module called or not."""
        for tensor in given:
            if isinstance(tensor, nn.Parameter) and id(tensor) not in self.used:
                self.used.add(id(tensor))
                if self.open:
                    self.open[-1].params += tensor.numel()

    def _propagate(self, call: Call, operation: Operation, rule: Any) -> None:
        try:
            if rule is None:
                raise LayoutError("there is no rule for it")
            result = rule(call)
        except LayoutError as err:
            operation.unknown, result = str(err), None
        outputs = (
            call.output if isinstance(call.output, list | tuple) else [call.output]
        )
        several = isinstance(result, list | tuple)
        results = result if several else [result] * len(outputs)
        for tensor, seen in zip(outputs, results, strict=False):
            if seen is not None:
                self.fields[tensor] = seen
            elif isinstance(tensor, Tensor):
                self.fields.pop(tensor, None)
        operation.seen = results[0] if results else None


def _arguments(func: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    return {
        argument.name: args[place]
        if place < len(args)
        else kwargs.get(argument.name, argument.default_value)
        for place, argument in enumerate(func._schema.arguments)
    }
