import shutil
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from clothing_lightning import fit
from clothing_lightning.errors import RunError, StorageError
from clothing_lightning.tracking.read import find_run
from clothing_lightning.tracking.run import MAX_PARAM_CHARACTERS, RunWriter
from clothing_lightning.tracking.store import client

pytestmark = pytest.mark.usefixtures("workplace")
TABLE = pd.DataFrame({"path": ["a.jpg"], "label": ["Hat"], "split": ["train"]})


def points(run: RunWriter, key: str) -> list[tuple[int, float]]:
    return [(p.step, p.value) for p in run.client.get_metric_history(run.run_id, key)]


def status(run: RunWriter) -> str:
    return str(run.client.get_run(run.run_id).info.status)


def break_store(table: str) -> None:
    """From now on the store refuses to write there."""
    with sqlite3.connect("mlruns/mlflow.db") as database:
        database.execute(f"DROP TABLE {table}")


def test_artifacts_lie_in_the_working_folder(workplace: Path) -> None:
    run = RunWriter("clothes", "a")
    assert status(run) == "RUNNING"
    folder = workplace / "mlruns" / "artifacts" / run.run_id / "artifacts"
    assert run.folder.resolve() == folder
    run.finish("KILLED")
    assert status(run) == "KILLED"


def test_runs_of_one_name_share_an_experiment() -> None:
    first, second = RunWriter("clothes", "a"), RunWriter("clothes", "b")
    of = [r.client.get_run(r.run_id).info.experiment_id for r in (first, second)]
    assert of[0] == of[1]
    for run in (first, second):
        run.finish("FINISHED")


class EndsWhileLookedAt(Future[None]):
    """A call that has failed between the first question and the second."""

    def __init__(self) -> None:
        super().__init__()
        self.set_exception(OSError("no space left"))
        self.answers = iter([False])

    def done(self) -> bool:
        return next(self.answers, True)


def test_a_failure_while_the_queue_is_looked_through_is_not_lost() -> None:
    run = RunWriter("clothes", "a")
    run._queue.append(EndsWhileLookedAt())
    with pytest.raises(StorageError, match="no space left"):
        run.finish("FINISHED")
    assert status(run) == "FAILED"


def test_a_failure_in_the_queue_surfaces_at_the_next_call() -> None:
    run = RunWriter("clothes", "a")
    break_store("metrics")
    run.log_metrics({"val/loss": 1.0}, 0)
    run._thread.submit(lambda: None).result()
    with pytest.raises(StorageError, match="no such table") as caught:
        run.log_metrics({"val/loss": 1.0}, 1)
    assert run.run_id in str(caught.value)
    assert f"--resume {run.run_id[:8]}" in str(caught.value)
    run.finish("FAILED")


def test_a_failure_that_is_still_queued_surfaces_at_the_end() -> None:
    run = RunWriter("clothes", "a")
    break_store("metrics")
    run.log_metrics({"val/loss": 1.0}, 0)
    with pytest.raises(StorageError, match=run.run_id):
        run.finish("FINISHED")
    assert status(run) == "FAILED"


@pytest.mark.parametrize(
    ("table", "call"),
    [
        ("params", lambda run: run.log_params({"lr": "1"})),
        ("tags", lambda run: run.set_tags({"owner": "me"})),
        ("datasets", lambda run: run.log_dataset("clothes", TABLE, "abc")),
        ("latest_metrics", lambda run: run.history(("val/",))),
    ],
)
def test_a_store_that_refuses_is_no_traceback(
    table: str, call: Callable[[RunWriter], object]
) -> None:
    run = RunWriter("clothes", "a")
    run.finish("FINISHED")
    break_store(table)
    with pytest.raises(StorageError, match=f"run {run.run_id} cannot be written"):
        call(run)


def test_a_store_that_takes_no_run() -> None:
    client(f"sqlite:///{Path.cwd()}/mlruns/mlflow.db")
    break_store("runs")
    with pytest.raises(StorageError, match=r"no run can be started in .*no such table"):
        RunWriter("clothes", "a")


