"""Reading runs back."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clothing_lightning.errors import RunError
from clothing_lightning.tracking.store import (
    client,
    first_line,
    local_path,
    staging_folder,
    tracking_uri,
)

if TYPE_CHECKING:
    from mlflow.entities import Run


SERIES_TAG = "series"


@dataclass(frozen=True)
class PastRun:
    """A run in the store.

    Attributes:
        run_id: MLflow's id.
        name: As shown in the UI.
        status: ``RUNNING``, ``FINISHED``, ``FAILED`` or ``KILLED``.
        tags: What it was marked with.
        metrics: The last value of each.
    """

    run_id: str
    name: str
    status: str
    tags: dict[str, str]
    metrics: dict[str, float]

    @property
    def split_digest(self) -> str | None:
        """Of the images and their splits; None if it ended before that."""
        return self.tags.get("split_digest")

    @property
    def series(self) -> str | None:
        """Of a run that stands for several: what they are, as JSON."""
        return self.tags.get(SERIES_TAG)

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
            raise RunError(
                f"run {self.name} ({self.run_id[:8]}): has no artifact '{path}'. It "
                f"ended before it was written, or it was removed ({first_line(err)})."
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


def find_run(reference: str) -> PastRun:
    """Find a run by its id, a unique prefix of it, its name, or a checkpoint's path.

    Raises:
        RunError: If there is none, or more than one.
    """
    found = [run for run in _all_runs() if _matches(run, reference)]
    if len(found) == 1:
        return _past_run(found[0])
    if not found:
        raise RunError(
            f"run '{reference}' is not in {tracking_uri()}. Give the id, the start of "
            "it, the name, or a checkpoint; mlflow ui shows them all."
        )
    listed = ", ".join(f"{run.info.run_id[:8]} ({run.info.run_name})" for run in found)
    raise RunError(
        f"run '{reference}' may be any of {listed}. Give the start of an id."
    )


def children(run_id: str) -> list[PastRun]:
    """Runs that belong to one that stands for several, the newest first."""
    from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

    store = client(tracking_uri())
    experiment = store.get_run(run_id).info.experiment_id
    wanted = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{run_id}'"
    return [_past_run(run) for run in store.search_runs([experiment], wanted)]


def _past_run(run: "Run") -> PastRun:
    info = run.info
    return PastRun(
        info.run_id,
        info.run_name or info.run_id,
        info.status,
        dict(run.data.tags),
        dict(run.data.metrics),
    )


def _all_runs() -> "list[Run]":
    store = client(tracking_uri())
    ids = [experiment.experiment_id for experiment in store.search_experiments()]
    runs: list[Run] = []
    token = None
    while True:
        page = store.search_runs(ids, max_results=1000, page_token=token)
        runs.extend(page)
        token = page.token
        if not token:
            return runs


def _matches(run: "Run", reference: str) -> bool:
    run_id = str(run.info.run_id)
    if reference.endswith(".ckpt"):
        return run_id in Path(reference).resolve().parts
    if run.info.run_name == reference:
        return True
    return bool(re.fullmatch(r"[0-9a-f]{4,32}", reference)) and run_id.startswith(
        reference
    )
