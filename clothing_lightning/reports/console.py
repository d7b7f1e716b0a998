"""What the terminal shows: data, progress, results, and what to do next."""

from typing import TYPE_CHECKING

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console
from rich.table import Table

from clothing_lightning.data.table import SPLITS, group_overlap

if TYPE_CHECKING:
    from clothing_lightning.datamodules import PhotoDataModule
    from clothing_lightning.training.fitting import ExperimentCLI

STAGES = {
    "val": "val, best",
    "test": "test, best",
    "test_last": "test, last",
}


@rank_zero_only
def say(text: str) -> None:
    """Print a line."""
    Console().print(text, highlight=False, soft_wrap=True)


@rank_zero_only
def warn(text: str) -> None:
    """Print a line that stands out."""
    Console().print(f"[bold yellow]warning:[/] {text}", highlight=False, soft_wrap=True)


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


def show_data(data: "PhotoDataModule") -> None:
    """Say what there is to learn from, and what was left out."""
    sizes = [len(data.part(split)) for split in SPLITS]
    say(
        f"{data.name}: {sum(sizes):,} images in {len(data.class_names)} classes: "
        f"{sizes[0]:,} train, {sizes[1]:,} val, {sizes[2]:,} test"
    )
    if data.synthetic:
        warn("these images are drawn. Results say nothing about real photos.")
    findings = [f"{n:,} {what}" for what, n in data.source.findings.items() if n]
    if findings:
        say(f"  {', '.join(findings)}")
    overlap = group_overlap(data.table)
    if overlap.get("test"):
        say(
            f"  {overlap['test']:.0%} of the test images have a {data.group_noun} in "
            "common with train (split.method: grouped keeps them apart)"
        )


def show_results(cli: "ExperimentCLI") -> None:
    """Print the table of results, where the run lies, and the next commands."""
    if cli.run is None:
        return
    from clothing_lightning.metrics.classification_report import summary
    from clothing_lightning.metrics.intervals import wilson_interval
    from clothing_lightning.metrics.registry import columns
    from clothing_lightning.tracking.store import where_to_browse
    from clothing_lightning.training.run_reports import stored_predictions

    tables = stored_predictions(cli.run)
    rows = {stage: summary(tables[stage]) for stage in STAGES if stage in tables}
    shown = columns("fit", {key for row in rows.values() for key in row})
    table = Table("", "images", *shown.values())
    for column in table.columns[1:]:
        column.justify = "right"
    for stage, row in rows.items():
        n = len(tables[stage])
        values = [f"{row[key]:.3f}" for key in shown]
        low, high = wilson_interval(row["accuracy"] * n, n)
        values[list(shown).index("accuracy")] += f"\n{low:.3f}-{high:.3f}"
        table.add_row(STAGES[stage], str(n), *values)
    console = Console()
    console.print(table)
    if cli.datamodule.synthetic:
        warn("drawn images, not photos.")
    say(f"run       {cli.run.name}  {cli.run.run_id}")
    say(f"files     {cli.run.folder}")
    say(f"browse    {where_to_browse()}")


def show_interrupted(cli: "ExperimentCLI") -> None:
    """Say what is saved and how to go on."""
    if cli.run is None:
        return
    epoch = cli.trainer.current_epoch
    say(
        f"\nInterrupted in epoch {epoch}. The checkpoint of the last complete epoch is "
        f"saved in {cli.run.folder / 'checkpoints'}; the unfinished epoch will be "
        "repeated. Continue with:\n"
        f"  python -m clothing_lightning.fit --resume {cli.run.run_id[:8]}"
    )
