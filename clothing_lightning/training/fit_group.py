"""One experiment run several times: folds of a cross-validation, seeds, or both.

Each run has a process of its own, so that none inherits what another left behind, and
is a child in MLflow of one run that stands for all.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from clothing_lightning.cli.command import (
    EXIT_INTERRUPTED,
    EXIT_USER_ERROR,
    Arguments,
    split_arguments,
)
from clothing_lightning.errors import ConfigError, RunError
from clothing_lightning.training.run_group import VARIABLE, VARIATION_TAG, Series

if TYPE_CHECKING:
    import pandas as pd

    from clothing_lightning.tracking.read import StoredRun
    from clothing_lightning.tracking.run import RunWriter, Status


def fit_several(
    arguments: Arguments, parent: str | None = None, digest: str | None = None
) -> int:
    """Run an experiment in each of its variations, and sum up.

    Args:
        arguments: Of the command line.
        parent: The run that stands for all, if it is to be continued.
        digest: Of the YAML files when that run began.

    Returns:
        The exit code: that of the first run that does not end well, else 0.

    Raises:
        ConfigError: If a YAML file has changed since the first run began.
    """
    done = _children(parent) if parent else {}
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "series.json")
        digest = digest or _digest(arguments.files)
        series = Series(file, arguments.words, digest, parent=parent)
        for place, variation in enumerate(arguments.variations, 1):
            past = done.get(variation.name)
            if past is not None and past.status == "FINISHED":
                continue
            if _digest(arguments.files) != digest:
                _stopped(series.parent, EXIT_USER_ERROR)
                raise ConfigError(
                    f"{', '.join(map(str, arguments.files))}: has changed since the "
                    "first of these runs began, and they are to be of one experiment. "
                    "Restore it and continue, or start anew."
                )
            total = len(arguments.variations)
            Console().print(
                f"\n{variation.name} ({place} of {total} runs)", style="bold"
            )
            series.variation = variation.name
            series.write()
            files = [str(path) for path in arguments.files]
            words = [*files, *arguments.options, *variation.options]
            if past is not None and _has_checkpoint(past):
                words = ["--resume", past.run_id]
            code = _fit_alone(words, file)
            series = Series.read(file)
            if code:
                _stopped(series.parent, code)
                return code
    if series.parent is not None:
        _sum_up(series.parent, arguments)
    return 0


def resume_several(past: "StoredRun") -> int:
    """Continue what `fit_several` was doing when it was stopped."""
    series = json.loads(past.group or "{}")
    arguments = split_arguments(series["words"])
    return fit_several(arguments, past.run_id, series["digest"])


def _digest(files: list[Path]) -> str:
    content = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    return hashlib.sha256("".join(content).encode()).hexdigest()[:16]


def _children(parent: str) -> "dict[str, StoredRun]":
    """The newest run of each variation, but a finished one where there is one."""
    from clothing_lightning.tracking.read import children

    runs = sorted(children(parent), key=lambda run: run.status != "FINISHED")
    found: dict[str, StoredRun] = {}
    for run in runs:
        found.setdefault(run.tags.get(VARIATION_TAG, ""), run)
    return found


def _has_checkpoint(run: "StoredRun") -> bool:
    try:
        run.last_checkpoint()
    except RunError:
        return False
    return True


def _fit_alone(words: list[str], file: str) -> int:
    """Run ``fit`` in a process of its own, which answers to interrupts itself."""
    command = [sys.executable, "-m", "clothing_lightning.fit", *words]
    process = subprocess.Popen(command, env={**os.environ, VARIABLE: file})
    handlers = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
        signal.SIGTERM: signal.signal(
            signal.SIGTERM, lambda *_: process.send_signal(signal.SIGTERM)
        ),
    }
    try:
        code = process.wait()
        stopped = code in (-signal.SIGINT, -signal.SIGTERM)
        return EXIT_INTERRUPTED if stopped else code
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _stopped(parent: str | None, code: int) -> None:
    if parent is None:
        return
    from clothing_lightning.tracking.store import client, tracking_uri

    status = "KILLED" if code == EXIT_INTERRUPTED else "FAILED"
    client(tracking_uri()).set_terminated(parent, status)
    Console().print(
        "Continue with this run and those that are left:\n"
        f"  python -m clothing_lightning.fit --resume {parent[:8]}"
    )


def _sum_up(parent: str, arguments: Arguments) -> None:
    """Write mean and standard deviation, and what the folds give together."""
    import pandas as pd

    from clothing_lightning.metrics.classification_report import summary
    from clothing_lightning.metrics.repeats import spread
    from clothing_lightning.tracking.run import RunWriter

    found = _children(parent)
    runs = {each.name: found[each.name] for each in arguments.variations}
    tables = {
        name: pd.read_parquet(run.artifact("predictions/test.parquet"))
        for name, run in runs.items()
    }
    scores = pd.DataFrame({name: summary(t) for name, t in tables.items()}).T
    parent_run = RunWriter("", "", parent)
    status: Status = "FAILED"
    try:
        parent_run.set_tags(_tags_in_common(list(runs.values())))
        parent_run.log_results(spread(scores.add_prefix("test/")))
        reports = parent_run.folder / "reports"
        reports.mkdir(parents=True, exist_ok=True)
        scores.to_csv(reports / "runs.csv", index_label="run")
        rows = scores.copy()
        if arguments.folds and len(runs) == arguments.folds:
            together = _report_folds(parent_run, runs, list(tables.values()))
            rows.loc["all folds together"] = together
        parent_run.publish(reports)
        status = "FINISHED"
    finally:
        parent_run.finish(status)
    _show(parent_run, scores, rows)


def _tags_in_common(runs: "list[StoredRun]") -> dict[str, str]:
    """What is true of all runs: of seeds, for instance, the digest of the images."""
    first, *others = (
        {key: value for key, value in run.tags.items() if not key.startswith("mlflow.")}
        for run in runs
    )
    return {
        key: value
        for key, value in first.items()
        if all(tags.get(key) == value for tags in others)
    }


def _report_folds(
    parent: "RunWriter", runs: "dict[str, StoredRun]", folds: "list[pd.DataFrame]"
) -> "pd.Series[float]":
    """Write the reports of all images, each tested by the fold that left it out."""
    import pandas as pd

    from clothing_lightning.data.table import digest
    from clothing_lightning.metrics.classification_report import summary
    from clothing_lightning.metrics.repeats import pooled
    from clothing_lightning.reports.classification import write_classification_report

    together = pooled(folds)
    predictions = parent.folder / "predictions"
    predictions.mkdir(exist_ok=True)
    together.to_parquet(predictions / "test.parquet", index=False)
    parent.publish(predictions)
    tags = next(iter(runs.values())).tags
    write_classification_report(
        together,
        parent.folder / "reports",
        stage="test",
        image_root=Path(tags["image_root"]),
    )
    manifest = pd.read_csv(next(iter(runs.values())).artifact("data/manifest.csv"))
    tested = manifest[manifest["path"].isin(together["path"])]
    parent.set_tags({"test_digest": digest(tested, ("sha256", "label"))})
    metrics = summary(together)
    parent.log_results({f"pooled/{name}": value for name, value in metrics.items()})
    return pd.Series(metrics)


def _show(parent: "RunWriter", scores: "pd.DataFrame", rows: "pd.DataFrame") -> None:
    from rich.table import Table

    from clothing_lightning.metrics.registry import columns
    from clothing_lightning.tracking.store import where_to_browse

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
    console = Console()
    console.print(table)
    console.print(f"run       {parent.name}  {parent.run_id}", highlight=False)
    console.print(f"files     {parent.folder}", highlight=False, soft_wrap=True)
    console.print(f"browse    {where_to_browse()}", highlight=False, soft_wrap=True)
