"""Lightning's parser, with what it refuses said in one message.

The wording is read from jsonargparse's, whose next major version is therefore not
allowed by pyproject.toml.
"""

import inspect
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pkgutil import resolve_name
from types import UnionType
from typing import Any, NoReturn, Union, get_args, get_origin, get_type_hints

from jsonargparse import Namespace
from lightning.pytorch.cli import LightningArgumentParser
from lightning.pytorch.trainer import Trainer

from clothing_lightning.data.options import Split
from clothing_lightning.datamodules import PhotoDataModule
from clothing_lightning.errors import ConfigError, user_error_behind
from clothing_lightning.models.classifier import ClothingClassifier
from clothing_lightning.models.phases import Phase
from clothing_lightning.training.experiment import RunOptions
from clothing_lightning.wording import closest


class OptionError(ConfigError):
    """What the parser refuses; begins with the key, as far as it is known."""


class Parser(LightningArgumentParser):
    """Says what is wrong in one message instead of printing its usage."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take no part of a name for the whole: it would hide what is misspelt."""
        super().__init__(*args, allow_abbrev=False, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise what the user reads.

        Raises:
            UserError: Always; the one that caused it, if there is one.
        """
        key = re.match(r'Parser key "([^"]+)":', message)
        inner = user_error_behind(ex)
        if inner is None:
            raise OptionError(_readable(message)) from ex
        if key and isinstance(inner, OptionError):  # from the parser of a class
            raise OptionError(f"{key[1]}.init_args.{inner}") from ex
        raise inner


UNKNOWN = (
    r"Option '([^']+)' is not accepted|nrecognized arguments: --([^ =]+)"
    r"|Group '([^']+)' does not accept option '([^']+)'"
)


def _readable(message: str) -> str:
    """Say in our words what jsonargparse found."""
    text = re.sub(r"\s+", " ", message).strip()
    if unknown := re.search(UNKNOWN, text):
        key = ".".join(part for part in unknown.groups() if part)
        return f"{key}: there is no such option.{_known_options(key)}"
    if required := re.search(r"arguments are required: (\S+)", text):
        return f"{required[1]}: is not given, and there is no default."
    key_match = re.match(r'Parser key "([^"]+)": ?', text)
    if key_match is None:
        return text[0].lower() + text[1:]
    return f"{key_match[1]}: {_refusal(text[key_match.end() :])}"


def _refusal(text: str) -> str:
    """Say why a value does not fit."""
    if absent := re.search(r"module '([\w.]+)' has no attribute '(\w+)'", text):
        names = [name for name in dir(sys.modules[absent[1]]) if name[0] != "_"]
        return f"{absent[1]!r} has no {absent[2]!r}.{closest(absent[2], names)}"
    value = re.search(r"(?:Given value|Got value): (.*)$", text)
    wanted = re.findall(r"Expected an? (\S.*?)(?:\. Got| - |$| Given)", text)
    paths = ("path but", "dot import path")
    types = [_type_name(name) for name in wanted if not name.startswith(paths)]
    if value and set(types) - {"null"}:
        return f"{value[1]!r} is not {' or '.join(types)}."
    class_name = re.search(r"Expected a dot import path string: (\S+)", text)
    if class_name:
        return f"{class_name[1]!r} is not the name of a class that is known here."
    if value:
        return f"{value[1]} is not a class by its name, nor class_path and init_args."
    return text


TYPE_NAMES = {"NoneType": "null", "tuple": "a list such as [a, b]"}


def _type_name(name: str) -> str:
    if literal := re.fullmatch(r"typing\.Literal\[(.*)\]", name):
        return f"one of {literal[1]}"
    if plain := re.fullmatch(r"<class '(?:[\w.]*\.)?(\w+)'>", name):
        return TYPE_NAMES.get(plain[1], plain[1])
    return f"a {name}"


def _known_options(key: str) -> str:
    known = {"seed_everything", "test_last", "keep_freed_memory", "checkpoint", "run"}
    known |= {"data", "model", "trainer", "class_path", "init_args"}
    classes: list[type] = [ClothingClassifier, Phase, Trainer, PhotoDataModule, Split]
    for cls in [*classes, *PhotoDataModule.__subclasses__(), RunOptions]:
        known |= set(inspect.signature(cls).parameters)
    for name in reversed(key.split(".")):
        hint = closest(name, known - {"kwargs"}, cutoff=0.65)
        if hint and name not in known:
            return hint
    return " --help-all shows every option."


def refuse_nulls(options: Any, key: str) -> None:
    """Refuse options that are null where a class needs a value, however deep.

    jsonargparse checks no value that is null.

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
    target = resolve_name(class_path)
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
