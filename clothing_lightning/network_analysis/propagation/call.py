"""One operation of torch, and the register of what each does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch

from clothing_lightning.network_analysis.joining import merged
from clothing_lightning.network_analysis.layout import Field, Mixing, contracted
from clothing_lightning.network_analysis.live_memory import tensors_in
from clothing_lightning.network_analysis.windows import LayoutError

Result = Field | None | Sequence[Field | None]


@dataclass
class Call:
    """One operation.

    Attributes:
        name: Name of the operation without overload, and without the underscore of
            in-place variants.
        arguments: Its arguments by the names in its schema, with defaults filled in.
        output: What the operation returned.
        fields: What those of its tensors see that depend on the image, by their id.
        offsets_px: How far apart the centres of paths are that it joins out of step;
            see `windows.joined`.
        mixings: Positions that it sums over, as attention and global pools do.
    """

    name: str
    arguments: dict[str, Any]
    output: Any
    fields: dict[int, Field]
    offsets_px: list[float] = field(default_factory=list)
    mixings: list[Mixing] = field(default_factory=list)

    def __getitem__(self, argument: str) -> Any:
        return self.arguments[argument]

    def get(self, argument: str, default: Any = None) -> Any:
        """An argument that not all variants of the operation have."""
        return self.arguments.get(argument, default)

    def field(self, tensor: Any) -> Field | None:
        """What a tensor sees; None if it does not depend on the image."""
        return self.fields.get(id(tensor))

    @property
    def first(self) -> Any:
        """The first argument."""
        return next(iter(self.arguments.values()))

    @property
    def source(self) -> Field:
        """What the first argument sees.

        Raises:
            LayoutError: If only other arguments depend on the image.
        """
        field = self.field(self.first)
        if field is None:
            raise LayoutError("another argument than the first depends on the image")
        return field

    @property
    def result(self) -> Any:
        """The output, or the first of several."""
        several = isinstance(self.output, tuple | list)
        return self.output[0] if several else self.output

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the output, or of the first of several."""
        return tuple(self.result.shape)

    def summed(self, indices: list[int], source: Field | None = None) -> Field:
        """Sum over dimensions, which stay with one entry; note whole axes that mix."""
        result, mixed = contracted(source or self.source, indices)
        self.mixings += [mixing for mixing in mixed if mixing.whole]
        return result

    def first_of(self, result: Field) -> Result:
        """The result, and nothing for statistics that some variants return as well."""
        several = isinstance(self.output, tuple | list)
        return [result, *[None] * (len(self.output) - 1)] if several else result


Rule = Callable[[Call], Result]
AnyRule = TypeVar("AnyRule", bound=Rule)
RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[AnyRule], AnyRule]:
    """Register what an operation does."""

    def register(function: AnyRule) -> AnyRule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


def is_elementwise(func: torch._ops.OpOverload) -> bool:
    """Whether each entry of the result depends on one entry of each operand."""
    return torch.Tag.pointwise in func.tags


# What both the rules here and the counting of MACs have to know by name.
CONVOLUTIONS = (
    *(f"conv{n}d" for n in (1, 2, 3)),
    *(f"conv_transpose{n}d" for n in (1, 2, 3)),
    *("convolution", "_convolution"),
)
ATTENTION = (
    "scaled_dot_product_attention",
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_attention_math",
)
# Elementwise operations that some versions of torch do not tag as such.
UNTAGGED = (
    *("hardswish", "hardtanh", "leaky_relu", "elu", "prelu", "log_sigmoid"),
    *("where", "floor_divide", "masked_fill"),
)


@rule(*UNTAGGED)
def elementwise(call: Call) -> Field:
    """Every entry of the result sees what the entries see that it is made of."""
    operands = dict.fromkeys(map(id, tensors_in(list(call.arguments.values()))))
    fields = [call.fields[key] for key in operands if key in call.fields]
    return merged(fields, call.shape, call.offsets_px)


def pair(value: Any) -> list[int]:
    """Sizes that may be given as one number."""
    return list(value) if isinstance(value, list | tuple) else [value]


def is_transposed(call: Call) -> bool:
    """Whether a convolution is a transposed one."""
    return "transpose" in call.name or bool(call.get("transposed", False))


def pooled_dims(call: Call) -> int:
    """Over how many of the last dimensions a pool moves: 2 for ``max_pool2d``."""
    return int(call.name[call.name.index("pool") + 4])


def at(value: Any, place: int) -> int:
    """The size along one of the spatial dimensions."""
    values = pair(value)
    return values[place] if place < len(values) else values[0]
