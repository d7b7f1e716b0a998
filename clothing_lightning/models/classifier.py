"""The LightningModule: a backbone, a weighted loss, metrics and an optimizer."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn

from clothing_lightning.data.dataset import Batch
from clothing_lightning.errors import ConfigError
from clothing_lightning.models.backbones import create_backbone, preprocessing_of
from clothing_lightning.models.description import KEY, NetworkDescription
from clothing_lightning.models.losses import (
    ClassWeights,
    ImageLoss,
    LossName,
    image_weights,
    main_labels,
)
from clothing_lightning.models.losses import class_weights as weights_of_classes
from clothing_lightning.models.metrics import StageMetrics
from clothing_lightning.models.mixing import Mixing
from clothing_lightning.models.phases import Phase, PhasedModule
from clothing_lightning.models.pruned_weights import find_pruned_weights


class ClothingClassifier(PhasedModule):
    """One label for each photo.

    Training minimises Σ w_y l / Σ w_y over a batch, with l the cross-entropy (label
    smoothing as in Szegedy et al. 2016, arXiv:1512.00567) or the focal loss, and w_y
    the weight of the image's class. ``val/loss`` and ``test/loss`` are the same
    quotient over the whole set, of the cross-entropy without label smoothing, so that
    recipes can be compared by it; ``loss_unweighted`` has every weight 1.

    Of images that mixup or cutmix has made of two, with shares t_c of the classes, the
    loss is Σ_c w_c t_c l_c and the weight Σ_c w_c t_c. Their ``train/accuracy`` and
    other scores, and ``train/loss_unweighted``, are against the class with the larger
    share: lower than those of the photos as they are.
    """

    def __init__(  # noqa: PLR0913  each is a line of the YAML
        self,
        backbone: str = "resnet18.a1_in1k",
        weights: str = "hub",
        *,
        class_names: list[str],
        train_counts: list[int],
        in_chans: int | None = None,
        image_size: int | None = None,
        class_weights: ClassWeights = "none",
        label_smoothing: float = 0.0,
        loss: LossName = "cross_entropy",
        focal_gamma: float = 2.0,
        mixup: float = 0.0,
        cutmix: float = 0.0,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        freeze_backbone: bool = False,
        phases: list[Phase] | None = None,
        layer_decay: float | None = None,
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
                ``none``: random; or the path of a file. Of a pruned checkpoint the
                network has the shapes, and the head where its classes are the same.
            class_names: Names of the classes in the order of the outputs; linked to
                the data.
            train_counts: Number of training images of each class; linked to the data.
            in_chans: Channels of the images: 3, or 1 for gray; by default the
                backbone's own.
            image_size: Height and width in pixels, for networks whose parameters
                depend on it; linked to the data.
            class_weights: ``balanced``, ``effective``, ``none``, or a weight for each
                class by name.
            label_smoothing: Share of each label that is spread over all classes, 0 to
                below 1.
            loss: ``cross_entropy``, or ``focal``, in which images that are predicted
                well count less.
            focal_gamma: Exponent of the focal loss, from 0, where it is the
                cross-entropy.
            mixup: Mix pairs of images and their labels; the parameter of the beta
                distribution of the share, such as 0.2; 0 turns it off.
            cutmix: Paste a box of another image; the parameter of the beta distribution
                of the box's share, such as 1.0; 0 turns it off. With mixup as well,
                each batch gets one of the two.
            drop_rate: Dropout before the head, 0 to below 1; none while the head alone
                trains.
            drop_path_rate: Stochastic depth, 0 to below 1; where the network has it.
            freeze_backbone: Train the head alone; batch norms keep their statistics.
                Short for one phase of this.
            phases: What trains for how many epochs, such as ``[{epochs: 10, train:
                head}, {epochs: 10, train: 'last: 1/3', lr_factor: 0.1}]``.
            layer_decay: Factor of the learning rate from each block to the one before
                it, above 0 and at most 1, such as 0.75; null: one rate for all.
            optimizer: Builds the optimizer of the parameters that train; biases and
                norms get no weight decay.
            scheduler: Builds the schedule of the learning rate, which begins again with
                each phase; a WarmupCosine or OneCycleLR is stepped each batch, others
                each epoch.
            channels_last: Keep images and filters with the channels innermost, which
                convolutions are faster in.
            seed: Seed of dropout and of the mixing of images; linked to
                ``seed_everything``.

        Raises:
            ConfigError: If the backbone, a class weight or a phase names what there is
                not, or a number is out of range.
            WeightsError: If pretrained weights cannot be had or do not fit.
        """
        for option, rate in (
            ("label_smoothing", label_smoothing),
            ("drop_rate", drop_rate),
            ("drop_path_rate", drop_path_rate),
        ):
            if not 0 <= rate < 1:
                raise ConfigError(
                    f"model.init_args.{option} is {rate}. It is from 0 to below 1."
                )
        if freeze_backbone and phases is not None:
            raise ConfigError(
                "model.init_args.freeze_backbone is short for one phase of the head. "
                "Pass --model.init_args.freeze_backbone false to use phases."
            )
        if phases is None:
            phases = [Phase(train="head" if freeze_backbone else "all")]
        training_loss = ImageLoss(loss, focal_gamma, label_smoothing)
        mixing = Mixing(mixup, cutmix, len(class_names))
        pruned = find_pruned_weights(weights)
        network = create_backbone(
            backbone,
            "none" if pruned else weights,
            len(class_names),
            drop_rate=drop_rate,
            drop_path_rate=drop_path_rate,
            in_chans=in_chans,
            image_size=(image_size, image_size) if image_size else None,
        )
        shapes = None
        if pruned is not None:
            shapes = pruned.load_into(network, backbone, class_names)
        if channels_last:
            network = network.to(memory_format=torch.channels_last)
        super().__init__(network, phases, optimizer, scheduler, layer_decay)
        self.backbone, self.in_chans, self.image_size = backbone, in_chans, image_size
        self.channels_last, self.shapes = channels_last, shapes
        self.class_names = class_names
        self.training_loss, self.mixing = training_loss, mixing
        self.seed = seed
        self.class_weights: Tensor
        self.register_buffer(
            "class_weights",
            weights_of_classes(class_weights, train_counts, class_names),
        )
        rename: Any = self.register_load_state_dict_pre_hook  # torch's has no types
        rename(_rename_class_weights)
        size = len(class_names)
        self.train_metrics = StageMetrics(size, "train")
        self.val_metrics = StageMetrics(size, "val")
        self.test_metrics = StageMetrics(size, "test")
        self.train()  # Lightning keeps the modes that it is given

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[N, num_classes]`` of normalised images ``[N, C, H, W]``."""
        return self.network(images)  # type: ignore[no-any-return]

    def _step(
        self, images: Tensor, targets: Tensor, loss: ImageLoss, metrics: StageMetrics
    ) -> tuple[Tensor, Tensor]:
        """Return the loss of a batch and its logits, and count both."""
        logits = self(images).float()
        losses = loss(logits, targets, self.class_weights)
        weights = image_weights(targets, self.class_weights)
        labels = main_labels(targets)
        metrics.update(logits=logits, labels=labels, losses=losses, weights=weights)
        total = weights.sum()
        # A batch may have none but images of weight 0.
        return losses.sum() / total.where(total > 0, 1.0), logits

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        images, targets = self.mixing(batch.images, batch.labels)
        loss, _ = self._step(images, targets, self.training_loss, self.train_metrics)
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
        _, logits = self._step(batch.images, batch.labels, ImageLoss(), metrics)
        return {"probabilities": logits.softmax(dim=1), "indices": batch.indices}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the description that lets the file alone predict."""
        super().on_save_checkpoint(checkpoint)
        checkpoint[KEY] = self.describe().to_values()

    def describe(self) -> NetworkDescription:
        """Describe the network and the run of the trainer that it is attached to."""
        data: Any = getattr(self.trainer, "datamodule", None)
        preprocessing = getattr(data, "preprocessing", None)
        if preprocessing is None:
            own = preprocessing_of(self.backbone, self.in_chans)
            preprocessing = replace(own, image_size=self.image_size or own.image_size)
        logger = self.trainer.logger  # of a run of ours, its id and name
        return NetworkDescription(
            self.backbone,
            list(self.class_names),
            preprocessing,
            self.in_chans,
            self.image_size,
            self.channels_last,
            str(self.trainer.precision),
            bool(getattr(data, "crop_to_boxes", False)),
            str((logger and logger.version) or ""),
            str((logger and logger.name) or ""),
            shapes=self.shapes,
        )

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed dropout and mixing by seed, epoch and batch, as in a resumed run."""
        place = (self.seed, self.current_epoch, batch_idx, self.global_rank)
        (seed,) = np.random.SeedSequence(place).generate_state(1, np.uint64)
        torch.manual_seed(int(seed))

    def on_train_epoch_end(self) -> None:
        """Log the metrics of the epoch and the learning rate of the head."""
        groups = self.trainer.optimizers[0].param_groups
        self.log("lr", max(group["lr"] for group in groups))
        if len(self.phases) > 1:
            self.log("phase", float(self.phase + 1))
        self._log_epoch(self.train_metrics)

    def on_validation_epoch_end(self) -> None:
        """Log the metrics of the validation."""
        self._log_epoch(self.val_metrics)

    def on_test_epoch_end(self) -> None:
        """Log the metrics of the test."""
        self._log_epoch(self.test_metrics)

    def _log_epoch(self, metrics: StageMetrics) -> None:
        """Log the metrics of a stage, and reset them."""
        if not self.trainer.sanity_checking:
            # Every device has the values of all: torchmetrics has seen to that.
            self.log_dict(metrics.compute())
        metrics.reset()


def _rename_class_weights(
    module: nn.Module, state: dict[str, Any], prefix: str, *args: Any
) -> None:
    """Accept the name that versions before 0.2 gave the buffer of class weights.

    torch calls this before it loads a state dict, which may be a checkpoint's own or,
    with averaged weights, that of the last step.
    """
    if f"{prefix}weight" in state:
        state[f"{prefix}class_weights"] = state.pop(f"{prefix}weight")
