"""How far two tables of predictions of the same images agree."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from clothing_lightning.metrics.classification_report import class_names

_ROUNDING = 1e-3  # what kernels of other machines and numbers of threads add up to


@dataclass(frozen=True, slots=True)
class Agreement:
    """What differs between earlier and later predictions of the same images.

    Attributes:
        images: Number of images that both tables hold.
        largest_difference: Largest difference of a probability.
        changed_classes: Number of images whose predicted class has changed.
        accuracy_before: Accuracy of the earlier predictions of these images.
        accuracy_now: Accuracy of the later predictions of these images.
    """

    images: int
    largest_difference: float
    changed_classes: int
    accuracy_before: float
    accuracy_now: float

    @property
    def is_exact(self) -> bool:
        """Whether nothing but rounding differs."""
        return self.largest_difference <= _ROUNDING and not self.changed_classes


def agreement(before: pd.DataFrame, now: pd.DataFrame) -> Agreement | None:
    """Compare later predictions with earlier ones, image by image.

    Args:
        before: The earlier table: ``path``, ``label``, one probability per class.
        now: The later table, with the same columns.

    Returns:
        What differs; None if the tables have no image in common, or other classes.

    Raises:
        DataError: If a table breaks its contract.
    """
    paths = pd.Index(before["path"]).intersection(pd.Index(now["path"]))
    names = class_names(before)
    if paths.empty or class_names(now) != names:
        return None
    both = [table.set_index("path").loc[paths] for table in (before, now)]
    scores = [table[names].to_numpy(dtype=np.float64) for table in both]
    predicted = [np.array(names, dtype=object)[each.argmax(axis=1)] for each in scores]
    accuracies = [
        float((classes == table["label"].to_numpy(dtype=object)).mean())
        for classes, table in zip(predicted, both, strict=True)
    ]
    return Agreement(
        len(paths),
        float(np.abs(scores[0] - scores[1]).max()),
        int((predicted[0] != predicted[1]).sum()),
        *accuracies,
    )
