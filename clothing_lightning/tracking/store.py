"""Where runs are kept."""

import logging
import os
import sqlite3
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlparse, urlsplit

from filelock import FileLock

from clothing_lightning.data.locations import cache_folder
from clothing_lightning.errors import RunError, StorageError, causes

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

FOLDER = Path("mlruns")
RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"


def tracking_uri() -> str:
    """``MLFLOW_TRACKING_URI``, or SQLite in ``mlruns/`` of the working folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or _default_uri(FOLDER.resolve())


def is_default_store() -> bool:
    """Whether runs go to ``mlruns/`` of the working folder."""
    return tracking_uri() == _default_uri(FOLDER.resolve())


def without_password(uri: str) -> str:
    """An address as it may be shown and handed on: without the user and password."""
    user, at, _ = urlsplit(uri).netloc.rpartition("@")
    return uri.replace(f"//{user}{at}", "//", 1)


def shown_uri() -> str:
    """`tracking_uri`, as it may be shown and handed on."""
    return without_password(tracking_uri())


def where_to_browse() -> str:
    """The command that shows the runs in a browser, or the server's address."""
    uri = tracking_uri()
    if is_server(uri):
        return shown_uri()
    if is_default_store():
        return f"make ui, or: mlflow ui --backend-store-uri {_default_uri(FOLDER)}"
    shown = uri if uri == shown_uri() else '"$MLFLOW_TRACKING_URI"'
    return f"mlflow ui --backend-store-uri {shown}"


def how_to_serve(model: str) -> str:
    """The command that serves a model, which is named by its address."""
    command = f"mlflow models serve --model-uri {quote(model)} --env-manager local"
    if not is_default_store():
        return command
    return f"MLFLOW_TRACKING_URI={_default_uri(FOLDER)} {command}"


def staging_folder(run_id: str) -> Path:
    """Where the artifacts of a run on a server are written before they are uploaded.

    Relative to the working folder: a checkpoint names the folder that it was saved in,
    and only where that is the same does Lightning know which one was the best.
    """
    return FOLDER / "staging" / run_id


def local_path(uri: str) -> Path | None:
    """The folder that the address of artifacts means; None if it is elsewhere."""
    parsed = urlparse(uri)
    if parsed.scheme == "file":
        return Path(unquote(parsed.path))
    return Path(uri) if not parsed.scheme or Path(uri).is_absolute() else None


def is_server(uri: str) -> bool:
    """Whether runs are kept by a server."""
    return uri.startswith(("http://", "https://"))


def _default_uri(folder: Path) -> str:
    return f"sqlite:///{folder.as_posix()}/mlflow.db"


@cache
def client(uri: str) -> "MlflowClient":
    """Connect to the store, and make the default one if it is not there.

    Raises:
        StorageError: If its folder cannot be written or the store cannot be opened.
    """
    try:
        if is_default_store():
            FOLDER.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Bars for files of a few kilobytes, between those of the training.
            os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
            os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
            # Lines at the end of each run, with the password of the server's address.
            os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
            import mlflow

            # mlflow sets up its own logging when it is imported.
            for name in ("mlflow", "alembic"):
                logging.getLogger(name).setLevel(logging.WARNING)
            # What it logs as an error with a traceback is raised as well.
            logging.getLogger("mlflow.store").setLevel(logging.CRITICAL)
            mlflow.set_tracking_uri(uri)
            with _answering_at_once(), _one_at_a_time():
                connected = mlflow.MlflowClient(uri)
                connected.search_experiments(max_results=1)
    except Exception as err:  # SQLAlchemy's, requests' and MLflow's own
        raise StorageError(_refusal(uri, err)) from err
    return connected


def existing_client() -> "MlflowClient":
    """Connect to the store to read it; none is made.

    Raises:
        RunError: If there is none.
        StorageError: If it cannot be opened.
    """
    if is_default_store() and not (FOLDER / "mlflow.db").is_file():
        raise RunError(
            f"there are no runs in '{FOLDER.resolve()}'. Start from the folder that "
            "they were trained in, or set MLFLOW_TRACKING_URI."
        )
    return client(tracking_uri())


