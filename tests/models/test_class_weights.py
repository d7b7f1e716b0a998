import math

import pytest
import torch

from clothing_lightning.errors import ConfigError
from clothing_lightning.models.losses import ClassWeights, class_weights

NAMES = ["Dress", "Hat", "Shoes"]


def test_none_weighs_all_classes_alike() -> None:
    assert class_weights("none", [5, 3, 1], NAMES).tolist() == [1, 1, 1]


def test_balanced_weights_are_those_computed_by_hand() -> None:
    # 12 images in 3 classes: 12 / (3 * n)
    assert class_weights("balanced", [8, 2, 2], NAMES).tolist() == [0.5, 2, 2]


def test_effective_weights_are_those_computed_by_hand() -> None:
    counts = [800, 150, 50]
    raw = [(1 - 0.999) / (1 - 0.999**n) for n in counts]
    scale = sum(counts) / sum(w * n for w, n in zip(raw, counts, strict=True))
    expected = torch.tensor([w * scale for w in raw])
    torch.testing.assert_close(class_weights("effective", counts, NAMES), expected)


@pytest.mark.parametrize("choice", ["balanced", "effective"])
@pytest.mark.parametrize("counts", [[1011, 120, 23], [7, 0, 2], [0, 0, 4], [1, 1, 1]])
def test_training_images_weigh_one_on_average(
    choice: ClassWeights, counts: list[int]
) -> None:
    weights = class_weights(choice, counts, NAMES).double()
    n = torch.tensor(counts)
    assert float((weights * n).sum() / n.sum()) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("none", [1, 0, 1]),
        ("balanced", [0.625, 0, 2.5]),  # 10 images in the 2 classes that have any
        ({"Hat": 3.0, "Shoes": 2.0}, [1, 0, 2]),
    ],
)
def test_class_without_training_images_has_weight_zero(
    choice: ClassWeights, expected: list[float]
) -> None:
    weights = class_weights(choice, [8, 0, 2], NAMES)
    assert weights.dtype == torch.float32
    assert weights.tolist() == expected


def test_absent_class_does_not_spoil_the_effective_weights() -> None:
    weights = class_weights("effective", [8, 0, 2], NAMES)
    assert weights.isfinite().all()
    assert weights[1] == 0
    two = class_weights("effective", [8, 2], ["Dress", "Shoes"])
    torch.testing.assert_close(weights[[0, 2]], two)


def test_given_weights_are_taken_by_name() -> None:
    given: ClassWeights = {"Shoes": 2.5, "Dress": 0.0}
    assert class_weights(given, [5, 3, 1], NAMES).tolist() == [0, 1, 2.5]


def test_unknown_class_is_an_error() -> None:
    with pytest.raises(
        ConfigError, match=r"'Shoe' is not a class\. .*Dress, Hat, Shoes"
    ):
        class_weights({"Shoe": 2.0}, [5, 3, 1], NAMES)


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_impossible_weight_is_an_error(weight: float) -> None:
    with pytest.raises(ConfigError, match=f"'Hat' has the weight {weight}. The least"):
        class_weights({"Hat": weight}, [5, 3, 1], NAMES)
