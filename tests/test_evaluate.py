"""`evaluate` from its words to the run that it leaves, with a tiny trained run."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from clothing_lightning import evaluate
from clothing_lightning.inference.predictor import Predictor
from clothing_lightning.metrics.calibration import tempered
from clothing_lightning.metrics.classification_report import summary
from clothing_lightning.tracking.read import StoredRun, find_run
from clothing_lightning.tracking.store import create_run
from tests.trained_run import (
    COLOURS,
    Trained,
    draw_folders,
    store_as_before_0_2,
    trained,
)

__all__ = ["trained"]

Captured = pytest.CaptureFixture[str]


def shown(words: list[str], capsys: Captured) -> str:
    """What is printed, each run of spaces and line breaks as one space."""
    assert evaluate.main(words) == 0
    return " ".join(capsys.readouterr().out.split())


def refused(words: list[str], capsys: Captured) -> str:
    assert evaluate.main(words) == 2
    return capsys.readouterr().err


def predictions_of(run: StoredRun) -> pd.DataFrame:
    return pd.read_parquet(run.artifact("predictions/test.parquet"))


def manifest_of(run: StoredRun) -> pd.DataFrame:
    return pd.read_csv(run.artifact("data/manifest.csv"))


def mapping_of(run: StoredRun) -> dict[str, object]:
    content: dict[str, object] = json.loads(
        run.artifact("data/mapping.json").read_text()
    )
    return content


def split_of(trained: Trained, split: str) -> list[str]:
    manifest = manifest_of(trained.run)
    return list(manifest["path"][manifest["split"] == split])


def test_its_own_test_gives_the_stored_numbers_in_a_run_of_its_own(
    trained: Trained, capsys: Captured
) -> None:
    text = shown(["tiny"], capsys)
    assert "The same numbers as stored" in text
    assert "warning" not in text
    run = find_run("tiny, test again")
    assert run.run_id in text
    stored, now = trained.stored(), predictions_of(run)
    assert list(now.columns) == list(stored.columns)
    assert list(now["path"]) == list(stored["path"])
    names = list(COLOURS)
    assert (now[names] - stored[names]).abs().to_numpy().max() < 1e-4
    assert run.experiment == trained.run.experiment
    assert run.tags["evaluates"] == trained.run.run_id
    assert run.tags["stage"] == "test"
    for tag in ("test_digest", "image_root", "preprocessing"):
        assert run.tags[tag] == trained.run.tags[tag]
    assert run.params == trained.run.params
    for name, value in trained.run.metrics.items():
        if name.startswith("model/"):
            assert run.metrics[name] == value
    for name, value in summary(now).items():
        assert run.metrics[f"test/{name}"] == pytest.approx(value)
        assert run.metrics[f"test/{name}"] == pytest.approx(
            trained.run.metrics[f"test/{name}"], abs=1e-4
        )
    manifest = manifest_of(run)
    assert set(manifest["split"]) == {"test"}
    assert {"path", "label", "sha256", "width", "height"} <= set(manifest.columns)
    for name in ("config/config.yaml", "config/command.txt", "data/mapping.json"):
        assert run.artifact(name).is_file()
    assert run.artifact("reports/test_per_class.csv").is_file()
    assert "evaluate tiny" in run.artifact("config/command.txt").read_text()


def test_the_results_come_with_intervals(trained: Trained, capsys: Captured) -> None:
    text = shown(["tiny", "--name", "intervals"], capsys)
    run = find_run("intervals")
    assert f"{run.metrics['test/accuracy']:.3f}" in text
    assert re.search(r"accuracy │ [01]\.\d{3} │ 0\.\d{3} to [01]\.\d{3}", text)
    assert f"compare --experiment {run.experiment}" in text


def test_an_evaluation_stands_for_the_run_that_it_evaluates(
    trained: Trained, capsys: Captured
) -> None:
    shown(["tiny", "--name", "first"], capsys)
    shown(["first", "--name", "second"], capsys)
    assert find_run("second").tags["evaluates"] == trained.run.run_id


def test_images_that_changed_or_are_gone_are_named(
    trained: Trained, tmp_path: Path, capsys: Captured
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(trained.photos, moved)
    changed, gone = split_of(trained, "test")[:2]
    shutil.copy(moved / split_of(trained, "train")[0], moved / changed)
    (moved / gone).unlink()
    text = shown(["tiny", "--root", str(moved), "--name", "moved"], capsys)
    assert (
        f"1 images are not what they were when the run tested them: {changed}" in text
    )
    assert "1 image cannot be read and left out" in text
    assert "Not the numbers that are stored" in text
    run = find_run("moved")
    assert len(predictions_of(run)) == len(trained.stored()) - 1
    assert run.tags["test_digest"] != trained.run.tags["test_digest"]
    # It has the content of a training image now: told, and kept as the test had it.
    assert f"count nevertheless: {changed}" in text


def test_another_split_leaves_out_what_was_learnt(
    trained: Trained, capsys: Captured
) -> None:
    shown(["tiny", "--split", "val", "--name", "val"], capsys)
    found = predictions_of(find_run("val"))
    assert list(found["path"]) == split_of(trained, "val")
    assert find_run("val").tags["stage"] == "val"
    text = shown(["tiny", "--split", "all", "--name", "all"], capsys)
    learnt = len(split_of(trained, "train")) + len(split_of(trained, "val"))
    assert f"{learnt} images have the content of some" in text
    assert list(predictions_of(find_run("all"))["path"]) == split_of(trained, "test")
    shown(["tiny", "--split", "all", "--keep-trained", "--name", "kept"], capsys)
    assert len(predictions_of(find_run("kept"))) == 60


def test_the_checkpoint_that_is_named_is_tested(
    trained: Trained, capsys: Captured
) -> None:
    last = trained.artifacts / "checkpoints" / "last.ckpt"
    shown([str(last), "--name", "last"], capsys)
    assert find_run("last").params["checkpoint"] == "last.ckpt"
    found = predictions_of(find_run("last"))
    table = Predictor(str(last))([trained.photos / path for path in found["path"]])
    names = list(COLOURS)
    assert (table[names] - found[names]).abs().to_numpy().max() < 1e-4


@pytest.fixture
def others(trained: Trained, tmp_path: Path) -> Path:
    """Robes that are dresses, hats and socks; and three photos of the run's own."""
    names = {"Robe": "Dress", "Hat": "Hat", "Sock": "Shirt"}
    root = draw_folders(tmp_path / "others", names, 4, seed=77_000)
    for split in ("train", "val", "test"):
        hats = [path for path in split_of(trained, split) if path.startswith("Hat")]
        shutil.copy(trained.photos / hats[0], root / "Hat" / f"{split}.jpg")
    return root


