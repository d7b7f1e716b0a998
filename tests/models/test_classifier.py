import math
import warnings
from collections.abc import Iterator
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.cli import ReduceLROnPlateau
from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import OneCycleLR, StepLR
from torch.utils.data import DataLoader

from clothing_lightning.data.dataset import Batch
from clothing_lightning.data.options import Preprocessing
from clothing_lightning.errors import ConfigError
from clothing_lightning.models.classifier import ClothingClassifier
from clothing_lightning.models.schedules import WarmupCosine

NAMES = ["Dress", "Hat", "Shoes", "Skirt"]
COUNTS = [40, 10, 5, 20]


def classifier(backbone: str = "test_resnet", **options: Any) -> ClothingClassifier:
    torch.manual_seed(0)
    settings: dict[str, Any] = {"class_names": NAMES, "train_counts": COUNTS}
    settings |= options
    return ClothingClassifier(backbone, "none", **settings)


def batch(seed: int = 0, size: int = 6, pixels: int = 32) -> Batch:
    rng = torch.Generator().manual_seed(seed)
    images = torch.randn(size, 3, pixels, pixels, generator=rng)
    labels = torch.randint(0, len(NAMES), (size,), generator=rng)
    return Batch(images, labels, torch.arange(size))


def loader(batches: int, first_seed: int = 0) -> DataLoader[Any]:
    """Batches of different sizes."""
    made: Any = [batch(first_seed + i, 6 - i % 3) for i in range(batches)]
    return DataLoader(made, batch_size=None)


