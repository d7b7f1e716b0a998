"""`compress` from its words to its runs, with a tiny run that is really trained."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NoReturn

import pandas as pd
import pytest

from clothing_lightning import compare, compress, evaluate
from clothing_lightning.compression.conversion import LAYERS, convert
from clothing_lightning.compression.pruning import IMPORTANCES
from clothing_lightning.compression.rungs import RUNGS
from clothing_lightning.inference.predictor import Predictor
from clothing_lightning.tracking.read import (
    ONNX_FILE,
    StoredRun,
    all_runs,
    children,
    find_run,
)
from clothing_lightning.tracking.store import client, tracking_uri
from tests.trained_run import Trained, trained

__all__ = ["trained"]

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module", autouse=True)
def without_rungs(trained: Trained) -> None:
    """Remove what tests of other files have made of the run."""
    for child in children(trained.run.run_id):
        client(tracking_uri()).delete_run(child.run_id)


def rungs_of(run: StoredRun) -> dict[str, list[StoredRun]]:
    made: dict[str, list[StoredRun]] = {}
    for child in children(run.run_id):
        made.setdefault(child.tags["compression"], []).append(child)
    return made


def test_help_names_the_rungs(capsys: Captured) -> None:
    assert compress.main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in RUNGS)
    assert list(compress.RUNGS) == list(RUNGS)
    assert compress.IMPORTANCES == IMPORTANCES
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--budget", ""], "--budget: '' is not understood"),
        (["--budget", "10 s"], "--budget: '10 s' is not understood. Write a number"),
        (["--tolerance", "2"], "--tolerance is 2.0. It is a share of the validation"),
        (["--calibration-images", "0"], "--calibration-images is 0. The least is 1"),
        (["--rungs", "int4"], "--rungs: invalid choice: 'int4'"),
        (["--pruning", "1"], "--pruning is 1.0. It is the share of the channels of"),
        (["--target-macs", "0"], "--target-macs is 0.0. It is the share of the MACs"),
        (["--rungs", "pruned", "--steps", "0"], "--steps is 0. The least is 1."),
        (["--rungs", "pruned", "--epochs", "0"], "--epochs is 0. The least is 1."),
        (["--rungs", "pruned", "--importance", "x"], "--importance: invalid choice"),
        (["--epochs", "3"], "Name one of them with --rungs, or say how much"),
        (["--rungs", "int8", "--pruning", "0.3"], "Name one of them with --rungs"),
        (["--pruning", "0.3", "--target-macs", "0.5"], "not allowed with argument"),
        ([], "run 'none' is not in "),
    ],
)
def test_what_cannot_be_done_is_told(
    words: list[str], message: str, trained: Trained, capsys: Captured
) -> None:
    assert compress.main(["none", *words]) == 2
    assert message in capsys.readouterr().err


def test_an_onnx_file_is_not_compressed_again(tmp_path: Path, capsys: Captured) -> None:
    file = tmp_path / "model.onnx"
    file.touch()
    assert compress.main([str(file)]) == 2
    assert "is an ONNX file already" in capsys.readouterr().err


def test_a_ladder_that_was_killed_goes_on_where_it_was(
    trained: Trained, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    words = [trained.run.run_id, "--calibration-images", "8"]
    with monkeypatch.context() as patch:
        killed = partial(convert, write=kill)
        patch.setitem(RUNGS, "float16", replace(RUNGS["float16"], make=killed))
        assert compress.main(words) == 130
    assert [(n, r.status) for n, (r,) in rungs_of(trained.run).items()] == [
        ("float16", "KILLED"),
        ("float32", "FINISHED"),
    ]
    capsys.readouterr()

    assert compress.main([*words, "--budget", "5 MB"]) == 0
    shown = capsys.readouterr().out
    assert "float32: is there" in shown
    assert "int8: is made" in shown
    assert "Within 5 MB: " in shown
    assert max(map(len, shown.splitlines())) <= 80
    made = rungs_of(trained.run)
    assert {name: len(each) for name, each in made.items()} == {
        "float32": 1,
        "float16": 2,
        "int8": 1,
    }

    for name, rung in RUNGS.items():
        monkeypatch.setitem(RUNGS, name, replace(rung, make=lambda _: kill()))
    assert compress.main(words) == 0
    assert compress.main([*words, "--budget", "0.01 ms"]) == 2
    assert "No model keeps to '0.01 ms'. The nearest is " in capsys.readouterr().err

    # What the runs hold is asked here, since to make them takes a while.
    for name, (run, *_) in made.items():
        assert run.tags["compression.of"] == trained.run.run_id
        file = run.artifact(ONNX_FILE)
        run = find_run(run.run_id)  # as it is now
        assert run.metrics["model/size_mb"] == file.stat().st_size / 1e6
        assert run.metrics["model/macs"] == trained.run.metrics["model/macs"]
        for cost in ("latency", "latency_batch32"):
            median, p95 = (run.metrics[f"model/{cost}{end}_ms"] for end in ("", "_p95"))
            assert 0 < median <= p95
        predictions = pd.read_parquet(run.artifact("predictions/test.parquet"))
        stored = trained.stored()
        pd.testing.assert_series_equal(predictions["path"], stored["path"])
        classes = list(stored.columns[2:])
        difference = (predictions[classes] - stored[classes]).abs().to_numpy().max()
        assert difference < {"float32": 1e-5, "float16": 1e-2, "int8": 0.2}[name]
    sizes = {
        name: each[0].artifact(ONNX_FILE).stat().st_size for name, each in made.items()
    }
    assert sizes["float16"] < 0.6 * sizes["float32"]
    layers = pd.read_csv(made["int8"][0].artifact(LAYERS))
    assert {"conv1.0", "fc"} <= set(layers["name"])
    assert set(layers["precision"]) == {"int8"}


@pytest.mark.slow
def test_compare_ranks_the_rungs_as_models(trained: Trained, tmp_path: Path) -> None:
    words = [trained.run.run_id, "--calibration-images", "8"]
    assert compress.main(words) == 0
    out = f"{tmp_path}/compared"
    ids = [
        run.run_id
        for each in rungs_of(trained.run).values()
        for run in each
        if run.status == "FINISHED"
    ]
    words = [trained.run.run_id, *ids, "--no-log", "--latency", "--out", out]
    assert compare.main(words) == 0
    ranked = pd.read_csv(f"{out}/comparison.csv")
    versions = ("", " (float32)", " (float16)", " (int8, images 8)")
    assert set(ranked["model"]) == {f"tiny{version}" for version in versions}
    assert ranked["latency_ms"].nunique() == 4


@pytest.mark.slow
def test_a_rung_is_evaluated_and_predicts_as_the_file_that_it_is(
    trained: Trained, capsys: Captured
) -> None:
    assert compress.main([trained.run.run_id, "--rungs", "float16"]) == 0
    rung = rungs_of(trained.run)["float16"][0]
    assert evaluate.main([rung.run_id]) == 0
    assert "The same numbers as stored" in capsys.readouterr().out
    again = next(run for run in all_runs() if run.name == "tiny float16, test again")
    size = "model/size_mb"
    assert again.metrics[size] == find_run(rung.run_id).metrics[size]
    assert again.params["checkpoint"] == "float16"
    predictor = Predictor(rung.run_id)
    assert predictor.title == "tiny float16"
    assert predictor.checkpoint == rung.artifact(ONNX_FILE)
    assert compress.main([rung.run_id]) == 2
    assert "is an ONNX file already" in capsys.readouterr().err
