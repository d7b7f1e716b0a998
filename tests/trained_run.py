"""A tiny run that is trained once for all tests."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from clothing_lightning import fit
from clothing_lightning.models.description import ARTIFACT, KEY
from clothing_lightning.tracking.read import StoredRun, find_run
from clothing_lightning.tracking.store import client

COLOURS = {"Dress": (200, 40, 40), "Hat": (40, 180, 40), "Shirt": (50, 60, 210)}
EACH = 20


@dataclass(frozen=True)
class Trained:
    """A run and its photos.

    Attributes:
        run: As it is read back.
        photos: The data set's root, with a folder for each class.
        artifacts: The folder of the run's artifacts.
        experiment: The YAML file.
    """

    run: StoredRun
    photos: Path
    artifacts: Path
    experiment: Path

    @property
    def best(self) -> Path:
        return self.artifacts / "checkpoints" / "best.ckpt"

    def photo(self, label: str = "Hat", number: int = 0) -> str:
        return str(self.photos / label / f"{number:03}.jpg")

    def stored(self, stage: str = "test") -> pd.DataFrame:
        return pd.read_parquet(self.artifacts / "predictions" / f"{stage}.parquet")


@contextmanager
def store_as_before_0_2(trained: Trained) -> Iterator[None]:
    """Store the run as versions before 0.2 have done: nothing describes its network."""
    description, best = trained.artifacts / ARTIFACT, trained.best
    text, whole = description.read_text(), best.read_bytes()
    content = torch.load(best, weights_only=True)
    state = content["state_dict"]
    state["weight"] = state.pop("class_weights")
    del content[KEY]
    description.unlink()
    torch.save(content, best)
    try:
        yield
    finally:
        description.write_text(text)
        best.write_bytes(whole)


def draw(file: Path, colour: tuple[int, int, int], seed: int) -> None:
    """A photo of one colour, with noise and a shape of its own."""
    rng = np.random.default_rng(seed)
    size = (int(rng.integers(36, 60)), int(rng.integers(36, 60)), 3)
    pixels = rng.normal(colour, 60, size).clip(0, 255).astype(np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file, quality=92)


def draw_folders(root: Path, names: dict[str, str], each: int, seed: int) -> Path:
    """Folders of photos: name of the folder, and of the class whose colour it has."""
    for place, (folder, label) in enumerate(names.items()):
        for number in range(each):
            file = root / folder / f"{number:03}.jpg"
            draw(file, COLOURS[label], seed + 1000 * place + number)
    return root


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory, empty_store: Path
) -> Iterator[Trained]:
    """The run, in a working folder that its tests share."""
    folder = tmp_path_factory.getbasetemp() / "trained"
    with pytest.MonkeyPatch.context() as patch:
        (folder / "mlruns").mkdir(parents=True, exist_ok=True)
        patch.chdir(folder)
        patch.setenv("CLOTHING_CACHE", str(folder / "cache"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        client.cache_clear()
        yield _train(folder, empty_store)
    client.cache_clear()


@cache
def _train(folder: Path, empty_store: Path) -> Trained:
    shutil.copy(empty_store, folder / "mlruns")
    photos = draw_folders(folder / "photos", {name: name for name in COLOURS}, EACH, 0)
    experiment = folder / "tiny.yaml"
    experiment.write_text(yaml.safe_dump(config_for(photos)))
    assert fit.main([str(experiment)]) == 0
    run = find_run("tiny")
    return Trained(run, photos, run.artifact("config").parent, experiment)


def config_for(photos: Path) -> dict[str, object]:
    return {
        "seed_everything": 3,
        "data": {
            "class_path": "ImageFolder",
            "init_args": {
                "root": os.fspath(photos),
                "split": {"val": 0.2, "test": 0.3},
                "image_size": 32,
                "batch_size": 8,
                "num_workers": 0,
            },
        },
        "model": {
            "class_path": "ClothingClassifier",
            "init_args": {"backbone": "test_resnet", "weights": "none"},
        },
        "trainer": {
            "max_epochs": 3,
            "accelerator": "cpu",
            "enable_progress_bar": False,
        },
    }
