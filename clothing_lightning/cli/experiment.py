"""LightningCLI with our links, defaults and messages."""

import difflib
import inspect
import re
import sys
from dataclasses import asdict, dataclass, field
from typing import Any, NoReturn

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.trainer import Trainer

from clothing_lightning.cli.null_options import refuse_nulls
from clothing_lightning.data.options import Split
from clothing_lightning.datamodules import PhotoDataModule
from clothing_lightning.errors import ConfigError, user_error_behind
from clothing_lightning.metrics.registry import METRICS
from clothing_lightning.models.backbones import preprocessing_of
from clothing_lightning.models.classifier import ClothingClassifier
from clothing_lightning.models.phases import Phase


@dataclass(frozen=True)
class RunOptions:
    """How the run is called in MLflow.

    Attributes:
        name: By default that of the first YAML file.
        experiment: By default that of the data set.
        tags: Further tags.
    """

    name: str | None = None
    experiment: str | None = None
    tags: dict[str, str] = field(default_factory=dict)


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
        return f"{key}: there is no such option.{_closest(key)}"
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
        near = difflib.get_close_matches(absent[2], names, n=3, cutoff=0.6)
        hint = f" Closest names: {', '.join(near)}." if near else ""
        return f"{absent[1]!r} has no {absent[2]!r}.{hint}"
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


def _closest(key: str) -> str:
    known = {"seed_everything", "test_last", "keep_freed_memory", "checkpoint", "run"}
    known |= {"data", "model", "trainer", "class_path", "init_args"}
    classes: list[type] = [ClothingClassifier, Phase, Trainer, PhotoDataModule, Split]
    for cls in [*classes, *PhotoDataModule.__subclasses__(), RunOptions]:
        known |= set(inspect.signature(cls).parameters)
    for name in reversed(key.split(".")):
        near = difflib.get_close_matches(name, known - {"kwargs"}, n=3, cutoff=0.65)
        if near and name not in known:
            return f" Closest names: {', '.join(near)}."
    return " --help-all shows every option."


