import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import matthews_corrcoef
from torchmetrics.functional.classification import multiclass_matthews_corrcoef

from clothing_lightning import compare, evaluate, fit
from clothing_lightning.cli.arguments import split_arguments
from clothing_lightning.metrics.classification_report import counts_of
from clothing_lightning.metrics.registry import METRICS, Counts, Metric, scores
from clothing_lightning.tracking.read import GROUP_TAG, find_run
from clothing_lightning.tracking.store import create_run
from clothing_lightning.training.run_group import VARIATION_TAG
from tests.stored_runs import store_run

if TYPE_CHECKING:
    from mlflow.entities import Run

Captured = pytest.CaptureFixture[str]


def kappa(counts: Counts) -> Any:
    total = counts.support.sum(0)
    by_chance = (counts.support * counts.predicted).sum(0) / total
    return (counts.hits.sum(0) - by_chance) / (total - by_chance)


@pytest.fixture
def new_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more entry, and nothing else."""
    entry = Metric(label="kappa", definition="Cohen's kappa", compute=kappa)
    monkeypatch.setitem(METRICS, "kappa", entry)


@pytest.mark.slow
@pytest.mark.usefixtures("new_metric")
def test_a_new_entry_is_logged_and_shown_everywhere(
    experiment: Path, recorded: "Callable[[], list[Run]]", capsys: Captured
) -> None:
    words = ["--trainer.max_epochs=2", "--checkpoint.monitor=val/kappa"]
    assert fit.main([str(experiment), *words]) == 0
    assert "kappa" in capsys.readouterr().out
    (run,) = recorded()
    expected = run.data.metrics["test/kappa"]
    assert {"train/kappa", "val/kappa", "val_best/kappa"} <= set(run.data.metrics)
    report = find_run("tiny").artifact("reports/test_per_class.md").read_text()
    assert f"| Cohen's kappa | {expected:.3f} |" in report

    assert evaluate.main(["tiny"]) == 0
    assert f"kappa │ {expected:.3f}" in " ".join(capsys.readouterr().out.split())
    again = find_run("tiny, test again").metrics
    assert again["test/kappa"] == pytest.approx(expected, abs=1e-6)

    assert compare.main(["tiny", "--out", "compared", "--no-log"]) == 0
    assert "kappa" in capsys.readouterr().out
    table = pd.read_csv("compared/comparison.csv")
    assert table["kappa"].item() == pytest.approx(expected, abs=1e-6)
    for name in ("comparison.md", "index.html"):
        page = Path("compared", name).read_text(encoding="utf-8")
        assert "kappa" in page
        assert f"{expected:.3f}" in page


@pytest.mark.usefixtures("new_metric")
def test_a_new_entry_is_in_the_summary_of_a_group(
    experiment: Path, workplace: Path, capsys: Captured
) -> None:
    words = [str(experiment), "--seeds", "0", "1"]
    group = json.dumps({"words": words, "digest": ""})
    parent = create_run("clothes", "tiny", {GROUP_TAG: group}).info.run_id
    for variation in split_arguments(words).variations:
        tags = {"mlflow.parentRunId": parent, VARIATION_TAG: variation.name}
        store_run(variation.name, tags=tags)
    assert fit.main(["--resume", parent]) == 0  # all have finished: it sums up
    assert "kappa" in capsys.readouterr().out
    whole = find_run(parent)
    table = pd.read_csv(whole.artifact("reports/runs.csv"))
    assert whole.metrics["test/kappa"] == pytest.approx(table["kappa"].mean())


def mcc(labels: list[int], predicted: list[int], classes: int) -> float:
    probabilities = np.eye(classes)[predicted]
    return float(scores(counts_of(np.array(labels), probabilities))["mcc"])


@pytest.mark.parametrize("classes", [2, 5, 300])
def test_mcc_is_that_of_scikit_learn_and_torchmetrics(classes: int) -> None:
    rng = np.random.default_rng(classes)
    labels = rng.integers(0, classes, 2000)
    guesses = rng.integers(0, classes, 2000)
    predicted = np.where(rng.random(2000) < 0.6, labels, guesses)
    value = mcc(labels.tolist(), predicted.tolist(), classes)
    assert value == pytest.approx(matthews_corrcoef(labels, predicted), abs=1e-12)
    theirs = multiclass_matthews_corrcoef(
        torch.tensor(predicted), torch.tensor(labels), classes
    )
    assert value == pytest.approx(float(theirs), abs=1e-5)


@pytest.mark.parametrize(
    ("labels", "predicted", "value"),
    [
        ([0, 1, 1], [0, 1, 1], 1),
        ([0, 1], [1, 0], -1),
        ([0, 1, 2], [1, 1, 1], 0),  # one predicted class
        ([1, 1, 1], [0, 1, 2], 0),  # one true class
        ([1, 1], [1, 1], 0),
    ],
)
def test_mcc_at_its_ends(labels: list[int], predicted: list[int], value: float) -> None:
    assert mcc(labels, predicted, 3) == pytest.approx(value)


def test_mcc_of_many_images_does_not_overflow() -> None:
    support, hits = torch.tensor([300_000] * 3), torch.tensor([200_000] * 3)
    counts = Counts(support, support, hits, ranks=support, cross_entropy=support)
    assert float(scores(counts)["mcc"]) == pytest.approx(0.5)


def test_directions_are_those_of_scores_and_losses() -> None:
    lower = {name for name, metric in METRICS.items() if not metric.higher_is_better}
    assert lower == {"loss", "loss_unweighted"}


def test_the_registry_is_quick_to_import() -> None:
    code = (
        "import sys, clothing_lightning.metrics.registry;"
        "sys.exit(any(m in sys.modules for m in ('torch', 'numpy', 'pandas')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
