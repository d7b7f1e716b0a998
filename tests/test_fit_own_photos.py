"""`fit` on a folder of anyone's photos, by one overlay and no code."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run
from PIL import Image

from clothing_lightning import fit
from clothing_lightning.tracking.store import tracking_uri

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
OVERLAY = str(EXPERIMENTS / "overlays" / "image_folder.yaml")
TINY = [
    *("--model.init_args.backbone=test_resnet", "--model.init_args.weights=none"),
    *("--data.init_args.image_size=32", "--data.init_args.train_image_size=32"),
    *("--data.init_args.batch_size=4", "--data.init_args.num_workers=0"),
    *("--trainer.max_epochs=1", "--trainer.accelerator=cpu"),
]
Recorded = Callable[[], list[Run]]

pytestmark = pytest.mark.usefixtures("workplace")


def photos(folders: Mapping[str, int]) -> None:
    """Fill folders below ``own photos`` with so many images each."""
    number = 0
    for folder, images in folders.items():
        (Path("own photos") / folder).mkdir(parents=True)
        for _ in range(images):
            noise = np.random.default_rng(number).integers(0, 256, (32, 32, 3))
            file = Path("own photos") / folder / f"{number:03}.jpg"
            Image.fromarray(noise.astype(np.uint8)).save(file)
            number += 1


def classes() -> list[str]:
    photos({"Blue jeans": 12, "帽子": 12})
    return ["--data.init_args.root=own photos"]


def splits() -> list[str]:
    sizes = {"train": 8, "validation": 2, "test": 2}
    photos({f"{s}/{c}": n for s, n in sizes.items() for c in ("Blue jeans", "帽子")})
    return ["--data.init_args.root=own photos"]


def table() -> list[str]:
    photos({"all": 24})
    names = [f"all/{number:03}.jpg" for number in range(24)]
    labels = ["Blue jeans", "帽子"] * 12
    pd.DataFrame({"path": names, "label": labels}).to_csv(
        "own photos/labels.csv", index=False
    )
    return ["--data.init_args.table=own photos/labels.csv"]


@pytest.mark.parametrize("layout", [classes, splits, table])
def test_one_overlay_is_enough(
    layout: Callable[[], list[str]], recorded: Recorded
) -> None:
    experiment = str(EXPERIMENTS / "efficientnet_lite0.yaml")
    shares = ["--data.init_args.split.val=0.2", "--data.init_args.split.test=0.2"]
    assert fit.main([experiment, OVERLAY, *layout(), *shares, *TINY]) == 0
    (run,) = recorded()
    assert run.info.status == "FINISHED"
    store = MlflowClient(tracking_uri())
    assert store.get_experiment(run.info.experiment_id).name == "own photos"
    assert 0 <= run.data.metrics["test/accuracy"] <= 1
    folder = Path(run.info.artifact_uri.removeprefix("file://"))
    predictions = pd.read_parquet(folder / "predictions" / "test.parquet")
    assert {"Blue jeans", "帽子"} < set(predictions.columns)
    manifest = pd.read_csv(folder / "data" / "manifest.csv")
    assert manifest["split"].value_counts().to_dict()["test"] == len(predictions) >= 4


def test_name_of_the_class_after_data_is_enough(
    experiment: Path, recorded: Recorded
) -> None:
    config = yaml.safe_load(experiment.read_text())
    config["data"]["init_args"] |= {"download": "archive", "exclude_labels": ["Hat"]}
    experiment.write_text(yaml.safe_dump(config))
    words = ["--data", "ImageFolder", *classes()]
    assert fit.main([str(experiment), *words, "--trainer.max_epochs=1"]) == 0
    (run,) = recorded()
    assert run.data.params["data"] == "ImageFolder"
    assert run.data.params["data.root"] == "own photos"
    assert run.data.params["data.batch_size"] == "4"
    assert "data.download" not in run.data.params


def test_overlay_without_a_folder_says_what_to_give(
    capfd: pytest.CaptureFixture[str],
) -> None:
    experiment = str(EXPERIMENTS / "resnet18.yaml")
    assert fit.main([experiment, OVERLAY, *TINY]) == 2
    err = capfd.readouterr().err
    assert err.startswith("\nerror: data.init_args.root is not given. Name your photos")
    assert "Traceback" not in err


def test_wrong_layout_is_told_before_a_run_begins(
    recorded: Recorded, capfd: pytest.CaptureFixture[str]
) -> None:
    photos({"clothes/Hat": 3, "clothes/Coat": 3})
    experiment = str(EXPERIMENTS / "resnet18.yaml")
    root = "--data.init_args.root=own photos"
    assert fit.main([experiment, OVERLAY, root, *TINY]) == 2
    err = capfd.readouterr().err
    assert "Did you mean --data.init_args.root=own photos/clothes?" in err
    assert recorded() == []
