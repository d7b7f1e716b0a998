"""From what a training raised to what the user can do about it."""

import errno
import traceback

from lightning.fabric.utilities.exceptions import MisconfigurationException

from clothing_lightning.errors import ConfigError, StorageError, UserError
from clothing_lightning.tracking.run import RunWriter
from clothing_lightning.training.experiment import Experiment

STORAGE_ERRORS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EIO),
    *(errno.EACCES, errno.EPERM, errno.EROFS),
}


def explained(
    err: BaseException, experiment: Experiment, run: RunWriter | None
) -> BaseException:
    """Turn a refusal by the machine or a library into a message.

    Args:
        err: What the training raised.
        experiment: What was trained.
        run: The run that was recorded; None on all devices but the first.

    Returns:
        A `UserError`, or ``err`` itself if it is a fault of ours.
    """
    text, modules = str(err).strip(), _modules(err)
    # Lightning and the optimizers raise a ValueError of settings.
    of_settings = modules[-1].startswith(("lightning.", "torch.optim."))
    if isinstance(err, MisconfigurationException) or (
        isinstance(err, ValueError) and of_settings
    ):
        return ConfigError(f"the experiment does not hold: {text}")
    through_timm = any(name.startswith("timm.") for name in modules)
    if isinstance(err, AssertionError) and through_timm:
        size = experiment.data.preprocessing.image_size
        return ConfigError(
            f"model.init_args.backbone: {experiment.model.backbone} does not take "
            f"images of {size} px ({text}). Leave data.init_args.image_size out, or "
            "try another."
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
    return cannot_save(run, err) if run is not None and (full or refused) else err


def cannot_save(run: RunWriter, err: BaseException) -> StorageError:
    """Say that the machine refused to store what a run has made."""
    reason = (str(err).strip() or type(err).__name__).splitlines()[0]
    return StorageError(
        f"'{run.folder}': results could not be saved ({reason}). What was saved before "
        "is kept. Free some space or change the permissions; if there is a checkpoint, "
        f"continue with --resume {run.run_id[:8]}."
    )


def _modules(err: BaseException) -> list[str]:
    """Names of the modules that an exception came through, the last raised it."""
    frames = traceback.walk_tb(err.__traceback__)
    return [str(frame.f_globals.get("__name__")) for frame, _ in frames] or [""]
