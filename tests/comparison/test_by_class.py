import numpy as np
import pandas as pd
import pytest

from clothing_lightning.comparison.by_class import f1_by_class
from clothing_lightning.comparison.predictions import Comparison, Repeat
from clothing_lightning.metrics.classification_report import per_class
from tests.compared_models import comparison

CLASSES = ("Dress", "Hat", "Shirt", "Polo")


def table(found: Comparison, repeat: Repeat) -> pd.DataFrame:
    """Predictions of a repeat as they are stored."""
    rows = found.images[["path", "label"]].iloc[found.tests[repeat.test]]
    scores = pd.DataFrame(repeat.probabilities, columns=found.class_names)
    return pd.concat([rows.reset_index(drop=True), scores], axis=1)


def test_f1_is_the_mean_over_repeats_and_the_easiest_class_comes_first() -> None:
    found = comparison({"a": 2.0, "b": 1.0}, CLASSES, seeds={"a": 3}, splits=2)
    scores = f1_by_class(found, found.models)
    assert list(scores) == ["a", "b"]
    for model in found.models:
        each = [per_class(table(found, repeat))["f1"] for repeat in model.repeats]
        expected = np.mean(each, axis=0)
        own = scores[model.title].reindex(found.class_names)
        assert own.to_numpy() == pytest.approx(expected)
    means = scores.mean(axis=1).to_numpy()
    assert (np.diff(means) <= 0).all()


def test_class_without_images_is_left_out() -> None:
    found = comparison({"a": 2.0}, ("Dress", "Hat"), images=40)
    wider = Comparison(
        ["Dress", "Hat", "Tie"],
        found.images,
        found.tests,
        tuple(
            type(model)(
                model.title,
                tuple(
                    Repeat(r.runs, r.test, np.pad(r.probabilities, ((0, 0), (0, 1))))
                    for r in model.repeats
                ),
            )
            for model in found.models
        ),
        (),
    )
    assert sorted(f1_by_class(wider, wider.models).index) == ["Dress", "Hat"]
