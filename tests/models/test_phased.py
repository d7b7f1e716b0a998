"""Phases in a training, with Lightning's trainer."""

import math
import re
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import lightning as L
import pytest
import torch
import torch.distributed as dist
from lightning.pytorch.callbacks import Callback
from torch.nn.parallel import DistributedDataParallel
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau, StepLR
from torch.utils.data import DataLoader

from clothing_lightning.data.dataset import Batch
from clothing_lightning.errors import ConfigError
from clothing_lightning.models.classifier import ClothingClassifier
from clothing_lightning.models.phases import Phase
from clothing_lightning.models.schedules import WarmupCosine

HEAD = {"fc.weight", "fc.bias"}
BATCHES = 4


def sgd(parameters: Any) -> Optimizer:
    return SGD(parameters, lr=0.1, momentum=0.9, weight_decay=0.01)


def classifier(*phases: Phase, **options: Any) -> ClothingClassifier:
    torch.manual_seed(0)
    settings: dict[str, Any] = {"optimizer": sgd, "phases": list(phases)} | options
    return ClothingClassifier(
        "test_resnet",
        "none",
        class_names=list("abcd"),
        train_counts=[1] * 4,
        **settings,
    )


def loader(batches: int = BATCHES) -> DataLoader[Any]:
    rng = torch.Generator().manual_seed(1)
    made: Any = [
        Batch(
            torch.randn(4, 3, 32, 32, generator=rng),
            torch.randint(0, 4, (4,), generator=rng),
            torch.arange(4),
        )
        for _ in range(batches)
    ]
    return DataLoader(made, batch_size=None)


