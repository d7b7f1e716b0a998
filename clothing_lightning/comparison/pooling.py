"""Runs brought together: which repeat each other, and on which images they compare.

Runs whose settings differ by seeds or fold alone are one model, and folds are pooled,
so that a model has one table of predictions for each repeat of its training. Images go
by their content (SHA-256), so neither paths nor the order of classes matter.

Only what was seen under the same conditions is compared. Where every model was tested
on the same sets of images, each set is compared by itself. Where they were not, what is
left are the images that all models tested, each once. An image that a run was trained
on never counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clothing_lightning.comparison.hyperparameters import Named, titles
from clothing_lightning.comparison.remarks import (
    of_machines,
    of_preprocessing,
    of_seeds,
    of_training,
)
from clothing_lightning.comparison.shared_images import (
    Tables,
    Tested,
    agree_on_labels,
    leave_out_learnt,
    on_shared_images,
    on_the_same_sets,
)
from clothing_lightning.errors import DataError
from clothing_lightning.metrics.classification_report import class_names, target_ranks

TRAIN_AND_VAL = ("train", "val")  # the best epoch is chosen on validation images


@dataclass(frozen=True)
class RunPredictions:
    """What one run was made of, and what it predicted for its test images.

    Attributes:
        run_id: MLflow's id.
        name: As shown in the UI.
        recipe: Its settings, flat, without seeds and fold.
        seeds: Of weights and of split, such as ``seed 0, split seed 1``.
        fold: ``2 of 5`` in a cross-validation, else empty.
        predictions: Of its test images: ``path``, ``label``, a probability a class.
        manifest: Of all its images: ``path``, ``sha256``, ``split``, maybe others.
        validation: As ``predictions``, of its validation images; None if not stored.
        preprocessing: How its test images were prepared; empty if not known.
        machine: What it was trained on; empty if not known.
        metrics: Last value of each.
        history: Metrics by epoch; empty if not stored.
        root: Folder that the paths are relative to; empty if not known.
    """

    __test__ = False  # no test, whatever pytest thinks of its name

    run_id: str
    name: str
    recipe: Mapping[str, str]
    seeds: str
    fold: str
    predictions: pd.DataFrame
    manifest: pd.DataFrame
    validation: pd.DataFrame | None = None
    preprocessing: str = ""
    machine: str = ""
    metrics: Mapping[str, float] | None = None
    history: pd.DataFrame | None = None
    root: str = ""

    @cached_property
    def hashes(self) -> "pd.Series[str]":
        """SHA-256 of each image by its path."""
        rows = self.manifest.dropna(subset=["sha256"])
        return rows.drop_duplicates("path").set_index("path")["sha256"]

    @cached_property
    def learnt(self) -> frozenset[str]:
        """Images that were trained on, or that the best epoch was chosen by."""
        rows = self.manifest[self.manifest["split"].isin(TRAIN_AND_VAL)]
        return frozenset(rows["sha256"])

    @property
    def trained(self) -> int:
        """How many images it was trained on."""
        return int((self.manifest["split"] == "train").sum())

    @cached_property
    def tested(self) -> pd.DataFrame:
        """Predictions by content; of identical files the first.

        Raises:
            DataError: If a tested image is not in the manifest.
        """
        content = self.predictions["path"].map(self.hashes)
        if content.isna().any():
            path = self.predictions["path"][content.isna()].iloc[0]
            raise DataError(
                f"run {self.name}: {path!r} was tested, but its manifest does not "
                "have it. Evaluate the run again."
            )
        table = self.predictions.set_index(pd.Index(content, name="sha256"))
        return table[~table.index.duplicated()]


@dataclass(frozen=True)
class Repeat:
    """One training of a model, or all folds of one cross-validation.

    Attributes:
        runs: One, or one for each fold.
        test: Which of the comparison's test sets it was tested on.
        probabilities: float32 ``[images of the test set, classes]``.
    """

    runs: tuple[RunPredictions, ...]
    test: int
    probabilities: NDArray[np.float32]

    @cached_property
    def predicted(self) -> NDArray[np.intp]:
        """Class of each image, by its number."""
        return np.asarray(self.probabilities.argmax(axis=1))


@dataclass(frozen=True)
class Model:
    """Runs that differ by seeds or fold alone.

    Attributes:
        title: Short and unique.
        repeats: At least one.
    """

    title: str
    repeats: tuple[Repeat, ...]

    @property
    def runs(self) -> list[RunPredictions]:
        """All of its runs."""
        return [run for repeat in self.repeats for run in repeat.runs]

    @property
    def weights(self) -> list[float]:
        """Of each repeat: those on the same test set count as one."""
        tests = [repeat.test for repeat in self.repeats]
        return [1 / tests.count(test) for test in tests]

    def metric(self, name: str) -> float:
        """Median over its runs of a metric that was logged; NaN if none has it."""
        values = [(run.metrics or {}).get(name, np.nan) for run in self.runs]
        known = [value for value in values if not np.isnan(value)]
        return float(np.median(known)) if known else float("nan")


@dataclass(frozen=True)
class Comparison:
    """Models on images that all of them were tested on.

    Attributes:
        class_names: Of all models, in order.
        images: ``sha256``, ``path``, ``label``, and what else manifests say of them.
        tests: Each test set as places in ``images``.
        models: At least one.
        remarks: What a reader must know before believing the ranking.
    """

    class_names: list[str]
    images: pd.DataFrame
    tests: tuple[NDArray[np.intp], ...]
    models: tuple[Model, ...]
    remarks: tuple[str, ...]

    @cached_property
    def labels(self) -> NDArray[np.intp]:
        """Class of each image, by its number."""
        known = pd.Index(self.class_names, dtype=object)
        return np.asarray(known.get_indexer(pd.Index(self.images["label"])))

    def rights(self, model: Model, top: int = 1) -> NDArray[np.float64]:
        """Share of a model's repeats that are right.

        Args:
            model: One of the comparison.
            top: The true class is among this many.

        Returns:
            ``[tests, images]``, 0 to 1; NaN where the image is not in the test set.
        """
        found = np.full((len(self.tests), len(self.images)), np.nan)
        for number, places in enumerate(self.tests):
            hits = [self.hits(r, top) for r in model.repeats if r.test == number]
            found[number, places] = np.mean(hits, axis=0)
        return found

    def answers(
        self, model: Model, top: int = 1
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """How often a model is right on each image, and of how many answers.

        Test sets count alike: each as if it had the mean number of repeats.

        Args:
            model: One of the comparison.
            top: The true class is among this many.

        Returns:
            Right answers and all answers, each of shape (images,).
        """
        rights = self.rights(model, top)
        repeats = len(model.repeats) / len(self.tests)
        hits, trials = np.nansum(rights, axis=0), np.isfinite(rights).sum(axis=0)
        return repeats * hits, repeats * trials

    def hits(self, repeat: Repeat, top: int = 1) -> NDArray[np.bool_]:
        """Whether a repeat is right, for each image of its test set."""
        labels = self.labels[self.tests[repeat.test]]
        return target_ranks(labels, repeat.probabilities) < top


def compared(runs: Sequence[RunPredictions]) -> Comparison:
    """Bring runs together.

    Args:
        runs: Each with predictions; repeats of one model in any order.

    Raises:
        DataError: If there is none, or no image was tested by all models.
    """
    if not runs:
        raise DataError("no run has test predictions. Fit one, or name others.")
    remarks: list[str] = []
    models = _models(runs, remarks)
    remarks += of_preprocessing(models)
    remarks += of_training(models)
    remarks += of_machines(models)
    tables = {
        title: [Tested.of(folds) for folds in repeats]
        for title, repeats in models.items()
    }
    leave_out_learnt(tables, remarks)
    agree_on_labels(tables, remarks)
    chosen = on_the_same_sets(tables, remarks) or on_shared_images(tables, remarks)
    return _assembled(chosen, tuple(remarks))


def _models(
    runs: Sequence[RunPredictions], remarks: list[str]
) -> dict[str, list[list[RunPredictions]]]:
    """Repeats of each model, by title; each repeat is a list of folds."""
    by_recipe: dict[frozenset[tuple[str, str]], list[RunPredictions]] = {}
    for run in runs:
        by_recipe.setdefault(frozenset(run.recipe.items()), []).append(run)
    groups = list(by_recipe.values())
    named = titles([[Named(r.name, r.run_id, r.recipe) for r in g] for g in groups])
    models = {}
    for title, group in zip(named, groups, strict=True):
        repeats: dict[tuple[str, object], dict[object, RunPredictions]] = {}
        for run in group:
            images = frozenset(run.tested.index)
            # Folds of the same seeds are one repeat; other images make another.
            folds = repeats.setdefault((run.seeds, "" if run.fold else images), {})
            first = folds.setdefault((run.fold, images, run.learnt), run)
            if first is not run:
                remarks.append(
                    f"{run.name} ({run.run_id[:8]}) has the settings, seeds and images "
                    f"of {first.run_id[:8]}, which is newer. It is left out."
                )
        remarks += of_seeds(title, repeats)
        ordered = sorted(repeats.items(), key=lambda each: each[0][0])
        models[title] = [
            sorted(folds.values(), key=lambda run: run.fold) for _, folds in ordered
        ]
    return models


def _assembled(tables: Tables, remarks: tuple[str, ...]) -> Comparison:
    every = [repeat for repeats in tables.values() for repeat in repeats]
    names = sorted({name for repeat in every for name in class_names(repeat.table)})
    images = _described(every)
    place = pd.Series(range(len(images)), index=images["sha256"])
    sets = list(dict.fromkeys(repeat.contents for repeat in every))
    tests: list[NDArray[np.intp]] = [
        np.sort(place.loc[list(each)].to_numpy()) for each in sets
    ]
    models = []
    for title, repeats in tables.items():
        found = []
        for repeat in repeats:
            number = sets.index(repeat.contents)
            order = images["sha256"].iloc[tests[number]]
            table = repeat.table.loc[order].reindex(columns=names, fill_value=0.0)
            values = table.to_numpy(dtype=np.float32)
            found.append(Repeat(repeat.runs, number, values))
        models.append(Model(title, tuple(found)))
    return Comparison(names, images, tuple(tests), tuple(models), remarks)


def _described(every: Sequence[Tested]) -> pd.DataFrame:
    """Each image once, sorted by path, with what manifests say of it."""
    contents = sorted(frozenset().union(*(repeat.contents for repeat in every)))
    labels = pd.concat([repeat.table[["path", "label"]] for repeat in every])
    images = labels[~labels.index.duplicated()].loc[contents]
    manifests = {id(run.manifest): run.manifest for r in every for run in r.runs}
    known = pd.concat(manifests.values()).drop_duplicates("sha256").set_index("sha256")
    extra = known.drop(columns=["path", "label", "split", "reason"], errors="ignore")
    return images.join(extra).sort_values("path").reset_index()
