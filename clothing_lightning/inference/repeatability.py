"""Predictions of the same images at two times."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from clothing_lightning.metrics.classification_report import class_names

_SAME = 1e-3  # what kernels of other machines and numbers of threads add up to


@dataclass(frozen=True, slots=True)
class Repeated:
    """What differs between predictions then and now.

    Attributes:
        images: How many have both.
        largest: Largest difference of a probability.
        other_class: Images of which another class is predicted now.
        accuracy_then: Of these images.
        accuracy_now: Likewise.
    """

    images: int
    largest: float
    other_class: int
    accuracy_then: float
    accuracy_now: float

    @property
    def same(self) -> bool:
        """Whether there is no more between them than rounding."""
        return self.largest <= _SAME and not self.other_class


def repeated(then: pd.DataFrame, now: pd.DataFrame) -> Repeated | None:
    """Hold predictions against earlier ones, image by image.

    Args:
        then: As `analysis.classification` has it.
        now: Likewise.

    Returns:
        What differs; None if they have no image in common, or other classes.

    Raises:
        DataError: If a table breaks its contract.
    """
    paths = pd.Index(then["path"]).intersection(pd.Index(now["path"]))
    names = class_names(then)
    if paths.empty or class_names(now) != names:
        return None
    both = [table.set_index("path").loc[paths] for table in (then, now)]
    scores = [table[names].to_numpy(dtype=np.float64) for table in both]
    predicted = [np.array(names, dtype=object)[each.argmax(axis=1)] for each in scores]
    right = [
        float((guess == table["label"].to_numpy(dtype=object)).mean())
        for guess, table in zip(predicted, both, strict=True)
    ]
    return Repeated(
        len(paths),
        float(np.abs(scores[0] - scores[1]).max()),
        int((predicted[0] != predicted[1]).sum()),
        *right,
    )
