"""The LightningModule: a backbone, a weighted loss, metrics and an optimizer."""

from collections.abc import Iterator, Sequence
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau

from clothing_lightning.data.dataset import Batch
from clothing_lightning.errors import ConfigError
from clothing_lightning.models.backbones import create_backbone, heads
from clothing_lightning.models.class_weights import ClassWeights, class_weights
from clothing_lightning.models.metrics import StageMetrics
from clothing_lightning.models.schedules import WarmupCosine


class ClothingClassifier(L.LightningModule):
    """One label for each photo.

    Training minimises Σ w_y l / Σ w_y over a batch, with l the cross-entropy (label
    smoothing as in Szegedy et al. 2016, arXiv:1512.00567) and w_y the weight of the
    image's class. ``val/loss`` and ``test/loss`` are the same quotient over the whole
    set, without label smoothing, so that recipes can be compared by it;
    ``loss_unweighted`` has every weight 1.
    """

    def __init__(  # noqa: PLR0913  each is a line of the YAML
        self,
        backbone: str = "resnet18.a1_in1k",
        weights: str = "hub",
        *,
        class_names: list[str],
        train_counts: list[int],
        class_weights: ClassWeights = "none",
        label_smoothing: float = 0.0,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        freeze_backbone: bool = False,
        optimizer: OptimizerCallable = lambda parameters: torch.optim.AdamW(
            parameters, lr=1e-3, weight_decay=0.02
        ),
        scheduler: LRSchedulerCallable | None = None,
        channels_last: bool = True,
        seed: int = 0,
    ) -> None:
        """Build the network.

        Args:
            backbone: timm's name, with or without a weight tag: ``resnet18.a1_in1k``.
            weights: ``hub``; ``package``: from an installed package of weights;
                ``none``: random; or the path of a file.
            class_names: In the order of the outputs; linked to the data.
            train_counts: Training images of each class; linked to the data.
            class_weights: ``balanced``, ``effective``, ``none``, or a weight for each
                class by name.
            label_smoothing: 0 to below 1.
            drop_rate: Dropout before the head, 0 to below 1.
            drop_path_rate: Stochastic depth, 0 to below 1; where the network has it.
            freeze_backbone: Train the head alone; batch norms keep their statistics.
            optimizer: Of the parameters that train; biases and norms do not decay.
            scheduler: Of the learning rate; stepped each batch if it is a
                WarmupCosine or OneCycleLR, else each epoch.
            channels_last: Keep images and filters with the channels innermost, which
                convolutions are faster in.
            seed: Of dropout and other chance; linked to ``seed_everything``.

        Raises:
            ConfigError: If the backbone or a class weight names what there is not, or a
                rate is out of range.
            WeightsError: If pretrained weights cannot be had or do not fit.
        """
        super().__init__()
        for option, rate in (
            ("label_smoothing", label_smoothing),
            ("drop_rate", drop_rate),
            ("drop_path_rate", drop_path_rate),
        ):
            if not 0 <= rate < 1:
                raise ConfigError(
                    f"model.init_args.{option} is {rate}. It is from 0 to below 1."
                )
        self.backbone = backbone
        self.class_names = class_names
        self.label_smoothing = label_smoothing
        self.freeze_backbone = freeze_backbone
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.seed = seed
        self.network = create_backbone(
            backbone,
            weights,
            len(class_names),
            drop_rate=drop_rate,
            drop_path_rate=drop_path_rate,
        )
        if freeze_backbone:
            self.network.requires_grad_(False)
            for head in heads(self.network):
                head.requires_grad_(True)
        if channels_last:
            self.network = self.network.to(memory_format=torch.channels_last)
        weight = _class_weights(class_weights, train_counts, class_names)
        self.register_buffer("weight", weight)
        self.weight: Tensor
        size = len(class_names)
        self.train_metrics = StageMetrics(size, "train")
        self.val_metrics = StageMetrics(size, "val")
        self.test_metrics = StageMetrics(size, "test")
        self.train()  # Lightning keeps the modes that it is given

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[N, num_classes]`` of normalised images ``[N, 3, H, W]``."""
        return self.network(images)  # type: ignore[no-any-return]

    def train(self, mode: bool = True) -> "ClothingClassifier":
        """Keep a frozen backbone in eval: batch norm statistics, dropout, paths."""
        super().train(mode)
        if self.freeze_backbone:
            self.network.eval()
        return self

    def _step(
        self, batch: Batch, metrics: StageMetrics, label_smoothing: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """Return the loss of a batch and its logits, and count both."""
        logits = self(batch.images).float()
        weights = self.weight[batch.labels]
        losses = F.cross_entropy(
            logits,
            batch.labels,
            self.weight,
            label_smoothing=label_smoothing,
            reduction="none",
        )
        metrics.update(logits, batch.labels, losses, weights)
        total = weights.sum()
        # A batch may have none but images of weight 0.
        return losses.sum() / total.where(total > 0, 1.0), logits

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        loss, _ = self._step(batch, self.train_metrics, self.label_smoothing)
        self.log("train/loss_step", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Return probabilities ``[N, num_classes]`` and the indices of the images."""
        return self._evaluation_step(batch, self.val_metrics)

    def test_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Return probabilities ``[N, num_classes]`` and the indices of the images."""
        return self._evaluation_step(batch, self.test_metrics)

    def _evaluation_step(
        self, batch: Batch, metrics: StageMetrics
    ) -> dict[str, Tensor]:
        _, logits = self._step(batch, metrics)
        return {"probabilities": logits.softmax(dim=1), "indices": batch.indices}

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Make chance a function of seed, epoch and batch: resuming repeats it."""
        place = (self.seed, self.current_epoch, batch_idx, self.global_rank)
        torch.manual_seed(hash(place) % 2**63)

    def on_train_epoch_end(self) -> None:
        """Log the epoch."""
        self.log("lr", self.trainer.optimizers[0].param_groups[0]["lr"])
        self._log_epoch(self.train_metrics)

    def on_validation_epoch_end(self) -> None:
        """Log the epoch."""
        self._log_epoch(self.val_metrics)

    def on_test_epoch_end(self) -> None:
        """Log the test."""
        self._log_epoch(self.test_metrics)

    def _log_epoch(self, metrics: StageMetrics) -> None:
        """Log what the stage has counted, and start again from zero."""
        if not self.trainer.sanity_checking:
            # Every device has the values of all: torchmetrics has seen to that.
            self.log_dict(metrics.compute())
        metrics.reset()

    def configure_optimizers(self) -> Any:
        """Build optimizer and schedule."""
        optimizer = self.optimizer(self._parameter_groups())
        if self.scheduler is None:
            return optimizer
        scheduler = self.scheduler(optimizer)
        if isinstance(scheduler, WarmupCosine):
            scheduler.run_for(self.trainer.estimated_stepping_batches)
        by_step = isinstance(scheduler, WarmupCosine | OneCycleLR)
        config: dict[str, Any] = {
            "scheduler": scheduler,
            "interval": "step" if by_step else "epoch",
        }
        if isinstance(scheduler, ReduceLROnPlateau):
            config["monitor"] = getattr(scheduler, "monitor", "val/loss")
        return {"optimizer": optimizer, "lr_scheduler": config}

    def _parameter_groups(self) -> Iterator[dict[str, Any]]:
        trained = [p for p in self.parameters() if p.requires_grad]
        yield {"params": [p for p in trained if p.ndim > 1]}
        yield {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0}


def _class_weights(
    choice: ClassWeights, train_counts: Sequence[int], class_names: Sequence[str]
) -> Tensor:
    # The constructor's argument has the name of the function, as users type it.
    return class_weights(choice, train_counts, class_names)
