"""``export --to mlflow``: the model of a run, and what is registered of it."""

from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow.entities import LoggedModel

from clothing_lightning import export
from clothing_lightning.compression import export as exporting
from clothing_lightning.errors import ExportError
from clothing_lightning.inference.predictor import Predictor
from clothing_lightning.tracking.registry import version_behind
from clothing_lightning.tracking.store import client, tracking_uri
from tests.trained_run import COLOURS, Trained, trained

__all__ = ["trained"]

Captured = pytest.CaptureFixture[str]
WORDS = ["tiny", "--to", "mlflow"]


def models(trained: Trained) -> list[LoggedModel]:
    store = client(tracking_uri())
    return list(store.search_logged_models([trained.run.experiment_id]))


def test_the_model_of_a_run_answers_as_predict_does(
    trained: Trained, capsys: Captured
) -> None:
    before = client(tracking_uri()).get_run(trained.run.run_id).info
    assert export.main(WORDS) == 0
    shown = capsys.readouterr().out
    model_id = models(trained)[0].model_id
    assert f"models:/{model_id}" in shown
    address = f"runs:/{trained.run.run_id}/model"
    assert f"--model-uri {address} --env-manager local" in shown
    assert not Path("exports").exists()

    table = Predictor("tiny", device="cpu")(trained.photos)
    photos = pd.DataFrame({"image": [Path(path) for path in table["path"]]})
    for uri in (address, f"models:/{model_id}"):
        model = mlflow.pyfunc.load_model(uri)
        assert model.metadata.run_id == trained.run.run_id
        answers = model.predict(photos, {"top": 2})
        assert list(answers["label"]) == list(table["prediction"])
        assert answers["error"].isna().all()
        assert set(answers["top_k"].map(len)) == {2}
        for found, expected in zip(
            answers["probability"], table["probability"], strict=True
        ):
            assert found == pytest.approx(expected, abs=0.01)

    # The run is as it was, and its results stand beside its model.
    after = client(tracking_uri()).get_run(trained.run.run_id).info
    assert (after.status, after.end_time) == (before.status, before.end_time)
    history = client(tracking_uri()).get_metric_history
    assert len(history(trained.run.run_id, "test/accuracy")) == 1
    of_model = {each.key: each.value for each in models(trained)[0].metrics or []}
    assert of_model["test/accuracy"] == trained.run.metrics["test/accuracy"]


def test_a_folder_has_what_serves_it_and_no_trace_of_this_machine(
    trained: Trained, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    assert export.main([*WORDS, "--out", str(folder)]) == 0
    for file in folder.iterdir():
        if file.is_file():
            text = file.read_text(encoding="utf-8")
            assert str(tmp_path.parent) not in text, file
            assert str(Path(export.__file__).parent) not in text, file
    needed = [line.partition("==")[0] for line in requirements(folder)]
    assert needed[:-1] == ["mlflow-skinny", "numpy", "onnxruntime", "pandas", "pillow"]
    assert needed[-1] == "-c constraints.txt"
    pins = (folder / "constraints.txt").read_text().splitlines()
    assert {*requirements(folder)[:-1]} < {*pins}
    assert not [pin for pin in pins if pin.startswith(("torch", "mlflow==", "timm"))]
    assert "model-index" in (folder / "README.md").read_text()


def requirements(folder: Path) -> list[str]:
    return (folder / "requirements.txt").read_text().splitlines()


def test_a_failed_check_leaves_no_model(
    trained: Trained, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ExportError("not the same")

    before = len(models(trained))
    monkeypatch.setattr(exporting, "check", fails)
    assert export.main([*WORDS, "--register", "never"]) == 2
    assert "not the same" in capsys.readouterr().err
    assert len(models(trained)) == before
    assert not client(tracking_uri()).search_registered_models("name = 'never'")


def test_a_store_that_fails_leaves_no_half_model(
    trained: Trained, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = len(models(trained))
    store = client(tracking_uri())
    monkeypatch.setattr(store, "log_model_artifacts", full)
    assert export.main(WORDS) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert len(models(trained)) == before


def test_versions_are_registered_and_an_alias_has_to_be_earned(
    trained: Trained, capsys: Captured
) -> None:
    words = [*WORDS, "--register", "our hats", "--alias", "champion", "--if-better"]
    assert export.main(words) == 0  # the alias points nowhere yet
    shown = capsys.readouterr().out
    assert "--model-uri 'models:/our hats@champion' --env-manager local" in shown
    assert export.main(words) == 0
    shown = capsys.readouterr().out
    assert "version   2 of our hats" in shown
    assert "champion stays with version 1: on the same" in shown
    assert "no difference beyond chance (p = 1)" in shown
    model = mlflow.pyfunc.load_model("models:/our hats@champion")
    photo = {"image": [Path(trained.photo())]}
    assert model.predict(photo)["label"][0] in COLOURS
    assert version_behind("our hats", "champion") == (1, trained.run.run_id)
