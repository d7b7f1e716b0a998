import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import sigmoid_focal_loss

from clothing_lightning.errors import ConfigError
from clothing_lightning.models.losses import ImageLoss, image_weights, main_labels

WEIGHT = torch.tensor([0.5, 2.0, 0.0, 1.0])


def sample(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, labels, and shares of two classes each."""
    chance = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(8, 4, generator=chance)
    labels = torch.randint(0, 4, (8,), generator=chance)
    whole = F.one_hot(labels, 4).float()
    return logits, labels, 0.7 * whole + 0.3 * whole.roll(1, 0)


@pytest.mark.parametrize("name", ["cross_entropy", "focal"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_label_is_a_share_of_one(name: Any, smoothing: float) -> None:
    logits, labels, _ = sample()
    loss = ImageLoss(name, label_smoothing=smoothing)
    whole = F.one_hot(labels, 4).float()
    torch.testing.assert_close(
        loss(logits, labels, WEIGHT), loss(logits, whole, WEIGHT)
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("mixed", [False, True])
def test_focal_loss_of_gamma_0_is_the_cross_entropy(
    mixed: bool, smoothing: float
) -> None:
    logits, labels, shares = sample()
    targets = shares if mixed else labels
    expected = F.cross_entropy(
        logits, targets, WEIGHT, reduction="none", label_smoothing=smoothing
    )
    found = ImageLoss("focal", 0.0, smoothing)(logits, targets, WEIGHT)
    torch.testing.assert_close(found, expected)


def test_focal_loss_of_two_classes_is_the_binary_one_of_torchvision() -> None:
    chance = torch.Generator().manual_seed(0)
    logit = torch.randn(6, generator=chance)
    labels = torch.tensor([0, 1, 1, 0, 1, 0])
    expected = sigmoid_focal_loss(logit, labels.float(), alpha=-1, gamma=2)
    logits = torch.stack([torch.zeros(6), logit], dim=1)
    found = ImageLoss("focal", 2.0)(logits, labels, torch.ones(2))
    torch.testing.assert_close(found, expected)


def test_loss_of_mixed_images_is_mixed_from_those_of_their_classes() -> None:
    logits, labels, shares = sample()
    for loss in (ImageLoss(), ImageLoss("focal", 1.5)):
        one, other = (
            loss(logits, some, WEIGHT) for some in (labels, labels.roll(1, 0))
        )
        expected = 0.7 * one + 0.3 * other
        torch.testing.assert_close(loss(logits, shares, WEIGHT), expected)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_gradients_of_certain_predictions_are_numbers(gamma: float) -> None:
    logits = torch.tensor([[200.0, 0.0], [0.0, 200.0]], requires_grad=True)
    labels = torch.tensor([0, 0])
    torch.autograd.backward(
        ImageLoss("focal", gamma)(logits, labels, torch.ones(2)).sum()
    )
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_weights_of_images_are_those_of_their_classes() -> None:
    _, labels, shares = sample()
    whole, other = WEIGHT[labels], WEIGHT[labels.roll(1, 0)]
    torch.testing.assert_close(image_weights(labels, WEIGHT), whole)
    mixed = image_weights(shares, WEIGHT)
    torch.testing.assert_close(mixed, 0.7 * whole + 0.3 * other)


def test_label_of_a_mixed_image_is_that_of_the_larger_share() -> None:
    _, labels, shares = sample()
    assert main_labels(labels).equal(labels)
    assert main_labels(shares).equal(labels)


@pytest.mark.parametrize("gamma", [-1.0, math.inf, math.nan])
def test_gamma_out_of_range_is_an_error(gamma: float) -> None:
    with pytest.raises(ConfigError, match=rf"focal_gamma is {gamma}\. The least is 0"):
        ImageLoss("focal", gamma)