def fit(
    model: ClothingClassifier,
    *callbacks: Callback,
    resume: Path | None = None,
    **options: Any,
) -> L.Trainer:
    trainer = L.Trainer(
        accelerator="cpu",
        logger=False,
        callbacks=list(callbacks),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **{"max_epochs": 4} | options,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(model, loader(), loader(1), ckpt_path=resume, weights_only=True)
    return trainer


class Watch(Callback):
    """Notes what each epoch has changed, and the rates of each batch."""

    def __init__(self) -> None:
        self.moved: list[set[str]] = []
        self.rates: list[float] = []
        self.logged: list[float] = []

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        state = pl_module.network.state_dict()
        self.before = {name: value.clone() for name, value in state.items()}

    def on_train_batch_start(self, trainer: L.Trainer, *args: Any) -> None:
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    def on_validation_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        if not trainer.sanity_checking:
            after = pl_module.network.state_dict()
            before = self.before
            self.moved.append({k for k in after if not after[k].equal(before[k])})

    def on_train_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        self.logged.append(float(trainer.callback_metrics["phase"]))


def stages(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


# What trains when


def test_each_phase_moves_its_own_part_alone() -> None:
    watch = Watch()
    phases = [Phase(1, "head"), Phase(1, ["head", "layer4.*"]), Phase(1, "layer2.*")]
    fit(classifier(*phases, Phase()), watch)
    # Nor does what was frozen go on by its momentum, decay, or count for its norms.
    assert watch.moved[0] == HEAD
    assert stages(watch.moved[1]) == {"layer4", "fc"}
    assert "layer4.0.bn1.running_mean" in watch.moved[1]
    assert stages(watch.moved[2]) == {"layer2"}
    assert stages(watch.moved[3]) >= {"conv1", "bn1", "layer1", "layer4", "fc"}
    assert watch.logged == [4]


def test_optimizer_has_what_any_phase_trains() -> None:
    model = classifier(Phase(1, "head"), Phase(1, "layer4.*"))
    trainer = fit(model, max_epochs=1)
    optimizer = trainer.optimizers[0]
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    names = {name for name, p in model.network.named_parameters() if id(p) in held}
    assert stages(names) == {"layer4", "fc"}


def test_a_part_that_freezes_again_loses_its_gradients() -> None:
    model = classifier(Phase(1), Phase(1, "head"))
    fit(model, max_epochs=2)
    graded = {n for n, p in model.network.named_parameters() if p.grad is not None}
    assert graded <= HEAD


def test_freeze_backbone_is_short_for_one_phase_of_the_head() -> None:
    short = classifier(phases=None, freeze_backbone=True)
    long = classifier(Phase(train="head"))
    assert short.phases == long.phases
    for model in (short, long):
        fit(model, max_epochs=2)
    theirs = long.state_dict()
    assert all(v.equal(theirs[k]) for k, v in short.state_dict().items())


def test_freeze_backbone_beside_phases_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"freeze_backbone is short for one phase"):
        classifier(Phase(1), freeze_backbone=True)


# Rates


def rates(*phases: Phase, **options: Any) -> list[float]:
    """Learning rate of each batch, in epochs of four."""
    watch = Watch()
    settings = {"scheduler": options.pop("scheduler", None)}
    fit(classifier(*phases, **settings), watch, **options)
    return watch.rates


def cosine(optimizer: Optimizer) -> WarmupCosine:
    return WarmupCosine(optimizer, warmup=0.0)


def down(steps: int) -> list[float]:
    return [0.05 * (1 + math.cos(math.pi * step / steps)) for step in range(steps)]


def test_a_rate_without_a_schedule_has_the_factor_of_its_phase() -> None:
    found = rates(Phase(1, "head"), Phase(1, lr_factor=0.1), Phase(1, lr_factor=2.0))
    assert found[:12] == pytest.approx([0.1] * 4 + [0.01] * 4 + [0.2] * 4)


def test_cosine_begins_again_in_each_phase_and_ends_with_it() -> None:
    found = rates(Phase(1, "head"), Phase(3, lr_factor=0.1), scheduler=cosine)
    assert found == pytest.approx([*down(4), *(rate / 10 for rate in down(12))])


def test_cosine_of_the_last_phase_ends_with_the_run() -> None:
    found = rates(Phase(1, "head"), Phase(), scheduler=cosine, max_epochs=3)
    assert found == pytest.approx([*down(4), *down(8)])


def test_cosine_of_a_phase_counts_optimizer_steps() -> None:
    phases = [Phase(1, "head"), Phase(1)]
    found = rates(*phases, scheduler=cosine, accumulate_grad_batches=3, max_epochs=2)
    # Four batches are two steps: the last one is not kept for the next epoch.
    each = [0.1, 0.1, 0.1, 0.05]
    assert found == pytest.approx(each * 2)


def test_a_run_that_is_cut_short_has_the_rates_of_the_whole_one() -> None:
    phases = [Phase(1, "head"), Phase(3)]
    found = rates(*phases, scheduler=cosine, max_epochs=2)
    assert found == pytest.approx([*down(4), *down(12)[:4]])


def test_phases_have_schedules_of_their_own() -> None:
    found = rates(
        Phase(2, "head", scheduler=lambda optimizer: StepLR(optimizer, 1, gamma=0.5)),
        Phase(1, scheduler=lambda o: OneCycleLR(o, 0.3, total_steps=4)),
        Phase(1, lr_factor=0.5, warmup=0.5),
        scheduler=cosine,
    )
    assert found[:8] == pytest.approx([0.1] * 4 + [0.05] * 4)
    assert len(set(found[8:12])) == 4
    assert found[12:] == pytest.approx([0.05 / 3, 0.1 / 3, 0.05, 0.025])


def test_a_momentum_that_a_schedule_has_cycled_is_set_back() -> None:
    model = classifier(
        Phase(1, scheduler=lambda o: OneCycleLR(o, 0.3, total_steps=4)), Phase(1)
    )
    trainer = fit(model, max_epochs=2)
    assert {g["momentum"] for g in trainer.optimizers[0].param_groups} == {0.9}


def test_warm_up_without_a_schedule_rises_and_stays() -> None:
    found = rates(Phase(1, warmup=0.5), Phase(1), max_epochs=2)
    assert found == pytest.approx([0.1 / 3, 0.2 / 3, 0.1, 0.1] + [0.1] * 4)


def test_a_plateau_of_a_later_phase_watches_what_it_is_told() -> None:
    model = classifier(Phase(1), Phase(1, scheduler=ReduceLROnPlateau))
    trainer = fit(model, max_epochs=2)
    (config,) = trainer.lr_scheduler_configs
    assert (config.interval, config.monitor) == ("epoch", "val/loss")
    assert config.reduce_on_plateau
    assert config.scheduler.last_epoch == 1


def test_layer_decay_holds_in_each_phase() -> None:
    model = classifier(Phase(1, "head"), Phase(1, lr_factor=0.1), layer_decay=0.5)
    trainer = fit(model, max_epochs=2)
    found = {round(group["lr"], 9) for group in trainer.optimizers[0].param_groups}
    places = 6  # stem, four blocks, head
    assert found == {round(0.01 * 0.5**place, 9) for place in range(places)}
    assert float(trainer.callback_metrics["lr"]) == pytest.approx(0.01)  # the head's


@pytest.mark.parametrize("layer_decay", [0.0, -1.0, 1.5, math.nan])
def test_layer_decay_out_of_range_is_an_error(layer_decay: float) -> None:
    with pytest.raises(ConfigError, match=rf"layer_decay is {layer_decay}\. It is "):
        classifier(Phase(), layer_decay=layer_decay)


def test_a_mistake_in_the_last_phase_is_told_before_the_first() -> None:
    watch = Watch()
    model = classifier(
        Phase(1, "head"), Phase(1, warmup=0.1, scheduler=lambda o: StepLR(o, 1))
    )
    message = r"phases: warmup is 0\.1, but StepLR has no such setting"
    with pytest.raises(ConfigError, match=message):
        fit(model, watch)
    assert not watch.rates


# Going on


class KeepCheckpoint(Callback):
    """Saves each epoch as the recorder does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        trainer.save_checkpoint(self.folder / f"{trainer.current_epoch}.ckpt")


def differing(ours: ClothingClassifier, theirs: ClothingClassifier) -> set[str]:
    state = theirs.state_dict()
    return {k for k, v in ours.state_dict().items() if not v.equal(state[k])}


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_a_run_that_goes_on_from_any_epoch_ends_with_the_same_weights(
    epoch: int, tmp_path: Path
) -> None:
    def model() -> ClothingClassifier:
        return classifier(
            Phase(2, "head", scheduler=lambda o: StepLR(o, 1)),
            Phase(2, "last: 1/3", lr_factor=0.1),
            scheduler=cosine,
            layer_decay=0.8,
            mixup=0.3,
            drop_path_rate=0.2,
        )

    straight, resumed = model(), model()
    fit(straight, KeepCheckpoint(tmp_path))
    trainer = fit(resumed, resume=tmp_path / f"{epoch}.ckpt")
    assert trainer.current_epoch == 4
    assert not differing(resumed, straight)
    assert differing(resumed, model())


class AtABatch(Callback):
    """Saves a checkpoint within an epoch, or notes what trains in the first batch."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.trains: set[str] = set()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: Any, *args: Any
    ) -> None:
        if not self.file.exists():
            trainer.save_checkpoint(self.file)
        elif not self.trains:
            parameters = pl_module.network.named_parameters()
            self.trains = {name for name, p in parameters if p.requires_grad}


