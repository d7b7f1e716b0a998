import math
import socket
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    matthews_corrcoef,
    recall_score,
    top_k_accuracy_score,
)
from torch import Tensor
from torch.multiprocessing.spawn import spawn

from clothing_lightning.models.metrics import StageMetrics, WeightedLoss

CLASSES = 8
WEIGHT = torch.tensor([0.2, 1, 3, 0.5, 0, 2, 1, 1.5])


def answers(seed: int, size: int, present: int = CLASSES) -> tuple[Tensor, Tensor]:
    """Logits that are right more often than not, and labels of some of the classes."""
    rng = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, present, (size,), generator=rng)
    noise = torch.randn(size, CLASSES, generator=rng)
    return noise + 1.2 * F.one_hot(labels, CLASSES), labels


def count(metrics: StageMetrics, logits: Tensor, labels: Tensor) -> None:
    own = WEIGHT[: logits.shape[1]]
    losses = F.cross_entropy(logits, labels, own, reduction="none")
    weights = WEIGHT[labels]
    metrics.update(logits=logits, labels=labels, losses=losses, weights=weights)


def _parts(
    logits: Tensor, labels: Tensor, sizes: Sequence[int]
) -> list[tuple[Tensor, Tensor]]:
    parts = (torch.split(values, list(sizes)) for values in (logits, labels))
    return list(zip(*parts, strict=True))


def counted(logits: Tensor, labels: Tensor, sizes: list[int]) -> dict[str, float]:
    """Metrics of batches of the given sizes."""
    metrics = StageMetrics(CLASSES, "val")
    for some, their in _parts(logits, labels, sizes):
        count(metrics, some, their)
    return {key: float(value) for key, value in metrics.compute().items()}


