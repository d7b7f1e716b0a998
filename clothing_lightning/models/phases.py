"""Phases of a fine-tuning: what trains, for how long, at which rate."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import filter as matching
from fractions import Fraction
from functools import partial
from typing import Any

import lightning as L
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.utilities.types import LRSchedulerConfig
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau

from clothing_lightning.errors import ConfigError
from clothing_lightning.models.backbones import head_names
from clothing_lightning.models.parameter_groups import (
    depths,
    parameter_groups,
    scale_rates,
)
from clothing_lightning.models.schedules import WarmupCosine
from clothing_lightning.wording import closest

OPTION = "model.init_args.phases"
Part = str | list[str] | dict[str, str | float]


@dataclass(frozen=True)
class Phase:
    """Some epochs in which one part of the network trains.

    Attributes:
        epochs: Number of epochs; null in the last phase, which lasts to the end.
        train: ``head``; ``all``; ``last: 1/3``: the head and this share of the
            backbone's blocks, counted from the head; a pattern for the names of
            parameters, such as ``layer4.*``; or a list of these.
        lr_factor: Factor of the optimizer's learning rate, above 0.
        scheduler: Builds the schedule of the learning rate in this phase; by default
            the model's scheduler, which begins again.
        warmup: Share of the phase's steps in which the rate rises, 0 to 1: with
            WarmupCosine, or with no scheduler, where the rate then stays. By default
            the scheduler decides.
    """

    epochs: int | None = None
    train: Part = "all"
    lr_factor: float = 1.0
    scheduler: LRSchedulerCallable | None = None
    warmup: float | None = None

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ConfigError: If a number is out of range.
        """
        if self.epochs is not None and self.epochs < 1:
            raise ConfigError(f"{OPTION}: epochs is {self.epochs}. The least is 1.")
        if not 0 < self.lr_factor < math.inf:
            raise ConfigError(
                f"{OPTION}: lr_factor is {self.lr_factor}. It is above 0: 0.1 trains "
                "at a tenth of the optimizer's learning rate."
            )
        if self.warmup is not None and not 0 <= self.warmup <= 1:
            raise ConfigError(
                f"{OPTION}: warmup is {self.warmup}. It is a share of the phase's "
                "steps, 0 to 1: 0.05 warms up in a twentieth of them."
            )

    @property
    def parts(self) -> list[str]:
        """The parts that train: ``head``, ``all``, ``last: 1/3`` or a pattern each."""
        if isinstance(self.train, dict):
            return [f"{key}: {value}" for key, value in self.train.items()]
        return [self.train] if isinstance(self.train, str) else self.train


def trained_names(network: nn.Module, phase: Phase) -> set[str]:
    """Return the names of the parameters that train in a phase.

    Raises:
        ConfigError: If the network has no such part.
    """
    if not phase.parts:
        raise ConfigError(f"{OPTION}: train is empty. Write head, all, or last: 1/3.")
    return {name for part in phase.parts for name in _names(network, part)}


def _names(network: nn.Module, part: str) -> set[str]:
    names = [name for name, _ in network.named_parameters()]
    if part == "all":
        return set(names)
    if part == "head":
        return head_names(network)
    if part.startswith("last:"):
        return _last(network, part.removeprefix("last:").strip())
    matches = set(matching(names, part))
    if not matches:
        raise ConfigError(
            f"{OPTION}: train is {part!r}, which no parameter is called. Write head, "
            "all, last: 1/3, or a pattern such as layer4.*."
            f"{closest(part, ['head', 'all', *names], cutoff=0.3)}"
        )
    return matches


def _last(network: nn.Module, share: str) -> set[str]:
    try:
        value = Fraction(share)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if not 0 < value <= 1:
        raise ConfigError(
            f"{OPTION}: train is 'last: {share}'. It is a share of the backbone, above "
            "0 and at most 1, such as 1/3 or 0.25."
        )
    places = depths(network)
    blocks = max(places.values())  # the head has the place behind them
    first = blocks - max(1, round(value * blocks))
    return {name for name, place in places.items() if place >= first}


