"""What a run says of its network that was stored before checkpoints said it.

Version 0.2 describes a network in its checkpoint. Older runs describe it by their
configuration, the table of their classes and a tag.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import yaml

from clothing_lightning.data.options import Preprocessing
from clothing_lightning.data.table import read_cells
from clothing_lightning.errors import RunError
from clothing_lightning.models.backbones import preprocessing_of
from clothing_lightning.models.description import NetworkDescription
from clothing_lightning.tracking.read import StoredRun


def describe_old_run(run: StoredRun) -> NetworkDescription:
    """Describe the network of a run that was stored before version 0.2.

    Raises:
        ConfigError: If the installed timm has no such network.
        RunError: If a file of the run is missing, damaged or incomplete.
    """
    classes = run.artifact("data/class_counts.csv")
    tag = run.tags.get("preprocessing")
    description = _describe(f"run {run.label}", run.config, classes, tag)
    version = run.tags.get("version.clothing_lightning", "")
    return replace(
        description, run_id=run.run_id, run_name=run.name, software_version=version
    )


def describe_old_artifacts(folder: Path) -> NetworkDescription:
    """Describe the network of such a run from a copy of its folder of artifacts.

    Raises:
        ConfigError: If the installed timm has no such network.
        RunError: If a file is missing, damaged or incomplete.
    """
    resumed = (folder / "config").glob("resumed-*.yaml")
    last = max(resumed, key=lambda file: (len(file.name), file.name), default=None)
    config = last or folder / "config" / "config.yaml"
    classes = folder / "data" / "class_counts.csv"
    return _describe(f"'{folder}'", config, classes, None)


def _describe(
    subject: str, config_file: Path, class_counts: Path, preprocessing_tag: str | None
) -> NetworkDescription:
    with _reading(config_file):
        config = yaml.safe_load(config_file.read_text(encoding="utf-8"))
    if not isinstance(config, dict):
        raise RunError(f"'{config_file}': is no experiment.")
    with _reading(class_counts):
        names = [str(name) for name in read_cells(class_counts).iloc[:, 0]]
    try:
        model, data = config["model"]["init_args"], config["data"]["init_args"]
        backbone, in_chans = model["backbone"], model.get("in_chans")
        preprocessing = _preprocessing(
            preprocessing_tag, backbone, in_chans, data.get("image_size")
        )
        return NetworkDescription(
            backbone,
            names,
            preprocessing,
            in_chans,
            preprocessing.image_size,
            model.get("channels_last", True),
            str(config["trainer"].get("precision")),
            data.get("crop") == "bbox",
        )
    except (KeyError, TypeError, AttributeError) as err:
        raise RunError(
            f"{subject}: its network cannot be built ({type(err).__name__}: {err}). "
            "Train it again with this software."
        ) from err


def _preprocessing(
    tag: str | None, backbone: str, in_chans: int | None, image_size: int | None
) -> Preprocessing:
    """Return what the run has recorded; the oldest runs have recorded nothing."""
    if tag:
        values = json.loads(tag)
        return Preprocessing(
            int(values["image_size"]),
            tuple(values["mean"]),
            tuple(values["std"]),
            float(values["crop_pct"]),
        )
    own = preprocessing_of(backbone, in_chans)
    return replace(own, image_size=image_size or own.image_size)


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    """Name the file that cannot be read."""
    try:
        yield
    except (OSError, ValueError, IndexError, yaml.YAMLError) as err:
        reason = " ".join(str(err).split())[:200]
        raise RunError(f"'{file}': cannot be read ({reason}).") from err
