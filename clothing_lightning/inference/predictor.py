"""The network of a run, as a function from photos to their classes."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from clothing_lightning.datamodules.image_folder_tree import SUFFIXES, Tree
from clothing_lightning.errors import ConfigError, DataError, ImageError
from clothing_lightning.inference.abstaining import (
    calibration_of,
    require_accuracy,
    threshold_for,
)
from clothing_lightning.inference.checkpoint import find_checkpoint, read_checkpoint
from clothing_lightning.reports.predicted import UNSURE

if TYPE_CHECKING:
    from torch import Tensor


class Predictor:
    """Predicts the classes of photos.

    Attributes:
        title: Name of the run that trained the network.
        checkpoint: Path of the checkpoint.
        model: The network, its classes and what it expects of images.
        calibration: What the validation images say of its confidence; None if there
            were none, or it is not known.
        answers: Which validation images are answered; None if all photos are.
    """

    def __init__(
        self,
        run: str,
        *,
        device: str = "auto",
        batch_size: int = 32,
        abstain: float | None = None,
    ) -> None:
        """Restore the network of a run.

        Args:
            run: The run's id, the start of it, its name, or the path of a checkpoint,
                which needs nothing besides.
            device: ``auto``, ``cpu`` or ``cuda``.
            batch_size: Number of photos that go through the network at once.
            abstain: The accuracy that answers are to reach on the validation images,
                above 0 and at most 1; photos of lower confidence are answered
                ``unsure``. By default all photos are answered.

        Raises:
            RunError: If there is no such run, or no checkpoint that can be used.
            ConfigError: If there is no such device, the batch size is below 1, or the
                accuracy cannot be reached or is unknown.
        """
        require_accuracy(abstain)
        if batch_size < 1:
            raise ConfigError(f"--batch is {batch_size}. The least is 1.")
        self.checkpoint, stored = find_checkpoint(run)
        self.model = read_checkpoint(self.checkpoint, stored, device)
        name = stored.name if stored else self.model.description.run_name
        self.title = name or self.checkpoint.stem
        self.batch_size = batch_size
        self.calibration = calibration_of(self.model, self.checkpoint, stored)
        self.answers = None
        if abstain is not None:
            self.answers = threshold_for(abstain, self.calibration, run)

    @property
    def class_names(self) -> list[str]:
        """The classes, in the order of the table's columns."""
        return self.model.class_names

    @property
    def temperature(self) -> float:
        """What logits are divided by; 1 if there is no calibration."""
        return self.calibration.temperature if self.calibration else 1.0

    @property
    def threshold(self) -> float | None:
        """The least probability that is answered; None if all photos are answered."""
        return self.answers.threshold if self.answers else None

    def probabilities(self, paths: Sequence[Path]) -> "Iterator[Tensor | ImageError]":
        """Yield for each photo its calibrated probabilities, ``[num_classes]``.

        In the place of what cannot be read stands the reason.
        """
        return self.model.predict(paths, self.batch_size, temperature=self.temperature)

    def __call__(self, images: Sequence[str | Path] | str | Path) -> pd.DataFrame:
        """Predict photos, and those in folders.

        Args:
            images: Paths of images and folders.

        Returns:
            A row for each photo in order: ``path``; ``prediction``, the most probable
            class, or ``unsure`` if it is not probable enough, and ``probability``, that
            of this class; ``error``, why the photo cannot be read, else empty; then the
            probability of each class. What cannot be read has no prediction.
        """
        words = [images] if isinstance(images, str | Path) else images
        paths = list(photo_paths(words))
        scores = np.full((len(paths), len(self.class_names)), np.nan, np.float32)
        errors = [""] * len(paths)
        for index, result in enumerate(self.probabilities(paths)):
            if isinstance(result, ImageError):
                errors[index] = str(result)
            else:
                scores[index] = result.numpy()
        each = pd.DataFrame(scores, columns=self.class_names)
        readable = each.dropna()
        table = pd.DataFrame({"path": [str(path) for path in paths]})
        table["prediction"] = readable.idxmax(axis=1)
        table["probability"] = readable.max(axis=1)
        if self.threshold is not None:
            table.loc[table["probability"] < self.threshold, "prediction"] = UNSURE
        table["error"] = errors
        return pd.concat([table, each], axis=1)


def photo_paths(words: Iterable[str | Path]) -> Iterator[Path]:
    """Yield files as they are named, and the images in folders, sorted by name.

    Raises:
        DataError: If a folder has no image, or a link in it leads out of it.
    """
    seen: set[Path] = set()
    for path in (Path(word).expanduser() for word in words):
        files = [path]
        if path.is_dir():
            files = [path / name for name in sorted(Tree(path).images_below(""))]
            if not files:
                raise DataError(
                    f"'{path}': holds no image ({', '.join(sorted(SUFFIXES))}). Name "
                    "another folder, or the files themselves."
                )
        yield from (each for each in files if each not in seen)
        seen.update(files)
