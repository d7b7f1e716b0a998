"""Models of runs, and the versions of registered models that are made of them."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from clothing_lightning.errors import ConfigError, StorageError
from clothing_lightning.tracking.read import StoredRun
from clothing_lightning.tracking.store import client, first_line, tracking_uri

REGISTER_TAG = "registration"
MODEL = "model"
"""Name of the model of a run, whose address is ``runs:/RUN_ID/model``."""


@dataclass(frozen=True)
class Registration:
    """Where the model of a run is registered.

    Attributes:
        name: Name of the registered model, which is made if it is not there.
        alias: Alias that is pointed to the new version, such as ``champion``; or None.
        if_better: Whether the alias stays where it is unless the new version is more
            accurate beyond chance than the one there.
    """

    name: str
    alias: str | None = None
    if_better: bool = False

    def __post_init__(self) -> None:
        """Check the names as MLflow would, which is too late after a training.

        Raises:
            ConfigError: If MLflow would refuse one, or an alias is missing.
        """
        if not re.fullmatch(r"[^/:]*[^/:.\s][^/:]*", self.name):
            raise ConfigError(
                f"--register: {self.name!r} is no name of a model. Write one without / "
                "and :, such as clothes."
            )
        if self.alias is None and self.if_better:
            raise ConfigError(
                "--if-better: says when an alias is moved, and none is named. Add "
                "--alias, such as --alias champion."
            )
        alias = r"(?!latest$|v\d+$)[\w-]{1,255}"
        if self.alias is not None and not re.fullmatch(alias, self.alias, re.I):
            raise ConfigError(
                f"--alias: {self.alias!r} is no alias. Write letters, digits, - and _, "
                "such as champion; latest, and v with a number, are MLflow's own."
            )

    @classmethod
    def of_run(cls, tags: Mapping[str, str]) -> Self | None:
        """What a run began with, from its tags; None if it is not to be registered."""
        values = tags.get(REGISTER_TAG)
        return cls(**json.loads(values)) if values else None

    @property
    def tags(self) -> dict[str, str]:
        """Tags of a run that is to be registered once it is trained."""
        return {REGISTER_TAG: json.dumps(asdict(self))}

    @property
    def flags(self) -> str:
        """The same as flags of a command."""
        words = ["--register", self.name]
        words += ["--alias", self.alias] if self.alias else []
        return shlex.join([*words, *["--if-better"] * self.if_better])


def log_model(run: StoredRun, folder: Path) -> str:
    """Store a folder as the model of a run; earlier ones stay.

    Args:
        run: The run.
        folder: An MLflow model, in which the ids of model and run are noted.

    Returns:
        The id of the model, whose address is ``models:/ID``.

    Raises:
        StorageError: If it cannot be stored; then there is none.
    """
    from mlflow.entities import LoggedModelOutput, Metric
    from mlflow.models import Model

    store = client(tracking_uri())
    with _storing(f"the model of run {run.label}"):
        made = store.create_logged_model(run.experiment_id, MODEL, run.run_id)
        model_id = str(made.model_id)
        try:
            model = Model.load(folder)
            model.model_id = model.model_uuid = model_id
            model.run_id, model.artifact_path = run.run_id, made.artifact_location
            model.save(str(folder / "MLmodel"))
            store.log_model_artifacts(model_id, str(folder))
            results = [
                store.get_metric_history(run.run_id, name)[-1]
                for name in run.metrics
                if name.startswith("test/")
            ]
            # The same points as the run's own, so that it gets none twice.
            of_model = [
                Metric(p.key, p.value, p.timestamp, p.step, model_id, run_id=run.run_id)
                for p in results
            ]
            store.log_batch(run.run_id, metrics=of_model)
            store.log_outputs(run.run_id, [LoggedModelOutput(model_id, step=0)])
            store.finalize_logged_model(model_id, "READY")
        except BaseException:
            with suppress(Exception):
                store.delete_logged_model(model_id)
            raise
    return model_id


def register(run: StoredRun, model_id: str, name: str) -> int:
    """Make a new version of a registered model.

    Args:
        run: The run that the model is of.
        model_id: The id that `log_model` has given.
        name: Name of the registered model, which is made if it is not there.

    Returns:
        The number of the version.

    Raises:
        StorageError: If the store refuses.
    """
    from mlflow.exceptions import MlflowException

    store = client(tracking_uri())
    with _storing(f"model '{name}'"):
        try:
            store.create_registered_model(name)
        except MlflowException as err:
            if err.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        made = store.create_model_version(
            name, f"models:/{model_id}", run.run_id, model_id=model_id
        )
    return int(made.version)


def version_behind(name: str, alias: str) -> tuple[int, str | None] | None:
    """Find the version that an alias points to.

    Returns:
        Its number, and the id of the run that it is of, which may be None; None if
        the alias points nowhere.

    Raises:
        StorageError: If the store does not answer.
    """
    store = client(tracking_uri())
    with _storing(f"model '{name}'"):
        number = store.get_registered_model(name).aliases.get(alias)
        if number is None:
            return None
        return int(number), store.get_model_version(name, str(number)).run_id or None


def point_alias(name: str, alias: str, version: int) -> None:
    """Point an alias to a version, wherever it has pointed.

    Raises:
        StorageError: If the store refuses.
    """
    with _storing(f"model '{name}'"):
        client(tracking_uri()).set_registered_model_alias(name, alias, str(version))


@contextmanager
def _storing(what: str) -> Iterator[None]:
    """Explain what the store refuses."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError) as err:
        raise StorageError(
            f"MLflow: {what} cannot be written ({first_line(err)}). Free some space, "
            "start the server, or ask who keeps it for permission."
        ) from err
