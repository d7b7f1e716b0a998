"""What training minimises: cross-entropy or focal loss, weighted by class."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from clothing_lightning.errors import ConfigError

LossName = Literal["cross_entropy", "focal"]
ClassWeights = Literal["balanced", "effective", "none"] | dict[str, float]
BETA = 0.999


@dataclass(frozen=True)
class ImageLoss:
    """The loss of each image, weighted by class.

    With targets t and class weights w it is Σ_c w_c t_c l_c, where l_c is -log p_c, or
    -(1 - p_c)^g log p_c for the focal loss: Lin et al., "Focal Loss for Dense Object
    Detection", ICCV 2017, arXiv:1708.02002, here over a softmax.

    Attributes:
        name: ``cross_entropy`` or ``focal``.
        focal_gamma: The exponent g of the focal loss, from 0, where it is the
            cross-entropy.
        label_smoothing: Share of t that is spread over all classes, 0 to below 1.
    """

    name: LossName = "cross_entropy"
    focal_gamma: float = 2.0
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        """Check the exponent.

        Raises:
            ConfigError: If the exponent is negative or not a number.
        """
        if not 0 <= self.focal_gamma < math.inf:
            raise ConfigError(
                f"model.init_args.focal_gamma is {self.focal_gamma}. The least is 0, "
                "where the focal loss is the cross-entropy; 2 is common."
            )

    def __call__(self, logits: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
        """Return the loss of each image, ``[N]``.

        Args:
            logits: ``[N, num_classes]``.
            targets: Labels ``[N]``, or shares of the classes ``[N, num_classes]``.
            weight: Weight of each class, ``[num_classes]``.
        """
        smoothing = self.label_smoothing
        if self.name == "cross_entropy":
            return F.cross_entropy(
                logits, targets, weight, reduction="none", label_smoothing=smoothing
            )
        log_p = logits.log_softmax(dim=1)
        # Clamped, since the root of 0 has no gradient and the exponent may be below 1.
        rest = (-log_p.expm1()).clamp(min=torch.finfo(log_p.dtype).tiny)
        classes = logits.shape[1]
        whole = F.one_hot(targets, classes) if targets.ndim == 1 else targets
        shares = (1 - smoothing) * whole + smoothing / classes
        return -(weight * shares * rest**self.focal_gamma * log_p).sum(dim=1)


def image_weights(targets: Tensor, weight: Tensor) -> Tensor:
    """Return the weight of each image, ``[N]``: Σ_c w_c t_c over its classes."""
    # No matrix product, which autocast would do in 16 bits.
    return weight[targets] if targets.ndim == 1 else (targets * weight).sum(dim=1)


def main_labels(targets: Tensor) -> Tensor:
    """Return labels ``[N]``: of mixed images those with the larger share."""
    return targets if targets.ndim == 1 else targets.argmax(dim=1)


def class_weights(
    choice: ClassWeights, train_counts: Sequence[int], class_names: Sequence[str]
) -> Tensor:
    """Compute the weight of each class in the loss, from the train split alone.

    ``balanced``: n / (K n_c), with n images in K classes that have any, n_c of them in
    class c: King and Zeng, "Logistic Regression in Rare Events Data", 2001.
    ``effective``: proportional to (1 - b) / (1 - b^n_c) with b = 0.999, scaled so that
    the training images have the mean weight 1: Cui et al., "Class-Balanced Loss Based
    on Effective Number of Samples", CVPR 2019, arXiv:1901.05555.

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
