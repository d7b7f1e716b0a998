import math

import pandas as pd
import pytest

from clothing_lightning.errors import DataError
from clothing_lightning.metrics.repeats import pooled, spread


def test_spread_is_mean_and_standard_deviation_of_a_sample() -> None:
    scores = pd.DataFrame({"test/accuracy": [0.8, 0.9, 1.0], "test/top3": [1.0] * 3})
    found = spread(scores)
    assert found == pytest.approx(
        {
            "test/accuracy": 0.9,
            "test/top3": 1.0,
            "test/accuracy_std": 0.1,
            "test/top3_std": 0.0,
        }
    )


def test_one_run_has_no_standard_deviation() -> None:
    found = spread(pd.DataFrame({"a": [0.5]}))
    assert found["a"] == 0.5
    assert math.isnan(found["a_std"])


def test_folds_are_pooled_with_the_classes_of_all() -> None:
    first = pd.DataFrame({"path": ["a"], "label": ["Hat"], "Hat": [0.7], "Tie": [0.3]})
    second = pd.DataFrame({"path": ["b"], "label": ["Cap"], "Cap": [1.0], "Hat": [0.0]})
    together = pooled([first, second])
    assert list(together.columns) == ["path", "label", "Cap", "Hat", "Tie"]
    assert together.iloc[:, 2:].to_numpy().tolist() == [[0, 0.7, 0.3], [1, 0, 0]]


def test_image_in_two_folds_is_refused() -> None:
    fold = pd.DataFrame({"path": ["a"], "label": ["Hat"], "Hat": [1.0]})
    with pytest.raises(DataError, match="'a' is tested in more than one fold"):
        pooled([fold, fold])
