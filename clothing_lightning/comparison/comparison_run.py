"""A comparison as a run of its own."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from clothing_lightning.comparison.predictions import Comparison
from clothing_lightning.tracking.read import COMPARES_TAG, StoredRun
from clothing_lightning.tracking.run import RunWriter


def log_comparison(
    compared: Comparison,
    stored: Sequence[StoredRun],
    files: Sequence[Path],
    name: str,
    command: str,
) -> str:
    """Keep a comparison as a run of the experiment that its newest run belongs to.

    Args:
        compared: The comparison.
        stored: The runs that were compared, and maybe others, the newest first.
        files: The files that hold the comparison.
        name: What the comparison is called.
        command: The command that made it.

    Returns:
        The id of the new run.

    Raises:
        StorageError: If it cannot be written.
    """
    ids = {run.run_id for model in compared.models for run in model.runs}
    runs = [run for run in stored if run.run_id in ids]
    writer = RunWriter(
        runs[0].experiment,
        f"comparison of {name}",
        # A tag holds 8,000 characters: 240 ids.
        tags={
            COMPARES_TAG: " ".join(run.run_id for run in runs)[:7900],
            "command": command[:7900],
        },
    )
    try:
        folder = writer.folder / "comparison"
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copy(file, folder)
        writer.publish(folder)
        writer.finish("FINISHED")
    except BaseException as err:
        writer.finish("KILLED" if isinstance(err, KeyboardInterrupt) else "FAILED")
        raise
    return writer.run_id