def test_labels_of_other_data_are_mapped(
    trained: Trained, others: Path, capsys: Captured
) -> None:
    words = ["tiny", "image_folder", "--root", str(others), "--map", "Robe=Dress"]
    text = shown([*words, "--name", "others"], capsys)
    assert "no class of the run is called Sock (4): left out" in text
    assert "classes of the run without an image here: Shirt." in text
    assert "2 images have the content of some that the run has learnt from" in text
    assert "are left out: Hat/train.jpg, Hat/val.jpg" in text
    run = find_run("others")
    assert run.experiment == "others"
    assert run.tags["stage"] == "all"
    assert run.tags["image_root"] == str(others)
    found = predictions_of(run)
    assert list(found.columns) == ["path", "label", *COLOURS]
    assert found["label"].value_counts().to_dict() == {"Hat": 5, "Dress": 4}
    assert mapping_of(run)["classes_of_labels"] == {"Hat": "Hat", "Robe": "Dress"}
    assert mapping_of(run)["images_of_labels_without_class"] == {"Sock": 4}
    kept = [*words, "--keep-trained", "--name", "kept others"]
    assert "count nevertheless" in shown(kept, capsys)
    assert len(predictions_of(find_run("kept others"))) == 11


def calibrated(raw: pd.DataFrame, run: str = "tiny") -> "np.ndarray[Any, Any]":
    """What `predict` makes of the probabilities that `evaluate` stores."""
    calibration = Predictor(run).calibration
    assert calibration is not None
    return tempered(raw.to_numpy(), calibration.temperature)


def test_images_get_the_preprocessing_of_the_run(
    trained: Trained, others: Path, capsys: Captured
) -> None:
    words = ["tiny", "image_folder", "--root", str(others), "--image_size", "64"]
    shown([*words, "--name", "sized"], capsys)
    found = predictions_of(find_run("sized"))
    table = Predictor("tiny")([others / path for path in found["path"]])
    names = list(COLOURS)
    gap = table[names].to_numpy() - calibrated(found[names])
    assert np.abs(gap).max() < 1e-4