class FitCLI(LightningCLI):
    """Parses an experiment and builds data, model and trainer from it."""

    def __init__(self, args: list[str]) -> None:
        """Parse, check and build.

        Raises:
            ConfigError: If something in the experiment does not hold.
        """
        super().__init__(
            ClothingClassifier,
            PhotoDataModule,
            save_config_callback=None,
            trainer_defaults=TRAINER_DEFAULTS,
            seed_everything_default=0,
            parser_class=Parser,
            subclass_mode_model=True,
            subclass_mode_data=True,
            args=args,
            run=False,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
        )

    def instantiate_classes(self) -> None:
        """Build data, model and trainer.

        Raises:
            ConfigError: If Lightning refuses a setting.
        """
        try:
            super().instantiate_classes()
        except MisconfigurationException as err:
            raise ConfigError(f"the experiment does not hold: {err}") from err

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse without Lightning's warning against arguments that are given."""
        self.config = parser.parse_args(args)
        seed = self.config.seed_everything
        if not 0 <= seed < 2**32:
            raise ConfigError(
                f"seed_everything is {seed}. It is a whole number from 0 to "
                f"{2**32 - 1}."
            )
        refuse_nulls(self.config.data, "data")
        refuse_nulls(self.config.model, "model")
        _check_trainer(self.config.trainer)
        _end_with_the_phases(self.config)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add our options and links."""
        parser.add_argument("--run", type=RunOptions, default=RunOptions())
        parser.add_argument("--test_last", type=bool, default=False)
        parser.add_argument("--keep_freed_memory", type=bool, default=True)
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.set_defaults(CHECKPOINT_DEFAULTS)
        parser.link_arguments("seed_everything", "data.init_args.seed", int)
        parser.link_arguments("seed_everything", "model.init_args.seed", int)
        parser.link_arguments(
            ("model.init_args.backbone", "model.init_args.in_chans"),
            "data.init_args.preprocessing",
            compute_fn=_preprocessing,
        )
        parser.link_arguments(
            "data.preprocessing",
            "model.init_args.image_size",
            compute_fn=lambda preprocessing: preprocessing.image_size,
            apply_on="instantiate",
        )
        for attribute in ("class_names", "train_counts"):
            parser.link_arguments(
                f"data.{attribute}",
                f"model.init_args.{attribute}",
                apply_on="instantiate",
            )


def _preprocessing(backbone: str | None, in_chans: int | None) -> dict[str, Any]:
    if backbone is None:
        raise ConfigError(
            "model.init_args.backbone: is null. Name a network of timm, such as "
            "resnet18."
        )
    return asdict(preprocessing_of(backbone, in_chans))


def check_checkpoint(options: Any) -> None:
    """Refuse settings with which 'best' would not be the best.

    Args:
        options: Of the checkpoint, with ``monitor``, ``mode`` and ``save_top_k``.

    Raises:
        ConfigError: If the metric is not logged, the mode is the wrong way round, or
            more than one checkpoint would go by the name of the best.
    """
    _check_monitor("checkpoint", options, "Pass --checkpoint.mode")
    if options.save_top_k != 1:
        raise ConfigError(
            f"checkpoint.save_top_k is {options.save_top_k}. One best checkpoint is "
            "kept: leave it at 1."
        )


def _check_monitor(key: str, options: Any, advice: str) -> None:
    stage, _, name = str(options.monitor).partition("/")
    if stage not in ("train", "val") or name not in METRICS:
        raise ConfigError(
            f"{key}.monitor: {options.monitor!r} is not logged. Write val/ and one of "
            f"{', '.join(METRICS)}."
        )
    mode = "max" if METRICS[name].higher_is_better else "min"
    if options.mode != mode:
        raise ConfigError(
            f"{key}.mode is {options.mode!r}, but {options.monitor} is best at its "
            f"{mode}imum. {advice} {mode}."
        )


def _check_trainer(options: Any) -> None:
    """Refuse what Lightning divides by, and a stop at the worst epoch."""
    for name in ("accumulate_grad_batches", "check_val_every_n_epoch"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise ConfigError(f"trainer.{name} is {value}. The least is 1.")
    callbacks = options.callbacks or []
    for callback in callbacks if isinstance(callbacks, list) else [callbacks]:
        name = callback.class_path.rpartition(".")[2]
        if name == "EarlyStopping":
            _check_monitor(name, callback.init_args, "Write mode:")


def _end_with_the_phases(config: Any) -> None:
    """Train for as long as the phases if nothing else is said.

    Raises:
        ConfigError: If the run is to go on after the last of them.
    """
    phases = config.model.init_args.get("phases") or []
    epochs = [phase.epochs for phase in phases]
    total = None if None in epochs else sum(epochs)
    asked = config.trainer.max_epochs
    if asked is None:
        config.trainer.max_epochs = total or DEFAULT_EPOCHS
    elif total and not 0 <= asked <= total:
        raise ConfigError(
            f"trainer.max_epochs is {asked}, but model.init_args.phases end after "
            f"{total}. Pass --trainer.max_epochs {total}, or write epochs: null for a "
            "last phase that goes on to the end."
        )


def default_precision(accelerator: str) -> str:
    """bf16 where a GPU that is used computes in it; else float32, as suits CPUs."""
    computes = (
        accelerator in ("auto", "gpu", "cuda")
        and torch.cuda.is_available()
        and torch.cuda.is_bf16_supported(including_emulation=False)
    )
    return "bf16-mixed" if computes else "32-true"


DEFAULT_EPOCHS = 50
TRAINER_DEFAULTS: dict[str, Any] = {
    "logger": False,
    # Our sampler divides the images over the devices itself, without repeating any.
    "use_distributed_sampler": False,
    "enable_model_summary": False,
}
CHECKPOINT_DEFAULTS = {
    "checkpoint.monitor": "val/macro_f1",
    "checkpoint.mode": "max",
    "checkpoint.filename": "best",
    "checkpoint.auto_insert_metric_name": False,
    "checkpoint.enable_version_counter": False,
}
