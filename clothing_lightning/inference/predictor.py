"""The network of a run, as a function from photos to their classes."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clothing_lightning.errors import ConfigError, DataError, ImageError

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from clothing_lightning.inference.trained_network import TrainedNetwork


class Predictor:
    """Tells the classes of photos.

    Attributes:
        title: Name of the run.
        model: The network, its classes and what it expects of images.
    """

    def __init__(self, run: str, *, device: str = "auto", batch_size: int = 32) -> None:
        """Restore the network of a run.

        Args:
            run: Its id, the start of it, its name, or the path of a checkpoint.
            device: ``auto``, ``cpu`` or ``cuda``.
            batch_size: Photos that go through the network at once.

        Raises:
            RunError: If there is no such run, or it has no checkpoint.
            ConfigError: If there is no such device, or the batch size is below 1.
        """
        if batch_size < 1:
            raise ConfigError(f"--batch is {batch_size}. The least is 1.")
        from clothing_lightning.cli.third_party_warnings import quiet_libraries

        quiet_libraries()
        from clothing_lightning.inference.checkpoint import find_files, restore

        files = find_files(run)
        self.title, self.checkpoint = files.title, files.checkpoint
        self.model: TrainedNetwork = restore(files, device)
        self.batch_size = batch_size

    @property
    def class_names(self) -> list[str]:
        """The classes, in the order of the table's columns."""
        return self.model.class_names

    def __call__(self, images: Sequence[str | Path] | str | Path) -> "pd.DataFrame":
        """Predict photos, with those in folders.

        Args:
            images: Paths of images and folders.

        Returns:
            A row for each photo in order: ``path``; ``prediction``, the most probable
            class, and ``probability``, its own; ``error``, why the photo cannot be
            read, else empty; then the probability of each class. What cannot be read
            has no prediction.
        """
        import numpy as np
        import pandas as pd

        words = [images] if isinstance(images, str | Path) else images
        paths = list(photo_paths(words))
        scores = np.full((len(paths), len(self.class_names)), np.nan, np.float32)
        errors = [""] * len(paths)
        for index, found in enumerate(self.predictions(paths)):
            if isinstance(found, ImageError):
                errors[index] = str(found)
            else:
                scores[index] = found.numpy()
        each = pd.DataFrame(scores, columns=self.class_names)
        read = each.dropna()
        first = pd.DataFrame({"path": [str(path) for path in paths]})
        first["prediction"] = read.idxmax(axis=1)
        first["probability"] = read.max(axis=1)
        first["error"] = errors
        return pd.concat([first, each], axis=1)

    def predictions(self, paths: Sequence[Path]) -> "Iterator[Tensor | ImageError]":
        """Yield class probabilities of each photo, or why it cannot be read."""
        return self.model.predict(paths, self.batch_size)


def photo_paths(words: Iterable[str | Path]) -> Iterator[Path]:
    """Files as they are named, and the images in folders in the order of their names.

    Raises:
        DataError: If a folder has no image, or a link in it leads out of it.
    """
    from clothing_lightning.datamodules.image_folder_listing import SUFFIXES, Tree

    seen: set[Path] = set()
    for path in (Path(word).expanduser() for word in words):
        if not path.is_dir():
            found = [path]
        else:
            found = [path / name for name in sorted(Tree(path).images_below(""))]
            if not found:
                raise DataError(
                    f"'{path}': holds no image ({', '.join(sorted(SUFFIXES))}). Name "
                    "another folder, or the files themselves."
                )
        yield from (each for each in found if each not in seen)
        seen.update(found)
