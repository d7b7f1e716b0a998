"""`Predictor` with a tiny run that is really trained, and with spoilt checkpoints."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from clothing_lightning.errors import RunError
from clothing_lightning.inference.predictor import Predictor
from tests.trained_run import COLOURS, Trained, trained

__all__ = ["trained"]


def test_probabilities_are_those_of_the_test(trained: Trained) -> None:
    stored = trained.stored()
    predictor = Predictor("tiny", device="cpu", batch_size=5)
    table = predictor([trained.photos / path for path in stored["path"]])
    names = list(COLOURS)
    assert predictor.class_names == names
    assert list(table.columns) == ["path", "prediction", "probability", "error", *names]
    assert np.abs(table[names].to_numpy() - stored[names].to_numpy()).max() < 1e-4
    best = stored[names].idxmax(axis=1)
    assert list(table["prediction"]) == list(best)
    assert table["probability"].to_numpy() == pytest.approx(
        table[names].max(axis=1).to_numpy()
    )


def test_the_table_keeps_a_row_for_what_cannot_be_read(
    trained: Trained, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    table = Predictor("tiny")([trained.photo(), broken, tmp_path / "none.jpg"])
    assert list(table["prediction"].isna()) == [False, True, True]
    assert Predictor("tiny")([broken])["prediction"].isna().all()
    assert list(table["probability"].isna()) == [False, True, True]
    assert "no image that can be read" in table["error"][1]
    assert "no such file" in table["error"][2]


def test_a_checkpoint_will_do(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = Predictor("tiny")(trained.photo())
    best = trained.artifacts / "checkpoints" / "best.ckpt"
    alone = tmp_path / "alone.ckpt"
    shutil.copy(best, alone)
    for reference in (best, alone):
        found = Predictor(str(reference))(trained.photo())
        assert found.equals(expected)
    # Elsewhere, with what lies beside it; pretrained weights are not asked for.
    copied = tmp_path / "copied"
    shutil.copytree(trained.artifacts, copied)
    config = yaml.safe_load((copied / "config" / "config.yaml").read_text())
    config["model"]["init_args"]["weights"] = "hub"
    (copied / "config" / "config.yaml").write_text(yaml.safe_dump(config))
    monkeypatch.chdir(tmp_path)
    found = Predictor(str(copied / "checkpoints" / "best.ckpt"))(trained.photo())
    assert found.equals(expected)
    assert not (tmp_path / "mlruns").exists()


def test_a_checkpoint_of_no_run_is_told(trained: Trained, tmp_path: Path) -> None:
    best = trained.artifacts / "checkpoints" / "best.ckpt"
    state = torch.load(best, weights_only=True)
    del state["callbacks"]
    lost = tmp_path / "lost.ckpt"
    torch.save(state, lost)
    with pytest.raises(RunError, match=r"alone does not say what network it is of"):
        Predictor(str(lost))
    with pytest.raises(RunError, match=r"none\.ckpt: there is no such checkpoint"):
        Predictor(str(tmp_path / "none.ckpt"))


def test_a_checkpoint_runs_no_code(trained: Trained, tmp_path: Path) -> None:
    class Touch:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (Path(tmp_path / "touched"),)  # type: ignore[return-value]

    copied = tmp_path / "copied"
    shutil.copytree(trained.artifacts, copied)
    file = copied / "checkpoints" / "best.ckpt"
    file.write_bytes(pickle.dumps({"state_dict": Touch()}))
    with pytest.raises(RunError, match=r"is no checkpoint that can be read safely"):
        Predictor(str(file))
    assert not (tmp_path / "touched").exists()


def test_weights_of_another_network_are_told(trained: Trained, tmp_path: Path) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(trained.artifacts, copied)
    counts = copied / "data" / "class_counts.csv"
    counts.write_text(counts.read_text() + "Sock,1,1,1,1.0\n")
    with pytest.raises(RunError, match=r"its weights do not fit the network of"):
        Predictor(str(copied / "checkpoints" / "best.ckpt"))
