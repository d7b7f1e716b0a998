"""Which runs are compared: those that are named, without those that cannot be."""

from collections.abc import Sequence

from clothing_lightning.errors import ConfigError, RunError
from clothing_lightning.tracking.names import without_repeat
from clothing_lightning.tracking.read import (
    CHECKPOINT,
    COMPARES_TAG,
    EVALUATES_TAG,
    StoredRun,
    all_runs,
    experiment_runs,
    members,
    run_matches,
)
from clothing_lightning.tracking.store import shown_uri
from clothing_lightning.wording import closest, listed


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
    every = all_runs() if references else []
    chosen = [run for name in experiments for run in _of_experiment(name, condition)]
    chosen += [run for reference in references for run in _meant(reference, every)]
    once = {run.run_id: run for run in chosen}
    return sorted(once.values(), key=lambda run: -run.started)


def _of_experiment(name: str, condition: str) -> list[StoredRun]:
    try:
        runs = experiment_runs(name, condition)
    except ConfigError as err:
        raise ConfigError(f"--filter: {err}") from err
    except RunError as err:
        is_run = any(name in (r.name, without_repeat(r.name)) for r in all_runs())
        hint = " There is a run of this name: write it before the flags." * is_run
        raise RunError(f"--experiment: {err}{hint}") from err
    if not runs:
        unmet = f"none of its runs meets --filter {condition!r}"
        raise RunError(f"--experiment: '{name}': {unmet if condition else 'is empty'}.")
    return runs


def _meant(reference: str, every: Sequence[StoredRun]) -> list[StoredRun]:
    """The runs that a reference means, among all runs of the store."""
    meant = [run for run in every if run_matches(run, reference)]
    meant = meant or [run for run in every if without_repeat(run.name) == reference]
    if not meant:
        names = {run.name for run in every} | {without_repeat(r.name) for r in every}
        raise RunError(
            f"run '{reference}' is not in {shown_uri()}."
            f"{closest(reference, sorted(names))} Give an id, the start of one, or a "
            "name; mlflow ui shows them all."
        )
    return [
        one for run in meant for one in (members(run, every) if run.group else [run])
    ]


def comparable_runs(
    runs: Sequence[StoredRun],
) -> tuple[list[StoredRun], list[str]]:
    """Leave out runs that cannot be compared, and those that only repeat others.

    An evaluation counts where the run that it evaluates is not among the others, since
    results on other images are not to be mixed with those of the run's own test; or
    where it is of another checkpoint.

    Returns:
        The other runs, and remarks about those left out.
    """
    kept, unfinished, elsewhere = [], [], []
    own = {r.run_id: r.tags.get("test_digest") for r in runs if r.status == "FINISHED"}
    for run in runs:
        if run.group or COMPARES_TAG in run.tags:
            continue
        evaluated = run.tags.get(EVALUATES_TAG, "")
        if run.status != "FINISHED":
            unfinished.append(f"{run.label[:-1]}, {run.status})")
        elif evaluated in own or run.tags.get("stage") == "val":
            if own.get(evaluated) != run.tags.get("test_digest"):
                elsewhere.append(run.label)
            elif CHECKPOINT in run.params:
                kept.append(run)
        else:
            kept.append(run)
    remarks = []
    if unfinished:
        remarks.append(f"Not finished, left out: {listed(unfinished, 3)}.")
    if elsewhere:
        remarks.append(
            f"Evaluations on other images than the run's own test are left out: "
            f"{listed(elsewhere, 3)}. Name them alone to compare them."
        )
    return kept, remarks
