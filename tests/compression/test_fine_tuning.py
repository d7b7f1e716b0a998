"""The pruned rungs from the command to their runs; each training is a real one."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from clothing_lightning import compare, compress, predict
from clothing_lightning.compression import fine_tuning
from clothing_lightning.compression.pruning import Pruning
from clothing_lightning.compression.quantization import Quantization
from clothing_lightning.compression.source import SETTINGS, Source
from clothing_lightning.inference.checkpoint import read_checkpoint
from clothing_lightning.models.description import KEY
from clothing_lightning.network_analysis import analyze
from clothing_lightning.tracking.read import (
    COMPRESSION_TAG,
    ONNX_FILE,
    StoredRun,
    children,
    find_run,
)
from clothing_lightning.tracking.store import create_run
from tests.trained_run import Trained, trained

__all__ = ["trained"]

Captured = pytest.CaptureFixture[str]
ROOT = Path(__file__).parents[2]


def rungs_of(trained: Trained, name: str) -> list[StoredRun]:
    every = children(trained.run.run_id)
    return [run for run in every if run.tags.get(COMPRESSION_TAG) == name]


@pytest.fixture
def with_workers(trained: Trained) -> Iterator[None]:
    """The recipe with processes that read photos, as recipes have by default."""
    file = trained.artifacts / "config/config.yaml"
    text = file.read_text()
    config = yaml.safe_load(text)
    config["data"]["init_args"]["num_workers"] = None
    file.write_text(yaml.safe_dump(config))
    yield
    file.write_text(text)


def stop_when(ready: Callable[[], object], words: list[str]) -> str:
    """Run ``compress``, send SIGTERM once it is ready, and return what it said."""
    process = subprocess.Popen(
        [sys.executable, "-m", "clothing_lightning.compress", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 300
    while process.poll() is None and not ready():
        assert time.monotonic() < deadline
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 130, said
    return said


@pytest.mark.slow
@pytest.mark.usefixtures("with_workers")
def test_a_training_that_was_stopped_goes_on_and_all_is_recorded(
    trained: Trained, capfd: Captured
) -> None:
    words = [trained.run.run_id, "--calibration-images", "8", "--rungs", "pruned-int8"]
    words += ["--pruning", "0.4", "--epochs", "12"]

    def has_trained() -> bool:
        runs = rungs_of(trained, "pruned")
        return bool(runs) and runs[0].metrics.get("val/accuracy") is not None

    said = stop_when(has_trained, words)
    assert "Continue with" in said
    (stopped,) = rungs_of(trained, "pruned")
    assert stopped.status == "KILLED"
    capfd.readouterr()

    assert compress.main(words) == 0
    shown = capfd.readouterr()
    assert "float32: is there" in shown.out
    assert "its training goes on" in shown.out
    assert "warning" not in shown.out
    (pruned,) = rungs_of(trained, "pruned")
    assert (pruned.run_id, pruned.status) == (stopped.run_id, "FINISHED")
    assert pruned.times_resumed == 1
    (int8,) = rungs_of(trained, "pruned-int8")

    # What the runs hold is asked here, since to make them takes a while.
    check_settings(trained, pruned, int8)
    check_costs(trained, pruned, int8)
    history = pd.read_csv(pruned.artifact("reports/learning_curves.csv"))
    assert len(history) == 12
    by_torch, by_onnx = predictions(pruned), predictions(int8)
    pd.testing.assert_series_equal(by_torch["path"], by_onnx["path"])
    assert compress.main(words) == 0
    assert "pruned: is there" in capfd.readouterr().out

    best = str(pruned.artifact("checkpoints/best.ckpt"))
    assert predict.main([best, trained.photo()]) == 0
    ids = [trained.run.run_id, pruned.run_id, int8.run_id]
    assert compare.main([*ids, "--no-log", "--latency", "--out", "compared"]) == 0
    ranked = pd.read_csv("compared/comparison.csv")
    assert len(ranked) == 3
    assert ranked["latency_ms"].nunique() == 3


def weights(trained: Trained) -> str:
    model = read_checkpoint(trained.best, device="cpu")
    return Source(model, trained.run, None, Quantization(), Pruning(), ()).weights


def check_settings(trained: Trained, pruned: StoredRun, int8: StoredRun) -> None:
    settings = json.loads(pruned.tags[SETTINGS])
    assert settings == {
        "weights": weights(trained),
        "share": 0.4,
        "target_macs": None,
        "importance": "norm",
        "steps": 1,
        "epochs": 12,
    }
    assert settings.items() < json.loads(int8.tags[SETTINGS]).items()
    assert pruned.params["checkpoint"] == "pruned, without 0.4 of channels, norm"
    assert pruned.params["trainer.max_epochs"] == "12"
    assert int8.tags["evaluates"] == pruned.run_id


def check_costs(trained: Trained, pruned: StoredRun, int8: StoredRun) -> None:
    best = pruned.artifact("checkpoints/best.ckpt")
    network = read_checkpoint(best, device="cpu").network
    for run in (pruned, int8):
        assert run.tags["mlflow.parentRunId"] == trained.run.run_id
        assert run.tags["compression.of"] == trained.run.run_id
        assert run.metrics["model/macs"] == analyze(network, 32).macs
        assert run.metrics["model/latency_ms"] > 0
        file = run.artifact(ONNX_FILE)
        assert run.metrics["model/size_mb"] == file.stat().st_size / 1e6
    assert pruned.metrics["model/macs"] < 0.6 * trained.run.metrics["model/macs"]


def predictions(run: StoredRun) -> pd.DataFrame:
    return pd.read_parquet(run.artifact("predictions/test.parquet"))


@pytest.mark.slow
def test_a_training_without_a_checkpoint_begins_anew(
    trained: Trained, capfd: Captured
) -> None:
    words = [trained.run.run_id, "--rungs", "pruned", "--pruning", "0.2"]
    settings = {"share": 0.2, "target_macs": None, "importance": "norm", "steps": 1}
    tags = {
        "compression": "pruned",
        "compression.of": trained.run.run_id,
        "compression.settings": json.dumps(
            {"weights": weights(trained)} | settings | {"epochs": None}
        ),
        "mlflow.parentRunId": trained.run.run_id,
    }
    empty = create_run(trained.run.experiment, "tiny pruned", tags).info.run_id
    name = f"pruned-without-0.2-of-channels-norm-{weights(trained)[:8]}.ckpt"
    start = trained.artifacts / "compression" / name
    start.parent.mkdir(exist_ok=True)
    start.write_bytes(b"half of a file")

    assert compress.main(words) == 0
    assert find_run(empty).status == "KILLED"
    assert find_run(trained.run.run_id).status == "FINISHED"
    made = rungs_of(trained, "pruned")[0]
    assert made.run_id != empty
    assert made.params["trainer.max_epochs"] == "3"  # the recipe's own
    assert read_checkpoint(start, device="cpu").description.shapes
    values = torch.load(made.artifact("checkpoints/best.ckpt"), weights_only=True)[KEY]
    assert values["run_id"] == made.run_id
    assert values["format_version"] == 2


def test_a_training_that_fails_says_what_is_to_be_done(
    trained: Trained, capfd: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [trained.run.run_id, "--rungs", "pruned", "--root", str(trained.photos)]
    monkeypatch.setattr(fine_tuning, "fit_alone", lambda _: 2)
    assert compress.main(words) == 2
    assert (
        "tiny pruned: its training has ended before its time (exit code 2); what it "
        "says above is to be put right. Called again, compress goes on."
    ) in capfd.readouterr().err


@pytest.mark.parametrize(
    ("settings", "alone"),
    [
        ({"model.freeze_backbone": "True"}, True),
        ({"model.phases": '[{"epochs": 3, "train": "head"}]'}, True),
        ({"model.phases": '[{"train": "head"}, {"train": "last: 1/3"}]'}, False),
        ({"model.freeze_backbone": "False"}, False),
        ({}, False),
    ],
)
def test_a_recipe_that_leaves_the_backbone_alone_is_known(
    settings: dict[str, str], alone: bool, trained: Trained
) -> None:
    run = replace(trained.run, params=settings)
    assert fine_tuning.trains_the_head_alone(run) == alone
