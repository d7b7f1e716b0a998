"""Metrics of a whole split, by torchmetrics, right over several devices.

Definitions: accuracy and top-k accuracy over images; macro F1 as the mean over
classes of 2 tp / (2 tp + fp + fn); balanced accuracy as the mean recall of the classes
that have images (Brodersen et al., "The Balanced Accuracy and Its Posterior
Distribution", ICPR 2010). torchmetrics' own macro averages count a class that was
predicted but has no image, so the averages are taken here, from its counts.
"""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassStatScores

Average = Literal["macro_f1", "macro_f1_all", "balanced_accuracy"]


class MacroAverage(MulticlassStatScores):
    """Macro F1 over the classes present or all, or balanced accuracy."""

    def __init__(self, num_classes: int, what: Average) -> None:
        """Choose the average.

        Args:
            num_classes: Number of classes.
            what: ``macro_f1``: over the classes that have images; ``macro_f1_all``:
                over every class, 0 for one that has none and is not predicted;
                ``balanced_accuracy``: mean recall over classes that have images.
        """
        super().__init__(num_classes, average=None, validate_args=False)
        self.what = what

    def compute(self) -> Tensor:
        """Return the average, 0 to 1."""
        tp, fp, _, fn = (state.float() for state in self._final_state())
        present = tp + fn > 0
        if self.what == "balanced_accuracy":
            return (tp[present] / (tp + fn)[present]).mean()
        f1 = 2 * tp / (2 * tp + fp + fn).clamp(min=1)
        return (f1 if self.what == "macro_f1_all" else f1[present]).mean()


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

    def update(self, total: Tensor, weight: Tensor) -> None:
        """Add a batch.

        Args:
            total: Sum of the weighted losses of its images.
            weight: Sum of their weights.
        """
        self.total = self.total + total.detach().float()
        self.weight = self.weight + weight.float()

    def compute(self) -> Tensor:
        """Return the loss; not a number if every weight is 0."""
        return self.total / self.weight


def classification_metrics(num_classes: int, **kwargs: Any) -> MetricCollection:
    """Metrics that take logits ``[N, num_classes]`` and labels ``[N]``.

    Args:
        num_classes: Number of classes; top-k is left out where k reaches it.
        **kwargs: To `MetricCollection`, such as ``prefix``.
    """
    micro: dict[str, Any] = {"average": "micro", "validate_args": False}
    metrics: dict[str, Metric | MetricCollection] = {
        "accuracy": MulticlassAccuracy(num_classes, **micro),
        "macro_f1": MacroAverage(num_classes, "macro_f1"),
        "macro_f1_all": MacroAverage(num_classes, "macro_f1_all"),
        "balanced_accuracy": MacroAverage(num_classes, "balanced_accuracy"),
    }
    tops = [k for k in (3, 5) if num_classes > k]
    metrics |= {f"top{k}": MulticlassAccuracy(num_classes, k, **micro) for k in tops}
    # Told, since torchmetrics guesses which metrics count alike from the first batch
    # alone, where top-3 and top-5 may well have the same number right.
    macro = ["macro_f1", "macro_f1_all", "balanced_accuracy"]
    groups = [["accuracy"], macro, *([f"top{k}"] for k in tops)]
    return MetricCollection(metrics, compute_groups=groups, **kwargs)


class StageMetrics(nn.Module):
    """Scores and losses of one stage, under names such as ``val/macro_f1``."""

    def __init__(self, num_classes: int, stage: str) -> None:
        """Start at zero.

        Args:
            num_classes: Number of classes.
            stage: ``train``, ``val`` or ``test``.
        """
        super().__init__()
        self.stage = stage
        self.scores = classification_metrics(num_classes, prefix=f"{stage}/")
        self.loss = WeightedLoss()
        self.loss_unweighted = WeightedLoss()

    def update(
        self, logits: Tensor, labels: Tensor, losses: Tensor, weights: Tensor
    ) -> None:
        """Add a batch.

        Args:
            logits: ``[N, num_classes]``.
            labels: ``[N]``.
            losses: Weighted loss of each image, ``[N]``.
            weights: Weight of each image in the loss, ``[N]``.
        """
        logits = logits.detach()
        self.scores.update(logits, labels)
        self.loss.update(losses.sum(), weights.sum())
        # torch.full and no validation: neither makes a GPU wait for the host.
        size = torch.full((), float(len(labels)), device=labels.device)
        total = F.cross_entropy(logits, labels, reduction="sum")
        self.loss_unweighted.update(total, size)

    def compute(self) -> dict[str, Tensor]:
        """Return the metrics of all that was added, on any device."""
        return {
            **self.scores.compute(),
            f"{self.stage}/loss": self.loss.compute(),
            f"{self.stage}/loss_unweighted": self.loss_unweighted.compute(),
        }

    def reset(self) -> None:
        """Start again from zero."""
        for metric in (self.scores, self.loss, self.loss_unweighted):
            metric.reset()
