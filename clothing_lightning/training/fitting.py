"""From parsed words to a finished run."""

import errno
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins import CheckpointIO

from clothing_lightning.cli.command import EXIT_INTERRUPTED, Arguments
from clothing_lightning.cli.experiment import (
    FitCLI,
    check_checkpoint,
    default_precision,
)
from clothing_lightning.cli.malloc import keep_freed_memory
from clothing_lightning.cli.third_party_warnings import quiet_libraries
from clothing_lightning.errors import ConfigError, UserError
from clothing_lightning.reports.console import (
    Progress,
    say,
    show_data,
    show_interrupted,
    show_results,
)
from clothing_lightning.training.checkpoints import WholeCheckpointIO

if TYPE_CHECKING:
    from clothing_lightning.tracking.read import StoredRun
    from clothing_lightning.tracking.run import RunWriter


STORAGE_ERRORS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EIO),
    *(errno.EACCES, errno.EPERM, errno.EROFS),
}


class ExperimentCLI(FitCLI):
    """Builds data and model, starts the run, and gives the trainer its callbacks."""

    run: "RunWriter | None" = None

    def __init__(self, arguments: Arguments, past: "StoredRun | None") -> None:
        """Parse and build.

        Args:
            arguments: Files and flags; laid over the configuration of the past run.
            past: The run to continue.
        """
        self.arguments, self.past = arguments, past
        self.title = arguments.files[0].stem if arguments.files else "run"
        files = [past.config, *arguments.files] if past else arguments.files
        configs = [word for file in files for word in ("--config", str(file))]
        super().__init__([*configs, *arguments.options])

    def before_instantiate_classes(self) -> None:
        """Check what is cheap; set the allocator before the first large allocation."""
        check_checkpoint(self.config.checkpoint)
        if self.config.trainer.precision is None:
            accelerator = self.config.trainer.accelerator
            self.config.trainer.precision = default_precision(accelerator)
        if self.config.keep_freed_memory:
            keep_freed_memory()
        torch.set_float32_matmul_precision("high")  # TF32 on GPUs that have it

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Start the run, now that data and model are known to be good."""
        # Here, since mlflow and matplotlib take seconds to import, and a mistake in
        # the experiment should be told before.
        from clothing_lightning.tracking.logger import RunLogger
        from clothing_lightning.training.callbacks import RecordPredictions
        from clothing_lightning.training.finetuning import PhaseTeller
        from clothing_lightning.training.starting import start_run

        show_data(self.datamodule)
        self.best: ModelCheckpoint = self.config_init.checkpoint
        last = ModelCheckpoint(
            filename="last", save_on_train_epoch_end=True, enable_version_counter=False
        )
        self.recorder, self.logger = RecordPredictions(self.best), RunLogger()
        ours: list[Callback] = [self.recorder, last, TermSignal(), PhaseTeller()]
        if self.config_init.trainer.enable_progress_bar is not False:
            ours.append(Progress())
        self.trainer_defaults = {**self.trainer_defaults, "callbacks": ours}
        try:
            trainer = super().instantiate_trainer(
                logger=self.logger,
                plugins=self._plugins(),
                **kwargs,
            )
        except ValueError as err:
            raise ConfigError(f"trainer: {err}") from err
        if trainer.is_global_zero:
            self.run = self.recorder.run = self.logger.run = start_run(self)
            self.best.dirpath = last.dirpath = str(self.run.folder / "checkpoints")
        return trainer

    def _plugins(self) -> list[Any]:
        """What the experiment asks for, and our way to write checkpoints if none."""
        asked = self.config_init.trainer.plugins
        plugins = asked if isinstance(asked, list) else [asked] if asked else []
        theirs = any(isinstance(plugin, CheckpointIO) for plugin in plugins)
        return plugins if theirs else [*plugins, WholeCheckpointIO()]


class TermSignal(Callback):
    """Takes SIGTERM back from Lightning, whose handler never ends on several devices.

    It waits for the other devices, which wait for this one in a collective call.
    Nor does ours raise at once: it often runs within a destructor, as a batch is freed,
    where Python drops what is raised. So it waits for the next batch.
    """

    received = False

    def on_sanity_check_start(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> None:
        """Take the signal."""
        signal.signal(signal.SIGTERM, self._receive)

    on_train_start = on_test_start = on_sanity_check_start

    def on_train_batch_start(self, *args: Any, **kwargs: Any) -> None:
        """Interrupt if the signal came."""
        if self.received:
            raise KeyboardInterrupt

    on_validation_batch_start = on_test_batch_start = on_train_batch_start
    on_train_end = on_test_end = on_train_batch_start

    def _receive(self, signum: int, frame: Any) -> None:
        if self.received:  # who asks twice does not want to wait for a batch
            _interrupt(signum, frame)
        self.received = True


def fit(arguments: Arguments) -> int:
    """Train, validate and test as an experiment says, and log the run.

    Args:
        arguments: Of the command line.

    Returns:
        The exit code.

    Raises:
        UserError: If something is for the user to put right.
    """
    quiet_libraries()
    past = None
    if arguments.resume:
        from clothing_lightning.tracking.read import find_run

        past = find_run(arguments.resume)
        if past.group:
            if arguments.files or arguments.options:
                raise ConfigError(
                    f"--resume: {past.name} stands for several runs, which go on as "
                    "they began. Leave out everything else."
                )
            from clothing_lightning.training.fit_group import resume_several

            return resume_several(past)
    signal.signal(signal.SIGTERM, _interrupt)
    cli = ExperimentCLI(arguments, past)
    try:
        _train_and_test(cli)
    except (KeyboardInterrupt, SystemExit):  # Lightning turns the first into the second
        _finish(cli, "KILLED")
        show_interrupted(cli)
        return EXIT_INTERRUPTED
    except BaseException as err:
        _finish(cli, "FAILED")
        raise _explained(err, cli) from err
    _finish(cli, "FINISHED")
    show_results(cli)
    return 0


def _interrupt(signum: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _train_and_test(cli: ExperimentCLI) -> None:
    trainer, model, data = cli.trainer, cli.model, cli.datamodule
    last = str(cli.past.last_checkpoint()) if cli.past else None
    # Checkpoints that Lightning writes hold more than weights, but this one is ours.
    trainer.fit(model, datamodule=data, ckpt_path=last, weights_only=True)
    if trainer.fast_dev_run:  # type: ignore[attr-defined]
        return
    if cli.config.test_last:
        cli.logger.renamed = cli.recorder.stage = "test_last"
        trainer.test(model, datamodule=data, verbose=False)
    best = cli.best.best_model_path
    if best:
        _load_weights(model, Path(best))
    cli.logger.renamed = cli.recorder.stage = "test"
    trainer.test(model, datamodule=data, verbose=False)
    if cli.run is not None:
        from clothing_lightning.training.run_reports import write_reports

        say("Writing the reports")
        write_reports(cli.run, cli.model, cli.datamodule, cli.best)


def _load_weights(model: torch.nn.Module, checkpoint: Path) -> None:
    """Load a checkpoint's weights.

    Not by ``trainer.test(ckpt_path=…)``: after a fit with weight averaging that puts
    the weights of the last step in the place of the averaged ones.
    """
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    model.load_state_dict(state["state_dict"])


def _finish(cli: ExperimentCLI, status: Any) -> None:
    if cli.run is None:
        return
    try:
        cli.run.publish(cli.run.folder / "checkpoints")
        cli.run.finish(status)
    except UserError:
        if status == "FINISHED":
            raise
        sys.stderr.write("The end of the run could not be written to MLflow.\n")


def _explained(err: BaseException, cli: ExperimentCLI) -> BaseException:
    """Turn what the machine refused into a message; leave faults of ours."""
    text = str(err).strip()
    if isinstance(err, MisconfigurationException):
        return ConfigError(f"the experiment does not hold: {text}")
    if isinstance(err, ValueError) and _refused_by_a_library(err):
        return ConfigError(f"the experiment does not hold: {text}")
    if isinstance(err, AssertionError) and _goes_through("timm.", err):
        size = cli.datamodule.preprocessing.image_size
        return ConfigError(
            f"model.init_args.backbone: {cli.model.backbone} does not take images of "
            f"{size} px ({text}). Leave data.init_args.image_size out, or try another."
        )
    if isinstance(err, UserError) or not isinstance(err, OSError | RuntimeError):
        return err
    if "DataLoader worker" in text and ("No space left" in text or "killed" in text):
        return ConfigError(
            f"a process that reads images failed ({text.splitlines()[-1]}). Give "
            "shared memory more room (docker: --shm-size), or pass "
            "--data.init_args.num_workers 0."
        )
    full = "No space left" in text or "file write failed" in text
    refused = isinstance(err, OSError) and err.errno in STORAGE_ERRORS
    if cli.run is not None and (full or refused):
        from clothing_lightning.training.starting import cannot_save

        return cannot_save(cli.run, err)
    return err


def _refused_by_a_library(err: ValueError) -> bool:
    """Whether Lightning or an optimizer raised it, as they do of settings."""
    return _modules(err)[-1].startswith(("lightning.", "torch.optim."))


def _goes_through(package: str, err: BaseException) -> bool:
    return any(name.startswith(package) for name in _modules(err))


def _modules(err: BaseException) -> list[str]:
    """Names of the modules that an exception came through, the last raised it."""
    frames = traceback.walk_tb(err.__traceback__)
    return [str(frame.f_globals.get("__name__")) for frame, _ in frames] or [""]