def test_an_experiment_says_which_images(trained: Trained, capsys: Captured) -> None:
    words = ["tiny", str(trained.experiment), "--name", "by experiment"]
    shown([*words, "--experiment", "mine"], capsys)
    run = find_run("by experiment")
    assert run.experiment == "mine"
    assert run.tags["test_digest"] == trained.run.tags["test_digest"]
    assert len(predictions_of(run)) == len(trained.stored())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nobody"], "run 'nobody' is not in sqlite"),
        (["--split", "val"], "--split: name the run before the flags"),
        (["none.ckpt"], "none.ckpt: there is no such checkpoint"),
        (["tiny", "--split", "train"], "invalid choice: 'train'"),
        (["tiny", "--root", "nowhere"], "'nowhere' is not a folder, where its images"),
        (["tiny", "--root", "EMPTY"], "none of the 18 images of its split 'test' can"),
        (["tiny", "--device", "tpu"], "--device: invalid choice: 'tpu'"),
        (["tiny", "--batch", "0"], "--batch is 0"),
        (["tiny", "--tpo", "1"], "unrecognized arguments: --tpo"),
        (
            ["tiny", "clothing_dataset", "--root", "nowhere"],
            "'nowhere/images.csv' is not",
        ),
        (["tiny", "image_foldr"], "image_foldr: is no data set that is known here"),
        (["tiny", "image_folder", "--root", "nowhere"], "is not there"),
        (["tiny", "image_folder", "--rot", "OTHERS"], "rot: there is no such option"),
        (["tiny", "FOLDER", "--map", "Rob=Dress"], "'Rob' is no label of the data."),
        (["tiny", "FOLDER", "--map", "Robe=Dres"], "'Dres' is no class of the run."),
        (["tiny", "FOLDER", "--map", "Robe"], "'Robe' is not LABEL=CLASS"),
        (["tiny", "OWN", "--split", "all"], "all 60 images are among those"),
        (["tiny", "STRANGE"], "none in common"),
    ],
)
def test_mistakes_are_told(
    words: list[str],
    message: str,
    trained: Trained,
    others: Path,
    tmp_path: Path,
    capsys: Captured,
) -> None:
    (tmp_path / "empty").mkdir()
    folders = {
        "FOLDER": others,
        "OWN": learnt_only(trained, tmp_path / "own"),
        "STRANGE": draw_folders(tmp_path / "s", {"Cap": "Hat", "Tie": "Hat"}, 3, 5),
    }
    places = {
        "EMPTY": [str(tmp_path / "empty")],
        "OTHERS": [str(others)],
        **{
            name: ["image_folder", "--root", str(folder)]
            for name, folder in folders.items()
        },
    }
    each = [part for word in words for part in places.get(word, [word])]
    assert message in refused(each, capsys)


def learnt_only(trained: Trained, root: Path) -> Path:
    """Sixty photos of which the run has learnt from each content."""
    for number, path in enumerate(split_of(trained, "train") * 2):
        file = root / Path(path).parent / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        if number < 60:
            shutil.copy(trained.photos / path, file)
    return root


def test_a_run_that_stands_for_several_names_them(
    trained: Trained, capsys: Captured
) -> None:
    parent = create_run("clothes", "folds", {"series": "{}"}).info.run_id
    tags = {"mlflow.parentRunId": parent}
    child = create_run("clothes", "folds, fold 1 of 2", tags).info.run_id
    message = refused(["folds"], capsys)
    assert "stands for several" in message
    assert f"{child[:8]} (folds, fold 1 of 2)" in message


def test_a_run_without_its_checkpoint_is_told(
    trained: Trained, capsys: Captured
) -> None:
    create_run("clothes", "cut off", {})
    message = refused(["cut off"], capsys)
    assert "has no artifact 'checkpoints/best.ckpt'" in message


def test_a_run_from_before_0_2_is_evaluated(trained: Trained, capsys: Captured) -> None:
    with store_as_before_0_2(trained):
        text = shown(["tiny", "--name", "old"], capsys)
    assert "The same numbers as stored" in text
    assert find_run("old").tags["evaluates"] == trained.run.run_id


def test_a_checkpoint_alone_is_evaluated_on_a_data_set(
    trained: Trained,
    others: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    expected = Predictor("tiny")([others / "Hat" / "000.jpg"])[list(COLOURS)]
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    shutil.copy(trained.best, folder / "alone.ckpt")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)  # mlflow may have set it
    words = ["alone.ckpt", "image_folder", "--root", str(others), "--map", "Robe=Dress"]
    text = shown([*words, "--name", "alone"], capsys)
    assert "so which of these images it has learnt from is unknown" in text
    run = find_run("alone")
    assert "evaluates" not in run.tags
    assert run.params["model.backbone"] == "test_resnet"
    found = predictions_of(run).set_index("path")
    assert len(found) == 11
    now = calibrated(found.loc[["Hat/000.jpg"], list(COLOURS)], "alone.ckpt")
    assert now[0] == pytest.approx(expected.to_numpy()[0], abs=1e-6)
    assert "only the run knows its own images" in refused(["alone.ckpt"], capsys)
