"""Metrics, confusions and mistakes of a classifier, from its stored predictions.

Every function takes the table that an evaluation stores: the columns ``path``
and ``label``, then one column of softmax probabilities per class, named exactly
as the class and in class order. ``path`` and ``label`` are therefore no class
names; data modules refuse them. A class may have no image in the table. A table
that is otherwise, or has no class, raises DataError.

Among equal probabilities the class that comes first in class order ranks first.
The predicted class is the one that ranks first, so accuracy is top-1 accuracy,
and the same table always gives the same numbers.
"""

import math
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clothing_lightning.errors import DataError
from clothing_lightning.metrics.registry import Counts, scores

_LEADING_COLUMNS = ["path", "label"]
SMALLEST_PROBABILITY = float(np.finfo(np.float32).tiny)


def class_names(predictions: pd.DataFrame) -> list[str]:
    """Names of the classes, in class order."""
    columns = [str(column) for column in predictions.columns]
    if columns[:2] != _LEADING_COLUMNS or len(columns) < 3:
        raise DataError(
            f"predictions: the columns start with {columns[:3]}, expected 'path', "
            "'label' and then one column per class. Evaluate the run again."
        )
    return columns[2:]


def check_predictions(predictions: pd.DataFrame) -> None:
    """Make sure that a table keeps its contract.

    Raises:
        DataError: If it has other columns, a label that is no class, or a probability
            that is not finite.
        ValueError: If a probability is no number.
    """
    arrays(predictions)


def confusion_matrix(predictions: pd.DataFrame) -> pd.DataFrame:
    """Count the images of every class by the class that was predicted.

    Returns:
        Counts; true classes in the index, predicted classes in the columns, both
        in class order.
    """
    names = class_names(predictions)
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    predicted = _probabilities(predictions).argmax(axis=1)
    np.add.at(counts, (_targets(predictions), predicted), 1)
    return pd.DataFrame(
        counts,
        index=pd.Index(names, name="true"),
        columns=pd.Index(names, name="predicted"),
    )


def per_class(predictions: pd.DataFrame) -> pd.DataFrame:
    """Precision, recall, F1 and support of every class.

    F1 is ``2 tp / (2 tp + fp + fn)``. What is undefined is NaN: the precision of a
    class that is never predicted, the recall of a class without images, the F1 of
    a class that is neither.

    Returns:
        ``precision``, ``recall``, ``f1`` and ``support`` (images of the class);
        classes in the index, in class order.
    """
    matrix = confusion_matrix(predictions)
    counts = matrix.to_numpy()
    hits = np.diag(counts)
    support, predicted = counts.sum(axis=1), counts.sum(axis=0)
    return pd.DataFrame(
        {
            "precision": ratio(hits, predicted),
            "recall": ratio(hits, support),
            "f1": ratio(2 * hits, support + predicted),
            "support": support,
        },
        index=pd.Index(matrix.index, name="class"),
    )


def summary(predictions: pd.DataFrame) -> dict[str, float]:
    """Every metric of the registry that follows from predictions.

    Returns:
        The metrics by name; all NaN if the table holds no image. Probabilities are
        clipped at the smallest normal float32 for the cross-entropy.
    """
    counts = counts_of(*arrays(predictions))
    with np.errstate(invalid="ignore"):  # 0 / 0
        values = scores(counts)
    empty = predictions.empty
    return {key: math.nan if empty else float(value) for key, value in values.items()}


def counts_of(targets: NDArray[np.intp], probabilities: NDArray[np.floating]) -> Counts:
    """Add up probabilities ``[images, classes]`` and true classes ``[images]``."""
    by_class = partial(np.bincount, minlength=probabilities.shape[1])
    predicted = probabilities.argmax(axis=1)
    of_target = probabilities[np.arange(len(targets)), targets]
    return Counts(
        support=by_class(targets),
        predicted=by_class(predicted),
        hits=by_class(targets[targets == predicted]),
        ranks=by_class(target_ranks(targets, probabilities)),
        cross_entropy=-np.log(np.maximum(of_target, SMALLEST_PROBABILITY)).sum(),
    )


