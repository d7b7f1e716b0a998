"""Options that are null where a value is needed: jsonargparse leaves these to us.

It checks no value that is null, so that what a class does with it is what one sees.
"""

import inspect
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from jsonargparse import Namespace

from clothing_lightning.errors import ConfigError


def refuse_nulls(options: Any, key: str) -> None:
    """Look through ``class_path`` and ``init_args``, however deep.

    Args:
        options: The parsed options of one object, or a list of such.
        key: The key at which they stand in the experiment.

    Raises:
        ConfigError: If an argument is null whose class wants another value.
    """
    if isinstance(options, list):
        for place, each in enumerate(options):
            refuse_nulls(each, f"{key}[{place}]")
    if not isinstance(options, Namespace) or "class_path" not in options:
        return
    wanted = dict(_wanted(options.class_path))
    for name, value in vars(options.get("init_args") or options).items():
        if value is None and name in wanted:
            raise ConfigError(
                f"{key}.init_args.{name}: is null. Write a value, or leave it out for "
                f"{wanted[name]!r}."
            )
        refuse_nulls(value, f"{key}.init_args.{name}")


def _wanted(class_path: str) -> Iterator[tuple[str, object]]:
    """Arguments that must not be null, with their defaults; others are linked."""
    module, _, name = class_path.rpartition(".")
    target: Any = getattr(import_module(module), name)
    bases = reversed(target.__mro__) if inspect.isclass(target) else ()
    for make in [vars(cls)["__init__"] for cls in bases if "__init__" in vars(cls)]:
        hints: dict[str, Any] = {}
        with suppress(NameError, TypeError):  # names that exist for type checkers only
            hints = get_type_hints(make)
        for parameter in inspect.signature(make).parameters.values():
            hint = hints.get(parameter.name, Any)
            given = parameter.default not in (None, parameter.empty)
            if given and not _allows_null(hint):
                yield parameter.name, parameter.default


def _allows_null(hint: Any) -> bool:
    if get_origin(hint) in (Union, UnionType):
        return any(_allows_null(part) for part in get_args(hint))
    return hint in (Any, None, type(None), object)
