"""Training, validation and test of an experiment, as a run that is recorded."""

import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, cast

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins import CheckpointIO

from clothing_lightning.errors import UserError
from clothing_lightning.reports.console import say
from clothing_lightning.tracking.logger import RunLogger
from clothing_lightning.tracking.read import StoredRun
from clothing_lightning.tracking.run import RunWriter, Status
from clothing_lightning.training.calibrating import (
    calibrate_checkpoint,
    show_calibration,
)
from clothing_lightning.training.callbacks import RecordPredictions
from clothing_lightning.training.checkpoints import WholeCheckpointIO, require_readable
from clothing_lightning.training.experiment import Experiment
from clothing_lightning.training.failures import explained
from clothing_lightning.training.interruption import TermSignal, interrupt
from clothing_lightning.training.messages import (
    PhaseAnnouncer,
    Progress,
    show_data,
    show_interrupted,
    show_results,
    show_run,
)
from clothing_lightning.training.run_reports import stored_predictions, write_reports
from clothing_lightning.training.starting import record_resumption, start_run

BuildTrainer = Callable[[Sequence[Callback], Logger, CheckpointIO], Trainer]
"""Function from our callbacks, logger and writer of checkpoints to the trainer."""


class Ended(NamedTuple):
    """How a training ended.

    Attributes:
        status: ``KILLED`` if it was interrupted.
        run_id: MLflow's id of the run; empty on all devices but the first.
    """

    status: Literal["FINISHED", "KILLED"]
    run_id: str


def fit(
    experiment: Experiment,
    build_trainer: BuildTrainer,
    stored_run: StoredRun | None = None,
) -> Ended:
    """Train, validate and test, and record the run.

    Args:
        experiment: The model, its data, and the name of the run.
        build_trainer: Builds the trainer that the experiment describes.
        stored_run: The run to continue; None starts a new one.

    Raises:
        UserError: If something is for the user to put right.
    """
    signal.signal(signal.SIGTERM, interrupt)
    show_data(experiment.data)
    recorder, logger = RecordPredictions(experiment.checkpoint), RunLogger()
    last = ModelCheckpoint(
        filename="last", save_on_train_epoch_end=True, enable_version_counter=False
    )
    callbacks: list[Callback] = [recorder, last, TermSignal(), PhaseAnnouncer()]
    if experiment.show_progress:
        callbacks.append(Progress())
    trainer = build_trainer(callbacks, logger, WholeCheckpointIO())
    resumed_from = _last_checkpoint(stored_run)
    run = None
    if trainer.is_global_zero:
        device = trainer.strategy.root_device
        run, recorder.network = start_run(experiment, device, stored_run)
        recorder.run = logger.run = run
        if stored_run is not None:
            recorder.at_start = partial(
                record_resumption, run, experiment, device, stored_run
            )
        folder = str(run.folder / "checkpoints")
        experiment.checkpoint.dirpath = last.dirpath = folder
    run_id = run.run_id if run else ""
    try:
        _train_and_test(experiment, trainer, recorder, logger, resumed_from)
    except (KeyboardInterrupt, SystemExit):  # Lightning turns the first into the second
        if run is not None:
            _finish(run, _ended("KILLED", recorder, stored_run))
            show_interrupted(run, trainer.current_epoch)
        return Ended("KILLED", run_id)
    except BaseException as err:
        if run is not None:
            _finish(run, _ended("FAILED", recorder, stored_run))
        raise explained(err, experiment, run) from err
    if run is not None:
        _finish(run, "FINISHED")
        predictions = stored_predictions(run)
        show_results(predictions)
        show_calibration(predictions)
        show_run(run)
    return Ended("FINISHED", run_id)


def _last_checkpoint(stored_run: StoredRun | None) -> Path | None:
    """The checkpoint from which a run is continued; None for a new run."""
    if stored_run is None:
        return None
    checkpoint = stored_run.last_checkpoint()
    require_readable(checkpoint)
    return checkpoint


def _ended(
    status: Status, recorder: RecordPredictions, stored_run: StoredRun | None
) -> Status:
    """The status of a run; one that could not be continued keeps that which it had."""
    if stored_run is None or recorder.started or stored_run.status == "RUNNING":
        return status
    return cast("Status", stored_run.status)


def _train_and_test(
    experiment: Experiment,
    trainer: Trainer,
    recorder: RecordPredictions,
    logger: RunLogger,
    resumed_from: Path | None,
) -> None:
    model, data = experiment.model, experiment.data
    # Checkpoints that Lightning writes hold more than weights, but this one is ours.
    trainer.fit(model, datamodule=data, ckpt_path=resumed_from, weights_only=True)
    if trainer.fast_dev_run:  # type: ignore[attr-defined]
        return
    if experiment.test_last:
        logger.renamed = recorder.stage = "test_last"
        trainer.test(model, datamodule=data, verbose=False)
    if best := experiment.checkpoint.best_model_path:
        _load_weights(model, Path(best))
    logger.renamed = recorder.stage = "test"
    trainer.test(model, datamodule=data, verbose=False)
    if recorder.run is not None:
        say("Writing the reports")
        if best:
            predictions = stored_predictions(recorder.run)
            calibrate_checkpoint(recorder.run, Path(best), predictions)
        write_reports(recorder.run, model, data, experiment.checkpoint)


def _load_weights(model: torch.nn.Module, checkpoint: Path) -> None:
    """Load a checkpoint's weights.

    Not by ``trainer.test(ckpt_path=…)``: after a fit with weight averaging that puts
    the weights of the last step in the place of the averaged ones.
    """
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    model.load_state_dict(state["state_dict"])


def _finish(run: RunWriter, status: Status) -> None:
    try:
        run.publish(run.folder / "checkpoints")
        run.finish(status)
    except UserError:
        if status == "FINISHED":
            raise
        sys.stderr.write("The end of the run could not be written to MLflow.\n")
