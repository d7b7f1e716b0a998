"""One run in MLflow, written to from a thread of its own.

Nothing here makes the caller wait for the store: calls are queued and done in order.
What goes wrong there is raised by the next call, or at the latest by `finish`.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self
from uuid import uuid4

from clothing_lightning.errors import StorageError
from clothing_lightning.tracking.store import (
    client,
    create_run,
    ensure_writable,
    first_line,
    local_path,
    staging_folder,
    tracking_uri,
)

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Status = Literal["FINISHED", "FAILED", "KILLED"]
MAX_PARAM_CHARACTERS = 6000  # of MLflow's stores
PARAMS_PER_CALL = 100  # of MLflow's stores


def status_after(err: BaseException) -> Status:
    """The status of a run that an exception ends."""
    return "KILLED" if isinstance(err, KeyboardInterrupt) else "FAILED"


class RunWriter:
    """A run that is being written; the end of a ``with`` block ends it.

    Attributes:
        run_id: The id that MLflow gave the run.
        name: The name of the run, as the UI shows it.
        folder: The folder in which artifacts are written. With a local store it is
            the artifact folder itself, so that nothing is copied; else a staging folder
            from which `publish` uploads.
    """

    def __init__(
        self,
        experiment: str,
        name: str,
        run_id: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Start a run, or continue one.

        Args:
            experiment: The name of the MLflow experiment, made if it is not there.
            name: The name of the run.
            run_id: The id of the run to continue; None starts a new one.
            tags: Tags that a new run has from the first moment.

        Raises:
            StorageError: If the store cannot be opened or written.
        """
        self.uri = tracking_uri()
        self.client = client(self.uri)
        self.run_id = run_id or ""
        self._continued = run_id is not None
        with self._storing():
            if run_id is None:
                run = create_run(experiment, name, tags or {})
                self.run_id = run.info.run_id
            else:
                self.client.update_run(run_id, status="RUNNING")
                run = self.client.get_run(run_id)
            self._results = dict(run.data.metrics)
            history = self.client.get_metric_history
            # The last step of each metric, so that a continued run doubles none.
            self._logged = {
                key: max(point.step for point in history(self.run_id, key))
                for key in self._results
                if not key.startswith("system/")
            }
        self.name = run.info.run_name or name
        local = local_path(run.info.artifact_uri)
        self._upload = local is None
        self.folder = local or staging_folder(self.run_id)
        self._prepare_folder()
        self._monitor = self._watch_system()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tracking")
        self._queue: list[Future[Any]] = []

    def _prepare_folder(self) -> None:
        """Check that it can be written, and fetch what a continued run needs."""
        try:
            ensure_writable(self.folder)
        except StorageError:
            self.client.set_terminated(self.run_id, "FAILED")
            raise
        if not (self._upload and self._continued):
            return
        import mlflow

        with self._storing():
            there = {entry.path for entry in self.client.list_artifacts(self.run_id)}
            for name in ("checkpoints", "predictions"):
                if name in there and not (self.folder / name).exists():
                    mlflow.artifacts.download_artifacts(
                        run_id=self.run_id,
                        artifact_path=name,
                        dst_path=str(self.folder),
                        tracking_uri=self.uri,
                    )

    def _watch_system(self) -> Any:
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        monitor: Any = SystemMetricsMonitor(  # type: ignore[no-untyped-call]
            self.run_id, resume_logging=self._continued, tracking_uri=self.uri
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
        from mlflow.exceptions import MlflowException

        waiting: list[Future[Any]] = []
        done: list[Future[Any]] = []
        for future in self._queue:  # asked once: it may end in between
            (done if future.done() else waiting).append(future)
        self._queue = waiting
        for future in done:
            err = future.exception()
            if isinstance(err, MlflowException | OSError):
                raise self._storage_error(err) from err
            if err is not None:  # the call itself is wrong, or what it was given
                raise err

    @contextmanager
    def _storing(self) -> Iterator[None]:
        """Explain what the store refuses."""
        from mlflow.exceptions import MlflowException

        try:
            yield
        except MlflowException as err:
            raise self._storage_error(err) from err

    def _storage_error(self, err: BaseException) -> StorageError:
        reason = first_line(err)
        return StorageError(
            f"MLflow: run {self.run_id} cannot be written ({reason}). What was saved "
            "before is kept; free some space or start the server, then call again; "
            f"fit goes on with --resume {self.run_id[:8]}."
        )

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Log metrics, leaving out points that a continued run already has."""
        logged = self._logged
        self._log({k: v for k, v in metrics.items() if step > logged.get(k, -1)}, step)

    def log_results(self, metrics: Mapping[str, float]) -> None:
        """Log metrics of which a run has one value.

        They stand at step 0, where the UI draws bars that compare runs instead of a
        curve of one point. In a continued run a new value takes the place of the old.
        """
        before = self._results
        self._log({k: v for k, v in metrics.items() if before.get(k) != float(v)}, 0)

    def _log(self, metrics: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        points = [Metric(key, float(v), now, step) for key, v in metrics.items()]
        if points:
            self.queue(lambda: self.client.log_batch(self.run_id, metrics=points))

    def log_params(self, params: Mapping[str, str]) -> dict[str, tuple[str, str]]:
        """Log parameters; those of a continued run stay as they are.

        Returns:
            Name, logged value and new value of those that differ.

        Raises:
            StorageError: If they cannot be written.
        """
        from mlflow.entities import Param

        cut = {key: value[:MAX_PARAM_CHARACTERS] for key, value in params.items()}
        with self._storing():
            logged = self.client.get_run(self.run_id).data.params
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
        """Set tags.

        Raises:
            StorageError: If they cannot be written.
        """
        with self._storing():
            for key, value in tags.items():
                self.client.set_tag(self.run_id, key, value)

    def log_dataset(self, name: str, table: "pd.DataFrame", digest: str) -> None:
        """Log a table of images as the run's input, with its digest.

        Raises:
            StorageError: If it cannot be written.
        """
        from mlflow.data.pandas_dataset import from_pandas
        from mlflow.entities import Dataset, DatasetInput

        dataset = from_pandas(table, name=name, targets="label", digest=digest)
        entry = DatasetInput(Dataset(**dataset.to_dict()), [])
        with self._storing():
            self.client.log_inputs(self.run_id, [entry])

    def log_image(self, key: str, image: "np.ndarray[Any, Any]", step: int) -> None:
        """Add a picture to a series that the UI can step through.

        `MlflowClient.log_image` with a key does the same, but steps through thumbnails
        of 256 pixels, in which the names of 18 classes cannot be read.

        Args:
            key: Name of the series.
            image: uint8 ``[H, W, 3]``.
            step: Epoch.
        """
        from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_IMAGES

        now = int(time.time() * 1000)
        series = key.replace("/", "~")
        name = f"images/{series}+step+{step}+timestamp+{now}+{uuid4()}"
        for file in (f"{name}.png", f"{name}+compressed.webp"):
            self.client.log_image(self.run_id, image, artifact_file=file)
        self.client.set_tag(self.run_id, MLFLOW_LOGGED_IMAGES, "True")

    def history(self, prefixes: tuple[str, ...]) -> "pd.DataFrame":
        """Metrics by epoch.

        Args:
            prefixes: What the metrics' names begin with; those by step are left out.

        Returns:
            One row an epoch, one column a metric.

        Raises:
            StorageError: If the store does not answer.
        """
        import pandas as pd

        with self._storing():
            keys = self.client.get_run(self.run_id).data.metrics
            points = {
                key: self.client.get_metric_history(self.run_id, key)
                for key in keys
                if key.startswith(prefixes) and not key.endswith("_step")
            }
        return pd.DataFrame(
            {key: {p.step: p.value for p in each} for key, each in points.items()}
        ).sort_index()

    def publish(self, path: Path) -> None:
        """Make a file or folder below `folder` an artifact; nothing to do if local."""
        if not self._upload:
            return
        folder = path if path.is_dir() else path.parent
        upload = (
            self.client.log_artifacts if path.is_dir() else self.client.log_artifact
        )
        # MLflow calls the topmost folder None.
        target = "/".join(folder.relative_to(self.folder).parts) or None
        self.queue(lambda: upload(self.run_id, str(path), target))

    def flush(self) -> None:
        """Wait until everything queued is written.

        Raises:
            StorageError: If something could not be.
        """
        while self._queue:
            self._queue[-1].exception()
            self._raise_failed()

    def __enter__(self) -> Self:
        """Begin a ``with`` block."""
        return self

    def __exit__(self, kind: object, err: BaseException | None, trace: object) -> None:
        """End the run: ``FINISHED``, or what an exception makes of it."""
        self.finish("FINISHED" if err is None else status_after(err))

    def finish(self, status: Status) -> None:
        """End the run; its artifacts are published by then.

        Raises:
            StorageError: If something could not be written; the run is ``FAILED`` then.
        """
        self._monitor.finish()
        try:
            self.flush()
        except Exception:
            status = "FAILED"
            raise
        finally:
            self._thread.shutdown(wait=True)
            with self._storing():
                self.client.set_terminated(self.run_id, status)