def test_a_run_whose_folder_cannot_be_written_has_failed() -> None:
    Path("mlruns/artifacts").write_text("in the way")
    with pytest.raises(StorageError, match="results cannot be written there"):
        RunWriter("clothes", "a")
    assert find_run("a").status == "FAILED"


def test_a_continued_run_doubles_no_point() -> None:
    run = RunWriter("clothes", "a")
    for epoch in range(3):
        run.log_metrics({"val/loss": 1.0 - epoch / 10}, epoch)
    run.log_metrics({"system/cpu": 50.0}, 4)
    run.finish("KILLED")
    again = RunWriter("clothes", "other", run.run_id)
    assert (again.run_id, again.name, status(again)) == (run.run_id, "a", "RUNNING")
    for epoch in range(5):
        again.log_metrics({"val/loss": 5.0, "val/new": float(epoch)}, epoch)
    again.finish("FINISHED")
    assert status(again) == "FINISHED"
    logged = points(again, "val/loss")
    assert logged == [(0, 1.0), (1, 0.9), (2, 0.8), (3, 5.0), (4, 5.0)]
    assert [step for step, _ in points(again, "val/new")] == [0, 1, 2, 3, 4]
    history = again.history(("val/",))
    assert list(history.index) == [0, 1, 2, 3, 4]
    assert history.loc[2, "val/loss"] == 0.8


def test_a_run_continued_from_its_first_epoch_goes_on_with_its_system_metrics() -> None:
    run = RunWriter("clothes", "a")
    run.log_metrics({"system/cpu": 50.0}, 4)
    run.finish("KILLED")
    again = RunWriter("clothes", "a", run.run_id)
    assert again._monitor._logging_step == 5
    again.finish("FINISHED")


def test_a_result_is_replaced_only_by_another() -> None:
    run = RunWriter("clothes", "a")
    run.log_results({"test/accuracy": 0.5, "test/loss": 2.0})
    run.finish("FINISHED")
    again = RunWriter("clothes", "a", run.run_id)
    again.log_results({"test/accuracy": 0.75, "test/loss": 2.0})
    again.finish("FINISHED")
    assert points(run, "test/accuracy") == [(0, 0.5), (0, 0.75)]
    assert points(run, "test/loss") == [(0, 2.0)]
    assert run.client.get_run(run.run_id).data.metrics["test/accuracy"] == 0.75


def test_a_result_may_fall() -> None:
    run = RunWriter("clothes", "a")
    run.log_results({"test/accuracy": 0.75})
    run.finish("FINISHED")
    again = RunWriter("clothes", "a", run.run_id)
    again.log_results({"test/accuracy": 0.5})
    again.finish("FINISHED")
    assert run.client.get_run(run.run_id).data.metrics["test/accuracy"] == 0.5


def test_parameters_are_cut_where_mlflow_would_refuse_them() -> None:
    run = RunWriter("clothes", "a")
    many = {f"key{i}": "v" for i in range(250)}
    assert run.log_params({"long": "x" * 7000} | many) == {}
    run.finish("FINISHED")
    logged = run.client.get_run(run.run_id).data.params
    assert logged["long"] == "x" * MAX_PARAM_CHARACTERS
    assert len(logged) == 251


def test_changed_parameters_are_returned_and_stay_as_they_were() -> None:
    run = RunWriter("clothes", "a")
    run.log_params({"lr": "0.1", "epochs": "3", "long": "x" * 7000})
    changed = run.log_params(
        {"lr": "0.2", "epochs": "3", "new": "1", "long": "x" * 7000}
    )
    run.finish("FINISHED")
    assert changed == {"lr": ("0.1", "0.2")}
    logged = run.client.get_run(run.run_id).data.params
    assert (logged["lr"], logged["new"]) == ("0.1", "1")


