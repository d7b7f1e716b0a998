"""What tests of several folders share."""

import csv
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml
from PIL import Image

if TYPE_CHECKING:
    from mlflow.entities import Run

# Before torch is imported: tiny networks gain nothing from threads, and threads of
# several processes on few cores wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

pytest_plugins = ["tests.figures"]

TINY_LABELS = {"Dress": 14, "Hat": 10, "Shirt": 16}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, so that no process is left with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder for each test, so that none finds what another left."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("CLOTHING_CACHE", str(folder))
    return folder


@pytest.fixture
def tiny_dataset(tmp_path: Path) -> Callable[..., Path]:
    """Factory of folders in the layout of the clothing dataset.

    ``labels``: images of each; ``folder``: of the images; ``name``: of the data set;
    ``senders``: how many take turns; ``size``: width and height in pixels. Images are
    called ``0000``, ``0001``, ... in the order of ``labels``.
    """

    def make(
        labels: Mapping[str, int] = TINY_LABELS,
        *,
        folder: str = "images",
        name: str = "clothes",
        senders: int = 7,
        size: tuple[int, int] = (24, 32),
    ) -> Path:
        root = tmp_path / name
        (root / folder).mkdir(parents=True)
        each = [label for label, count in labels.items() for _ in range(count)]
        with (root / "images.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("image", "sender_id", "label", "kids"))
            for index, label in enumerate(each):
                rng = np.random.default_rng(index)
                pixels = rng.integers(0, 256, (size[1], size[0], 3), np.uint8)
                image = root / folder / f"{index:04}.jpg"
                Image.fromarray(pixels).save(image, quality=90)
                kids = index % 5 == 0
                writer.writerow((f"{index:04}", index % senders, label, kids))
        return root

    return make


@pytest.fixture(scope="session")
def photo_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder for all tests with real photos: looking at each takes a while."""
    return tmp_path_factory.mktemp("photo_cache")


@pytest.fixture
def photos(photo_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the real photos; skips where there is none."""
    monkeypatch.setenv("CLOTHING_CACHE", str(photo_cache))
    if not (folder := os.environ.get("CLOTHING_DATA")):
        pytest.skip("CLOTHING_DATA is not set: it names the folder of real photos")
    return Path(folder).resolve() / "clothing-dataset"


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store without runs: MLflow takes seconds to make one."""
    from mlflow import MlflowClient

    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def workplace(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """An empty working folder, and the signal handlers as they were."""
    from clothing_lightning.tracking.store import client

    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "mlruns").mkdir()
    shutil.copy(empty_store, folder / "mlruns")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    client.cache_clear()
    handlers = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    yield folder
    for number, handler in handlers.items():
        signal.signal(number, handler)
    client.cache_clear()


@pytest.fixture
def recorded(workplace: Path) -> "Callable[[], list[Run]]":
    """Function that returns all runs in the store of the working folder."""

    def runs() -> "list[Run]":
        from mlflow import MlflowClient

        from clothing_lightning.tracking.store import tracking_uri

        store = MlflowClient(tracking_uri())
        experiments = [found.experiment_id for found in store.search_experiments()]
        return list(store.search_runs(experiments))

    return runs


@pytest.fixture
def experiment(tiny_dataset: Callable[..., Path], tmp_path: Path) -> Path:
    """A YAML file for a tiny network and 40 noise images in three classes."""
    config: dict[str, Any] = {
        "seed_everything": 3,
        "data": {
            "class_path": "ClothingDataset",
            "init_args": {
                "root": str(tiny_dataset()),
                "split": {"val": 0.2, "test": 0.2},
                "image_size": 32,
                "batch_size": 4,
            },
        },
        "model": {
            "class_path": "ClothingClassifier",
            "init_args": {
                "backbone": "test_resnet",
                "weights": "none",
                "drop_rate": 0.3,
                "class_weights": "balanced",
                "scheduler": {
                    "class_path": "clothing_lightning.models.schedules.WarmupCosine"
                },
            },
        },
        "trainer": {"max_epochs": 3, "accelerator": "cpu"},
    }
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(config))
    return file
