"""Lightning's parser, with what it refuses said in one message.

The wording is read from jsonargparse's, whose next major version is therefore not
allowed by pyproject.toml.
"""

import inspect
import re
import sys
from typing import Any, NoReturn

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
