"""Whether an exported network is the same function as the one that was trained."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from clothing_lightning.compression.formats import Network
from clothing_lightning.compression.graph_preprocessing import WithPreprocessing
from clothing_lightning.data.decoding import read_image
from clothing_lightning.data.progress import with_progress
from clothing_lightning.errors import ExportError
from clothing_lightning.inference.evaluation import ImageSet
from clothing_lightning.inference.trained_network import TrainedNetwork

TOLERANCE = 1e-4
"""Largest difference of a probability that the order of additions explains."""

_BATCH = 32


@dataclass(frozen=True)
class Check:
    """How two networks agree on the same images.

    Attributes:
        images: Number of images.
        other_class: Number of images to which they give different classes.
        largest_difference: Largest difference of a class probability.
        probabilities: Those of the exported network, ``[N, num_classes]``.
    """

    images: int
    other_class: int
    largest_difference: float
    probabilities: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]"

    def __str__(self) -> str:
        """Say so in one sentence."""
        same = self.images - self.other_class
        return (
            f"the same class for {same:,} of {self.images:,} test images, "
            f"probabilities within {self.largest_difference:.1e}"
        )


def check(
    model: TrainedNetwork, exported: Network, images: ImageSet, *, takes_photos: bool
) -> Check:
    """Run both networks on the same images.

    Args:
        model: The network that was trained.
        exported: The network that was exported, as it is read back.
        images: The images.
        takes_photos: Whether the exported network takes photos of any size, uint8
            ``[N, H, W, 3]``, instead of normalised images.

    Raises:
        ExportError: If a class differs, or a probability by more than `TOLERANCE`.
        ImageError: If a photo cannot be read any more.
    """
    inputs = _photos(model, images) if takes_photos else _prepared(model, images)
    first: list[Tensor] = []
    second: list[Tensor] = []
    total = -(-len(images.table) // _BATCH)
    with torch.inference_mode():
        for batch, parts in with_progress(inputs, "Checking the export", total=total):
            first.append(model.network(batch).softmax(dim=1))
            second.extend(exported(part).softmax(dim=1) for part in parts)
    trained, written = torch.cat(first), torch.cat(second)
    checked = Check(
        len(trained),
        int((trained.argmax(dim=1) != written.argmax(dim=1)).sum()),
        float((trained - written).abs().max()),
        written.numpy(),
    )
    if checked.other_class or not checked.largest_difference <= TOLERANCE:
        raise ExportError(
            f"{model.description.backbone}: what was exported is not the same network: "
            f"{checked}, and {TOLERANCE:.0e} was expected. Nothing was kept; choose "
            "another format."
        )
    return checked


Batch = tuple[Tensor, Sequence[Tensor]]
"""Normalised images, and what the exported network takes in their place."""


def _prepared(model: TrainedNetwork, images: ImageSet) -> Iterator[Batch]:
    """Yield batches of normalised images, as the run's own test has read them."""
    paths = [images.root / path for path in images.table["path"]]
    for photos, errors in model.read_photos(
        paths, images.boxes_of(images.table)
    ).batches(_BATCH, 0):
        for error in errors:
            if error is not None:
                raise error
        if photos is not None:
            batch = model.normalise(photos)
            yield batch, [batch]


def _photos(model: TrainedNetwork, images: ImageSet) -> Iterator[Batch]:
    """Yield batches of photos as they are decoded, each uint8 ``[1, H, W, 3]``."""
    prepare = WithPreprocessing(nn.Identity(), model.preprocessing)
    boxes = images.boxes_of(images.table)
    photos = []
    for row, path in enumerate(images.table["path"]):
        photo = read_image(images.root / path)
        if boxes is not None:
            left, top, right, bottom = boxes[row]
            photo = photo[top:bottom, left:right]
        # Decoded images are read-only, which torch has no notion of.
        photo = np.require(photo, requirements=["C", "W"])
        photos.append(torch.from_numpy(photo)[None])
        if len(photos) == _BATCH or row == len(images.table) - 1:
            yield torch.cat([prepare(each) for each in photos]), photos
            photos = []
