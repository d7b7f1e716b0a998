"""Metrics of one stage while it runs, by torchmetrics, right over several devices."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric, MetricCollection

from clothing_lightning.metrics.registry import Counts, scores


class CountedMetrics(Metric):
    """Every metric of the registry that is computed from counts.

    No update makes a GPU wait for the host, as `torch.bincount` would.
    """

    support: Tensor
    predicted: Tensor
    hits: Tensor
    ranks: Tensor
    cross_entropy: Tensor

    def __init__(self, num_classes: int) -> None:
        """Start at zero; top-k is left out where k reaches the number of classes."""
        super().__init__()
        for state in ("support", "predicted", "hits", "ranks"):
            zeros = torch.zeros(num_classes, dtype=torch.long)
            self.add_state(state, zeros, dist_reduce_fx="sum")
        self.add_state("cross_entropy", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Add a batch.

        Args:
            logits: ``[N, num_classes]``. Where one is not a number, the true class
                ranks last.
            labels: ``[N]``.
        """
        predicted = logits.argmax(dim=1)
        ones = torch.ones_like(labels)
        right = (predicted == labels).to(ones.dtype)
        self.support = self.support.index_add(0, labels, ones)
        self.predicted = self.predicted.index_add(0, predicted, ones)
        self.hits = self.hits.index_add(0, labels, right)
        self.ranks = self.ranks.index_add(0, _target_ranks(logits, labels), ones)
        total = F.cross_entropy(logits, labels, reduction="sum")
        self.cross_entropy = self.cross_entropy + total.float()

    def compute(self) -> dict[str, Tensor]:
        """Return the metrics by their names in the registry."""
        return scores(
            Counts(
                self.support, self.predicted, self.hits, self.ranks, self.cross_entropy
            )
        )


def _target_ranks(logits: Tensor, labels: Tensor) -> Tensor:
    """Classes that rank before the true one; of equal logits the first class does."""
    own, classes = logits.gather(1, labels[:, None]), logits.shape[1]
    later = torch.arange(classes, device=labels.device) >= labels[:, None]
    behind = (logits < own) | ((logits == own) & later)
    return (classes - behind.sum(dim=1)).clip(max=classes - 1)


class WeightedLoss(Metric):
    """Loss of a set: Σ w·l / Σ w over its images, whatever the batches were."""

    total: Tensor
    weight: Tensor

    def __init__(self) -> None:
        """Start at zero."""
        super().__init__()
        for state in ("total", "weight"):
            # float32, since Apple's GPUs have nothing finer: over a hundred thousand
            # batches it is off by a few millionths.
            self.add_state(state, torch.zeros(()), dist_reduce_fx="sum")

    def update(self, losses: Tensor, weights: Tensor) -> None:
        """Add a batch: weighted losses and weights of its images, ``[N]`` each."""
        self.total = self.total + losses.sum().float()
        self.weight = self.weight + weights.sum().float()

    def compute(self) -> Tensor:
        """Return the loss; not a number if every weight is 0."""
        return self.total / self.weight


class StageMetrics(MetricCollection):
    """Metrics and loss of one stage, under names such as ``val/macro_f1``.

    A batch is added by the names of what both parts take: `CountedMetrics.update` and
    `WeightedLoss.update`.
    """

    counted: CountedMetrics
    loss: WeightedLoss

    def __init__(self, num_classes: int, stage: str) -> None:
        """Start at zero, in a stage that is ``train``, ``val`` or ``test``."""
        super().__init__(
            {"counted": CountedMetrics(num_classes), "loss": WeightedLoss()},
            prefix=f"{stage}/",
            compute_groups=False,
        )
