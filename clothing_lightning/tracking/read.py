"""Reading runs back."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clothing_lightning.errors import RunError
from clothing_lightning.tracking.store import (
    client,
    existing_client,
    first_line,
    local_path,
    shown_uri,
    staging_folder,
    tracking_uri,
)
from clothing_lightning.wording import closest, listed

if TYPE_CHECKING:
    from mlflow.entities import Run


GROUP_TAG = "series"
EVALUATES_TAG = "evaluates"  # of a run that tests the network of another


@dataclass(frozen=True)
class StoredRun:
    """A run in the store.

    Attributes:
        run_id: MLflow's id.
        name: As shown in the UI.
        status: ``RUNNING``, ``FINISHED``, ``FAILED`` or ``KILLED``.
        tags: What it was marked with.
        metrics: The last value of each.
        params: Settings, flat.
        experiment_id: Of the experiment that it belongs to.
        started: When, in milliseconds since 1970.
    """

    run_id: str
    name: str
    status: str
    tags: dict[str, str]
    metrics: dict[str, float]
    params: dict[str, str]
    experiment_id: str
    started: int

    @property
    def split_digest(self) -> str | None:
        """Of the images and their splits; None if it ended before that."""
        return self.tags.get("split_digest")

    @property
    def group(self) -> str | None:
        """Of a run that stands for several: what they are, as JSON."""
        return self.tags.get(GROUP_TAG)

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

        info = client(tracking_uri()).get_run(self.run_id).info
        try:
            if folder := local_path(info.artifact_uri):
                return (folder / path).resolve(strict=True)
            found = mlflow.artifacts.download_artifacts(
                run_id=self.run_id,
                artifact_path=path,
                tracking_uri=tracking_uri(),
            )
        except Exception as err:  # differs with the store
            missing = isinstance(err, FileNotFoundError)
            reason = "" if missing else f" ({first_line(err)})"
            raise RunError(
                f"run {self.name} ({self.run_id[:8]}): has no artifact '{path}'. It "
                "ended before it was written, or it was removed, or the run was handed "
                f"on without it{reason}."
            ) from err
        return Path(found)

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


def find_run(reference: str) -> StoredRun:
    """Find a run by its id, a unique prefix of it, its name, or a checkpoint's path.

    Raises:
        RunError: If there is none, or more than one.
    """
    found = [run for run in all_runs() if run_matches(run, reference)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise RunError(
            f"run '{reference}' is not in {shown_uri()}.{_near(reference)} Give the "
            "id, the start of it, the name, or a checkpoint; mlflow ui shows them all."
        )
    each = [one for run in found for one in (children(run.run_id) or [run])]
    told = ", ".join(f"{run.run_id[:8]} ({run.name})" for run in each)
    raise RunError(f"run '{reference}' may be any of {told}. Give the start of an id.")


def _near(reference: str) -> str:
    """What else may have been meant."""
    if reference and Path(reference).exists():
        return " It is a file or folder: the run comes first."
    from clothing_lightning.comparison.hyperparameters import without_repeat

    names = sorted({run.name for run in all_runs() if run.group is None})
    repeats = [name for name in names if without_repeat(name) == reference]
    return (
        f" Closest names: {listed(repeats)}." if repeats else closest(reference, names)
    )


def children(run_id: str) -> list[StoredRun]:
    """Runs that belong to one that stands for several, the newest first."""
    from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

    store = client(tracking_uri())
    experiment = store.get_run(run_id).info.experiment_id
    wanted = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{run_id}'"
    return [_stored_run(run) for run in store.search_runs([experiment], wanted)]


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
    )


def all_runs(
    experiments: Sequence[str] | None = None, condition: str = ""
) -> list[StoredRun]:
    """Runs of the store, or of some of its experiments, the newest first.

    Args:
        experiments: Their ids; None for all.
        condition: MLflow's filter.
    """
    store = existing_client()
    ids = experiments
    if ids is None:
        ids = [experiment.experiment_id for experiment in store.search_experiments()]
    runs: list[StoredRun] = []
    token = None
    while True:
        page = store.search_runs(
            list(ids), condition, max_results=1000, page_token=token
        )
        runs.extend(_stored_run(run) for run in page)
        token = page.token
        if not token:
            return runs


def run_matches(run: StoredRun, reference: str) -> bool:
    """Whether a reference means a run: its id, the start of it, name or checkpoint."""
    if reference.endswith(".ckpt"):
        return run.run_id in Path(reference).resolve().parts
    if run.name == reference:
        return True
    return bool(re.fullmatch(r"[0-9a-f]{4,32}", reference)) and run.run_id.startswith(
        reference
    )
