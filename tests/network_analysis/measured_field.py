"""Receptive field of a network, measured by where its gradient is not zero.

It knows no formula for kernels, strides and paddings, so it can check those that
do. During one forward pass of an image of zeros, every operation becomes the sum of
what it looks at: weights become ones, products become sums, a maximum becomes the
sum of its window, activations and normalisations become the identity. Nothing can
cancel there, so the gradient of a feature position is non-zero exactly at the
pixels that the position sees along the convolutional path.

What looks at the whole image (squeeze-excitation, attention, the statistics of a
normalisation) is a constant here, or every window would be the image.

Terms as in Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional
Neural Networks", Distill, 2019, doi:10.23915/distill.00021.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from clothing_lightning.network_analysis.effective_field import (
    feature_map,
    left_unchanged,
    reader,
)
from clothing_lightning.network_analysis.receptive_field import ReceptiveField

_PERIOD_PX = 64  # a multiple of the strides of nearly all networks
_THICKEST = 16  # periods: a network that refuses this takes one size only


def measured_field(
    network: nn.Module,
    features: Callable[[Tensor], Tensor] | None = None,
    *,
    image_size: tuple[int, int] = (224, 224),
    channels: int = 3,
    limit_px: int = 8192,
) -> ReceptiveField:
    """Measure what one position of a feature map sees of the image.

    Each axis is measured by itself, on an image that is thin along the other and
    grows until the first position sees the lower end of its window and the last the
    upper end of its own.

    Args:
        network: Takes images of more than one size; it is left as it was. Many may
            lie on the meta device, since no weight's value counts.
        features: Gives the features of images, as `feature_map` reads them; by
            default the network's ``forward_features``, or the network itself.
        image_size: Height and width that the network is used with; where it pads by
            the size of the image, as TensorFlow does, the padding is that of this.
        channels: Of the images.
        limit_px: Length of the longest image to try.

    Raises:
        ValueError: If the network does not take images of other sizes, or if no
            length shows windows that are all alike and move evenly.
    """
    read = reader(network, features)
    weight = next(network.parameters(), torch.zeros(()))
    device = torch.device("cpu") if weight.is_meta else weight.device

    def respond(*sides: int) -> tuple[Tensor, Any]:
        image = torch.zeros(1, channels, *sides, device=device, requires_grad=True)
        with _OnlySums():
            return image, read(image)

    with left_unchanged(network), torch.inference_mode(False), torch.enable_grad():
        rows, columns = (
            _field_along(axis, network, respond, image_size, limit_px)
            for axis in (0, 1)
        )
    size, stride, padding = zip(rows, columns, strict=True)
    return ReceptiveField(size, stride, padding)


def _field_along(
    axis: int,
    network: nn.Module,
    respond: Callable[..., tuple[Tensor, Any]],
    image_size: tuple[int, int],
    limit_px: int,
) -> tuple[int, int, int]:
    """Size, stride and padding along an axis, from the shortest image that does."""
    name = type(network).__name__
    sides = [_PERIOD_PX + side % _PERIOD_PX for side in image_size]
    periods = thickness = 1
    while sides[axis] <= limit_px:
        try:
            image, output = respond(*sides)
        except (RuntimeError, AssertionError, ValueError) as err:
            if thickness == _THICKEST:
                reason = str(err)[:160] or type(err).__name__
                raise ValueError(
                    f"{name} does not take images of {sides[0]} x {sides[1]} pixels "
                    f"({reason}). Its field can be measured only if it takes images of "
                    "any size."
                ) from err
            sides[1 - axis] += thickness * _PERIOD_PX
            thickness *= 2
        else:
            found = feature_map(network, output, image.shape[-2:])
            if field := _windows(found.sum((0, 1, 3 - axis)), image, axis):
                return field
        sides[axis] += periods * _PERIOD_PX
        periods *= 2
    raise ValueError(
        f"{name}: no image of up to {limit_px} pixels shows windows that are all of "
        "one size and one distance."
    )


def _windows(line: Tensor, image: Tensor, axis: int) -> tuple[int, int, int] | None:
    """Size, stride and padding along an axis, or None if the image is too short.

    Args:
        line: Features along that axis, of shape (positions,).
        image: What they come from.
        axis: 0 for rows, 1 for columns.
    """
    last = len(line) - 1
    if last < 3 or not line.requires_grad:
        return None
    first_px, last_px = {}, {}
    for index in (0, 1, last - 1, last):
        (gradient,) = torch.autograd.grad(line[index], image, retain_graph=True)
        pixels = gradient.sum((0, 1, 3 - axis)).nonzero().flatten().tolist()
        if not pixels:
            return None
        first_px[index], last_px[index] = pixels[0], pixels[-1]
    stride = last_px[1] - last_px[0]
    # Where the image ends too early, several positions see the same end of it.
    complete = (
        0 < stride == first_px[last] - first_px[last - 1]
        and last_px[1] < last_px[last]
        and first_px[last - 1] > first_px[0]
    )
    padding = last * stride - first_px[last]
    return (last_px[0] + padding + 1, stride, padding) if complete else None


class _OnlySums(TorchFunctionMode):
    """Replaces what torch's functions compute by sums with non-negative weights.

    Nothing is changed in place. A function without a rule keeps its own gradient.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        rule = _RULES.get(func.__name__.strip("_"))
        kwargs = kwargs or {}
        return rule(func, *args, **kwargs) if rule else func(*args, **kwargs)


