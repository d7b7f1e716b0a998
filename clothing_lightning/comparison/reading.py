"""Reading what is compared of runs."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from clothing_lightning.comparison.hyperparameters import (
    FOLD,
    compared_settings,
    seeds_of,
)
from clothing_lightning.comparison.predictions import TRAIN_AND_VAL, RunPredictions
from clothing_lightning.data.progress import with_progress
from clothing_lightning.data.table import read_cells
from clothing_lightning.errors import DataError, RunError
from clothing_lightning.metrics.classification_report import check_predictions
from clothing_lightning.tracking.read import (
    CHECKPOINT,
    EVALUATES_TAG,
    StoredRun,
    runs_by_id,
)
from clothing_lightning.tracking.store import first_line
from clothing_lightning.wording import on_machine


def read_runs(
    runs: Sequence[StoredRun],
) -> tuple[list[RunPredictions], list[str]]:
    """Read what is compared of runs, showing how far it is.

    Args:
        runs: The runs, the newest first.

    Returns:
        The runs that have test predictions, and remarks about the others.
    """
    known = {run.run_id: run for run in runs}
    evaluated = {run.tags[EVALUATES_TAG] for run in runs if EVALUATES_TAG in run.tags}
    origins = known | runs_by_id(sorted(evaluated - set(known)))
    manifests = _Manifests()
    read, remarks = [], []
    for run in with_progress(runs, "Reading runs", total=len(runs)):
        try:
            read.append(_read_run(run, origins, manifests))
        except (RunError, DataError) as err:
            remarks.append(f"Left out: {err}")
    return read, remarks


class _Manifests:
    """Manifests of runs, each read once."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[pd.DataFrame, str]] = {}

    def of(self, run: StoredRun) -> tuple[pd.DataFrame, str]:
        """The manifest of a run, and its images as text: their number and a digest."""
        # Runs with the same digest have the same manifest.
        digest = run.split_digest or run.run_id
        if digest not in self._read:
            manifest = _manifest(run)
            contents = sorted(manifest["sha256"].dropna())
            whole = hashlib.sha256("".join(contents).encode()).hexdigest()
            self._read[digest] = manifest, f"{len(contents):,} ({whole[:8]})"
        return self._read[digest]


def _read_run(
    run: StoredRun, origins: Mapping[str, StoredRun], manifests: _Manifests
) -> RunPredictions:
    """Read one run, which may be an evaluation of another of the origins.

    Raises:
        RunError: If something of it is missing or damaged.
        DataError: If it is not what it has to be.
    """
    trained_by = run.tags.get(EVALUATES_TAG, run.run_id)
    if trained_by not in origins:
        raise RunError(f"run {run.label}: evaluates {trained_by[:8]}, which is gone.")
    origin = origins[trained_by]
    manifest, _ = manifests.of(run)
    of_training, images = manifests.of(origin)
    settings = compared_settings(origin)
    seeds, fold = seeds_of(origin.hyperparameters), origin.params.get(FOLD, "")
    threads = origin.tags.get("threads", "")
    if origin is not run:
        # It is the same model wherever it is tested; folds are pooled on the images
        # that each has left out alone.
        seeds, fold = f"{seeds}, fold {fold}" if fold else seeds, ""
        learnt = of_training[of_training["split"].isin(TRAIN_AND_VAL)]
        manifest = pd.concat([manifest, learnt[["path", "sha256", "split"]]])
        if CHECKPOINT in run.params:
            settings[CHECKPOINT] = run.params[CHECKPOINT]
    if settings.get("data.split.fraction", "1.0") == "1.0":
        # Images belong to the settings: on other images it is another model.
        settings["data.images"] = images
    return RunPredictions(
        run_id=run.run_id,
        name=origin.name,
        hyperparameters=settings,
        seeds=seeds,
        fold=fold,
        predictions=_read(run, "predictions/test.parquet", _read_predictions),
        manifest=manifest,
        validation=_optional(run, "predictions/val.parquet", _read_predictions),
        preprocessing=_preprocessing(run.tags.get("preprocessing", "")),
        machine=on_machine(
            origin.tags.get("device", ""), int(threads) if threads.isdecimal() else None
        ),
        metrics=run.metrics,
        history=_optional(run, "reports/learning_curves.csv", pd.read_csv),
        root=run.tags.get("image_root", ""),
    )


def _manifest(run: StoredRun) -> pd.DataFrame:
    manifest = _read(run, "data/manifest.csv", read_cells)
    if missing := {"path", "sha256", "split"} - set(manifest.columns):
        raise RunError(f"run {run.label}: its manifest has no column {min(missing)!r}.")
    for column in manifest.columns.intersection(["width", "height"]):
        manifest[column] = pd.to_numeric(manifest[column], errors="coerce")
    return manifest


def _read(
    run: StoredRun, path: str, reader: Callable[[Path], pd.DataFrame]
) -> pd.DataFrame:
    """Read a table among the artifacts.

    Raises:
        RunError: If it is not there, or damaged.
    """
    file = run.artifact(path)
    try:
        return reader(file)
    except (OSError, ValueError, KeyError, DataError) as err:  # all that parsers raise
        raise RunError(
            f"run {run.label}: '{path}' cannot be read ({first_line(err)})."
        ) from err


def _optional(
    run: StoredRun, path: str, reader: Callable[[Path], pd.DataFrame]
) -> pd.DataFrame | None:
    try:
        return _read(run, path, reader)
    except RunError:
        return None


def _preprocessing(recorded: str) -> str:
    """What the tag of a run says, for people."""
    try:
        how = json.loads(recorded)
        boxes = ", cut to boxes" if how.get("boxes") else ""
        gray = ", gray" if len(how["mean"]) == 1 else ""
        return f"{how['image_size']} px, centre {how['crop_pct']:.3g}{gray}{boxes}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""


def _read_predictions(file: Path) -> pd.DataFrame:
    table = pd.read_parquet(file)
    check_predictions(table)
    return table
