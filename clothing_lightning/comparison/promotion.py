"""Registered models: whether a new version takes the place of the one before it."""

from dataclasses import dataclass

import pandas as pd

from clothing_lightning.comparison.predictions import RunPredictions
from clothing_lightning.comparison.ranking import ALPHA
from clothing_lightning.comparison.reading import read_runs
from clothing_lightning.metrics.classification_report import class_names
from clothing_lightning.metrics.significance import sign_flip_test
from clothing_lightning.reports.console import say
from clothing_lightning.tracking.read import StoredRun, runs_by_id
from clothing_lightning.tracking.registry import (
    Registration,
    point_alias,
    register,
    version_behind,
)
from clothing_lightning.tracking.store import how_to_serve


@dataclass(frozen=True)
class Verdict:
    """What a comparison of two runs says.

    Attributes:
        better: Whether the first is more accurate than the second beyond chance.
        reason: Why, for people.
    """

    better: bool
    reason: str


def promote(run: StoredRun, model_id: str, registration: Registration) -> None:
    """Register the model of a run and point the alias to it, unless it is to be better.

    Args:
        run: The run.
        model_id: The id of its model.
        registration: The names, and whether the alias has to be earned.

    Raises:
        StorageError: If the store refuses.
    """
    name, alias = registration.name, registration.alias
    version = register(run, model_id, name)
    say(f"version   {version} of {name}")
    if alias is None:
        say(f"serve     {how_to_serve(f'models:/{name}/{version}')}")
        return
    before = version_behind(name, alias)
    if before is not None and registration.if_better:
        verdict = _against(run, before[1])
        if not verdict.better:
            say(f"{alias} stays with version {before[0]}: {verdict.reason}")
            return
        say(f"better than version {before[0]}: {verdict.reason}")
    point_alias(name, alias, version)
    say(f"alias     {alias}: version {version}")
    say(f"serve     {how_to_serve(f'models:/{name}@{alias}')}")


def _against(run: StoredRun, run_id: str | None) -> Verdict:
    """Compare a run with that of an earlier version, of which it may have none."""
    champion = runs_by_id([run_id or ""]).get(run_id or "")
    if champion is None:
        return Verdict(
            False, "its run is not in the store, so nothing can be compared."
        )
    return compare_accuracy(run, champion)


def compare_accuracy(run: StoredRun, champion: StoredRun) -> Verdict:
    """Test whether a run is more accurate than another, by McNemar's exact test.

    Args:
        run: The run that may be better.
        champion: The run that it is held against, tested on the same images.
    """
    digests = [each.tags.get("test_digest") for each in (run, champion)]
    if None in digests or len(set(digests)) > 1:
        return Verdict(
            False,
            f"{champion.label} was tested on other images, so that accuracies cannot "
            "be compared.",
        )
    read, remarks = read_runs([run, champion])
    if remarks:
        return Verdict(False, " ".join(remarks))
    new, old = (_right(each) for each in read)
    p = sign_flip_test((new - old).to_numpy())
    word = "better" if new.mean() > old.mean() else "worse"
    beyond = p < ALPHA
    return Verdict(
        beyond and word == "better",
        f"on the same {len(new):,} images accuracy is {new.mean():.3f}, and "
        f"{old.mean():.3f} of {champion.label}: "
        f"{f'{word} beyond chance' if beyond else 'no difference beyond chance'} "
        f"(p = {p:.2g}).",
    )


def _right(run: RunPredictions) -> "pd.Series[int]":
    """Whether a run is right, 1 or 0, by the content of the image."""
    table = run.predictions_by_content
    predicted = table[class_names(table)].idxmax(axis=1)
    return (predicted == table["label"]).astype(int)