def _refusal(uri: str, err: Exception) -> str:
    """Why a store cannot be opened, and what to do about it."""
    from mlflow.exceptions import MlflowException

    shown = without_password(uri)
    if isinstance(err, MlflowException) and err.error_code == "UNAUTHENTICATED":
        user = os.environ.get("MLFLOW_TRACKING_USERNAME")
        whom = f"'{user}' in with this password" if user else "anyone in without a name"
        return (
            f"MLflow: the server '{shown}' does not let {whom}. Set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to a user it knows."
        )
    return (
        f"MLflow: the store '{shown}' cannot be opened ({first_line(err)}). Make its "
        "folder writable, start the server, or set MLFLOW_TRACKING_URI."
    )


@contextmanager
def _answering_at_once() -> Iterator[None]:
    """Ask a server twice; MLflow would try for minutes before it says a word."""
    if RETRIES in os.environ:
        yield
        return
    os.environ[RETRIES] = "1"
    try:
        yield
    finally:
        del os.environ[RETRIES]


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Keep another process from making the tables of the default store meanwhile."""
    with ExitStack() as locked:
        if is_default_store():
            # Not in the store's folder, whose files DVC counts. Where no lock can be
            # had, for want of a home to write in, nobody else is likely to be there.
            with suppress(OSError):
                cache_folder().mkdir(parents=True, exist_ok=True)
                locked.enter_context(FileLock(cache_folder() / "mlflow.lock"))
        yield


def first_line(err: BaseException) -> str:
    """What was behind an error, on one line of at most 200 characters, no password."""
    innermost = causes(err)[-1]
    line = (str(innermost).strip() or type(innermost).__name__).splitlines()[0]
    return line.replace(tracking_uri(), shown_uri())[:200]


def ensure_writable(folder: Path) -> None:
    """Refuse a folder that results could not be saved in, before anything is computed.

    Raises:
        StorageError: If it cannot be made or written.
    """
    probe = folder / ".write-test"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as err:
        raise StorageError(
            f"'{folder}': results cannot be written there ({err.strerror}). Free some "
            "space, change its permissions, or start from another folder."
        ) from err


def create_run(experiment: str, name: str, tags: Mapping[str, str]) -> "Run":
    """Start a run in an experiment, which is made if it is not there.

    Raises:
        StorageError: If the store cannot be opened or written.
    """
    from mlflow.exceptions import MlflowException

    uri = tracking_uri()
    store = client(uri)
    try:
        place = _experiment_id(store, experiment)
        return store.create_run(place, run_name=name, tags=dict(tags))
    except MlflowException as err:
        raise StorageError(
            f"MLflow: no run can be started in '{shown_uri()}' ({first_line(err)}). "
            "Free some space, make it writable, or set MLFLOW_TRACKING_URI."
        ) from err


def add_artifact(run_id: str, file: Path, folder: str) -> None:
    """Add a file to the artifacts of a run, whose status stays as it is.

    Args:
        run_id: The id of the run.
        file: Path of the file.
        folder: Folder among the artifacts that it is copied into.

    Raises:
        StorageError: If it cannot be written.
    """
    try:
        client(tracking_uri()).log_artifact(run_id, str(file), folder)
    except Exception as err:  # differs with the store
        raise StorageError(
            f"MLflow: '{folder}/{file.name}' cannot be added to run {run_id} "
            f"({first_line(err)}). Free some space, or make its artifacts writable."
        ) from err


def _experiment_id(store: "MlflowClient", name: str) -> str:
    experiment = store.get_experiment_by_name(name)
    if experiment is not None:
        return str(experiment.experiment_id)
    made = str(store.create_experiment(name))
    if is_default_store():
        _keep_artifacts_beside(made)
    return made


def _keep_artifacts_beside(experiment_id: str) -> None:
    """Let artifacts of the default store be found wherever its folder is moved to.

    MLflow reads a relative location from the working folder, as it does the default
    store itself; but all of its public calls that take a location make it absolute
    first, so that it has to be written into MLflow's own table. A test tells when this
    is no longer needed, and another when the table is no longer as it is.
    """
    location = (FOLDER / "artifacts").as_posix()
    with closing(sqlite3.connect(FOLDER / "mlflow.db", timeout=30)) as database:
        database.execute(
            "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?",
            (location, experiment_id),
        )
        database.commit()
