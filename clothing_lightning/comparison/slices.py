"""Accuracy in parts of the test images: by sender, for kids, for small images."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clothing_lightning.comparison.predictions import Comparison
from clothing_lightning.metrics.intervals import clustered_wilson

OTHER = "other"
SHORT_SIDE = "short side"

_FEWEST = 10  # images; the accuracy of fewer says nothing
_MOST, _KEPT = 12, 10
_BINS = 4
_NOT_SLICED = {"sha256", "path", "label", "width", "height"}


@dataclass(frozen=True)
class Slices:
    """Parts that a column of the images makes.

    Attributes:
        by: Name of the column.
        images: How many images each part has, by the value that they share.
        scores: Accuracy and the lower and upper end of its 95 % interval, shape
            (models, parts, 3), models in the order of the comparison.
    """

    by: str
    images: dict[str, int]
    scores: NDArray[np.float64]


def slices(compared: Comparison) -> list[Slices]:
    """Score every model in the parts that further columns of the images make.

    Width and height become the short side, in bins of about as many images each.
    Values with fewer than 10 images are pooled as ``other``, and of more than 12 values
    all but the 10 most frequent. A column that leaves fewer than two parts tells
    nothing, nor does one whose every value is rare.
    """
    totals = [compared.answers(model) for model in compared.models]
    sliced = []
    for name, values in _columns(compared.images):
        parts = _pooled(values)
        counts = parts.value_counts(sort=False)
        if len(counts) > 1:
            scores = [
                [_score(*total, (parts == part).to_numpy()) for part in counts.index]
                for total in totals
            ]
            images = {str(part): int(count) for part, count in counts.items()}
            sliced.append(Slices(name, images, np.array(scores)))
    return sliced


def _score(
    hits: NDArray[np.float64], trials: NDArray[np.float64], part: NDArray[np.bool_]
) -> tuple[float, float, float]:
    accuracy = float(hits[part].sum() / trials[part].sum())
    return accuracy, *clustered_wilson(hits[part], trials[part])


def _columns(images: pd.DataFrame) -> "Iterator[tuple[str, pd.Series[Any]]]":
    """What images may be told apart by; as text, NaN where it is not known."""
    for name in images.columns:
        if name not in _NOT_SLICED:
            yield str(name), images[name].map(_text, na_action="ignore")
    if {"width", "height"} <= set(images.columns):
        yield SHORT_SIDE, _binned(images[["width", "height"]].min(axis=1))


def _text(value: object) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _binned(sides: "pd.Series[float]") -> "pd.Series[Any]":
    """Sides in pixels as ranges such as ``300 to 399 px``."""
    ends = np.unique(sides.dropna().quantile(np.linspace(0, 1, _BINS + 1)).round())
    if len(ends) < 2:
        return sides.map(lambda side: f"{side:.0f} px", na_action="ignore")
    lasts = [*(ends[1:-1] - 1), ends[-1]]
    names = [
        f"{low:.0f} to {high:.0f} px"
        for low, high in zip(ends[:-1], lasts, strict=True)
    ]
    return pd.cut(sides, [*ends[:-1], np.inf], right=False, labels=names)


def _pooled(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """Rare values as ``other``; in the order of the bins, else the most frequent first.

    ``other`` comes last.
    """
    is_binned = isinstance(values.dtype, pd.CategoricalDtype)
    counts = values.value_counts(sort=not is_binned)
    kept = counts[counts >= _FEWEST]
    if len(counts) > _MOST:
        kept = kept[:_KEPT]
    elif len(counts) - len(kept) == 1:  # there is nothing to pool it with
        kept = counts
    names = [str(name) for name in kept.index if name != OTHER]
    parts = values.astype(object).where(values.isin(names), OTHER)
    order = [*names, OTHER] if (parts == OTHER).any() else names
    return parts.astype(pd.CategoricalDtype(order))
