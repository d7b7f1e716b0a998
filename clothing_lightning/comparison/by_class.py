"""F1 of each class for several models."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clothing_lightning.comparison.predictions import Comparison, Model
from clothing_lightning.metrics.classification_report import ratio


def f1_by_class(compared: Comparison, models: Sequence[Model]) -> pd.DataFrame:
    """Score each class that has images.

    Args:
        compared: What the models are part of.
        models: Some of its models.

    Returns:
        Mean F1 over the repeats that had images of the class, test sets counting alike;
        classes in the index, the one that the models are best at first, titles in the
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
        support = np.bincount(labels, minlength=classes)
        predicted = np.bincount(repeat.predicted, minlength=classes)
        hits = np.bincount(labels[labels == repeat.predicted], minlength=classes)
        row[:] = ratio(2 * hits, np.where(support > 0, support + predicted, 0))
    weights = np.isfinite(scores) * np.array(model.weights)[:, np.newaxis]
    return ratio(np.nansum(scores * weights, axis=0), weights.sum(axis=0))
