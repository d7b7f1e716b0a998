"""`Predictor` with a tiny run that is really trained."""

from pathlib import Path

import numpy as np
import pytest
import torch

from clothing_lightning.errors import ConfigError
from clothing_lightning.inference.checkpoint import read_checkpoint
from clothing_lightning.inference.predictor import Predictor
from clothing_lightning.metrics.abstention import calibrate
from clothing_lightning.metrics.calibration import tempered
from clothing_lightning.models.description import KEY
from tests.trained_run import COLOURS, Trained, trained

__all__ = ["trained"]


def test_probabilities_are_those_of_the_test_at_the_temperature(
    trained: Trained,
) -> None:
    stored = trained.stored()
    predictor = Predictor("tiny", device="cpu", batch_size=5)
    table = predictor([trained.photos / path for path in stored["path"]])
    names = list(COLOURS)
    assert predictor.class_names == names
    assert list(table.columns) == ["path", "prediction", "probability", "error", *names]
    fitted = calibrate(trained.stored("val"))
    assert fitted is not None
    assert predictor.calibration == fitted
    assert fitted.temperature != 1
    expected = tempered(stored[names].to_numpy(), fitted.temperature)
    assert np.abs(table[names].to_numpy() - expected).max() < 1e-4
    best = stored[names].idxmax(axis=1)
    assert list(table["prediction"]) == list(best)
    assert table["probability"].to_numpy() == pytest.approx(
        table[names].max(axis=1).to_numpy()
    )


def test_stored_validation_is_that_of_the_best_checkpoint(trained: Trained) -> None:
    stored, names = trained.stored("val"), list(COLOURS)
    model = read_checkpoint(trained.best, device="cpu")
    paths = [trained.photos / path for path in stored["path"]]
    rows = [row for row in model.predict(paths, 5) if isinstance(row, torch.Tensor)]
    assert np.abs(torch.stack(rows).numpy() - stored[names].to_numpy()).max() < 1e-4


def test_older_checkpoints_are_calibrated_by_the_validation_of_their_run(
    trained: Trained, tmp_path: Path
) -> None:
    expected = Predictor("tiny").calibration
    assert expected is not None
    content, whole = (
        torch.load(trained.best, weights_only=True), trained.best.read_bytes()
    )  # fmt: skip
    del content[KEY]["calibration"]
    torch.save(content, trained.best)
    try:
        for reference in ("tiny", str(trained.best)):
            assert Predictor(reference, abstain=0.1).calibration == expected
        alone = tmp_path / "best.ckpt"
        torch.save(content, alone)
    finally:
        trained.best.write_bytes(whole)
    assert Predictor(str(alone)).calibration is None
    with pytest.raises(ConfigError, match=r"holds no calibration.* Name its run"):
        Predictor(str(alone), abstain=0.9)


def test_photos_below_the_threshold_are_unsure(trained: Trained) -> None:
    everything = Predictor("tiny")(trained.photos)
    predictor = Predictor("tiny", abstain=0.99)
    table = predictor(trained.photos)
    assert predictor.answers is not None
    assert predictor.answers.accuracy >= 0.99
    unsure = table["probability"] < predictor.answers.threshold
    assert 0 < unsure.sum() < len(table)
    assert set(table["prediction"][unsure]) == {"unsure"}
    assert table[~unsure].equals(everything[~unsure])
    assert table["probability"].equals(everything["probability"])


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
