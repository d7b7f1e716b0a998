"""The callback that keeps predictions and draws the confusion matrix as it develops."""

import time
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
import torch.distributed as dist
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from numpy.typing import NDArray

from clothing_lightning.metrics.classification_report import confusion_matrix
from clothing_lightning.models.classifier import ClothingClassifier
from clothing_lightning.models.description import ARTIFACT
from clothing_lightning.network_analysis.complexity import NetworkReport
from clothing_lightning.reports.confusion import confusion_figure
from clothing_lightning.reports.style import pixels
from clothing_lightning.tracking.run import RunWriter
from clothing_lightning.training.network_report import keep_first_field

EPOCH_S = "train/epoch_s"


class RecordPredictions(Callback):
    """Writes ``predictions/<stage>.parquet``: validation of the best epoch, and tests.

    Attributes:
        run: The run that is written; None on all devices but the first.
        stage: The name of the next test: ``test`` or ``test_last``.
        network: The report on the network of a new run; None if there is none.
        at_start: Called when the training begins, with its checkpoint restored.
        started: Whether the training has begun.
    """

    run: RunWriter | None = None
    network: NetworkReport | None = None
    at_start: Callable[[], None] | None = None
    started = False

    def __init__(self, best: ModelCheckpoint) -> None:
        """Keep nothing yet; ``best`` chooses the epoch whose validation is stored."""
        self.best = best
        self.stage = "test"
        self._seen: list[dict[str, torch.Tensor]] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save a checkpoint at once, so that a run can be continued from anywhere."""
        self.started = True
        if self.at_start is not None:
            self.at_start()
        if self.best.dirpath and trainer.global_step == 0:
            trainer.save_checkpoint(f"{self.best.dirpath}/last.ckpt")
            model = cast("ClothingClassifier", pl_module)
            if self.run is not None:
                file = self.run.folder / ARTIFACT
                file.write_text(model.describe().to_json(), encoding="utf-8")
                self.run.publish(file)
            if self.run is not None and self.network is not None:
                data = trainer.datamodule  # type: ignore[attr-defined]
                keep_first_field(self.run, model, data, self.network)

    def on_train_epoch_start(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> None:
        """Take the time."""
        self._epoch_began = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log how long the epoch took, its validation included."""
        if self.run is not None:
            took = time.monotonic() - self._epoch_began
            self.run.log_metrics({EPOCH_S: took}, trainer.current_epoch)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Keep the predictions of a batch."""
        self._seen.append({key: value.cpu() for key, value in outputs.items()})

    on_test_batch_end = on_validation_batch_end

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Store the predictions if they are the best so far, and draw them."""
        table = self._table(trainer, "val")
        if trainer.sanity_checking or self.run is None:
            return
        score = trainer.callback_metrics.get(self.best.monitor or "")
        if score is None or self._is_best(score):
            self._store(table, "val")
        epoch, run = trainer.current_epoch, self.run
        run.queue(lambda: run.log_image("val/confusion_matrix", _draw(table), epoch))

    def _is_best(self, score: torch.Tensor) -> bool:
        """Whether `ModelCheckpoint`, which comes after this, will save the epoch."""
        so_far = self.best.best_model_score
        better = torch.lt if self.best.mode == "min" else torch.gt
        return so_far is None or bool(better(score.cpu(), so_far.cpu()))

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Store the predictions."""
        table = self._table(trainer, "test")
        if self.run is not None:
            self._store(table, self.stage)

    def _table(self, trainer: Trainer, split: str) -> pd.DataFrame:
        """Predictions of all devices, in the order of the split's table."""
        parts, self._seen = self._seen, []
        if dist.is_available() and dist.is_initialized():
            gathered: list[Any] = [None] * dist.get_world_size()
            dist.all_gather_object(gathered, parts)
            parts = [part for device in gathered for part in device]
        indices = torch.cat([part["indices"] for part in parts]).numpy()
        values = torch.cat([part["probabilities"] for part in parts]).numpy()
        data = trainer.datamodule  # type: ignore[attr-defined]
        rows = data.part(split).iloc[indices].reset_index(drop=True)
        scores = pd.DataFrame(values.astype(np.float32), columns=data.class_names)
        table = pd.concat([rows[["path", "label"]], scores], axis=1)
        order = np.argsort(indices, kind="stable")
        return cast("pd.DataFrame", table.iloc[order]).reset_index(drop=True)

    def _store(self, table: pd.DataFrame, stage: str) -> None:
        assert self.run is not None
        file = self.run.folder / "predictions" / f"{stage}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        table.to_parquet(file, index=False)
        self.run.publish(file)


def _draw(predictions: pd.DataFrame) -> NDArray[np.uint8]:
    matrix = confusion_matrix(predictions)
    return pixels(confusion_figure(matrix, normalise=True, title="Validation"))
