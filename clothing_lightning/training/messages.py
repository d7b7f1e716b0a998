"""What a training shows on the terminal: data, progress, results, the next command."""

from collections.abc import Mapping
from typing import Any, cast

import pandas as pd
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from rich.console import Console
from rich.table import Table

from clothing_lightning.data.table import SPLITS, group_overlap
from clothing_lightning.datamodules import PhotoDataModule
from clothing_lightning.metrics.classification_report import summary
from clothing_lightning.metrics.intervals import wilson_interval
from clothing_lightning.metrics.registry import columns
from clothing_lightning.models.classifier import ClothingClassifier
from clothing_lightning.models.phases import Phase, first_epoch
from clothing_lightning.reports.console import say, warn
from clothing_lightning.tracking.run import RunWriter
from clothing_lightning.tracking.store import where_to_browse

STAGES = {"val": "val, best", "test": "test, best", "test_last": "test, last"}


class Progress(RichProgressBar):
    """One bar with an estimate, the loss and what the best checkpoint is chosen by."""

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Leave out the run's id, which says nothing about progress."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        monitor = getattr(trainer.checkpoint_callback, "monitor", None)
        if monitor in trainer.callback_metrics:
            metrics[monitor] = round(float(trainer.callback_metrics[monitor]), 3)
        return metrics


def show_data(data: PhotoDataModule) -> None:
    """Say what there is to learn from, and what was left out."""
    sizes = [len(data.part(split)) for split in SPLITS]
    say(
        f"{data.name}: {sum(sizes):,} images in {len(data.class_names)} classes: "
        f"{sizes[0]:,} train, {sizes[1]:,} val, {sizes[2]:,} test"
    )
    findings = [f"{n:,} {what}" for what, n in data.source.findings.items() if n]
    if findings:
        say(f"  {', '.join(findings)}")
    overlap = group_overlap(data.table)
    if overlap.get("test"):
        say(
            f"  {overlap['test']:.0%} of the test images have a {data.group_noun} in "
            "common with train (split.method: grouped keeps them apart)"
        )


def show_results(predictions: Mapping[str, pd.DataFrame]) -> None:
    """Print the scores of each stage, such as ``test``, from its predictions."""
    rows = {s: summary(predictions[s]) for s in STAGES if s in predictions}
    shown = columns("fit", {key for row in rows.values() for key in row})
    table = Table("", "images", *shown.values())
    for column in table.columns[1:]:
        column.justify = "right"
    for stage, row in rows.items():
        n = len(predictions[stage])
        values = [f"{row[key]:.3f}" for key in shown]
        low, high = wilson_interval(row["accuracy"] * n, n)
        values[list(shown).index("accuracy")] += f"\n{low:.3f}-{high:.3f}"
        table.add_row(STAGES[stage], str(n), *values)
    Console().print(table)


def show_run(run: RunWriter) -> None:
    """Print where a run lies and how to look at it."""
    say(f"run       {run.name}  {run.run_id}")
    say(f"files     {run.folder}")
    say(f"browse    {where_to_browse()}")


def show_interrupted(run: RunWriter, epoch: int) -> None:
    """Say what is saved and how to go on; the unfinished epoch counts from 0."""
    say(
        f"\nInterrupted in epoch {epoch}. The checkpoint of the last complete epoch is "
        f"saved in {run.folder / 'checkpoints'}; the unfinished epoch will be "
        "repeated. Continue with:\n"
        f"  python -m clothing_lightning.fit --resume {run.run_id[:8]}"
    )


class PhaseAnnouncer(Callback):
    """Prints which phase begins or goes on, and what trains in it."""

    def __init__(self) -> None:
        """Start with no phase announced."""
        self.announced: int | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Warn of phases that the run does not reach."""
        model = cast("ClothingClassifier", pl_module)
        total = first_epoch(model.phases, len(model.phases))
        if trainer.max_epochs is not None and 0 <= trainer.max_epochs < total:
            warn(
                f"the run ends after {trainer.max_epochs} of the {total} epochs that "
                "its phases have (trainer.max_epochs)."
            )

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, *args: Any
    ) -> None:
        """Announce a phase that has begun: the module enters it after the callbacks."""
        model = cast("ClothingClassifier", pl_module)
        if model.phase != self.announced and model.phases != [Phase()]:
            say(describe(model))
        self.announced = model.phase


def describe(model: ClothingClassifier) -> str:
    """Say what trains in the phase that a model is in, and how fast."""
    phase, count = model.phases[model.phase], len(model.phases)
    sizes = [(p.numel(), p.requires_grad) for p in model.network.parameters()]
    trained, total = sum(n for n, trains in sizes if trains), sum(n for n, _ in sizes)
    what = " and ".join(_in_words(part, model.backbone) for part in phase.parts)
    rate = f", learning rate times {phase.lr_factor:g}" if phase.lr_factor != 1 else ""
    return (
        f"Phase {model.phase + 1} of {count} trains {what} ({_short(trained)} of "
        f"{_short(total)} parameters){rate}"
    )


def _in_words(part: str, backbone: str) -> str:
    if part == "all":
        return f"all of {backbone}"
    if part == "head":
        return "the head"
    if part.startswith("last:"):
        return f"the last {part.removeprefix('last:').strip()} of {backbone}"
    return part


def _short(count: int) -> str:
    """Return a number of parameters to three digits: ``11.2 M``."""
    for size, unit in ((10**6, " M"), (10**3, " k")):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    return str(count)