def first_epoch(phases: Sequence[Phase], index: int) -> int:
    """Return the epoch with which a phase begins, counted from 0."""
    return sum(phase.epochs or 0 for phase in phases[:index])


def phase_of(phases: Sequence[Phase], epoch: int) -> int:
    """Return the index of the phase that an epoch is in; the last one has no end."""
    starts = [first_epoch(phases, index) for index in range(len(phases))]
    return sum(start <= epoch for start in starts) - 1


def freeze_all_but(network: nn.Module, trained: set[str]) -> None:
    """Freeze all parameters but those named."""
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in trained)


def keep_frozen_in_eval(network: nn.Module) -> None:
    """Put frozen parts in eval mode: batch norm statistics, dropout, stochastic depth.

    If nothing but the head trains, that is the whole network, so that the head learns
    from the features that it gets in a test.
    """
    trained = {name for name, p in network.named_parameters() if p.requires_grad}
    if trained <= head_names(network):
        network.eval()
    for module in network.modules():
        own = list(module.parameters())
        if own and not any(parameter.requires_grad for parameter in own):
            module.eval()


class PhasedModule(L.LightningModule):
    """Freezes and thaws a network, and begins the schedule again with each phase.

    All parameters that any phase trains are in the optimizer from the start, and a
    frozen one has no gradient, which optimizers leave as it is: neither moved nor
    decayed. So the epoch alone tells what trains, and all else is in Lightning's
    checkpoint. Lightning's own BackboneFinetuning freezes again after a resume (its
    issue 21901).

    Attributes:
        network: The network that is trained, with timm's ``get_classifier``.
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
        """Describe the training, with the options of `ClothingClassifier`.

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
        if not phases:
            raise ConfigError(f"{OPTION} is empty. Leave it out, or list a phase.")
        if None in [phase.epochs for phase in phases[:-1]]:
            raise ConfigError(
                f"{OPTION}: a phase before the last has no epochs. Say how many."
            )
        self.network = network
        self.phases = list(phases)
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
        """Enter the phase of an epoch that is resumed, which does not start again."""
        self.on_train_epoch_start()

    def on_train_epoch_start(self) -> None:
        """Begin the next phase in its first epoch; freeze what does not train in it."""
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
        """Set the learning rates that a phase begins with; return its schedule.

        It comes with Lightning's settings of when to step it, as the fields of an
        LRSchedulerConfig; None if the rate stays.

        Raises:
            ConfigError: If the scheduler has no such warm-up as the phase, or has to
                know its end and there is none.
        """
        phase = self.phases[index]
        for group, settings in zip(optimizer.param_groups, self._settings, strict=True):
            rate = settings["lr"] * phase.lr_factor
            group.update(settings, lr=rate, initial_lr=rate)
        make = phase.scheduler or self.scheduler
        if make is None and phase.warmup is None:
            return None
        schedule = (make or partial(WarmupCosine, final=1.0))(optimizer)
        if isinstance(schedule, WarmupCosine):
            if phase.warmup is not None:
                schedule.warmup = phase.warmup
            schedule.run_for(self._steps(index))
        elif phase.warmup is not None:
            raise ConfigError(
                f"{OPTION}: warmup is {phase.warmup}, but {type(schedule).__name__} "
                "has no such setting. Leave it out, or use WarmupCosine."
            )
        plateau = isinstance(schedule, ReduceLROnPlateau)
        config: dict[str, Any] = {"scheduler": schedule, "reduce_on_plateau": plateau}
        if isinstance(schedule, WarmupCosine | OneCycleLR):
            config["interval"] = "step"
        if plateau:
            config["monitor"] = getattr(schedule, "monitor", "val/loss")
        return config

    def _steps(self, index: int) -> float:
        """Optimizer steps in a phase; infinite if the run has no end."""
        total = self.trainer.estimated_stepping_batches
        if not math.isfinite(total):
            return total
        batches = self.trainer.num_training_batches
        each_epoch = math.ceil(batches / self.trainer.accumulate_grad_batches)
        if (epochs := self.phases[index].epochs) is not None:
            return each_epoch * epochs
        return total - each_epoch * first_epoch(self.phases, index)
