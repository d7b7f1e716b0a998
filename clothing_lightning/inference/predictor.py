"""The network of a run, as a function from photos to their classes."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from clothing_lightning.datamodules.image_folder_tree import SUFFIXES, Tree
from clothing_lightning.errors import ConfigError, DataError, ImageError
from clothing_lightning.inference.checkpoint import find_checkpoint, read_checkpoint


class Predictor:
    """Predicts the classes of photos.

    Attributes:
        title: Name of the run that trained the network.
        checkpoint: Path of the checkpoint.
        model: The network, its classes and what it expects of images.
    """

    def __init__(self, run: str, *, device: str = "auto", batch_size: int = 32) -> None:
        """Restore the network of a run.

        Args:
            run: The run's id, the start of it, its name, or the path of a checkpoint,
                which needs nothing besides.
            device: ``auto``, ``cpu`` or ``cuda``.
            batch_size: Number of photos that go through the network at once.

        Raises:
            RunError: If there is no such run, or no checkpoint that can be used.
            ConfigError: If there is no such device, or the batch size is below 1.
        """
        if batch_size < 1:
            raise ConfigError(f"--batch is {batch_size}. The least is 1.")
        self.checkpoint, stored = find_checkpoint(run)
        self.model = read_checkpoint(self.checkpoint, stored, device)
        name = stored.name if stored else self.model.description.run_name
        self.title = name or self.checkpoint.stem
        self.batch_size = batch_size

    @property
    def class_names(self) -> list[str]:
        """The classes, in the order of the table's columns."""
        return self.model.class_names

    def __call__(self, images: Sequence[str | Path] | str | Path) -> pd.DataFrame:
        """Predict photos, and those in folders.

        Args:
            images: Paths of images and folders.

        Returns:
            A row for each photo in order: ``path``; ``prediction``, the most probable
            class, and ``probability``, its own; ``error``, why the photo cannot be
            read, else empty; then the probability of each class. What cannot be read
            has no prediction.
        """
        words = [images] if isinstance(images, str | Path) else images
        paths = list(photo_paths(words))
        scores = np.full((len(paths), len(self.class_names)), np.nan, np.float32)
        errors = [""] * len(paths)
        for index, result in enumerate(self.model.predict(paths, self.batch_size)):
            if isinstance(result, ImageError):
                errors[index] = str(result)
            else:
                scores[index] = result.numpy()
        each = pd.DataFrame(scores, columns=self.class_names)
        readable = each.dropna()
        table = pd.DataFrame({"path": [str(path) for path in paths]})
        table["prediction"] = readable.idxmax(axis=1)
        table["probability"] = readable.max(axis=1)
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