def fit(model: ClothingClassifier, *callbacks: Callback, **options: Any) -> L.Trainer:
    trainer = L.Trainer(
        accelerator="cpu",
        logger=False,
        callbacks=list(callbacks),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **{"max_epochs": 1} | options,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(model, loader(4), loader(3, first_seed=100))
    return trainer


@pytest.fixture(autouse=True)
def _no_trainer_is_fine() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are trying to `self.log\\(\\)`")
        yield


def sgd(parameters: Any) -> Optimizer:
    return SGD(parameters, lr=0.1, weight_decay=0.01)


# The loss


@pytest.mark.parametrize("class_weights", ["none", "balanced", "effective"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_training_loss_is_that_of_torch(class_weights: str, smoothing: float) -> None:
    model = classifier(class_weights=class_weights, label_smoothing=smoothing)
    images, labels, _ = batch()
    loss = nn.CrossEntropyLoss(model.class_weights, label_smoothing=smoothing)
    model.eval()  # else batch norm's statistics move between the two passes
    expected = loss(model(images), labels)
    torch.testing.assert_close(model.training_step(batch(), 0), expected)


def test_labels_are_smoothed_in_training_alone() -> None:
    model = classifier(class_weights="balanced", label_smoothing=0.3).eval()
    images, labels, _ = batch()
    model.validation_step(batch(), 0)
    model.test_step(batch(), 0)
    plain = nn.CrossEntropyLoss(model.class_weights)(model(images), labels).detach()
    for metrics in (model.val_metrics, model.test_metrics):
        torch.testing.assert_close(metrics.loss.compute(), plain)
    assert model.training_step(batch(), 0).detach() != plain


def test_batch_of_weight_zero_does_not_spoil_the_training() -> None:
    model = classifier(class_weights={"Hat": 0.0})
    hats = batch()._replace(labels=torch.ones(6, dtype=torch.long))
    loss = model.training_step(hats, 0)
    torch.autograd.backward(loss)
    assert loss == 0
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_evaluation_returns_probabilities_and_indices() -> None:
    model = classifier().eval()
    with torch.no_grad():
        given = model.test_step(batch()._replace(indices=torch.arange(10, 16)), 0)
    assert given["probabilities"].shape == (6, len(NAMES))
    torch.testing.assert_close(given["probabilities"].sum(1), torch.ones(6))
    assert given["indices"].tolist() == list(range(10, 16))


def test_training_alone_has_the_focal_loss() -> None:
    model = classifier(loss="focal", class_weights="balanced").eval()
    images, labels, _ = batch()
    logits = model(images).detach()
    model.validation_step(batch(), 0)
    plain = nn.CrossEntropyLoss(model.class_weights)(logits, labels)
    torch.testing.assert_close(model.val_metrics.loss.compute(), plain)
    p = logits.softmax(1)[range(len(labels)), labels]
    weights = model.class_weights[labels]
    expected = -(weights * (1 - p) ** 2 * p.log()).sum() / weights.sum()
    torch.testing.assert_close(model.training_step(batch(), 0).detach(), expected)


@pytest.mark.parametrize("option", ["mixup", "cutmix"])
def test_loss_of_a_mixed_batch_is_weighted_by_shares(option: str) -> None:
    options: dict[str, Any] = {option: 1.0}
    model = classifier(class_weights="balanced", **options).eval()
    torch.manual_seed(1)
    loss = model.training_step(batch(), 0).detach()
    torch.manual_seed(1)
    images, shares = model.mixing(*batch()[:2])
    log_p = model(images).log_softmax(1).detach()
    weights = shares * model.class_weights
    torch.testing.assert_close(loss, -(weights * log_p).sum() / weights.sum())
    torch.testing.assert_close(model.train_metrics.loss.compute(), loss)
    right = (log_p.argmax(1) == shares.argmax(1)).float().mean()
    scores = model.train_metrics.compute()
    torch.testing.assert_close(scores["train/accuracy"], right)


def test_no_image_is_mixed_in_a_test() -> None:
    model = classifier(mixup=1.0, cutmix=1.0).eval()
    expected = model(batch().images).softmax(1).detach()
    for step in (model.validation_step, model.test_step):
        assert step(batch(), 0)["probabilities"].detach().equal(expected)


def test_mixing_repeats_with_seed_and_epoch() -> None:
    states = []
    for start in (0, 1):
        model = classifier(mixup=0.4, cutmix=1.0, optimizer=sgd)
        torch.manual_seed(start)  # whatever came before
        fit(model, max_epochs=2)
        states.append(model.network.state_dict())
    assert all(value.equal(states[1][name]) for name, value in states[0].items())


def test_gray_images_have_one_channel() -> None:
    model = classifier(in_chans=1).eval()
    assert model(torch.randn(2, 1, 32, 32)).shape == (2, len(NAMES))


def test_network_is_built_for_the_size_of_the_images() -> None:
    model = classifier("test_vit", image_size=96).eval()
    assert model(torch.randn(2, 3, 96, 96)).shape == (2, len(NAMES))


# What trains


def moved(model: ClothingClassifier, steps: int = 1) -> set[str]:
    """Names of what the first optimizer steps have changed."""
    before = {k: v.clone() for k, v in model.network.state_dict().items()}
    fit(model, max_steps=steps)
    after = model.network.state_dict()
    return {key for key in before if not before[key].equal(after[key])}


@pytest.mark.parametrize(
    ("backbone", "head"),
    [
        ("test_resnet", {"fc.weight", "fc.bias"}),
        ("test_efficientnet", {"classifier.weight", "classifier.bias"}),
    ],
)
def test_frozen_backbone_trains_the_head_alone(backbone: str, head: set[str]) -> None:
    model = classifier(backbone, freeze_backbone=True, optimizer=sgd)
    assert moved(model) == head  # nor do batch norms count


def test_frozen_backbone_with_two_heads_trains_both() -> None:
    model = classifier("deit_tiny_distilled_patch16_224", freeze_backbone=True)
    trained = {n.split(".")[1] for n, p in model.named_parameters() if p.requires_grad}
    assert trained == {"head", "head_dist"}


def test_frozen_backbone_stays_in_eval_after_validation() -> None:
    model = classifier(freeze_backbone=True, drop_path_rate=0.2)
    assert model.training
    fit(model)
    model.train()
    assert not any(module.training for module in model.network.modules())


def test_all_layers_train_if_none_is_frozen() -> None:
    model = classifier(optimizer=sgd)
    # Two steps: timm starts the last norm of each block at 0, behind which no gradient
    # gets in the first.
    still = set(model.network.state_dict()) - moved(model, steps=2)
    assert not still


def test_biases_and_norms_do_not_decay() -> None:
    optimizer = classifier().configure_optimizers()
    decaying, plain = optimizer.param_groups
    assert decaying["weight_decay"] == 0.02
    assert plain["weight_decay"] == 0
    assert {p.ndim for p in decaying["params"]} == {2, 4}
    assert {p.ndim for p in plain["params"]} == {1}
    sizes = [len(group["params"]) for group in optimizer.param_groups]
    assert sum(sizes) == len(list(classifier().parameters()))


def test_optimizer_of_a_frozen_network_has_the_head_alone() -> None:
    optimizer = classifier(freeze_backbone=True).configure_optimizers()
    shapes = [[list(p.shape) for p in g["params"]] for g in optimizer.param_groups]
    assert [len(shape) for shape in shapes] == [1, 1]
    assert shapes[0][0][0] == shapes[1][0][0] == len(NAMES)


@pytest.mark.parametrize("option", ["label_smoothing", "drop_rate", "drop_path_rate"])
@pytest.mark.parametrize("value", [-0.1, 1.0, math.nan])
def test_rate_out_of_range_is_an_error(option: str, value: float) -> None:
    options: dict[str, Any] = {option: value}
    with pytest.raises(ConfigError, match=rf"init_args\.{option} is {value}\. "):
        classifier(**options)


# Memory format


def innermost(tensor: Tensor) -> bool:
    return tensor.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("channels_last", [True, False])
def test_filters_and_activations_have_the_memory_format(channels_last: bool) -> None:
    model = classifier(channels_last=channels_last)
    seen: list[bool] = []
    for module in model.network.modules():
        # Of 1 x 1 filters and a single pixel, both formats are the same.
        if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1):
            assert module.in_channels == 1 or innermost(module.weight) == channels_last
            module.register_forward_hook(lambda *args: seen.append(innermost(args[2])))
    photos = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    images = Preprocessing().normalise(photos)
    assert innermost(images)
    model(images if channels_last else images.contiguous())
    assert len(seen) > 3
    assert all(last == channels_last for last in seen)


# Metrics


class WhatSanityLeaves(Callback):
    """Looks at what the sanity check has left behind."""

    def __init__(self) -> None:
        self.left: list[bool] = []

    def on_sanity_check_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule
    ) -> None:
        assert isinstance(pl_module, ClothingClassifier)
        metrics = pl_module.val_metrics
        self.left.append(bool(trainer.callback_metrics) or bool(metrics.loss.weight))


def test_batches_of_the_sanity_check_are_not_counted() -> None:
    watch = WhatSanityLeaves()
    model = classifier(class_weights="balanced", optimizer=sgd)
    trainer = fit(model, watch, num_sanity_val_steps=2)
    assert watch.left == [False]
    model.eval()
    batches = list(loader(3, first_seed=100))
    labels = torch.cat([some.labels for some in batches])
    with torch.no_grad():
        logits = torch.cat([model(some.images) for some in batches])
    logged = trainer.callback_metrics
    right = (logits.argmax(1) == labels).float().mean()
    torch.testing.assert_close(logged["val/accuracy"], right)
    for name, loss in (
        ("val/loss", nn.CrossEntropyLoss(model.class_weights)),
        ("val/loss_unweighted", nn.CrossEntropyLoss()),
    ):
        torch.testing.assert_close(logged[name], loss(logits, labels))


def test_every_stage_logs_the_metrics_of_the_contract() -> None:
    model = classifier(class_names=list("abcdef"), train_counts=[1] * 6)
    trainer = fit(model)
    names = ["loss", "loss_unweighted", "accuracy", "top3", "top5"]
    names += ["macro_f1", "macro_f1_all", "balanced_accuracy", "mcc"]
    expected = {f"{stage}/{name}" for stage in ("train", "val") for name in names}
    assert set(trainer.callback_metrics) == expected | {"train/loss_step", "lr"}
    (tested,) = trainer.test(model, loader(2), verbose=False)
    assert set(tested) == {f"test/{name}" for name in names}


class Seeds(Callback):
    """Notes what rng has come to after the first batch of each epoch."""

    def __init__(self) -> None:
        self.first: list[float] = []

    def on_train_batch_end(self, *args: Any) -> None:
        if args[-1] == 0:
            state = torch.get_rng_state()
            self.first.append(float(torch.rand(())))
            torch.set_rng_state(state)


def test_chance_is_a_function_of_seed_and_epoch() -> None:
    runs: list[list[float]] = []
    for seed in (0, 0, 1):
        watch = Seeds()
        torch.manual_seed(len(runs))  # whatever came before
        fit(classifier(seed=seed), watch, max_epochs=2)
        runs.append(watch.first)
    assert runs[0] == runs[1]
    assert len({*runs[0], *runs[2]}) == 4


# Schedules


class Rates(Callback):
    """Notes the learning rate of every batch."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, *args: Any
    ) -> None:
        self.seen.append(trainer.optimizers[0].param_groups[0]["lr"])


def rates(scheduler: Any, **options: Any) -> list[float]:
    watch = Rates()
    fit(classifier(optimizer=sgd, scheduler=scheduler), watch, max_epochs=2, **options)
    return watch.seen


def test_cosine_steps_each_batch_and_ends_with_the_run() -> None:
    found = rates(lambda optimizer: WarmupCosine(optimizer, warmup=0.0))
    expected = [0.05 * (1 + math.cos(math.pi * step / 8)) for step in range(8)]
    assert found == pytest.approx(expected)


def test_cosine_counts_optimizer_steps_and_not_batches() -> None:
    found = rates(
        lambda optimizer: WarmupCosine(optimizer, warmup=0.0), accumulate_grad_batches=2
    )
    steps = [0.05 * (1 + math.cos(math.pi * step / 4)) for step in range(4)]
    assert found == pytest.approx([rate for rate in steps for _ in range(2)])


def test_cosine_begins_low() -> None:
    found = rates(lambda optimizer: WarmupCosine(optimizer, warmup=0.25))
    assert found[:3] == pytest.approx([0.1 / 3, 0.2 / 3, 0.1])


def test_one_cycle_steps_each_batch() -> None:
    found = rates(lambda optimizer: OneCycleLR(optimizer, 0.1, total_steps=8))
    assert len(set(found)) == 8


def test_other_schedules_step_each_epoch() -> None:
    found = rates(lambda optimizer: StepLR(optimizer, 1, gamma=0.5))
    assert found == pytest.approx([0.1] * 4 + [0.05] * 4)


@pytest.mark.parametrize("monitor", ["val/loss", "val/accuracy"])
def test_plateau_watches_what_it_is_told(monitor: str) -> None:
    model = classifier(
        optimizer=sgd, scheduler=lambda optimizer: ReduceLROnPlateau(optimizer, monitor)
    )
    trainer = fit(model, max_epochs=2)
    (config,) = trainer.lr_scheduler_configs
    assert (config.interval, config.monitor) == ("epoch", monitor)


def test_cosine_without_an_end_is_an_error() -> None:
    model = classifier(scheduler=WarmupCosine)
    with pytest.raises(ConfigError, match=r"trainer\.max_epochs is -1"):
        fit(model, max_epochs=-1)
