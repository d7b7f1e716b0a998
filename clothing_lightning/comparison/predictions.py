"""What is compared: the predictions of a run, of a model, and of a comparison.

Images go by their content (SHA-256), so neither paths nor the order of classes matter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clothing_lightning.errors import DataError
from clothing_lightning.metrics.classification_report import target_ranks
from clothing_lightning.tracking.names import name_and_id

TRAIN_AND_VAL = ("train", "val")
"""Splits that a run has learnt from: its best epoch is chosen on validation images."""


@dataclass(frozen=True)
class RunPredictions:
    """A run: how it was trained, and what it predicted for its test images.

    Attributes:
        run_id: MLflow's id of the run.
        name: The name of the run, as shown in MLflow's UI.
        hyperparameters: Settings of the run, flat, without seeds and fold.
        seeds: Seeds of the weights and of the split, such as ``seed 0, split seed 1``.
        fold: ``2 of 5`` in a cross-validation, else empty.
        predictions: One row for each test image: ``path``, ``label`` and a probability
            for each class.
        manifest: One row for each image of the run: ``path``, ``sha256``, ``split``,
            and what else is known of it.
        validation: Predictions of the validation images; None if not stored.
        preprocessing: How the test images were prepared; empty if not known.
        machine: The device that the run was trained on; empty if not known.
        metrics: The last value of each metric.
        history: Metrics by epoch; None if not stored.
        root: Folder that the paths of images are relative to; empty if not known.
    """

    run_id: str
    name: str
    hyperparameters: Mapping[str, str]
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

    @property
    def label(self) -> str:
        """The name of the run and the start of its id."""
        return name_and_id(self.name, self.run_id)

    @cached_property
    def content_by_path(self) -> "pd.Series[str]":
        """SHA-256 of each image by its path."""
        rows = self.manifest.dropna(subset=["sha256"])
        return rows.drop_duplicates("path").set_index("path")["sha256"]

    @cached_property
    def learnt_contents(self) -> frozenset[str]:
        """SHA-256 of each image that it was trained on or its best epoch chosen by."""
        rows = self.manifest[self.manifest["split"].isin(TRAIN_AND_VAL)]
        return frozenset(rows["sha256"])

    @property
    def train_count(self) -> int:
        """Number of images that it was trained on."""
        return int((self.manifest["split"] == "train").sum())

    @cached_property
    def predictions_by_content(self) -> pd.DataFrame:
        """Predictions by the SHA-256 of the image; of identical files the first.

        Raises:
            DataError: If a tested image is not in the manifest.
        """
        content = self.predictions["path"].map(self.content_by_path)
        if content.isna().any():
            path = self.predictions["path"][content.isna()].iloc[0]
            raise DataError(
                f"run {self.name}: {path!r} was tested, but its manifest does not "
                "have it. Evaluate the run again."
            )
        table = self.predictions.set_index(pd.Index(content, name="sha256"))
        return table[~table.index.duplicated()]


@dataclass(frozen=True)
class PooledPredictions:
    """Predictions of one repeat of a model: of a run, or of all folds together.

    Attributes:
        runs: The run, or one run for each fold.
        table: One row for each image: ``path``, ``label`` and a probability for each
            class, by the SHA-256 of the image.
    """

    runs: tuple[RunPredictions, ...]
    table: pd.DataFrame

    @classmethod
    def of(
        cls, runs: Sequence[RunPredictions], tables: Sequence[pd.DataFrame]
    ) -> "PooledPredictions":
        """Put tables of runs together; of an image that several have the first counts.

        A class that a run did not know has probability 0 there.
        """
        table = pd.concat(tables).fillna(0.0)
        return cls(tuple(runs), table[~table.index.duplicated()])

    @cached_property
    def contents(self) -> frozenset[str]:
        """SHA-256 of each image."""
        return frozenset(self.table.index)


@dataclass(frozen=True)
class Repeat:
    """One training of a model, or all folds of one cross-validation.

    Attributes:
        runs: The run, or one run for each fold.
        test: Number of its test set among those of the comparison.
        probabilities: float32 ``[images of the test set, classes]``.
    """

    runs: tuple[RunPredictions, ...]
    test: int
    probabilities: NDArray[np.float32]

    @cached_property
    def predicted(self) -> NDArray[np.intp]:
        """The number of the predicted class for each image."""
        return np.asarray(self.probabilities.argmax(axis=1))


@dataclass(frozen=True)
class Model:
    """Runs that differ by seeds or fold alone.

    Attributes:
        title: What it is called in the comparison, short and unique.
        repeats: Trainings of the model, at least one.
    """

    title: str
    repeats: tuple[Repeat, ...]

    @property
    def runs(self) -> list[RunPredictions]:
        """All runs of the model."""
        return [run for repeat in self.repeats for run in repeat.runs]

    @property
    def weights(self) -> list[float]:
        """Weight of each repeat: those on the same test set count as one together."""
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
        class_names: Names of the classes of all models, in alphabetical order.
        images: One row for each image: ``sha256``, ``path``, ``label``, and what else
            the manifests say of it.
        tests: Each test set as row numbers of ``images``.
        models: The models, at least one.
        remarks: Sentences that a reader must know before believing the ranking.
    """

    class_names: list[str]
    images: pd.DataFrame
    tests: tuple[NDArray[np.intp], ...]
    models: tuple[Model, ...]
    remarks: tuple[str, ...]

    @cached_property
    def labels(self) -> NDArray[np.intp]:
        """The number of the true class of each image."""
        known = pd.Index(self.class_names, dtype=object)
        return np.asarray(known.get_indexer(pd.Index(self.images["label"])))

    def rights(self, model: Model, top: int = 1) -> NDArray[np.float64]:
        """Share of a model's repeats whose first ``top`` classes hold the true one.

        Returns:
            ``[tests, images]``, 0 to 1; NaN where the image is not in the test set.
        """
        shares = np.full((len(self.tests), len(self.images)), np.nan)
        for number, places in enumerate(self.tests):
            hits = [self.hits(r, top) for r in model.repeats if r.test == number]
            shares[number, places] = np.mean(hits, axis=0)
        return shares

    def answers(
        self, model: Model, top: int = 1
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """How often a model is right on each image, and of how many answers.

        Test sets count alike: each as if it had the mean number of repeats.

        Returns:
            Right answers, as in `rights`, and all answers, each of shape (images,).
        """
        rights = self.rights(model, top)
        repeats = len(model.repeats) / len(self.tests)
        hits, trials = np.nansum(rights, axis=0), np.isfinite(rights).sum(axis=0)
        return repeats * hits, repeats * trials

    def hits(self, repeat: Repeat, top: int = 1) -> NDArray[np.bool_]:
        """Whether a repeat is right, for each image of its test set."""
        labels = self.labels[self.tests[repeat.test]]
        return target_ranks(labels, repeat.probabilities) < top
