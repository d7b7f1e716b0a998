from dataclasses import replace

import pandas as pd
import pytest

from clothing_lightning.metrics.agreement import Agreement, agreement


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
    before = predictions({"a": 0.9, "b": 0.6, "c": 0.7})
    now = predictions({"c": 0.7, "b": 0.4, "d": 0.1})
    result = agreement(before, now)
    assert result is not None
    assert result.largest_difference == pytest.approx(0.2)
    assert replace(result, largest_difference=0) == Agreement(2, 0, 1, 1.0, 0.5)
    assert not result.is_exact


def test_rounding_is_no_difference() -> None:
    result = agreement(predictions({"a": 0.9}), predictions({"a": 0.90001}))
    assert result is not None
    assert result.is_exact


def test_nothing_in_common_is_none() -> None:
    before = predictions({"a": 0.9})
    assert agreement(before, predictions({"b": 0.9})) is None
    assert agreement(before, before.rename(columns={"Hat": "Cap"})) is None
