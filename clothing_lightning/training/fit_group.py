"""One experiment run several times: folds of a cross-validation, seeds, or both.

Each run has a process of its own, so that none inherits what another left behind, and
is a child in MLflow of one run that stands for all.
"""

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from clothing_lightning.data.table import digest
from clothing_lightning.errors import (
    EXIT_INTERRUPTED,
    EXIT_USER_ERROR,
    ConfigError,
)
from clothing_lightning.metrics.classification_report import summary
from clothing_lightning.metrics.registry import columns
from clothing_lightning.metrics.repeats import pooled, spread
from clothing_lightning.reports.classification import write_classification_report
from clothing_lightning.tracking.read import StoredRun, children
from clothing_lightning.tracking.run import RunWriter
from clothing_lightning.tracking.store import client, tracking_uri
from clothing_lightning.training.fit_process import fit_alone
from clothing_lightning.training.messages import show_run
from clothing_lightning.training.run_group import (
    VARIABLE,
    VARIATION_TAG,
    GroupPlan,
    RunGroup,
)


def fit_group(
    plan: GroupPlan, parent: str | None = None, files_digest: str | None = None
) -> int:
    """Run an experiment in each of its variations, and sum up.

    Args:
        plan: The experiment and its variations.
        parent: The id of the run that stands for all, if it is to be continued.
        files_digest: The digest of the YAML files when that run began.

    Returns:
        The exit code: that of the first run that does not end well, else 0.

    Raises:
        ConfigError: If a YAML file has changed since the first run began.
    """
    stored = _members(parent) if parent else {}
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "group.json")
        files_digest = files_digest or _digest(plan.files)
        group = RunGroup(file, plan.words, files_digest, parent=parent)
        for place, variation in enumerate(plan.variations, 1):
            run = stored.get(variation.name)
            if run is not None and run.status == "FINISHED":
                continue
            if _digest(plan.files) != files_digest:
                _stop(group.parent, EXIT_USER_ERROR)
                raise ConfigError(
                    f"{', '.join(map(str, plan.files))}: has changed since the first "
                    "of these runs began, and they are to be of one experiment. "
                    "Restore it and continue, or start anew."
                )
            total = len(plan.variations)
            Console().print(
                f"\n{variation.name} ({place} of {total} runs)", style="bold"
            )
            group.variation = variation.name
            group.write()
            words = [*map(str, plan.files), *plan.options, *variation.options]
            if run is not None and run.can_be_resumed:
                words = ["--resume", run.run_id]
            code = fit_alone(words, {VARIABLE: file})
            group = RunGroup.read(file)
            if code:
                _stop(group.parent, code)
                return code
    if group.parent is not None:
        _sum_up(group.parent, plan)
    return 0


def _digest(files: list[Path]) -> str:
    content = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    return hashlib.sha256("".join(content).encode()).hexdigest()[:16]


def _members(parent: str) -> dict[str, StoredRun]:
    """The newest run of each variation, but a finished one where there is one."""
    runs = sorted(children(parent), key=lambda run: run.status != "FINISHED")
    members: dict[str, StoredRun] = {}
    for run in runs:
        members.setdefault(run.tags.get(VARIATION_TAG, ""), run)
    return members


def _stop(parent: str | None, code: int) -> None:
    if parent is None:
        return
    status = "KILLED" if code == EXIT_INTERRUPTED else "FAILED"
    client(tracking_uri()).set_terminated(parent, status)
    Console().print(
        "Continue with this run and those that are left:\n"
        f"  python -m clothing_lightning.fit --resume {parent[:8]}"
    )


def _sum_up(parent: str, plan: GroupPlan) -> None:
    """Write mean and standard deviation, and what the folds give together."""
    members = _members(parent)
    runs = {variation.name: members[variation.name] for variation in plan.variations}
    tables = {
        name: pd.read_parquet(run.artifact("predictions/test.parquet"))
        for name, run in runs.items()
    }
    scores = pd.DataFrame({name: summary(t) for name, t in tables.items()}).T
    with RunWriter("", "", parent) as parent_run:
        parent_run.set_tags(_tags_in_common(list(runs.values())))
        parent_run.log_results(spread(scores.add_prefix("test/")))
        reports = parent_run.folder / "reports"
        reports.mkdir(parents=True, exist_ok=True)
        scores.to_csv(reports / "runs.csv", index_label="run")
        rows = scores.copy()
        if plan.folds and len(runs) == plan.folds:
            one_fold, folds = next(iter(runs.values())), list(tables.values())
            rows.loc["all folds together"] = _report_folds(parent_run, one_fold, folds)
        parent_run.publish(reports)
    _show_scores(scores, rows)
    show_run(parent_run)


def _tags_in_common(runs: Sequence[StoredRun]) -> dict[str, str]:
    """Tags with the same value in all runs, such as the digest of the test images."""
    common = set.intersection(*(set(run.tags.items()) for run in runs))
    return {k: v for k, v in sorted(common) if not k.startswith("mlflow.")}


def _report_folds(
    parent: RunWriter, run: StoredRun, folds: list[pd.DataFrame]
) -> "pd.Series[float]":
    """Write the reports of all images, each tested by the fold that left it out.

    The manifest is that of ``run``, one of the folds. Gives the scores of all together.
    """
    together = pooled(folds)
    predictions = parent.folder / "predictions"
    predictions.mkdir(exist_ok=True)
    together.to_parquet(predictions / "test.parquet", index=False)
    parent.publish(predictions)
    write_classification_report(
        together,
        parent.folder / "reports",
        stage="test",
        image_root=Path(run.tags["image_root"]),
    )
    manifest = pd.read_csv(run.artifact("data/manifest.csv"))
    tested = manifest[manifest["path"].isin(together["path"])]
    parent.set_tags({"test_digest": digest(tested, ("sha256", "label"))})
    metrics = summary(together)
    parent.log_results({f"pooled/{name}": value for name, value in metrics.items()})
    return pd.Series(metrics)


def _show_scores(scores: pd.DataFrame, rows: pd.DataFrame) -> None:
    """Print the scores of each run, their mean and their standard deviation."""
    shown = columns("fit", rows)
    table = Table("test", *shown.values())
    for column in table.columns[1:]:
        column.justify = "right"
    for label, row in rows.iterrows():
        table.add_row(str(label), *(f"{row[name]:.3f}" for name in shown))
    mean, std = scores.mean(), scores.std(ddof=1)
    values = [f"{mean[name]:.3f} ± {std[name]:.3f}" for name in shown]
    table.add_section()
    table.add_row("mean ± std", *values)
    Console().print(table)
