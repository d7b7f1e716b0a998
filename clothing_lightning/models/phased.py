"""A module that trains in phases and can be continued in any of them."""

import math
from collections.abc import Sequence
from typing import Any

import lightning as L
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.utilities.types import LRSchedulerConfig
from torch import nn
from torch.optim import Optimizer

from clothing_lightning.errors import ConfigError
from clothing_lightning.models.parameter_groups import parameter_groups, scale_rates
from clothing_lightning.models.phases import (
    Phase,
    checked_phases,
    first_epoch,
    freeze_all_but,
    keep_frozen_in_eval,
    phase_of,
    trained_names,
)
from clothing_lightning.models.schedules import schedule_config


class PhasedModule(L.LightningModule):
    """Freezes and thaws a network, and begins the schedule again with each phase.

    All parameters that any phase trains are in the optimizer from the start, and a
    frozen one has no gradient, which optimizers leave as it is: neither moved nor
    decayed. So the epoch alone tells what trains, and all else is in Lightning's
    checkpoint. Lightning's own BackboneFinetuning freezes again after a resume (its
    issue 21901).

    Attributes:
        network: The network that is trained.
        phases: The phases in their order.
        phase: Index of the phase that the run is in.
        trained: Names of the parameters that train in each phase.
    """

    def __init__(
        self,
        network: nn.Module,
        phases: Sequence[Phase],
        optimizer: OptimizerCallable,
        scheduler: LRSchedulerCallable | None,
        layer_decay: float | None,
    ) -> None:
        """Describe the training.

        Args:
            network: A network whose classifier timm's ``get_classifier`` finds.
            phases: The phases in their order.
            optimizer: Builds the optimizer of the parameters that train.
            scheduler: Builds the schedule of the learning rate of each phase that has
                none of its own.
            layer_decay: Factor of the learning rate from each block to the one before
                it, above 0 and at most 1.

        Raises:
            ConfigError: If the phases do not fit the network or each other, or the
                factor is out of range.
        """
        super().__init__()
        if layer_decay is not None and not 0 < layer_decay <= 1:
            raise ConfigError(
                f"model.init_args.layer_decay is {layer_decay}. It is above 0 and at "
                "most 1: 0.75 gives each block three quarters of the next one's rate."
            )
        self.network = network
        self.phases = checked_phases(phases)
        self.phase = 0
        self.trained = [trained_names(network, phase) for phase in self.phases]
        # Of all phases: DistributedDataParallel asks once, before the first begins.
        freeze_all_but(network, set().union(*self.trained))
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.layer_decay = layer_decay

    def train(self, mode: bool = True) -> "PhasedModule":
        """Keep frozen parts in eval: batch norm statistics, dropout, paths."""
        super().train(mode)
        keep_frozen_in_eval(self.network)
        return self

    def on_fit_start(self) -> None:
        """Refuse phases over several devices that would wait for what is frozen.

        Raises:
            ConfigError: If the strategy does not look for unused parameters.
        """
        alike = all(trained == self.trained[0] for trained in self.trained)
        if alike or self.trainer.world_size == 1:
            return
        # By now it is a DistributedDataParallel, which has taken the strategy's option.
        wrapped = self.trainer.strategy.model
        if not getattr(wrapped, "find_unused_parameters", False):
            raise ConfigError(
                "trainer.strategy: in phases that train different parts the devices "
                "would wait for gradients that do not come. Pass --trainer.strategy "
                "ddp_find_unused_parameters_true."
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the phase, whose schedule the checkpoint holds."""
        checkpoint["phase"] = self.phase

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the phase, before optimizer and schedule are built for it."""
        self.phase = min(checkpoint.get("phase", 0), len(self.phases) - 1)

    def on_train_start(self) -> None:
        """Freeze what does not train in the phase of the first or resumed epoch."""
        self._enter_phase()

    def on_train_epoch_start(self) -> None:
        """Begin the next phase in its first epoch."""
        self._enter_phase()

    def _enter_phase(self) -> None:
        phase = phase_of(self.phases, self.current_epoch)
        if phase != self.phase:
            self.phase = phase
            config = self._begin_schedule(self.trainer.optimizers[0], phase)
            configs = [LRSchedulerConfig(**config)] if config else []
            self.trainer.strategy.lr_scheduler_configs = configs
        freeze_all_but(self.network, self.trained[phase])
        self.train()

    def configure_optimizers(self) -> Any:
        """Build optimizer and schedule."""
        trained = set().union(*self.trained)
        groups = parameter_groups(self.network, trained, self.layer_decay)
        optimizer = self.optimizer(groups)
        scale_rates(optimizer)
        self._settings = [
            {key: value for key, value in group.items() if key != "params"}
            for group in optimizer.param_groups
        ]
        for index in range(len(self.phases)):  # a mistake in the last is told at once
            self._begin_schedule(optimizer, index)
        config = self._begin_schedule(optimizer, self.phase)
        return {"optimizer": optimizer, "lr_scheduler": config} if config else optimizer

    def _begin_schedule(
        self, optimizer: Optimizer, index: int
    ) -> dict[str, Any] | None:
        """Set the learning rates that a phase begins with; return its schedule."""
        phase = self.phases[index]
        for group, settings in zip(optimizer.param_groups, self._settings, strict=True):
            rate = settings["lr"] * phase.lr_factor
            group.update(settings, lr=rate, initial_lr=rate)
        return schedule_config(
            optimizer,
            phase.scheduler or self.scheduler,
            lambda: self._steps(index),
            phase.warmup,
        )

    def _steps(self, index: int) -> float:
        """Optimizer steps in a phase."""
        total = self.trainer.estimated_stepping_batches
        if not math.isfinite(total):
            return total
        batches = self.trainer.num_training_batches
        each_epoch = math.ceil(batches / self.trainer.accumulate_grad_batches)
        epochs = self.phases[index].epochs
        if epochs is None:
            return total - each_epoch * first_epoch(self.phases, index)
        return each_epoch * epochs
