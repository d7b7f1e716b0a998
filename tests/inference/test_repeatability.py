from dataclasses import replace

import pandas as pd
import pytest

from clothing_lightning.inference.repeatability import Repeated, repeated


def predictions(scores: dict[str, float], label: str = "Hat") -> pd.DataFrame:
    """Probability of a hat by path; the rest is a shirt's."""
    return pd.DataFrame(
        {
            "path": list(scores),
            "label": label,
            "Hat": list(scores.values()),
            "Shirt": [1 - score for score in scores.values()],
        }
    )


def test_common_images_are_held_against_each_other() -> None:
    then = predictions({"a": 0.9, "b": 0.6, "c": 0.7})
    now = predictions({"c": 0.7, "b": 0.4, "d": 0.1})
    found = repeated(then, now)
    assert found is not None
    assert found.largest == pytest.approx(0.2)
    assert replace(found, largest=0) == Repeated(2, 0, 1, 1.0, 0.5)
    assert not found.same


def test_rounding_is_no_difference() -> None:
    found = repeated(predictions({"a": 0.9}), predictions({"a": 0.90001}))
    assert found is not None
    assert found.same


def test_nothing_in_common_is_none() -> None:
    then = predictions({"a": 0.9})
    assert repeated(then, predictions({"b": 0.9})) is None
    assert repeated(then, then.rename(columns={"Hat": "Cap"})) is None
