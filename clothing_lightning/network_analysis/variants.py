"""Layers that a user would like to try after a network, as words on a command line."""

import ast
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from clothing_lightning.errors import ConfigError

_ALL_TAKE = {"kernel_size", "stride", "padding"}
LAYERS: dict[str, tuple[type[nn.Module], set[str]]] = {
    "conv2d": (nn.Conv2d, {*_ALL_TAKE, "dilation", "groups", "out_channels"}),
    "maxpool2d": (nn.MaxPool2d, {*_ALL_TAKE, "dilation", "ceil_mode"}),
    "avgpool2d": (nn.AvgPool2d, {*_ALL_TAKE, "ceil_mode"}),
}


def appended(words: str) -> Callable[[Tensor], nn.Module]:
    """Read layers such as ``maxpool2d(kernel_size=2,stride=2) conv2d(kernel_size=3)``.

    A convolution has as many output channels as input channels unless
    ``out_channels`` is given. The words are read as data, never run.

    Args:
        words: Layers with named arguments, separated by spaces.

    Returns:
        A function from the features, ``[N, C, H, W]``, to the module of these layers,
        on the features' device.

    Raises:
        ConfigError: If a layer or argument is not known; from the function, if the
            features are not a map of positions.
    """
    layers = [_layer(call) for call in _calls(words)]

    def build(features: Tensor) -> nn.Module:
        if features.ndim != 4:
            raise ConfigError(
                f"--append: the features have the shape {list(features.shape)}. Layers "
                "can follow maps of positions, [N, C, H, W], only."
            )
        channels = features.shape[1]
        modules: list[nn.Module] = []
        for cls, arguments in layers:
            if cls is nn.Conv2d:
                given = {"out_channels": channels, **arguments}
                modules.append(cls(channels, device=features.device, **given))
                channels = given["out_channels"]
            else:
                modules.append(cls(**arguments))
        return nn.Sequential(*modules)

    return build


def _calls(words: str) -> list[ast.Call]:
    try:
        tree = ast.parse("[" + words.strip().replace(") ", "), ") + "]", mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as err:
        raise _unreadable(words) from err
    assert isinstance(tree.body, ast.List)
    calls = [item for item in tree.body.elts if isinstance(item, ast.Call)]
    if not calls or len(calls) != len(tree.body.elts):
        raise _unreadable(words)
    return calls


def _unreadable(words: str) -> ConfigError:
    return ConfigError(
        f"--append: {words!r} cannot be read. Write layers with named arguments, such "
        'as "maxpool2d(kernel_size=2,stride=2) conv2d(kernel_size=3)".'
    )


def _layer(call: ast.Call) -> tuple[type[nn.Module], dict[str, Any]]:
    name = ast.unparse(call.func)
    if name not in LAYERS:
        raise ConfigError(
            f"--append: {name!r} is not a layer that can be appended. There are "
            f"{', '.join(LAYERS)}."
        )
    cls, known = LAYERS[name]
    if call.args or any(keyword.arg not in known for keyword in call.keywords):
        raise ConfigError(
            f"--append: {ast.unparse(call)} has an argument that {name} does not take. "
            f"By name, it takes {', '.join(sorted(known))}."
        )
    try:
        given = {k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg}
    except ValueError as err:
        raise _unreadable(ast.unparse(call)) from err
    if "kernel_size" not in given:
        raise ConfigError(f"--append: {name} needs kernel_size.")
    for key, value in given.items():
        numbers = value if isinstance(value, tuple) else (value,)
        least = 0 if key == "padding" else 1
        if not all(isinstance(n, int) and least <= n <= 4096 for n in numbers):
            raise ConfigError(
                f"--append: {key} of {name} is {value!r}. It is a whole number of at "
                f"least {least}, or a pair of them."
            )
    return cls, given
