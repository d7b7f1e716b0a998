"""From the words of a command line to data, model and trainer, by LightningCLI."""

import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins import CheckpointIO

from clothing_lightning.cli.arguments import Arguments
from clothing_lightning.cli.malloc import keep_freed_memory
from clothing_lightning.cli.parser import Parser, refuse_nulls
from clothing_lightning.datamodules import PhotoDataModule
from clothing_lightning.errors import ConfigError
from clothing_lightning.metrics.registry import METRICS
from clothing_lightning.models.backbones import preprocessing_of
from clothing_lightning.models.classifier import ClothingClassifier
from clothing_lightning.training.experiment import Experiment, RunOptions
from clothing_lightning.wording import one_line


class ExperimentCLI(LightningCLI):
    """Parses an experiment and builds its data and model; the trainer comes later."""

    def __init__(self, files: Sequence[Path], options: Sequence[str]) -> None:
        """Parse, check and build.

        Args:
            files: YAML files that are laid over each other, the last one wins.
            options: The flags, which are laid over the files.

        Raises:
            UserError: If something in the experiment does not hold.
        """
        configs = [word for file in files for word in ("--config", str(file))]
        super().__init__(
            ClothingClassifier,
            PhotoDataModule,
            save_config_callback=None,
            trainer_defaults=TRAINER_DEFAULTS,
            seed_everything_default=0,
            parser_class=Parser,
            subclass_mode_model=True,
            subclass_mode_data=True,
            args=[*configs, *options],
            run=False,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
        )

    def before_instantiate_classes(self) -> None:
        """Check what is cheap; set the allocator before the first large allocation."""
        _check_checkpoint(self.config.checkpoint)
        if self.config.trainer.precision is None:
            accelerator = self.config.trainer.accelerator
            self.config.trainer.precision = default_precision(accelerator)
        if self.config.keep_freed_memory:
            keep_freed_memory()
        torch.set_float32_matmul_precision("high")  # TF32 on GPUs that have it

    def instantiate_classes(self) -> None:
        """Build data and model.

        Raises:
            ConfigError: If Lightning refuses a setting.
        """
        try:
            super().instantiate_classes()
        except MisconfigurationException as err:
            raise ConfigError(f"the experiment does not hold: {err}") from err
        except Exception as err:
            if not _raised_by_a_logger(err):
                raise
            raise ConfigError(
                f"trainer.logger: cannot be used ({one_line(err)[:300]}). "
                "Install what it needs, or leave it out: MLflow keeps every run."
            ) from err

    def instantiate_trainer(self, **kwargs: Any) -> Any:
        """Do nothing: `build_trainer` builds the trainer later."""

    def build_trainer(
        self, callbacks: Sequence[Callback], logger: Logger, checkpoint_io: CheckpointIO
    ) -> Trainer:
        """Build the trainer that the experiment describes.

        Args:
            callbacks: Callbacks that come after those of the experiment.
            logger: The logger that comes before those of the experiment.
            checkpoint_io: Writes the checkpoints, unless the experiment names another.

        Raises:
            ConfigError: If Lightning refuses a setting, or a logger has no name.
        """
        asked = self.config_init.trainer
        if asked.logger is True:
            raise ConfigError(
                "trainer.logger is true. MLflow keeps every run; name what is to log "
                "beside it, such as --trainer.logger CSVLogger "
                "--trainer.logger.save_dir logs."
            )
        plugins = _as_list(asked.plugins)
        if not any(isinstance(plugin, CheckpointIO) for plugin in plugins):
            plugins.append(checkpoint_io)
        self.trainer_defaults = TRAINER_DEFAULTS | {"callbacks": list(callbacks)}
        try:
            return super().instantiate_trainer(
                logger=[logger, *_as_list(asked.logger)], plugins=plugins
            )
        except MisconfigurationException as err:
            raise ConfigError(f"the experiment does not hold: {err}") from err
        except (TypeError, ValueError) as err:
            raise ConfigError(f"trainer: {err}") from err

    def experiment(self, arguments: Arguments) -> Experiment:
        """Hand on what a training needs, and nothing of the command line.

        Args:
            arguments: The command line that was parsed.
        """
        default_name = arguments.files[0].stem if arguments.files else "run"
        options: RunOptions = self.config.run
        registration = arguments.registration
        return Experiment(
            name=options.name or default_name,
            experiment=options.experiment or self.datamodule.name,
            tags=options.tags | (registration.tags if registration else {}),
            config=self.parser.dump(self.config, skip_unset=False),
            command=arguments.words,
            model=self.model,
            data=self.datamodule,
            checkpoint=self.config_init.checkpoint,
            test_last=self.config.test_last,
            show_progress=self.config_init.trainer.enable_progress_bar is not False,
        )

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


def _raised_by_a_logger(err: BaseException | None) -> bool:
    """Whether a logger of Lightning's could not be built, for want of its package."""
    while err is not None:
        frames = traceback.walk_tb(err.__traceback__)
        names = [str(frame.f_globals.get("__name__")) for frame, _ in frames]
        if any(name.startswith("lightning.pytorch.loggers.") for name in names):
            return True
        err = err.__cause__ or err.__context__
    return False


def _as_list(value: Any) -> list[Any]:
    """A setting that is one object, a list of them, or unset."""
    return list(value) if isinstance(value, list | tuple) else [value] if value else []


def _preprocessing(backbone: str | None, in_chans: int | None) -> dict[str, Any]:
    if backbone is None:
        raise ConfigError(
            "model.init_args.backbone: is null. Name a network of timm, such as "
            "resnet18."
        )
    return asdict(preprocessing_of(backbone, in_chans))


def _check_checkpoint(options: Any) -> None:
    """Refuse settings of the `ModelCheckpoint` with which 'best' would not be it."""
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
    for name in ("max_epochs", "max_steps"):
        value = getattr(options, name)
        if value is not None and value < 1 and value != -1:
            raise ConfigError(
                f"trainer.{name} is {value}. The least is 1; -1 sets no limit."
            )
    for callback in _as_list(options.callbacks):
        name = callback.class_path.rpartition(".")[2]
        if name == "EarlyStopping":
            _check_monitor(name, callback.init_args, "Write mode:")


def _end_with_the_phases(config: Any) -> None:
    """Train for as long as the phases if nothing else is said, but never longer."""
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
