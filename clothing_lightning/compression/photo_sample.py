"""Photos of a run's own splits that a network is calibrated and measured on."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from clothing_lightning.data.inspection import inspect_images
from clothing_lightning.data.selection import clipped_boxes
from clothing_lightning.data.table import read_cells
from clothing_lightning.errors import DataError
from clothing_lightning.inference.evaluation import image_root
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
    manifest = read_cells(run.artifact("data/manifest.csv"))
    rows = manifest[manifest["split"] == split]
    rows = rows.sample(min(most, len(rows)), random_state=0)
    folder = image_root(run, root)
    boxes = None
    if model.description.crops_to_boxes:
        inspected = inspect_images(folder, list(rows["path"]), workers=1)
        boxes = clipped_boxes(rows, inspected, run.experiment)
    read = []
    paths = [folder / path for path in rows["path"]]
    for photos, errors in model.read_photos(paths, boxes).batches(_BATCH, workers=0):
        if refused := [error for error in errors if error is not None]:
            raise DataError(
                f"run {run.label}: a photo of its split '{split}' cannot be read "
                f"({refused[0]}). int8 is calibrated on them; say where they are with "
                "--root FOLDER."
            )
        assert photos is not None
        read.append(photos)
    numbers = {name: number for number, name in enumerate(model.class_names)}
    labels = np.array([numbers[label] for label in rows["label"]], dtype=np.intp)
    return PhotoSample(model, torch.cat(read), labels)
