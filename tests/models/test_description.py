"""What a checkpoint says of its network, written by real trainings and by others."""

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

from clothing_lightning.data.options import Preprocessing
from clothing_lightning.metrics.selective import Calibration
from clothing_lightning.models.description import KEY, NetworkDescription
from clothing_lightning.training.averaging import WarmEMA
from tests.models.test_classifier import NAMES, classifier, loader

ABOUT = NetworkDescription("test_resnet", ["Dress", "Hat"], Preprocessing(32))
VALUES = ABOUT.to_values()


def trained(folder: Path, *callbacks: Any, resume: Path | None = None) -> L.Trainer:
    trainer = L.Trainer(
        accelerator="cpu",
        logger=False,
        callbacks=list(callbacks),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        max_epochs=2 if resume else 1,
        default_root_dir=folder,
    )
    model = classifier(class_weights="balanced", image_size=64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(model, loader(3), loader(1), ckpt_path=resume, weights_only=True)
    return trainer


def test_plain_values_come_back() -> None:
    assert NetworkDescription.from_values(VALUES) == ABOUT
    assert NetworkDescription.from_values(VALUES | {"later": object()}) == ABOUT
    calibrated = replace(ABOUT, calibration=Calibration(2.0, 3, ((0.0, 3, 1),)))
    values = json.loads(calibrated.to_json())
    assert NetworkDescription.from_values(values) == calibrated
    assert (ABOUT.temperature, calibrated.temperature) == (1.0, 2.0)


def test_values_of_older_versions_have_no_calibration() -> None:
    older = {key: value for key, value in VALUES.items() if key != "calibration"}
    assert NetworkDescription.from_values(older) == ABOUT


def test_shapes_need_a_newer_version_and_older_files_have_none() -> None:
    assert VALUES["format_version"] == 1
    older = {key: value for key, value in VALUES.items() if key != "shapes"}
    assert NetworkDescription.from_values(older) == ABOUT
    pruned = replace(ABOUT, shapes={"fc.weight": [2, 8]})
    values = json.loads(pruned.to_json())
    assert values["format_version"] == 2
    assert NetworkDescription.from_values(values) == pruned


@pytest.mark.parametrize("averaged", [False, True])
def test_a_checkpoint_describes_its_network(averaged: bool, tmp_path: Path) -> None:
    file = tmp_path / "last.ckpt"
    trainer = trained(tmp_path, *([WarmEMA()] if averaged else []))
    trainer.save_checkpoint(file)
    values = torch.load(file, weights_only=True)[KEY]
    about = NetworkDescription.from_values(values)
    assert about.backbone == "test_resnet"
    assert about.class_names == NAMES
    assert about.image_size == about.preprocessing.image_size == 64
    assert (about.precision, about.run_id, about.in_chans) == ("32-true", "", None)


@pytest.mark.parametrize("averaged", [False, True])
def test_a_checkpoint_from_before_0_2_goes_on(averaged: bool, tmp_path: Path) -> None:
    file = tmp_path / "last.ckpt"
    callbacks = [WarmEMA()] if averaged else []
    trained(tmp_path, *callbacks).save_checkpoint(file)
    content = torch.load(file, weights_only=True)
    assert averaged == ("current_model_state" in content)
    for key in ("state_dict", "current_model_state"):
        if key in content:
            content[key]["weight"] = content[key].pop("class_weights") * 2
    del content[KEY]
    torch.save(content, file)
    callbacks = [WarmEMA()] if averaged else []
    model: Any = trained(tmp_path, *callbacks, resume=file).lightning_module
    expected = 2 * classifier(class_weights="balanced").class_weights
    torch.testing.assert_close(model.class_weights, expected)
    assert "weight" not in model.state_dict()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 3}, "it has format 3, of version .*pip install --upgrade"),
        ({"format_version": "1"}, "format_version is a str"),
        ({"backbone": None}, "backbone is a NoneType"),
        ({"class_names": []}, "class_names are not 1 to"),
        ({"class_names": ["Hat", 3]}, "class_names are not 1 to"),
        ({"class_names": {"Hat": 1}}, "class_names is a dict"),
        ({"in_chans": 10**9}, "in_chans is 1000000000, not 1 or 3"),
        ({"image_size": 10**30}, "image_size is 1000000000.*, not from 1 to 4096"),
        ({"preprocessing": [1]}, "preprocessing is a list"),
        ({"shapes": [1]}, "shapes is a list"),
        ({"shapes": {"a": 3}}, "shapes are not lists of numbers by names"),
        ({"shapes": {3: [1]}}, "shapes are not lists of numbers by names"),
        ({"shapes": {"a": [True]}}, "shapes of 'a' are not whole numbers"),
        ({"preprocessing": {}}, "image_size is missing"),
        ({"calibration": [1.0]}, "calibration is a list"),
        ({"calibration": {}}, "calibration: the curve has not"),
    ],
)
def test_values_of_others_are_checked(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NetworkDescription.from_values(VALUES | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 0}, "preprocessing.image_size is 0"),
        ({"image_size": 10**9}, "preprocessing.image_size is 1000000000"),
        ({"mean": "abc"}, "mean is a str"),
        ({"mean": [0.5] * 2}, "mean has 2 values"),
        ({"std": [0.0] * 3}, "preprocessing.std is 0.0"),
        ({"std": [float("nan")] * 3}, "preprocessing.std is nan"),
        ({"crop_pct": 10**400}, "preprocessing.crop_pct is 1000"),
        ({"crop_pct": "1"}, "crop_pct is a str"),
        ({"crop_pct": 0.001}, "image_size / crop_pct is "),
    ],
)
def test_preprocessing_of_others_is_checked(
    changes: dict[str, Any], message: str
) -> None:
    values = VALUES | {"preprocessing": VALUES["preprocessing"] | changes}
    with pytest.raises(ValueError, match=message):
        NetworkDescription.from_values(values)


def test_something_else_is_no_description() -> None:
    with pytest.raises(ValueError, match="a list stands in place of named values"):
        NetworkDescription.from_values([1])
