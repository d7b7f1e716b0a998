"""What a comparison takes from the store besides the runs, and what it leaves there."""

import hashlib
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from clothing_lightning.comparison.pooling import RunPredictions
from clothing_lightning.data.locations import data_folder
from clothing_lightning.tracking.read import StoredRun
from clothing_lightning.tracking.run import RunWriter
from clothing_lightning.tracking.store import (
    client,
    is_server,
    shown_uri,
    tracking_uri,
)

COMPARES_TAG = "compares"


def photo(runs: Sequence[RunPredictions], path: str, content: str) -> bytes | None:
    """The file of a photo, if it lies where it did, or below the data's folder now.

    Links are followed, since only the file with this content is taken.

    Args:
        runs: Those that tested it.
        path: As in their predictions.
        content: SHA-256 of the file; another file is not returned.
    """
    if Path(path).is_absolute() or ".." in Path(path).parts:
        return None
    data = data_folder()
    for root in dict.fromkeys(run.root for run in runs if run.root):
        for folder in (Path(root), data / Path(root).name):
            with suppress(OSError, ValueError):  # not there, or no name of a file
                file = folder / path
                if file.is_file():
                    found = file.read_bytes()
                    if hashlib.sha256(found).hexdigest() == content:
                        return found
    return None


def run_links(runs: Sequence[StoredRun]) -> dict[str, str]:
    """Where a browser finds each run; nothing if there is no server."""
    uri = shown_uri()
    if not is_server(uri):
        return {}
    return {
        run.run_id: f"{uri}/#/experiments/{run.experiment_id}/runs/{run.run_id}"
        for run in runs
    }


def log_comparison(
    runs: Sequence[StoredRun], files: Sequence[Path], name: str, command: str
) -> str:
    """Keep a comparison as a run of the experiment that its newest run belongs to.

    Args:
        runs: Those that were compared, the newest first.
        files: Of the comparison.
        name: Of the comparison.
        command: That made it.

    Returns:
        The id of the new run.

    Raises:
        StorageError: If it cannot be written.
    """
    store = client(tracking_uri())
    experiment = store.get_experiment(runs[0].experiment_id).name
    ids = " ".join(run.run_id for run in runs)
    kept = RunWriter(
        experiment,
        f"comparison of {name}",
        # A tag holds 8,000 characters: 240 ids.
        tags={COMPARES_TAG: ids[:7900], "command": command[:7900]},
    )
    try:
        target = kept.folder / "comparison"
        target.mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copy(file, target)
        kept.publish(target)
        kept.finish("FINISHED")
    except BaseException:
        kept.finish("FAILED")
        raise
    return kept.run_id
