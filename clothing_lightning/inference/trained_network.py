"""A trained network with all that a prediction needs, and nothing of its training."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from clothing_lightning.data.augmentation import Pipeline
from clothing_lightning.data.dataset import UnlabelledPhotos, usable_cores
from clothing_lightning.data.options import Preprocessing
from clothing_lightning.errors import ImageError
from clothing_lightning.models.backbones import create_backbone, input_size_of
from clothing_lightning.models.description import NetworkDescription
from clothing_lightning.models.pruned_shapes import reshape

if TYPE_CHECKING:
    import numpy as np

_AUTOCAST_TYPES = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
_BATCHES_WITHOUT_WORKERS = 4  # fewer are read before processes have started
_MAX_WORKERS = 8


@dataclass(frozen=True)
class TrainedNetwork:
    """A network that predicts the class of photos.

    Attributes:
        network: The network in eval mode, on the device.
        description: Name, classes and preprocessing of the network.
        device: Where the network computes.
    """

    network: nn.Module
    description: NetworkDescription
    device: torch.device

    @property
    def class_names(self) -> list[str]:
        """Names of the classes in the order of the network's outputs."""
        return self.description.class_names

    @property
    def preprocessing(self) -> Preprocessing:
        """What the network expects of its images."""
        return self.description.preprocessing

    def read_photos(
        self, paths: Sequence[Path], boxes: "np.ndarray[Any, Any] | None" = None
    ) -> UnlabelledPhotos:
        """Return a data set of photos that reads them as the network's test did.

        Args:
            paths: Paths of the image files.
            boxes: Left, top, right and bottom of the part of each photo that is used,
                ``[N, 4]``; by default the whole photo is used.
        """
        return UnlabelledPhotos(paths, self._pipeline, boxes)

    def prepare(self, photo: "np.ndarray[Any, Any]") -> Tensor:
        """Make of a decoded photo, uint8 ``[H, W, 3]``, what `read_photos` reads."""
        return torch.from_numpy(self._pipeline(photo, 0))

    @property
    def _pipeline(self) -> Pipeline:
        return Pipeline([], self.preprocessing.image_size, self.preprocessing.crop_pct)

    def normalise(self, photos: Tensor) -> Tensor:
        """Make the network's input ``[N, C, H, W]`` of photos ``[N, H, W, 3]``."""
        return self.preprocessing.normalise(photos.to(self.device))

    @torch.inference_mode()
    def probabilities(self, photos: Tensor, temperature: float = 1.0) -> Tensor:
        """Return class probabilities, float32 ``[N, num_classes]``, on the CPU.

        Args:
            photos: Photos as `read_photos` reads them, uint8 ``[N, H, W, 3]``.
            temperature: What the logits are divided by; 1 leaves the probabilities as
                the network gives them.
        """
        dtype = _AUTOCAST_TYPES.get(self.description.precision)
        # In the precision of the test on a GPU, and in float32 on a CPU.
        half = dtype is not None and self.device.type == "cuda"
        with torch.autocast(self.device.type, dtype, enabled=half):
            logits = self.network(self.normalise(photos))
        scaled = logits.float() / temperature
        return scaled.softmax(dim=1).cpu()  # type: ignore[no-any-return]

    def predict(
        self,
        paths: Sequence[Path],
        batch_size: int,
        boxes: "np.ndarray[Any, Any] | None" = None,
        *,
        temperature: float = 1.0,
    ) -> Iterator[Tensor | ImageError]:
        """Predict photos, one batch after another.

        Args:
            paths: Paths of the image files.
            batch_size: Number of photos that go through the network at once.
            boxes: Left, top, right and bottom of the part of each photo that is used,
                ``[N, 4]``.
            temperature: What the logits are divided by; 1 leaves the probabilities as
                the network gives them.

        Yields:
            For each photo in order its class probabilities ``[num_classes]``, or the
            reason that it cannot be read.
        """
        workers = _worker_count(-(-len(paths) // batch_size))
        batches = self.read_photos(paths, boxes).batches(batch_size, workers)
        for photos, errors in batches:
            rows = iter(
                () if photos is None else self.probabilities(photos, temperature)
            )
            for error in errors:
                yield next(rows) if error is None else error


def _worker_count(batches: int) -> int:
    """Return how many processes read, none where starting them takes longer."""
    if batches <= _BATCHES_WITHOUT_WORKERS:
        return 0
    return min(usable_cores(), batches, _MAX_WORKERS)


def build_network(
    description: NetworkDescription,
    state: Mapping[str, Tensor] | None,
    device: torch.device,
) -> TrainedNetwork:
    """Build the network that is described.

    Args:
        description: The network's name, classes and sizes.
        state: The parameters and buffers of the network; None leaves random ones.
        device: Where the network is to compute.

    Raises:
        ConfigError: If there is no such backbone.
        RuntimeError: If the parameters are those of another network.
        ValueError: If the preprocessing has other channels than the network, or the
            network cannot have the shapes.
    """
    backbone, size = description.backbone, description.image_size
    network = create_backbone(
        backbone,
        "none",
        len(description.class_names),
        in_chans=description.in_chans,
        image_size=(size, size) if size else None,
    )
    channels = description.in_chans or input_size_of(backbone)[0]
    if channels != len(description.preprocessing.mean):
        raise ValueError(
            f"the network takes images of {channels} channels, and the mean has "
            f"{len(description.preprocessing.mean)}"
        )
    if description.shapes:
        reshape(network, description.shapes, description.image_shape)
    if state is not None:
        network.load_state_dict(state)
    if description.channels_last:
        network = network.to(memory_format=torch.channels_last)
    network = network.eval().requires_grad_(False).to(device)
    return TrainedNetwork(network, description, device)
