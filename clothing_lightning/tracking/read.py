"""Reading runs back."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from clothing_lightning.errors import ConfigError, RunError
from clothing_lightning.tracking.names import name_and_id, without_repeat
from clothing_lightning.tracking.settings import hyperparameters
from clothing_lightning.tracking.store import (
    client,
    existing_client,
    first_line,
    is_server,
    local_path,
    shown_uri,
    staging_folder,
    tracking_uri,
)
from clothing_lightning.wording import closest, listed

if TYPE_CHECKING:
    from mlflow.entities import Run


GROUP_TAG = "series"  # the name that stored runs have
EVALUATES_TAG = "evaluates"  # of a run that tests the network of another
COMPARES_TAG = "compares"  # of a run that keeps a comparison of others
COMPRESSION_TAG = "compression"  # of a run that tests a smaller version of a network
ONNX_FILE = "export/model.onnx"  # artifact of such a run
CHECKPOINT = "checkpoint"  # parameter of a run that tests another than the best one
PARENT_TAG = "mlflow.parentRunId"  # MLflow's, of a run that belongs to a group

RUN_ID = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True)
class StoredRun:
    """A run in the store.

    Attributes:
        run_id: MLflow's id.
        name: The name of the run, as the UI shows it.
        status: ``RUNNING``, ``FINISHED``, ``FAILED`` or ``KILLED``.
        tags: Facts about the run that are no settings.
        metrics: The last value of each metric.
        params: Settings that it began with, flat.
        experiment_id: MLflow's id of the experiment that it belongs to.
        started: Time of its start, in milliseconds since 1970.
        artifact_uri: Address of the folder of its artifacts.
    """

    run_id: str
    name: str
    status: str
    tags: dict[str, str]
    metrics: dict[str, float]
    params: dict[str, str]
    experiment_id: str
    started: int
    artifact_uri: str

    @property
    def start_time(self) -> str:
        """When it was started, for people: date, hour and minute of this time zone."""
        return f"{datetime.fromtimestamp(self.started / 1000):%Y-%m-%d %H:%M}"

    @property
    def label(self) -> str:
        """The name of the run and the start of its id."""
        return name_and_id(self.name, self.run_id)

    @property
    def url(self) -> str | None:
        """Where a browser finds the run; None if there is no server."""
        if not is_server(uri := shown_uri()):
            return None
        return f"{uri}/#/experiments/{self.experiment_id}/runs/{self.run_id}"

    @property
    def split_digest(self) -> str | None:
        """Digest of its images and their splits; None if it ended before that."""
        return self.tags.get("split_digest")

    @property
    def group(self) -> str | None:
        """The runs that it stands for, as JSON; None if it stands for itself."""
        return self.tags.get(GROUP_TAG)

    @property
    def hyperparameters(self) -> dict[str, str]:
        """The settings that it ended with: a resumed run may have begun with others."""
        return hyperparameters(self.params, self.tags)

    @property
    def experiment(self) -> str:
        """Name of the experiment that it belongs to."""
        return str(client(tracking_uri()).get_experiment(self.experiment_id).name)

    def artifact(self, path: str) -> Path:
        """A local copy of an artifact: the file itself where the store is local.

        Raises:
            RunError: If the run has none of that name.
        """
        import mlflow

        try:
            if folder := local_path(self.artifact_uri):
                return (folder / path).resolve(strict=True)
            copy = mlflow.artifacts.download_artifacts(
                run_id=self.run_id,
                artifact_path=path,
                tracking_uri=tracking_uri(),
            )
        except Exception as err:  # differs with the store
            missing = isinstance(err, FileNotFoundError)
            reason = "" if missing else f" ({first_line(err)})"
            raise RunError(
                f"run {self.label}: has no artifact '{path}'. It ended before it was "
                "written, or it was removed, or the run was handed on without "
                f"it{reason}."
            ) from err
        return Path(copy)

    @property
    def config(self) -> Path:
        """The resolved YAML that the run was last started with."""
        times = self.times_resumed
        name = f"resumed-{times}.yaml" if times else "config.yaml"
        return self.artifact(f"config/{name}")

    @property
    def times_resumed(self) -> int:
        """How often the run has been continued."""
        files = client(tracking_uri()).list_artifacts(self.run_id, "config")
        return sum(Path(file.path).name.startswith("resumed-") for file in files)

    def last_checkpoint(self) -> Path:
        """The checkpoint of the last complete epoch.

        Of a run on a server, what this machine holds of it goes first: a run that was
        cut off could not upload its checkpoints.

        Raises:
            RunError: If the run has none.
        """
        staged = staging_folder(self.run_id) / "checkpoints" / "last.ckpt"
        return staged if staged.is_file() else self.artifact("checkpoints/last.ckpt")

    @property
    def can_be_resumed(self) -> bool:
        """Whether it has a last checkpoint."""
        try:
            self.last_checkpoint()
        except RunError:
            return False
        return True


def find_run(reference: str, *, to_resume: bool = False) -> StoredRun:
    """Find a run by its id, a unique prefix of it, its name, or a checkpoint's path.

    Args:
        reference: The id, prefix, name or path.
        to_resume: Whether the run is to be continued. Of several runs of one name the
            only finished one is found, or the only unfinished one to continue.

    Raises:
        RunError: If there is none, or more than one.
    """
    if run := runs_by_id([reference]).get(reference):
        return run
    every = all_runs()
    matching = [run for run in every if run_matches(run, reference)]
    if not matching:
        raise RunError(
            f"run '{reference}' is not in {shown_uri()}.{_near(reference, every)} Give "
            "the id, the start of it, the name, or a checkpoint; mlflow ui shows them "
            "all."
        )
    preferred = [run for run in matching if (run.status == "FINISHED") != to_resume]
    if len(preferred) == 1 and len({run.name for run in matching}) == 1:
        return preferred[0]
    if len(matching) == 1:
        return matching[0]
    each = [one for run in matching for one in (members(run, every) or [run])]
    described = ", ".join(
        f"{run.run_id[:8]} ({run.name}, {run.start_time}, {run.status})" for run in each
    )
    raise RunError(
        f"run '{reference}' may be any of {described}. Give the start of an id."
    )


def _near(reference: str, every: Sequence[StoredRun]) -> str:
    """What else may have been meant."""
    if reference and Path(reference).exists():
        return " It is a file or folder: the run comes first."
    names = sorted({run.name for run in every if run.group is None})
    repeats = [name for name in names if without_repeat(name) == reference]
    return (
        f" Closest names: {listed(repeats)}." if repeats else closest(reference, names)
    )


def members(group: StoredRun, every: Sequence[StoredRun]) -> list[StoredRun]:
    """Runs that belong to one that stands for several, among all runs of the store."""
    return [run for run in every if run.tags.get(PARENT_TAG) == group.run_id]


def children(run_id: str) -> list[StoredRun]:
    """Runs that belong to one that stands for several, the newest first."""
    experiment = existing_client().get_run(run_id).info.experiment_id
    return all_runs([experiment], f"tags.`{PARENT_TAG}` = '{run_id}'")


def _stored_run(run: "Run") -> StoredRun:
    info = run.info
    return StoredRun(
        info.run_id,
        info.run_name or info.run_id,
        info.status,
        dict(run.data.tags),
        dict(run.data.metrics),
        dict(run.data.params),
        str(info.experiment_id),
        int(info.start_time),
        str(info.artifact_uri),
    )


def all_runs(
    experiments: Sequence[str] | None = None, condition: str = ""
) -> list[StoredRun]:
    """Runs of the store, or of some of its experiments, the newest first.

    Args:
        experiments: Ids of the experiments; None for all.
        condition: MLflow's filter; empty for all runs.
    """
    store = existing_client()
    if experiments is None:
        experiments = [each.experiment_id for each in store.search_experiments()]
    runs: list[StoredRun] = []
    token = None
    while token != "":
        page = store.search_runs(
            list(experiments), condition, max_results=1000, page_token=token
        )
        runs.extend(_stored_run(run) for run in page)
        token = page.token or ""
    return runs


def runs_by_id(run_ids: Sequence[str]) -> dict[str, StoredRun]:
    """The runs of some ids, without those that are not in the store."""
    known = [f"'{run_id}'" for run_id in run_ids if RUN_ID.fullmatch(run_id)]
    if not known:
        return {}
    runs = all_runs(condition=f"attributes.run_id IN ({', '.join(known)})")
    return {run.run_id: run for run in runs}


def experiment_runs(name: str, condition: str) -> list[StoredRun]:
    """Runs of an experiment, the newest first.

    Args:
        name: The name of the experiment.
        condition: MLflow's filter; may be empty.

    Raises:
        RunError: If there is no such experiment.
        ConfigError: If MLflow does not understand the condition.
    """
    from mlflow.exceptions import MlflowException

    store = existing_client()
    experiment = store.get_experiment_by_name(name)
    if experiment is None:
        known = sorted(each.name for each in store.search_experiments())
        raise RunError(
            f"'{name}' is not in {shown_uri()}, which has {', '.join(known)}."
        )
    try:
        return all_runs([experiment.experiment_id], condition)
    except MlflowException as err:
        raise ConfigError(
            f"{condition!r} is not understood ({first_line(err)}). Write it as in "
            'MLflow\'s search, such as "metrics.`test/accuracy` > 0.8".'
        ) from err


def run_matches(run: StoredRun, reference: str) -> bool:
    """Whether a reference means a run: its id, the start of it, name or checkpoint."""
    if reference.endswith(".ckpt"):
        return run.run_id in Path(reference).resolve().parts
    if run.name == reference:
        return True
    return bool(re.fullmatch(r"[0-9a-f]{4,32}", reference)) and run.run_id.startswith(
        reference
    )
