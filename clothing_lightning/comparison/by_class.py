"""F1 of each class for several models."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clothing_lightning.comparison.predictions import Comparison, Model
from clothing_lightning.metrics.classification_report import counts_of, ratio


def f1_by_class(compared: Comparison, models: Sequence[Model]) -> pd.DataFrame:
    """Mean F1 of each class over the repeats that had images of it.

    Test sets count alike, and classes that no repeat had images of are left out.

    Returns:
        Classes in the index, the one that the models are best at first; titles in the
        columns.
    """
    table = pd.DataFrame(
        {model.title: _f1(compared, model) for model in models},
        index=pd.Index(compared.class_names, name="class"),
    )
    order = table.mean(axis=1).sort_values(ascending=False, kind="stable").index
    return table.loc[order].dropna(how="all")


def _f1(compared: Comparison, model: Model) -> NDArray[np.float64]:
    classes = len(compared.class_names)
    scores = np.full((len(model.repeats), classes), np.nan)
    for row, repeat in zip(scores, model.repeats, strict=True):
        labels = compared.labels[compared.tests[repeat.test]]
        counts = counts_of(labels, repeat.probabilities)
        images = np.where(counts.support > 0, counts.support + counts.predicted, 0)
        row[:] = ratio(2 * counts.hits, images)
    weights = np.isfinite(scores) * np.array(model.weights)[:, np.newaxis]
    return ratio(np.nansum(scores * weights, axis=0), weights.sum(axis=0))
