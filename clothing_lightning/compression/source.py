"""What the rungs of a ladder are made of."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from clothing_lightning.compression.photo_sample import PhotoSample, sample_photos
from clothing_lightning.compression.pruning import Pruning
from clothing_lightning.compression.quantization import Quantization
from clothing_lightning.inference.checkpoint import trained_run
from clothing_lightning.inference.evaluation import ImageSet, images_of_run
from clothing_lightning.inference.trained_network import TrainedNetwork
from clothing_lightning.tracking.read import COMPRESSION_TAG, PARENT_TAG, StoredRun

OF, SETTINGS = "compression.of", "compression.settings"
_VAL_PHOTOS = 512


@dataclass(frozen=True)
class Source:
    """A run's network, its photos, and how smaller versions are made.

    Attributes:
        model: The network of the run.
        run: The run that trained it.
        root: Folder that the run's images are in now; None: where they were.
        quantization: How int8 is made.
        pruning: How channels are removed, and the network trained afterwards.
        command: Words of the command line.
    """

    model: TrainedNetwork
    run: StoredRun
    root: str | None
    quantization: Quantization
    pruning: Pruning
    command: Sequence[str]

    @cached_property
    def weights(self) -> str:
        """Digest of the network's weights, which are others once a run was resumed."""
        digest = hashlib.sha256()
        for value in self.model.network.state_dict().values():
            plain = value.cpu().contiguous().flatten()
            digest.update(plain.view(torch.uint8).numpy().data)
        return digest.hexdigest()[:16]

    @cached_property
    def test(self) -> ImageSet:
        """The run's test images."""
        boxes = self.model.description.crops_to_boxes
        return images_of_run(self.run, "test", root=self.root, crops_to_boxes=boxes)

    @cached_property
    def train(self) -> PhotoSample:
        """Photos of the training, for the ranges of activations."""
        return self.photos("train", self.quantization.images)

    @cached_property
    def val(self) -> PhotoSample:
        """Photos of the validation, for what is lost."""
        return self.photos("val", _VAL_PHOTOS)

    def photos(self, split: str, most: int) -> PhotoSample:
        """Read photos of one of the run's splits, at most so many."""
        return sample_photos(self.model, self.run, split, most=most, root=self.root)


@dataclass(frozen=True)
class Task:
    """A rung that is to be made.

    Attributes:
        name: Name of the rung.
        version: The name, and what sets it apart from others of that name.
        settings: All settings that it depends on, as JSON.
        source: What the ladder is made of.
        base: The rung that it is made of; None: the run's network.
    """

    name: str
    version: str
    settings: str
    source: Source
    base: StoredRun | None

    @property
    def title(self) -> str:
        """Name of its run."""
        return f"{self.source.run.name} {self.name}"

    @property
    def tags(self) -> dict[str, str]:
        """Tags of its run, by which it is found again."""
        return {
            COMPRESSION_TAG: self.name,
            OF: self.source.run.run_id,
            SETTINGS: self.settings,
            PARENT_TAG: self.source.run.run_id,
        }

    @property
    def trained(self) -> StoredRun:
        """The run that has trained the network of this rung."""
        return trained_run(self.base) if self.base else self.source.run
