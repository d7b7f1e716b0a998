"""The reports of a finished run, all made from its stored predictions and metrics."""

import pandas as pd
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from clothing_lightning.datamodules import PhotoDataModule
from clothing_lightning.metrics.classification_report import summary
from clothing_lightning.models.classifier import ClothingClassifier
from clothing_lightning.reports.classification import write_classification_report
from clothing_lightning.reports.curves import learning_curves
from clothing_lightning.reports.style import save
from clothing_lightning.tracking.run import RunWriter
from clothing_lightning.training.callbacks import EPOCH_S
from clothing_lightning.training.network_report import draw_fields


def write_reports(
    run: RunWriter,
    model: ClothingClassifier,
    data: PhotoDataModule,
    checkpoint: ModelCheckpoint,
) -> None:
    """Write ``reports/`` of a run, and the validation metrics of its best epoch."""
    folder = run.folder / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    for stage, predictions in stored_predictions(run).items():
        write_classification_report(
            predictions, folder, stage=stage, image_root=data.root
        )
        if stage == "val":
            best = summary(predictions)
            run.log_results({f"val_best/{k}": v for k, v in best.items()})
    run.flush()
    history = run.history(("train/", "val/", "lr"))
    # Of all epochs, whatever time lay between a stop and its resumption.
    run.log_results({"train/time_s": history[EPOCH_S].sum()})
    epoch = best_epoch(checkpoint)
    save(learning_curves(history, best_epoch=epoch), folder / "learning_curves.png")
    history.to_csv(folder / "learning_curves.csv", index_label="epoch")
    draw_fields(run, model, data)
    run.publish(folder)


def stored_predictions(run: RunWriter) -> dict[str, pd.DataFrame]:
    """Predictions tables of a run by stage: ``val``, ``test``, maybe ``test_last``."""
    files = sorted((run.folder / "predictions").glob("*.parquet"))
    return {file.stem: pd.read_parquet(file) for file in files}


def best_epoch(checkpoint: ModelCheckpoint) -> int | None:
    """Epoch of the best checkpoint, from 0; None if there is none."""
    if not checkpoint.best_model_path:
        return None
    state = torch.load(
        checkpoint.best_model_path, map_location="cpu", weights_only=True, mmap=True
    )
    return int(state["epoch"])
