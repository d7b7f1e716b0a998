import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from clothing_lightning import fit
from clothing_lightning.metrics.classification_report import summary
from clothing_lightning.tracking.read import GROUP_TAG, children, find_run
from clothing_lightning.tracking.store import create_run

if TYPE_CHECKING:
    from mlflow.entities import Run

Recorded = Callable[[], "list[Run]"]


def parent_of(runs: "list[Run]") -> "Run":
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    return parent


def test_other_words_beside_the_resume_of_several_runs_are_refused(
    experiment: Path, recorded: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = create_run("clothes", "tiny", {GROUP_TAG: json.dumps({"words": []})})
    words = ["--resume", parent.info.run_id[:8], "--trainer.max_epochs", "3"]
    assert fit.main(words) == 2
    assert "stands for several runs, which go on as they" in capsys.readouterr().err


def test_runs_of_an_experiment_that_has_changed_do_not_go_on(
    experiment: Path, recorded: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    series = {"words": [str(experiment), "--seeds", "0", "1"], "digest": "0" * 16}
    parent = create_run("clothes", "tiny", {GROUP_TAG: json.dumps(series)})
    assert fit.main(["--resume", parent.info.run_id]) == 2
    assert "has changed since the first of these runs" in capsys.readouterr().err


def stop_in_second_run(words: list[str]) -> str:
    """Run ``fit``, send SIGTERM in its second run, and return what it says then."""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-m", "clothing_lightning.fit", *words]
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        seen = 0
        for line in process.stdout:
            seen += line.startswith("Run tiny, ")
            if seen == 2:
                break
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
        assert process.wait() == 130
    return rest


@pytest.mark.slow
def test_folds_are_child_runs_that_go_on_after_a_stop_and_are_pooled(
    experiment: Path, recorded: Recorded, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [str(experiment), "--folds", "2", "--trainer.max_epochs", "1"]
    stop = re.search(r"--resume ([0-9a-f]{8})\s*$", stop_in_second_run(words))
    assert stop
    parent = parent_of(recorded())
    assert parent.info.run_id.startswith(stop[1])
    assert (parent.info.run_name, parent.info.status) == ("tiny", "KILLED")
    (first,) = [c for c in children(parent.info.run_id) if c.status == "FINISHED"]

    assert fit.main(["--resume", stop[1]]) == 0
    parent = parent_of(recorded())
    assert parent.info.status == "FINISHED"
    # All images are tested, whatever the fold.
    assert parent.data.tags["test_digest"]
    assert "split_digest" not in parent.data.tags
    runs = [c for c in children(parent.info.run_id) if c.status == "FINISHED"]
    assert [run.name for run in runs] == ["tiny, fold 2 of 2", "tiny, fold 1 of 2"]
    assert runs[1].run_id == first.run_id
    told = capfd.readouterr().out
    assert "fold 2 of 2 (2 of 2 runs)" in told
    assert "fold 1 of 2 (1 of 2 runs)" not in told
    assert "fold 2 of 2" in [run.tags["variation"] for run in runs]
    assert "all folds together" in told
    assert "mean ± std" in told

    folds = [pd.read_parquet(run.artifact("predictions/test.parquet")) for run in runs]
    file = find_run(parent.info.run_id).artifact("predictions/test.parquet")
    pooled = pd.read_parquet(file)
    assert sorted(pooled["path"]) == [f"images/{index:04}.jpg" for index in range(40)]
    accuracies = pd.Series([summary(fold)["accuracy"] for fold in folds])
    metrics = parent.data.metrics
    assert metrics["test/accuracy"] == pytest.approx(accuracies.mean())
    assert metrics["test/accuracy_std"] == pytest.approx(accuracies.std())
    assert metrics["pooled/accuracy"] == pytest.approx(summary(pooled)["accuracy"])
    reports = file.parents[1] / "reports"
    assert pd.read_csv(reports / "runs.csv")["run"].to_list() == [
        "fold 1 of 2",
        "fold 2 of 2",
    ]
    assert list(reports.glob("*confusion*.png"))
