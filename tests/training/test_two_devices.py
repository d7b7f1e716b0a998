"""`fit` over two devices: one run, every image counted once."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow.entities import Run
from sklearn.metrics import accuracy_score, f1_score


def scores(predictions: pd.DataFrame) -> dict[str, float]:
    """Metrics of a predictions table, without the package's own code for them."""
    labels = predictions["label"]
    probabilities = predictions.drop(columns=["path", "label"])
    chosen = probabilities.idxmax(axis=1)
    places = probabilities.columns.get_indexer(pd.Index(labels))
    of_label = probabilities.to_numpy()[np.arange(len(labels)), places]
    present = sorted(set(labels))
    return {
        "accuracy": accuracy_score(labels, chosen),
        "macro_f1": f1_score(labels, chosen, labels=present, average="macro"),
        "loss_unweighted": -np.log(of_label).mean(),
    }


@pytest.mark.slow
def test_two_devices_make_one_run_in_which_each_image_counts_once(
    experiment: Path, recorded: Callable[[], list[Run]]
) -> None:
    words = [
        *("--trainer.accelerator=cpu", "--trainer.devices=2", "--trainer.strategy=ddp"),
        # Nine images each, in batches of four: two batches on one device, one on the
        # other.
        *("--data.init_args.split.val=0.23", "--data.init_args.split.test=0.23"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "clothing_lightning.fit", str(experiment), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert "GPU available" not in said  # Lightning's own notes are silenced
    assert "litlogger" not in said
    (run,) = recorded()
    assert run.info.status == "FINISHED"
    folder = Path(run.info.artifact_uri.removeprefix("file://"))
    manifest = pd.read_csv(folder / "data" / "manifest.csv")
    for stage, logged_as in (("val", "val_best"), ("test", "test")):
        predictions = pd.read_parquet(folder / "predictions" / f"{stage}.parquet")
        expected = manifest.loc[manifest["split"] == stage, "path"]
        assert len(expected) == 9
        assert sorted(predictions["path"]) == sorted(expected)
        for name, value in scores(predictions).items():
            logged = run.data.metrics[f"{logged_as}/{name}"]
            assert logged == pytest.approx(value, abs=1e-5), f"{logged_as}/{name}"