def confused_pairs(predictions: pd.DataFrame) -> pd.DataFrame:
    """Pairs of a true and a wrongly predicted class, most frequent first.

    Returns:
        ``true``, ``predicted``, ``count`` and ``share``, the part of the true
        class's images. Equal counts are in class order, true class first.
    """
    matrix = confusion_matrix(predictions)
    pairs = pd.Series(matrix.stack(), name="count").reset_index()
    pairs["share"] = pairs["count"] / pairs["true"].map(matrix.sum(axis=1))
    wrong = pairs[(pairs["true"] != pairs["predicted"]) & (pairs["count"] > 0)]
    ranked = wrong.sort_values("count", ascending=False, kind="stable")
    return ranked.reset_index(drop=True)


def confident_mistakes(predictions: pd.DataFrame, limit: int) -> pd.DataFrame:
    """Wrongly classified images, the most confident mistake first.

    Args:
        predictions: The table.
        limit: Length of the result at most.

    Returns:
        ``path``, ``label``, ``predicted`` and ``probability``, that of the
        predicted class. Equal probabilities keep the order of the table.

    Raises:
        ValueError: If ``limit`` is negative.
    """
    if limit < 0:
        raise ValueError(f"limit is {limit}: it starts at 0.")
    probabilities = _probabilities(predictions)
    predicted = probabilities.argmax(axis=1)
    table = predictions[_LEADING_COLUMNS].assign(
        predicted=np.array(class_names(predictions), dtype=object)[predicted],
        probability=probabilities.max(axis=1),
    )
    wrong: pd.DataFrame = table[predicted != _targets(predictions)]
    ranked = wrong.sort_values("probability", ascending=False, kind="stable")
    return ranked.head(limit).reset_index(drop=True)


def arrays(predictions: pd.DataFrame) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """True classes ``[images]`` and probabilities ``[images, classes]`` of a table.

    Raises:
        DataError: If the table breaks its contract.
    """
    return _targets(predictions), _probabilities(predictions)


def _targets(predictions: pd.DataFrame) -> NDArray[np.intp]:
    """Position of every row's label in class order."""
    names = class_names(predictions)
    labels = predictions["label"].to_numpy(dtype=object)
    targets = np.asarray(pd.Index(names, dtype=object).get_indexer(pd.Index(labels)))
    unknown = np.flatnonzero(targets < 0)
    if len(unknown):
        row = int(unknown[0])
        raise DataError(
            f"predictions: {predictions['path'].iloc[row]!r} has the label "
            f"{labels[row]!r}, expected one of the {len(names)} classes: "
            f"{', '.join(names)}. Evaluate the run again."
        )
    return targets


def _probabilities(predictions: pd.DataFrame) -> NDArray[np.float64]:
    """Probabilities as an array of shape (images, classes)."""
    class_names(predictions)
    probabilities = predictions.iloc[:, 2:].to_numpy(dtype=np.float64)
    broken = np.flatnonzero(~np.isfinite(probabilities).all(axis=1))
    if len(broken):
        raise DataError(
            f"predictions: probabilities are not finite for {len(broken)} of "
            f"{len(predictions)} images, first for "
            f"{predictions['path'].iloc[int(broken[0])]!r}. The training has probably "
            "diverged; lower the learning rate."
        )
    return probabilities


def target_ranks(
    targets: NDArray[np.intp], probabilities: NDArray[np.floating]
) -> NDArray[np.intp]:
    """Classes that rank before the true one, for every image; see `counts_of`."""
    of_target = probabilities[np.arange(len(targets)), targets][:, None]
    earlier = np.arange(probabilities.shape[1]) < targets[:, None]
    before = (probabilities > of_target) | ((probabilities == of_target) & earlier)
    return np.asarray(before.sum(axis=1))


def ratio(part: NDArray[np.number], whole: NDArray[np.number]) -> NDArray[np.float64]:
    """Elementwise ``part / whole``, NaN where ``whole`` is 0."""
    ratios = np.full(len(whole), np.nan)
    np.divide(part, whole, out=ratios, where=whole > 0)
    return ratios
