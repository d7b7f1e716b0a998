from pathlib import Path
from typing import Any

import pytest
import torch

from clothing_lightning.data.options import Preprocessing
from clothing_lightning.errors import WeightsError
from clothing_lightning.inference.checkpoint import read_checkpoint
from clothing_lightning.models.backbones import create_backbone
from clothing_lightning.models.classifier import ClothingClassifier
from clothing_lightning.models.description import KEY, NetworkDescription
from clothing_lightning.models.pruned_weights import find_pruned_weights

NAMES = ["Dress", "Hat", "Shoes"]
LAST = ("layer4.0.bn2", "layer4.0.downsample.2")
SHAPES = {
    "layer4.0.conv2.weight": [48, 96, 3, 3],
    "layer4.0.downsample.1.weight": [48, 192, 1, 1],
    **{f"{norm}.{name}": [48] for norm in LAST for name in ("weight", "bias")},
    **{f"{norm}.running_{name}": [48] for norm in LAST for name in ("mean", "var")},
    "fc.weight": [3, 48],
}
"""Half of the channels of the last block are gone."""


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    state = create_backbone("test_resnet", "none", 3).state_dict()
    for name, shape in SHAPES.items():
        state[name] = torch.randn(shape).abs()
    network = {f"network.{name}": value for name, value in state.items()}
    about = NetworkDescription("test_resnet", NAMES, Preprocessing(32), shapes=SHAPES)
    file = tmp_path / "pruned.ckpt"
    torch.save({"state_dict": network, KEY: about.to_values()}, file)
    return file


def classifier(
    weights: Path, names: list[str] = NAMES, **options: Any
) -> ClothingClassifier:
    counts = [10] * len(names)
    settings = {"class_names": names, "train_counts": counts, **options}
    return ClothingClassifier("test_resnet", str(weights), **settings)


def test_a_training_begins_from_a_pruned_network(checkpoint: Path) -> None:
    model = classifier(checkpoint).eval()
    assert model.shapes == SHAPES
    expected = read_checkpoint(checkpoint, device="cpu").network
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(model(images), expected(images))
    assert all(parameter.requires_grad for parameter in model.network.parameters())


def test_other_classes_get_a_new_head(checkpoint: Path) -> None:
    model = classifier(checkpoint, ["Coat", "Dress"]).eval()
    assert model.shapes == SHAPES | {"fc.weight": [2, 48]}
    assert model(torch.randn(1, 3, 32, 32)).shape == (1, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "test_efficientnet"}, "is a pruned 'test_efficientnet', not 'te"),
        ({"shapes": {"fc.weight": [3, 64]}}, "does not fit .shapes do not fit each"),
        (
            {"shapes": {"fc.bias": [9]}},
            "does not fit .fc.bias is .9., which is no part",
        ),
        ({"shapes": SHAPES | {"fc.bias": [2]}}, "does not fit .shapes do n"),
    ],
)
def test_what_does_not_fit_is_refused(
    changes: dict[str, Any], message: str, checkpoint: Path
) -> None:
    content = torch.load(checkpoint, weights_only=True)
    content[KEY] |= changes
    torch.save(content, checkpoint)
    with pytest.raises(WeightsError, match=message):
        classifier(checkpoint)


def test_a_missing_parameter_is_named(checkpoint: Path) -> None:
    content = torch.load(checkpoint, weights_only=True)
    del content["state_dict"]["network.conv1.0.weight"]
    torch.save(content, checkpoint)
    with pytest.raises(WeightsError, match=r"conv1.0.weight is missing or left over"):
        classifier(checkpoint)


def test_other_weights_are_no_pruned_ones(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.ckpt").write_bytes(b"no checkpoint")
    for weights in ("none", "hub", "missing.ckpt", f"{tmp_path}/bad.ckpt"):
        assert find_pruned_weights(weights) is None
    assert find_pruned_weights(str(checkpoint)) is not None
