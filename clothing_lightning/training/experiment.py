"""What a training is made of."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import yaml
from lightning.pytorch.callbacks import ModelCheckpoint

from clothing_lightning.datamodules import PhotoDataModule
from clothing_lightning.models.classifier import ClothingClassifier

NOT_PARAMS = ("run", "checkpoint.dirpath", "config")


@dataclass(frozen=True)
class RunOptions:
    """What the run is called in MLflow.

    Attributes:
        name: The name of the run; by default that of the first YAML file.
        experiment: The MLflow experiment that the run belongs to; by default the name
            of the data set.
        tags: Tags that the run gets besides its own.
    """

    name: str | None = None
    experiment: str | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """A model, its data, and the name under which their training is recorded.

    Attributes:
        name: The name of the run.
        experiment: The name of the MLflow experiment that the run belongs to.
        tags: The user's own tags.
        config: The resolved experiment as YAML: fitting from it gives the run again.
        command: The words of the command line, for the record.
        model: The classifier that is trained.
        data: The images that it is trained and tested on.
        checkpoint: Chooses the best epoch.
        test_last: Whether the weights of the last epoch are tested as well.
        show_progress: Whether a progress bar is shown.
    """

    name: str
    experiment: str
    tags: dict[str, str]
    config: str
    command: list[str]
    model: ClothingClassifier
    data: PhotoDataModule
    checkpoint: ModelCheckpoint
    test_last: bool = False
    show_progress: bool = True

    @cached_property
    def parameters(self) -> dict[str, str]:
        """The configuration as names and values that fit MLflow's table.

        ``data.init_args.batch_size`` becomes ``data.batch_size``, a class path the
        value of its own key, a list one value; unset options are left out.
        """
        return _flat(yaml.safe_load(self.config))


def _flat(config: Mapping[str, Any]) -> dict[str, str]:
    flat: dict[str, str] = {}

    def add(key: str, value: Any) -> None:
        if isinstance(value, Mapping) and "class_path" in value:
            flat[key] = str(value["class_path"]).rpartition(".")[2]
            value = value.get("init_args") or {}
        if isinstance(value, Mapping):
            for name, inner in value.items():
                add(f"{key}.{name}" if key else str(name), inner)
        elif isinstance(value, list):
            flat[key] = json.dumps(value, ensure_ascii=False)
        elif value is not None:
            flat[key] = str(value)

    add("", {k: v for k, v in config.items() if k not in NOT_PARAMS})
    return {k: v for k, v in flat.items() if k not in NOT_PARAMS}
