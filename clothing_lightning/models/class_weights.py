"""Weights of the classes in the loss, from the train split alone.

``balanced``: n / (K n_c), with n images in K classes that have any, n_c of them in
class c: King and Zeng, "Logistic Regression in Rare Events Data", 2001.
``effective``: proportional to (1 - b) / (1 - b^n_c) with b = 0.999, scaled so that the
training images have the mean weight 1: Cui et al., "Class-Balanced Loss Based on
Effective Number of Samples", CVPR 2019, arXiv:1901.05555.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from clothing_lightning.errors import ConfigError

ClassWeights = Literal["balanced", "effective", "none"] | dict[str, float]
BETA = 0.999


def class_weights(
    choice: ClassWeights, train_counts: Sequence[int], class_names: Sequence[str]
) -> Tensor:
    """Compute the weight of each class in the loss.

    Args:
        choice: Name of a formula, or weights by class name (1 for other classes).
        train_counts: Number of training images of each class.
        class_names: Names of the classes, in the order of the counts.

    Returns:
        float32 ``[num_classes]``. A class without training images has weight 0: its
        images cannot be learnt and do not enter the loss.

    Raises:
        ConfigError: If a name is not a class, or a weight is negative or not a number.
    """
    n = torch.tensor(train_counts, dtype=torch.float64)
    if isinstance(choice, Mapping):
        weights = _given(choice, class_names)
    elif choice == "balanced":
        weights = n.sum() / (n.count_nonzero() * n)
    elif choice == "effective":
        weights = (1 - BETA) / (1 - BETA**n)
        weights = weights * n.sum() / torch.where(n > 0, weights * n, 0).sum()
    else:
        weights = torch.ones_like(n)
    return torch.where(n > 0, weights, 0).to(torch.float32)


def _given(choice: Mapping[str, float], class_names: Sequence[str]) -> Tensor:
    for name, weight in choice.items():
        if name not in class_names:
            raise ConfigError(
                f"model.init_args.class_weights: {name!r} is not a class. The classes "
                f"are {', '.join(class_names)}."
            )
        if not 0 <= weight < math.inf:
            raise ConfigError(
                f"model.init_args.class_weights: {name!r} has the weight {weight}. The "
                "least is 0, and it must be a number."
            )
    given = [choice.get(name, 1.0) for name in class_names]
    return torch.tensor(given, dtype=torch.float64)
