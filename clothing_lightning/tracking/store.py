"""Where runs are kept."""

import logging
import os
import warnings
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from clothing_lightning.errors import StorageError

if TYPE_CHECKING:
    from mlflow import MlflowClient

FOLDER = Path("mlruns")


def tracking_uri() -> str:
    """``MLFLOW_TRACKING_URI``, or SQLite in ``mlruns/`` of the working folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{FOLDER}/mlflow.db"


def is_default_store() -> bool:
    """Whether runs go to ``mlruns/`` of the working folder."""
    return tracking_uri() == f"sqlite:///{FOLDER}/mlflow.db"


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
            import mlflow

            # mlflow sets up its own logging when it is imported.
            for name in ("mlflow", "alembic"):
                logging.getLogger(name).setLevel(logging.WARNING)
            mlflow.set_tracking_uri(uri)
            connected = mlflow.MlflowClient(uri)
            connected.search_experiments(max_results=1)
    except Exception as err:  # SQLAlchemy's, requests' and MLflow's own
        reason = (str(err).strip() or type(err).__name__).splitlines()[0]
        raise StorageError(
            f"MLflow: the store '{uri}' cannot be opened ({reason[:200]}). Make its "
            "folder writable, start the server, or set MLFLOW_TRACKING_URI."
        ) from err
    return connected


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
