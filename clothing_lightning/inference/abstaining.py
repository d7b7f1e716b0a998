"""What a network says of its own confidence, and when it had better say nothing."""

from pathlib import Path

import pandas as pd

from clothing_lightning.errors import ConfigError, UserError
from clothing_lightning.inference.checkpoint import BEST
from clothing_lightning.inference.trained_network import TrainedNetwork
from clothing_lightning.metrics.abstention import calibrate
from clothing_lightning.metrics.classification_report import class_names
from clothing_lightning.metrics.selective import Answered, Calibration
from clothing_lightning.tracking.read import StoredRun

_VALIDATION = "predictions/val.parquet"


def calibration_of(
    model: TrainedNetwork, checkpoint: Path, run: StoredRun | None
) -> Calibration | None:
    """Return the calibration of a network.

    Older checkpoints do not hold it. That of the best epoch is then made from the
    validation predictions of its run, or of the folder of a run that it lies in.

    Args:
        model: The network.
        checkpoint: The file that it was read from.
        run: The run that trained it; None where only the file was named.

    Returns:
        The calibration; None if the predictions are not there, or cannot be used.
    """
    if model.description.calibration or checkpoint.name != Path(BEST).name:
        return model.description.calibration
    try:
        beside = checkpoint.resolve().parents[1] / _VALIDATION
        table = pd.read_parquet(run.artifact(_VALIDATION) if run else beside)
        if class_names(table) != model.class_names:
            return None
        return calibrate(table)
    except (UserError, OSError, ValueError):  # pyarrow's own are of these
        return None


def threshold_for(
    accuracy: float, calibration: Calibration | None, name: str
) -> Answered:
    """Find the lowest confidence whose answers reach an accuracy on validation images.

    Args:
        accuracy: The accuracy that is asked for.
        calibration: What the validation images say of the network's confidence.
        name: Name of the network, as the user spelled it.

    Raises:
        ConfigError: If there is no calibration, or no confidence reaches the accuracy.
    """
    if calibration is None:
        raise ConfigError(
            f"--abstain: '{name}' holds no calibration: it was written before version "
            "0.3, or is not the best checkpoint of its run, or there were no "
            "validation images. Name its run, or export it again."
        )
    found = calibration.reaching(accuracy)
    if found is None:
        most = calibration.most_accurate
        raise ConfigError(
            f"--abstain {accuracy:g}: no confidence of '{name}' reaches it on its "
            f"{most.images:,} validation images. The most is {_floored(most)}, with "
            f"{most.answered:,} of them answered."
        )
    return found


def _floored(most: Answered) -> str:
    """The accuracy in three digits, which can be asked for."""
    return f"{1000 * most.right // most.answered / 1000:.3f}"


def require_accuracy(accuracy: float | None) -> None:
    """Refuse what cannot be the accuracy of answers.

    Raises:
        ConfigError: If it is not above 0 and at most 1.
    """
    if accuracy is not None and not 0 < accuracy <= 1:
        raise ConfigError(
            f"--abstain is {accuracy:g}. It is the accuracy that answers are to reach, "
            "above 0 and at most 1, such as 0.9."
        )