def _depends(value: Any) -> bool:
    """Whether a value depends on the image: nothing else has a gradient."""
    return isinstance(value, Tensor) and value.requires_grad


def _binary(tensor: Tensor) -> Tensor:
    """Let gradients of any size go back as 1, so that they stay in range."""
    if tensor.requires_grad:
        tensor.register_hook(  # type: ignore[no-untyped-call]
            lambda gradient: (gradient != 0).to(gradient.dtype)
        )
    return tensor


def _identity(_: Any, image: Any = None, *args: Any, **kwargs: Any) -> Any:
    return kwargs.get("input", image)


def _total(func: Any, *operands: Any, **kwargs: Any) -> Any:
    """Sum of those that depend on the image; of the others counts the shape only."""
    seen = [value for value in operands if _depends(value)]
    if not seen:
        return func(*operands, **kwargs)
    shapes = [value.shape for value in operands if isinstance(value, Tensor)]
    shape = torch.broadcast_shapes(*shapes)  # type: ignore[no-untyped-call]
    return sum(seen[1:], seen[0]).expand(shape)


def _constant(func: Any, *args: Any, **kwargs: Any) -> Any:
    """What the function returns, without what it has seen of the image."""
    with torch.no_grad():
        return func(*args, **kwargs)


def _reduction(func: Any, image: Tensor, *args: Any, **kwargs: Any) -> Any:
    """Sum over channels; anything wider looks at the whole image."""
    dim = kwargs.get("dim", args[0] if args else None)
    if image.ndim >= 4 and dim in (1, (1,), [1]):
        return image.sum(1, keepdim=kwargs.get("keepdim", False))
    return _constant(func, image, *args, **kwargs)


def _product(func: Any, *args: Any, **kwargs: Any) -> Any:
    """Of matrices; a single one is weights, a batch of them attention to the whole."""
    if min(arg.ndim for arg in args if isinstance(arg, Tensor)) > 2:
        return _constant(func, *args, **kwargs)
    ones = [
        torch.ones_like(arg) if isinstance(arg, Tensor) and not _depends(arg) else arg
        for arg in args
    ]
    return func(*ones, **kwargs)


def _linear(_: Any, image: Tensor, weight: Tensor, bias: Any = None) -> Tensor:
    total = image.sum(-1, keepdim=True)
    return _binary(total.expand(*total.shape[:-1], len(weight)))


def _convolution(
    func: Any,
    image: Tensor,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """With weights of one: that of the sum over a group's channels, repeated."""
    total = image.reshape(len(image), groups, -1, *image.shape[2:]).sum(2)
    ones = total.new_ones(groups, 1, *_extent(weight.shape[2:], dilation))
    found = func(total, ones, None, stride, padding, 1, groups).unsqueeze(2)
    repeated = found.expand(-1, -1, len(weight) // groups, *found.shape[3:])
    return _binary(repeated.flatten(1, 2))


def _max_pooling(
    func: Any,
    image: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    """Sum of each window; ceil mode may add one more, hence the padding."""
    pooled = _constant(func, image, kernel_size, stride, padding, dilation, ceil_mode)
    (below, right), (pad_y, pad_x) = _each(stride or kernel_size), _each(padding)
    padded = F.pad(image, (pad_x, pad_x + right, pad_y, pad_y + below))
    channels = image.shape[1]
    ones = image.new_ones(channels, 1, *_extent(_each(kernel_size), dilation))
    found = F.conv2d(padded, ones, None, (below, right), groups=channels)
    return found[..., : pooled.shape[2], : pooled.shape[3]]


def _extent(kernel: Sequence[int], dilation: Any) -> list[int]:
    """Sides of a dilated kernel, whose holes are filled.

    In a hole, the end of a short image would not show.
    """
    steps = _each(dilation, len(kernel))
    return [step * (side - 1) + 1 for step, side in zip(steps, kernel, strict=True)]


def _each(value: Any, count: int = 2) -> list[int]:
    return list(value) if isinstance(value, tuple | list) else [value] * count


_NAMES: dict[Callable[..., Any], str] = {
    _identity: """
        relu relu6 elu selu celu gelu silu mish hardswish hardsigmoid hardtanh sigmoid
        logsigmoid tanh softplus softsign softshrink hardshrink tanhshrink leaky_relu
        prelu rrelu threshold softmax log_softmax clamp clamp_min clamp_max clip
        batch_norm layer_norm group_norm instance_norm rms_norm local_response_norm
        normalize dropout dropout1d dropout2d dropout3d alpha_dropout
        feature_alpha_dropout abs neg exp log sqrt rsqrt square pow reciprocal""",
    _total: """
        add iadd radd sub isub rsub subtract mul imul rmul multiply div idiv rdiv
        truediv itruediv rtruediv divide true_divide maximum minimum addcmul addcdiv
        lerp""",
    _reduction: "mean sum amax amin norm vector_norm std var logsumexp prod",
    _product: """
        matmul rmatmul imatmul mm bmm einsum scaled_dot_product_attention""",
    _constant: "adaptive_avg_pool2d adaptive_max_pool2d",
    _convolution: "conv1d conv2d conv3d",
    _max_pooling: "max_pool2d",
    _linear: "linear",
}
# By name, so that a function, a method, its operator and its in-place form are one.
_RULES = {name: rule for rule, names in _NAMES.items() for name in names.split()}
