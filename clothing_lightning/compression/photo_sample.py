"""Photos of a run's own splits that a network is calibrated and measured on."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from clothing_lightning.errors import DataError
from clothing_lightning.inference.evaluation import images_of_run
from clothing_lightning.inference.trained_network import TrainedNetwork
from clothing_lightning.tracking.read import StoredRun

_BATCH = 32


@dataclass(frozen=True)
class PhotoSample:
    """Photos in memory.

    Attributes:
        model: The network whose preprocessing they had.
        photos: uint8 ``[N, H, W, 3]``.
        labels: Number of the class of each photo, ``[N]``.
    """

    model: TrainedNetwork
    photos: Tensor
    labels: "np.ndarray[tuple[int], np.dtype[np.intp]]"

    def batches(self, size: int = _BATCH) -> Iterator[Tensor]:
        """Yield normalised images, float32 ``[N, C, H, W]``, C-contiguous."""
        for start in range(0, len(self.photos), size):
            photos = self.photos[start : start + size]
            yield self.model.normalise(photos).contiguous()


def sample_photos(
    model: TrainedNetwork,
    run: StoredRun,
    split: str,
    *,
    most: int,
    root: str | None,
) -> PhotoSample:
    """Read photos of one of a run's splits, drawn at random with a fixed seed.

    Args:
        model: The network of the run.
        run: The run, whose manifest lists its images.
        split: ``train`` or ``val``.
        most: How many photos to read at most.
        root: Folder that the images are in now; None: where they were.

    Raises:
        DatasetNotFoundError: If the folder is not there.
        DataError: If one of the photos cannot be read.
    """
    crops = model.description.crops_to_boxes
    images = images_of_run(run, split, root=root, crops_to_boxes=crops, most=most)
    if refused := list(images.unreadable_images.values()):
        raise DataError(
            f"run {run.label}: a photo of its split '{split}' cannot be read "
            f"({refused[0]}). int8 is calibrated on them; say where they are with "
            "--root FOLDER."
        )
    rows = images.table
    paths = [images.root / path for path in rows["path"]]
    read = []
    for photos, errors in model.read_photos(paths, images.boxes_of(rows)).batches(
        _BATCH, workers=0
    ):
        for error in filter(None, errors):  # it was readable a moment ago
            raise error
        assert photos is not None
        read.append(photos)
    numbers = {name: number for number, name in enumerate(model.class_names)}
    labels = np.array([numbers[label] for label in rows["label"]], dtype=np.intp)
    return PhotoSample(model, torch.cat(read), labels)