def test_a_run_that_goes_on_within_an_epoch_is_in_its_phase(tmp_path: Path) -> None:
    file = tmp_path / "within.ckpt"
    phases = [Phase(1, "head"), Phase(1)]
    fit(classifier(*phases), AtABatch(file), max_epochs=1)
    watch = AtABatch(file)
    fit(classifier(*phases), watch, resume=file, max_epochs=2)
    assert watch.trains == HEAD


# Several devices


@pytest.mark.parametrize(
    ("second", "looks_for_unused", "refused"),
    [("head", False, False), ("all", True, False), ("all", False, True)],
)
def test_devices_that_would_wait_for_each_other_are_an_error(
    second: str, looks_for_unused: bool, refused: bool, tmp_path: Path
) -> None:
    dist.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1
    )
    model = classifier(Phase(1, "head"), Phase(1, second))
    trainer = Mock(world_size=2)
    trainer.strategy.model = DistributedDataParallel(
        model, find_unused_parameters=looks_for_unused
    )
    model.trainer = trainer
    message = re.escape("Pass --trainer.strategy ddp_find_unused_parameters_true")
    expectation = (
        pytest.raises(ConfigError, match=message) if refused else nullcontext()
    )
    try:
        with expectation:
            model.on_fit_start()
    finally:
        dist.destroy_process_group()


def test_lightning_has_wrapped_the_network_when_phases_are_checked() -> None:
    class Watch(Callback):
        wrapped: Any = None

        def on_fit_start(self, trainer: L.Trainer, pl_module: Any) -> None:
            self.wrapped = trainer.strategy.model

    watch = Watch()
    strategy = "ddp_find_unused_parameters_true"
    fit(classifier(Phase(1)), watch, max_epochs=1, strategy=strategy)
    assert isinstance(watch.wrapped, DistributedDataParallel)
    assert watch.wrapped.find_unused_parameters
