"""The temperature of a trained network, which its best checkpoint then carries."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch

from clothing_lightning.metrics.abstention import FEW_IMAGES, calibrate
from clothing_lightning.metrics.calibration import tempering
from clothing_lightning.models.description import ARTIFACT, KEY, NetworkDescription
from clothing_lightning.reports.console import say
from clothing_lightning.tracking.run import RunWriter
from clothing_lightning.training.checkpoints import WholeCheckpointIO
from clothing_lightning.wording import counted


def calibrate_checkpoint(
    run: RunWriter, best: Path, predictions: dict[str, pd.DataFrame]
) -> None:
    """Write what the validation images say of the network's confidence.

    It goes into the description of the best checkpoint, into the run's file with the
    same description, and as metrics ``calibration/…`` into MLflow.

    Args:
        run: The run that is written.
        best: The best checkpoint.
        predictions: Stored predictions by stage, those of ``val`` and ``test`` made by
            the best checkpoint.
    """
    found = calibrate(predictions["val"]) if "val" in predictions else None
    content = torch.load(best, map_location="cpu", weights_only=True)
    if found is None or KEY not in content:  # resumed from before version 0.2
        return
    about = NetworkDescription.from_values(content[KEY])
    about = replace(about, calibration=found)
    content[KEY] = about.to_values()
    WholeCheckpointIO().save_checkpoint(content, best)
    file = run.folder / ARTIFACT
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(about.to_json(), encoding="utf-8")
    run.publish(file)
    effect = tempering(predictions["test"], found.temperature)
    metrics = {"temperature": found.temperature, "val_images": found.images}
    metrics |= {f"test_{name}": value for name, value in effect.items()}
    run.log_results({f"calibration/{name}": value for name, value in metrics.items()})


def show_calibration(predictions: dict[str, pd.DataFrame]) -> None:
    """Print the temperature, and what it does to the test images.

    Args:
        predictions: Stored predictions by stage.
    """
    found = calibrate(predictions["val"]) if "val" in predictions else None
    if found is None or predictions["test"].empty:
        return
    effect = tempering(predictions["test"], found.temperature)
    few = "only " if found.images < FEW_IMAGES else ""
    say(
        f"calibration by {few}{counted(found.images, 'validation image')}: temperature "
        f"{found.temperature:.2f}; on the test images\n"
        f"  the calibration error goes from {effect['error_before']:.3f} to "
        f"{effect['error_after']:.3f}, cross-entropy from "
        f"{effect['cross_entropy_before']:.3f} to {effect['cross_entropy_after']:.3f}"
    )