def test_the_picture_to_step_through_is_no_thumbnail() -> None:
    run = RunWriter("clothes", "a")
    for step in range(2):
        pixels = np.full((600, 900, 3), 40 + step, np.uint8)
        run.log_image("val/confusion_matrix", pixels, step)
    run.finish("FINISHED")
    shown = sorted((run.folder / "images").glob("val~confusion_matrix+step+*.webp"))
    assert len(shown) == 2
    for file in shown:
        with Image.open(file) as image:
            assert image.size == (900, 600)
    assert len(list((run.folder / "images").glob("*.png"))) == 2
    assert run.client.get_run(run.run_id).data.tags["mlflow.loggedImages"] == "True"


def test_publishing_copies_nothing_where_the_store_is_local() -> None:
    run = RunWriter("clothes", "a")
    file = run.folder / "predictions" / "test.parquet"
    file.parent.mkdir()
    file.write_bytes(b"x")
    run.publish(file)
    assert run._queue == []
    run.finish("FINISHED")


@pytest.fixture(scope="module")
def server_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def running(serve: Callable[..., str], empty_store: Path, server_folder: Path) -> str:
    shutil.copy(empty_store, server_folder)
    options = {
        "--backend-store-uri": "sqlite:///mlflow.db",
        "--artifacts-destination": "artifacts",
        "--default-artifact-root": "mlflow-artifacts:/",
    }
    words = [word for option in options.items() for word in option]
    return serve("server", "--serve-artifacts", *words, cwd=server_folder)


@pytest.fixture
def server(running: str, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A tracking server that also keeps the artifacts."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", running)
    return running


ARRIVE = {
    "config/config.yaml",
    "config/packages.txt",
    "data/manifest.csv",
    "checkpoints/best.ckpt",
    "checkpoints/last.ckpt",
    "predictions/val.parquet",
    "predictions/test.parquet",
    "reports/test_confusion_matrix.png",
    "reports/val_per_class.csv",
    "reports/learning_curves.png",
}


@pytest.mark.slow
def test_a_run_on_a_server_continues_on_another_machine(
    server: str,
    server_folder: Path,
    experiment: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # So slow that no later epoch is better: the best has to come from the server.
    slow = ["--model.init_args.optimizer=SGD"]
    slow += ["--model.init_args.optimizer.init_args.lr=1e-12"]
    assert fit.main([str(experiment), "--trainer.max_epochs", "2", *slow]) == 0
    assert f"browse    {server}\n" in capsys.readouterr().out
    (folder,) = [path.parent for path in server_folder.rglob("checkpoints")]
    assert _files(folder) >= ARRIVE
    images = list(folder.glob("images/val~confusion_matrix+step+*.webp"))
    assert len(images) == 2
    best = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)

    elsewhere = tmp_path / "another machine"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert fit.main(["--resume", "tiny", "--trainer.max_epochs=3"]) == 0
    past = find_run("tiny")
    assert (past.status, past.times_resumed) == ("FINISHED", 1)
    run = client(server).get_run(past.run_id)
    losses = client(server).get_metric_history(past.run_id, "val/loss")
    assert [point.step for point in losses] == [0, 1, 2]
    again = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    assert again["epoch"] == best["epoch"]
    last = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["epoch"] == 2
    resumed = yaml.safe_load((folder / "config" / "resumed-1.yaml").read_text())
    assert resumed["trainer"]["max_epochs"] == 3
    assert run.data.metrics["test/accuracy"] >= 0
    assert not (elsewhere / "mlruns" / "mlflow.db").exists()


@pytest.mark.slow
def test_a_run_on_a_server_without_a_checkpoint(
    server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunWriter("clothes", "a")
    config = run.folder / "config" / "config.yaml"
    config.parent.mkdir()
    config.write_text("{}")
    run.publish(config.parent)
    run.log_image("val/confusion_matrix", np.zeros((300, 300, 3), np.uint8), 0)
    run.finish("FAILED")
    past = find_run(run.run_id)
    assert past.config.read_text() == "{}"
    with pytest.raises(RunError, match=r"has no artifact 'checkpoints/last\.ckpt'"):
        past.last_checkpoint()
    # What a run that was cut off left on this machine goes before the server's.
    staged = run.folder / "checkpoints" / "last.ckpt"
    staged.parent.mkdir()
    staged.write_bytes(b"weights")
    assert past.last_checkpoint() == staged


def _files(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
    }