def expected(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """The same by scikit-learn and by torch, over the whole set at once."""
    y, guesses, every = labels.numpy(), logits.argmax(1).numpy(), np.arange(CLASSES)
    macro = {"average": "macro", "zero_division": 0}
    scores = logits.numpy()
    return {
        "val/accuracy": accuracy_score(y, guesses),
        "val/top3": top_k_accuracy_score(y, scores, k=3, labels=every),
        "val/top5": top_k_accuracy_score(y, scores, k=5, labels=every),
        "val/macro_f1": f1_score(y, guesses, labels=np.unique(y), **macro),
        "val/macro_f1_all": f1_score(y, guesses, labels=every, **macro),
        "val/balanced_accuracy": recall_score(y, guesses, labels=np.unique(y), **macro),
        "val/mcc": matthews_corrcoef(y, guesses),
        "val/loss": float(F.cross_entropy(logits, labels, WEIGHT)),
        "val/loss_unweighted": float(F.cross_entropy(logits, labels)),
    }


@pytest.mark.parametrize("present", [CLASSES, 5, 2])
@pytest.mark.parametrize("seed", range(3))
def test_metrics_are_those_of_scikit_learn(seed: int, present: int) -> None:
    logits, labels = answers(seed, 201, present)
    given = counted(logits, labels, [201])
    assert given == pytest.approx(expected(logits, labels), abs=1e-6)
    if present < CLASSES:  # absent classes were predicted, or this shows nothing
        assert set(logits.argmax(1).tolist()) - set(labels.tolist())
        assert given["val/macro_f1_all"] < given["val/macro_f1"]


@pytest.mark.parametrize("sizes", [[67, 67, 67], [1, 100, 99, 1], [1] * 201])
def test_sizes_of_the_batches_do_not_matter(sizes: list[int]) -> None:
    logits, labels = answers(3, 201, 6)
    assert counted(logits, labels, sizes) == pytest.approx(
        expected(logits, labels), abs=1e-6
    )


def test_first_batch_does_not_decide_what_is_counted() -> None:
    # All right in the first batch: accuracy, top-3 and top-5 are alike so far.
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    logits = 5.0 * F.one_hot(torch.tensor([0, 1, 2, 1, 0, 0]), CLASSES)
    logits += torch.linspace(1, 0, CLASSES)
    given = counted(logits, labels, [3, 3])
    assert given["val/accuracy"] == 0.5
    assert given["val/top3"] == given["val/top5"] == 1


def test_top_k_is_left_out_where_k_reaches_the_number_of_classes() -> None:
    names = {}
    for n in (3, 4, 5, 6):
        metrics = StageMetrics(n, "test")
        count(metrics, torch.zeros(1, n), torch.zeros(1, dtype=torch.long))
        names[n] = metrics.compute().keys()
    assert {n: "test/top3" in names[n] for n in names} == {
        3: False,
        4: True,
        5: True,
        6: True,
    }
    assert {n for n in names if "test/top5" in names[n]} == {6}


def test_of_equal_logits_the_first_class_ranks_first() -> None:
    given = counted(torch.zeros(8, 8), torch.arange(8), [8])
    assert (given["val/top3"], given["val/top5"]) == (3 / 8, 5 / 8)


def test_logits_that_are_no_numbers_are_not_right() -> None:
    given = counted(torch.full((8, 8), math.nan), torch.arange(8), [8])
    assert given["val/top3"] == given["val/top5"] == 0
    assert given["val/accuracy"] <= 1 / 8
    assert math.isnan(given["val/loss_unweighted"])


def test_reset_starts_from_zero() -> None:
    metrics = StageMetrics(CLASSES, "val")
    count(metrics, *answers(0, 50))
    metrics.compute()
    metrics.reset()
    logits, labels = answers(1, 40)
    count(metrics, logits, labels)
    given = {key: float(value) for key, value in metrics.compute().items()}
    assert given == pytest.approx(expected(logits, labels), abs=1e-6)


def test_weighted_loss_is_the_sum_over_the_sum_of_weights() -> None:
    loss = WeightedLoss()
    loss.update(torch.tensor(3.0), torch.tensor(2.0))
    loss.update(torch.tensor(9.0), torch.tensor(1.0))
    assert float(loss.compute()) == 4  # the mean of the batches would be 5.25


def test_weighted_loss_stays_exact_over_many_batches() -> None:
    rng = torch.Generator().manual_seed(0)
    totals, weights = torch.rand(2, 3000, generator=rng) * 50
    loss = WeightedLoss()
    for total, weight in zip(totals, weights, strict=True):
        loss.update(total, weight)
    exact = float(totals.double().sum() / weights.double().sum())
    assert float(loss.compute()) == pytest.approx(exact, rel=1e-5)


def test_weighted_loss_keeps_no_graph() -> None:
    loss = WeightedLoss()
    loss.update(torch.ones((), requires_grad=True) * 2, torch.tensor(1.0))
    assert not loss.compute().requires_grad


def test_loss_without_weights_is_not_a_number() -> None:
    loss = WeightedLoss()
    loss.update(torch.tensor(0.0), torch.tensor(0.0))
    assert math.isnan(float(loss.compute()))


def test_metrics_are_not_part_of_checkpoints() -> None:
    metrics = StageMetrics(CLASSES, "val")
    count(metrics, *answers(0, 50))
    assert not metrics.state_dict()


def _device(rank: int, port: int, sizes: tuple[int, int], folder: str) -> None:
    """Count this device's share of the images, and store what it computes."""
    torch.set_num_threads(1)
    address = f"tcp://127.0.0.1:{port}"
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    logits, labels = _parts(*answers(4, sum(sizes), 6), sizes)[rank]
    given = counted(logits, labels, _batches(sizes[rank]))
    torch.save(given, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


def _batches(size: int) -> list[int]:
    return [min(32, size - start) for start in range(0, size, 32)]


@pytest.mark.slow
def test_two_devices_give_what_one_gives(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sizes = (90, 41)  # neither evenly many images nor batches
    spawn(_device, (port, sizes, str(tmp_path)), nprocs=2)  # type: ignore[no-untyped-call]
    one = expected(*answers(4, sum(sizes), 6))
    for rank in range(2):
        assert torch.load(tmp_path / f"{rank}.pt") == pytest.approx(one, abs=1e-6)
