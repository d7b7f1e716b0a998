"""One run in MLflow, written to from a thread of its own.

Nothing here makes the caller wait for the store: calls are queued and done in order.
What goes wrong there is raised by the next call, or at the latest by `finish`.
"""

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, urlparse

from clothing_lightning.errors import StorageError
from clothing_lightning.tracking.store import (
    FOLDER,
    client,
    ensure_writable,
    is_default_store,
    tracking_uri,
)

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Status = Literal["FINISHED", "FAILED", "KILLED"]
MAX_PARAM_CHARACTERS = 6000  # of MLflow's stores
PARAMS_PER_CALL = 100  # likewise


class TrackedRun:
    """A run that is being written.

    Attributes:
        run_id: MLflow's id.
        name: As shown in the UI.
        folder: Where its artifacts are written. With a local store it is the artifact
            folder itself, so that nothing is copied; else a staging folder from which
            `publish` uploads.
    """

    def __init__(self, experiment: str, name: str, run_id: str | None = None) -> None:
        """Start a run, or continue one.

        Args:
            experiment: Name of the MLflow experiment; made if it is not there.
            name: Name of the run.
            run_id: Of the run to continue.

        Raises:
            StorageError: If the store cannot be opened or written.
        """
        self.uri = tracking_uri()
        self.client = client(self.uri)
        if run_id is None:
            run = self.client.create_run(self._experiment_id(experiment), run_name=name)
        else:
            self.client.update_run(run_id, status="RUNNING")
            run = self.client.get_run(run_id)
        self.run_id = run.info.run_id
        self.name = run.info.run_name or name
        self._logged = self._last_steps() if run_id else {}
        local = _local_path(run.info.artifact_uri)
        self._upload = local is None
        self.folder = local or FOLDER / "staging" / self.run_id
        ensure_writable(self.folder)
        self._monitor = self._watch_system()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tracking")
        self._queue: list[Future[Any]] = []

    def _experiment_id(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        location = None
        if is_default_store():
            location = (FOLDER / "artifacts").resolve().as_uri()
        return self.client.create_experiment(name, artifact_location=location)

    def _last_steps(self) -> dict[str, int]:
        """Last step of each metric, so that a continued run doubles none."""
        metrics = self.client.get_run(self.run_id).data.metrics
        history = self.client.get_metric_history
        return {
            key: max(point.step for point in history(self.run_id, key))
            for key in metrics
            if not key.startswith("system/")
        }

    def _watch_system(self) -> Any:
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        monitor: Any = SystemMetricsMonitor(  # type: ignore[no-untyped-call]
            self.run_id, resume_logging=bool(self._logged), tracking_uri=self.uri
        )
        monitor.start()
        return monitor

    def queue(self, call: Callable[[], Any]) -> None:
        """Have something done in the tracking thread.

        Raises:
            StorageError: If an earlier call has failed.
        """
        self._raise_failed()
        self._queue.append(self._thread.submit(call))

    def _raise_failed(self) -> None:
        done = [future for future in self._queue if future.done()]
        self._queue = [future for future in self._queue if not future.done()]
        for future in done:
            if (err := future.exception()) is not None:
                reason = (str(err).strip() or type(err).__name__).splitlines()[0]
                raise StorageError(
                    f"MLflow: run {self.run_id} cannot be written ({reason[:200]}). "
                    "What was saved before is kept; free some space or start the "
                    f"server, then continue with --resume {self.run_id[:8]}."
                ) from err

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Log metrics, leaving out points that a continued run already has."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        points = [
            Metric(key, float(value), now, step)
            for key, value in metrics.items()
            if step > self._logged.get(key, -1)
        ]
        if points:
            self.queue(lambda: self.client.log_batch(self.run_id, metrics=points))

    def log_params(self, params: Mapping[str, str]) -> dict[str, tuple[str, str]]:
        """Log parameters; those of a continued run stay as they are.

        Returns:
            Name, logged value and new value of those that differ.
        """
        from mlflow.entities import Param

        logged = self.client.get_run(self.run_id).data.params
        cut = {key: value[:MAX_PARAM_CHARACTERS] for key, value in params.items()}
        new = [Param(k, v) for k, v in cut.items() if k not in logged]
        for start in range(0, len(new), PARAMS_PER_CALL):
            some = new[start : start + PARAMS_PER_CALL]
            self.client.log_batch(self.run_id, params=some)
        return {
            key: (logged[key], value)
            for key, value in cut.items()
            if key in logged and logged[key] != value
        }

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags."""
        for key, value in tags.items():
            self.client.set_tag(self.run_id, key, value)

    def log_dataset(self, name: str, table: "pd.DataFrame", digest: str) -> None:
        """Log a table of images as the run's input, with its digest."""
        from mlflow.data.pandas_dataset import from_pandas
        from mlflow.entities import DatasetInput

        dataset = from_pandas(table, name=name, targets="label", digest=digest)
        entry = DatasetInput(dataset._to_mlflow_entity(), [])
        self.client.log_inputs(self.run_id, [entry])

    def log_image(self, key: str, image: "np.ndarray[Any, Any]", step: int) -> None:
        """Add a picture to a series that the UI can step through.

        Args:
            key: Name of the series.
            image: uint8 ``[H, W, 3]``.
            step: Epoch.
        """
        self.client.log_image(self.run_id, image, key=key, step=step, synchronous=True)

    def history(self, prefixes: tuple[str, ...]) -> "pd.DataFrame":
        """Metrics by epoch.

        Args:
            prefixes: What the metrics' names begin with; those by step are left out.

        Returns:
            One row an epoch, one column a metric.
        """
        import pandas as pd

        keys = self.client.get_run(self.run_id).data.metrics
        return pd.DataFrame(
            {
                key: {
                    point.step: point.value
                    for point in self.client.get_metric_history(self.run_id, key)
                }
                for key in keys
                if key.startswith(prefixes) and not key.endswith("_step")
            }
        ).sort_index()

    def publish(self, path: Path) -> None:
        """Make a file or folder below `folder` an artifact; nothing to do if local."""
        if not self._upload:
            return
        if path.is_dir():
            target = path.relative_to(self.folder).as_posix()
            self.queue(
                lambda: self.client.log_artifacts(self.run_id, str(path), target)
            )
        else:
            parent = path.parent.relative_to(self.folder).as_posix()
            target_folder = None if parent == "." else parent
            self.queue(
                lambda: self.client.log_artifact(self.run_id, path, target_folder)
            )

    def flush(self) -> None:
        """Wait until everything queued is written.

        Raises:
            StorageError: If something could not be.
        """
        while self._queue:
            self._queue[-1].exception()
            self._raise_failed()

    def finish(self, status: Status) -> None:
        """End the run; its artifacts are published by then.

        Raises:
            StorageError: If something could not be written.
        """
        self._monitor.finish()
        try:
            self.flush()
        finally:
            self._thread.shutdown(wait=True)
            self.client.set_terminated(self.run_id, status)


def _local_path(uri: str) -> Path | None:
    parsed = urlparse(uri)
    if parsed.scheme == "file":
        return Path(unquote(parsed.path))
    return Path(uri) if not parsed.scheme or os.path.isabs(uri) else None  # noqa: PTH117
