"""What training minimises: cross-entropy or focal loss, of whole or mixed labels."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from clothing_lightning.errors import ConfigError

LossName = Literal["cross_entropy", "focal"]


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
        if not 0 <= self.focal_gamma < float("inf"):
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
        shares = class_shares(targets, logits.shape[1])
        shares = (1 - smoothing) * shares + smoothing / logits.shape[1]
        return -(weight * shares * rest**self.focal_gamma * log_p).sum(dim=1)


def class_shares(targets: Tensor, num_classes: int) -> Tensor:
    """Return shares of the classes ``[N, num_classes]`` of labels or such shares."""
    return targets if targets.ndim == 2 else F.one_hot(targets, num_classes).float()


def image_weights(targets: Tensor, weight: Tensor) -> Tensor:
    """Return the weight of each image, ``[N]``: Σ_c w_c t_c over its classes.

    Args:
        targets: Labels ``[N]``, or shares of the classes ``[N, num_classes]``.
        weight: Weight of each class, ``[num_classes]``.
    """
    # No matrix product, which autocast would do in 16 bits.
    return weight[targets] if targets.ndim == 1 else (targets * weight).sum(dim=1)


def main_labels(targets: Tensor) -> Tensor:
    """Return labels ``[N]``: of mixed images those with the larger share."""
    return targets if targets.ndim == 1 else targets.argmax(dim=1)
