"""Runs brought together: which repeat each other, and on which images they compare.

Runs whose settings differ by seeds or fold alone are one model, and folds are pooled,
so that a model has one table of predictions for each repeat of its training. Images go
by their content (SHA-256), so neither paths nor the order of classes matter.

Only what was seen under the same conditions is compared. Where every model was tested
on the same sets of images, each set is compared by itself. Where they were not, what is
left are the images that all models tested, each once. An image that a run was trained
on never counts.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clothing_lightning.comparison.hyperparameters import titles
from clothing_lightning.comparison.predictions import (
    Comparison,
    Model,
    PooledPredictions,
    Repeat,
    RunPredictions,
)
from clothing_lightning.comparison.remarks import remarks_on, repeat_remarks
from clothing_lightning.comparison.shared_images import (
    Pooled,
    agree_on_labels,
    leave_out_learnt_images,
    on_shared_images,
    on_the_same_sets,
)
from clothing_lightning.errors import DataError
from clothing_lightning.metrics.classification_report import class_names


def pool(runs: Sequence[RunPredictions]) -> Comparison:
    """Bring runs together as models that are compared on the same images.

    Args:
        runs: The runs, the newest first; repeats of one model in any order.

    Raises:
        DataError: If there is none, or no image was tested by all models.
    """
    if not runs:
        raise DataError("no run has test predictions. Fit one, or name others.")
    remarks: list[str] = []
    models = _models(runs, remarks)
    remarks += remarks_on(models)
    pooled = {
        title: [_together(folds) for folds in repeats]
        for title, repeats in models.items()
    }
    leave_out_learnt_images(pooled, remarks)
    agree_on_labels(pooled, remarks)
    shared = on_the_same_sets(pooled, remarks) or on_shared_images(pooled, remarks)
    return _comparison(shared, tuple(remarks))


def _together(folds: Sequence[RunPredictions]) -> PooledPredictions:
    """The folds of a cross-validation, or one run."""
    tables = [fold.predictions_by_content for fold in folds]
    return PooledPredictions.of(folds, tables)


def _models(
    runs: Sequence[RunPredictions], remarks: list[str]
) -> dict[str, list[list[RunPredictions]]]:
    """Repeats of each model, by title; each repeat is a list of folds."""
    alike: dict[frozenset[tuple[str, str]], list[RunPredictions]] = {}
    for run in runs:
        alike.setdefault(frozenset(run.hyperparameters.items()), []).append(run)
    groups = list(alike.values())
    models = {}
    for title, group in zip(titles(groups), groups, strict=True):
        repeats: dict[tuple[str, object], dict[object, RunPredictions]] = {}
        for run in group:
            images = frozenset(run.predictions_by_content.index)
            # Folds of the same seeds are one repeat; other images make another.
            folds = repeats.setdefault((run.seeds, "" if run.fold else images), {})
            first = folds.setdefault((run.fold, images, run.learnt_contents), run)
            if first is not run:
                remarks.append(
                    f"{run.label} has the settings, seeds and images "
                    f"of {first.run_id[:8]}, which is newer. It is left out."
                )
        remarks += repeat_remarks(title, repeats)
        ordered = sorted(repeats.items(), key=lambda each: each[0][0])
        models[title] = [
            sorted(folds.values(), key=lambda run: run.fold) for _, folds in ordered
        ]
    return models


def _comparison(pooled: Pooled, remarks: tuple[str, ...]) -> Comparison:
    every = [repeat for repeats in pooled.values() for repeat in repeats]
    names = sorted({name for repeat in every for name in class_names(repeat.table)})
    images = _image_table(every)
    place = pd.Series(range(len(images)), index=images["sha256"])
    sets = list(dict.fromkeys(repeat.contents for repeat in every))
    tests: list[NDArray[np.intp]] = [
        np.sort(place.loc[list(each)].to_numpy()) for each in sets
    ]
    models = []
    for title, repeats in pooled.items():
        aligned = []
        for repeat in repeats:
            number = sets.index(repeat.contents)
            order = images["sha256"].iloc[tests[number]]
            table = repeat.table.loc[order].reindex(columns=names, fill_value=0.0)
            values = table.to_numpy(dtype=np.float32)
            aligned.append(Repeat(repeat.runs, number, values))
        models.append(Model(title, tuple(aligned)))
    return Comparison(names, images, tuple(tests), tuple(models), remarks)


def _image_table(every: Sequence[PooledPredictions]) -> pd.DataFrame:
    """Each image once, sorted by path, with what manifests say of it."""
    contents = sorted(frozenset().union(*(repeat.contents for repeat in every)))
    labels = pd.concat([repeat.table[["path", "label"]] for repeat in every])
    images = labels[~labels.index.duplicated()].loc[contents]
    manifests = {id(run.manifest): run.manifest for r in every for run in r.runs}
    known = pd.concat(manifests.values()).drop_duplicates("sha256").set_index("sha256")
    extra = known.drop(columns=["path", "label", "split", "reason"], errors="ignore")
    return images.join(extra).sort_values("path").reset_index()
