"""`Predictor` with a tiny run that is really trained."""

from pathlib import Path

import numpy as np
import pytest

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
