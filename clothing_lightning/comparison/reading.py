"""Runs with test predictions, as they are compared."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clothing_lightning.comparison.hyperparameters import (
    CHECKPOINT,
    FOLD,
    recipe_of,
    seeds_of,
)
from clothing_lightning.comparison.pooling import TRAIN_AND_VAL, RunPredictions
from clothing_lightning.comparison.storing import COMPARES_TAG
from clothing_lightning.data.progress import with_progress
from clothing_lightning.data.table import read_cells
from clothing_lightning.errors import ConfigError, DataError, RunError
from clothing_lightning.metrics.classification_report import check_predictions
from clothing_lightning.tracking.names import without_repeat
from clothing_lightning.tracking.read import (
    EVALUATES_TAG,
    StoredRun,
    all_runs,
    children,
    find_run,
    run_matches,
)
from clothing_lightning.tracking.store import (
    existing_client,
    first_line,
    shown_uri,
)
from clothing_lightning.wording import listed, on_machine

if TYPE_CHECKING:
    import pandas as pd


def chosen_runs(
    references: Sequence[str], experiments: Sequence[str], condition: str
) -> list[StoredRun]:
    """Find the runs that are to be compared, the newest first.

    Args:
        references: Ids, starts of ids, or names; a name with or without its seed may
            be that of several runs, and one that stands for several means those.
        experiments: Names of experiments, for all of their runs.
        condition: MLflow's filter on runs of the experiments; may be empty.

    Raises:
        RunError: If a run or an experiment is not there.
        ConfigError: If the store does not understand the condition.
    """
    found: dict[str, StoredRun] = {}
    for name in experiments:
        for run in _of_experiment(name, condition):
            found[run.run_id] = run
    if references:
        every = all_runs()
        for reference in references:
            for run in _named(reference, every):
                found[run.run_id] = run
    return sorted(found.values(), key=lambda run: -run.started)


def _of_experiment(name: str, condition: str) -> list[StoredRun]:
    from mlflow.exceptions import MlflowException

    store = existing_client()
    experiment = store.get_experiment_by_name(name)
    if experiment is None:
        known = sorted(e.name for e in store.search_experiments())
        is_run = any(name in (r.name, without_repeat(r.name)) for r in all_runs())
        raise RunError(
            f"--experiment: '{name}' is not in {shown_uri()}, which has "
            f"{', '.join(known)}."
            + (" There is a run of this name: write it before the flags." * is_run)
        )
    try:
        found = all_runs([experiment.experiment_id], condition)
    except MlflowException as err:
        raise ConfigError(
            f"--filter: {condition!r} is not understood ({first_line(err)}). Write it "
            'as in MLflow\'s search, such as "metrics.`test/accuracy` > 0.8".'
        ) from err
    if not found:
        met = (
            f"none of its runs meets --filter {condition!r}"
            if condition
            else "is empty"
        )
        raise RunError(f"--experiment: '{name}': {met}.")
    return found


def _named(reference: str, every: Sequence[StoredRun]) -> list[StoredRun]:
    found = [run for run in every if run_matches(run, reference)]
    found = found or [run for run in every if without_repeat(run.name) == reference]
    if not found:
        from difflib import get_close_matches

        names = {run.name for run in every} | {without_repeat(r.name) for r in every}
        near = [f"'{name}'" for name in get_close_matches(reference, names, n=3)]
        raise RunError(
            f"run '{reference}' is not in {shown_uri()}."
            + (f" Closest names: {', '.join(near)}." if near else "")
            + " Give an id, the start of one, or a name; mlflow ui shows them all."
        )
    stand_for = [run for run in found if run.group]
    members = [child for run in stand_for for child in children(run.run_id)]
    return [run for run in found if not run.group] + members


def usable(runs: Sequence[StoredRun]) -> tuple[list[StoredRun], list[str]]:
    """Leave out runs that cannot be compared, and those that only repeat others.

    An evaluation counts where the run that it evaluates is not among the others, since
    results on other images are not to be mixed with those of the run's own test; or
    where it is of another checkpoint.

    Returns:
        The others, and what to say of those left out.
    """
    kept, unfinished, again = [], [], []
    own = {
        run.run_id: run.tags.get("test_digest")
        for run in runs
        if run.status == "FINISHED"
    }
    for run in runs:
        if run.group or COMPARES_TAG in run.tags:
            continue
        of = run.tags.get(EVALUATES_TAG, "")
        if run.status != "FINISHED":
            unfinished.append(f"{named(run)[:-1]}, {run.status})")
        elif of in own or run.tags.get("stage") == "val":
            if own.get(of) != run.tags.get("test_digest"):
                again.append(named(run))
            elif CHECKPOINT in run.params:
                kept.append(run)
        else:
            kept.append(run)
    told = []
    if unfinished:
        told.append(f"Not finished, left out: {listed(unfinished, 3)}.")
    if again:
        told.append(
            f"Evaluations on other images than the run's own test are left out: "
            f"{listed(again, 3)}. Name them alone to compare them."
        )
    return kept, told


def read_tested(runs: Sequence[StoredRun]) -> tuple[list[RunPredictions], list[str]]:
    """Read what is compared of runs, showing how far it is.

    Args:
        runs: The newest first.

    Returns:
        Those with test predictions, and what to say of the others.
    """
    manifests: dict[str, pd.DataFrame] = {}
    found, told = [], []
    for run in with_progress(runs, "Reading runs", total=len(runs)):
        try:
            found.append(_tested(run, manifests))
        except (RunError, DataError) as err:
            told.append(f"Left out: {err}")
    return found, told


def _tested(run: StoredRun, manifests: "dict[str, pd.DataFrame]") -> RunPredictions:
    import pandas as pd

    # Runs with the same digest have the same manifest.
    digest = run.split_digest or run.run_id
    if digest not in manifests:
        manifests[digest] = _manifest(run)
    manifest = of_training = manifests[digest]
    recipe, seeds = recipe_of(run.params), seeds_of(run.params)
    fold, evaluated = run.params.get(FOLD, ""), run.tags.get(EVALUATES_TAG)
    origin = find_run(evaluated) if evaluated else run
    if evaluated:
        # It is the same model wherever it is tested; folds are pooled on the images
        # that each has left out alone.
        seeds, fold = f"{seeds}, fold {fold}" if fold else seeds, ""
        of_training = _read(origin, "data/manifest.csv", read_cells)
        learnt = of_training[of_training["split"].isin(TRAIN_AND_VAL)]
        manifest = pd.concat([manifest, learnt[["path", "sha256", "split"]]])
    if run.params.get("data.split.fraction", "1.0") == "1.0":
        # Of the images themselves: the same recipe on others is another model.
        contents = sorted(of_training["sha256"].dropna())
        whole = hashlib.sha256("".join(contents).encode()).hexdigest()
        recipe["data.images"] = f"{len(contents):,} ({whole[:8]})"
    predictions = _read(run, "predictions/test.parquet", _read_predictions)
    return RunPredictions(
        run_id=run.run_id,
        name=origin.name,
        recipe=recipe,
        seeds=seeds,
        fold=fold,
        predictions=predictions,
        manifest=manifest,
        validation=_optional(run, "predictions/val.parquet", _read_predictions),
        preprocessing=_preprocessing(run.tags.get("preprocessing", "")),
        machine=on_machine(
            origin.tags.get("device", ""), _number(origin.tags.get("threads", ""))
        ),
        metrics=run.metrics,
        history=_optional(run, "reports/learning_curves.csv", pd.read_csv),
        root=run.tags.get("image_root", ""),
    )


def _manifest(run: StoredRun) -> "pd.DataFrame":
    import pandas as pd

    manifest = _read(run, "data/manifest.csv", read_cells)
    if missing := {"path", "sha256", "split"} - set(manifest.columns):
        raise RunError(
            f"run {named(run)}: its manifest has no column {min(missing)!r}."
        )
    for column in manifest.columns.intersection(["width", "height"]):
        manifest[column] = pd.to_numeric(manifest[column], errors="coerce")
    return manifest


def named(run: StoredRun) -> str:
    """Name and start of the id."""
    return f"{run.name} ({run.run_id[:8]})"


def _read(
    run: StoredRun, path: str, reader: "Callable[[Path], pd.DataFrame]"
) -> "pd.DataFrame":
    """Read a table among the artifacts.

    Raises:
        RunError: If it is not there, or damaged.
    """
    file = run.artifact(path)
    try:
        return reader(file)
    except (OSError, ValueError, KeyError, DataError) as err:  # all that parsers raise
        raise RunError(
            f"run {named(run)}: '{path}' cannot be read ({first_line(err)})."
        ) from err


def _optional(
    run: StoredRun, path: str, reader: "Callable[[Path], pd.DataFrame]"
) -> "pd.DataFrame | None":
    try:
        return _read(run, path, reader)
    except RunError:
        return None


def _preprocessing(recorded: str) -> str:
    """What the tag of a run says, for people."""
    try:
        told = json.loads(recorded)
        boxes = ", cut to boxes" if told.get("boxes") else ""
        gray = ", gray" if len(told["mean"]) == 1 else ""
        return f"{told['image_size']} px, centre {told['crop_pct']:.3g}{gray}{boxes}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _read_predictions(file: Path) -> "pd.DataFrame":
    import pandas as pd

    table = pd.read_parquet(file)
    check_predictions(table)
    return table
