"""One forward pass on the meta device that records every layer of a network.

Tensors have no contents there, so neither weights nor memory are needed. The pass meets
whatever the network does, with functional calls and control flow, and module hooks tell
which layer does it.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

# torch documents this way to extend it and has no public name for it.
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary

from clothing_lightning.errors import ConfigError
from clothing_lightning.network_analysis.counting import MACS, other_flops
from clothing_lightning.network_analysis.layout import Field, image
from clothing_lightning.network_analysis.live_memory import LiveMemory, tensors_in
from clothing_lightning.network_analysis.meta import image_channels, meta_copy
from clothing_lightning.network_analysis.operations import (
    LayerCall,
    Operation,
    Shape,
    Trace,
)
from clothing_lightning.network_analysis.propagation import (
    RULES,
    Call,
    elementwise,
    is_elementwise,
)
from clothing_lightning.network_analysis.windows import LayoutError
from clothing_lightning.wording import closest, listed


def trace(
    network: nn.Module,
    image_size: tuple[int, int],
    *,
    channels: int | None = None,
    until: str | None = None,
    append: Callable[[Tensor], nn.Module] | None = None,
) -> Trace:
    """Send an image through a copy of a network on the meta device.

    `complexity.analyze` describes the arguments, the features and the errors.
    """
    _check_end(network, until, append is not None)
    network = meta_copy(network)
    channels = channels or image_channels(network)
    images = torch.empty(1, channels, *image_size, device="meta")
    tracer = _Tracer(until, append)
    tracer.fields[images] = image(images.shape)
    tracer.watch(network)
    with torch.inference_mode():
        with tracer, suppress(_Reached):
            network(images)
        if append is not None and (kept := tracer.features) is not None:
            module = append(kept.tensor)  # whose making is not traced
            tracer.watch(module, "append.")
            with tracer:
                tracer.keep(module(kept.tensor))
    return tracer.result()


def _check_end(network: nn.Module, until: str | None, is_extended: bool) -> None:
    names = [name for name, _ in network.named_modules() if name]
    if until is not None and until not in names:
        near = closest(until, names) or f" There are {listed(names)}."
        raise ConfigError(f"{type(network).__name__} has no layer {until!r}.{near}")
    if is_extended and until is None and not hasattr(network, "forward_features"):
        raise ConfigError(
            f"{type(network).__name__} has no forward_features, so that nothing says "
            "where its features end. Name the last layer before those to append."
        )


class _Reached(Exception):  # noqa: N818  a way out, not an error
    """The last module that is wanted has returned."""


class _Features(NamedTuple):
    tensor: Tensor
    seen: Field | None
    operations: int


class _Tracer(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records what happens while it is active; see `trace` for the arguments."""

    def __init__(
        self, until: str | None, append: Callable[[Tensor], nn.Module] | None
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.until, self.append = until, append
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

    def watch(self, network: nn.Module, prefix: str = "") -> None:
        """Have a network, which is changed for it, report the calls of its modules."""
        self.memory.leave_out([*network.parameters(), *network.buffers()])
        for name, module in network.named_modules():
            begin = partial(self._begin, prefix + name)
            module.register_forward_pre_hook(begin, with_kwargs=True)
            module.register_forward_hook(self._end)
        if features := getattr(network, "forward_features", None):
            noting = partial(self._note_features, features)
            network.forward_features = noting  # type: ignore[assignment]

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
            self.keep(output)
            raise _Reached

    def _note_features(self, features: Any, *args: Any, **kwargs: Any) -> Any:
        output = features(*args, **kwargs)
        self.keep(output)
        if self.append is not None:
            raise _Reached
        return output

    def keep(self, output: Any) -> None:
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
        # Operations have no public name for their schema.
        name = func._schema.name.partition("::")[2]
        if not name.startswith("_"):
            name = name.removesuffix("_")
        given = tensors_in([*args, *kwargs.values()])
        self._note_parameters(given)
        seen = {id(x): self.fields[x] for x in given if x in self.fields}
        rule = RULES.get(name) or (elementwise if is_elementwise(func) else None)
        count = MACS.get(name)
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
            call.offsets_px,
            call.mixings,
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
        several = isinstance(call.output, list | tuple)
        outputs = call.output if several else [call.output]
        one = not isinstance(result, list | tuple)
        results = [result] * len(outputs) if one else result
        for tensor, seen in zip(outputs, results, strict=False):
            if seen is not None:
                self.fields[tensor] = seen
            elif isinstance(tensor, Tensor):
                self.fields.pop(tensor, None)
        operation.seen = results[0] if results else None


def _arguments(func: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    schema = func._schema.arguments
    defaults = {argument.name: argument.default_value for argument in schema}
    return {**defaults, **dict(zip(defaults, args, strict=False)), **kwargs}
