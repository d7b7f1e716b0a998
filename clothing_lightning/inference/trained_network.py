"""A trained network with all that a prediction needs, and nothing of its training."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from clothing_lightning.data.options import Preprocessing
from clothing_lightning.data.reading import Photo, PhotoReader, read_batches
from clothing_lightning.errors import ConfigError, ImageError
from clothing_lightning.models.backbones import create_backbone, preprocessing_of

_MIXED = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


@dataclass(frozen=True)
class TrainedNetwork:
    """A network that tells the class of photos.

    Attributes:
        network: In eval mode, on `device`.
        class_names: In the order of its outputs.
        preprocessing: What it expects of its images.
        device: Where it computes.
        precision: Lightning's name of that in which it was tested.
        crops_to_boxes: Whether it was trained on garments cut out of their photos.
    """

    network: nn.Module
    class_names: list[str]
    preprocessing: Preprocessing
    device: torch.device
    precision: str = "32-true"
    crops_to_boxes: bool = False

    @cached_property
    def reader(self) -> PhotoReader:
        """Reads photos as the test of the run did."""
        return PhotoReader(self.preprocessing.image_size, self.preprocessing.crop_pct)

    def inputs(self, photos: Sequence[Photo]) -> Tensor:
        """What the network gets of photos that `reader` has read: ``[N, C, H, W]``."""
        images = torch.from_numpy(np.stack(photos)).to(self.device)
        return self.preprocessing.normalise(images)

    @torch.inference_mode()
    def probabilities(self, photos: Sequence[Photo]) -> Tensor:
        """Class probabilities of photos that `reader` has read.

        Returns:
            float32 ``[N, num_classes]``, on the CPU.
        """
        with self._mixed_precision():
            logits = self.network(self.inputs(photos))
        return logits.float().softmax(dim=1).cpu()  # type: ignore[no-any-return]

    def _mixed_precision(self) -> AbstractContextManager[Any]:
        """As in the test on a GPU; CPUs compute in float32."""
        if self.device.type != "cuda" or self.precision not in _MIXED:
            return nullcontext()
        return torch.autocast("cuda", _MIXED[self.precision])

    def predict(
        self,
        paths: Sequence[Path],
        batch_size: int,
        boxes: "np.ndarray[Any, Any] | None" = None,
    ) -> Iterator[Tensor | ImageError]:
        """Predict photos, one batch after another.

        Args:
            paths: Of the images.
            batch_size: How many go through the network at once.
            boxes: Left, top, right and bottom of the part of each that is used.

        Yields:
            Probabilities ``[num_classes]`` of each photo in order, or why it cannot be
            read.
        """
        for batch in read_batches(self.reader, paths, batch_size, boxes):
            photos = [found for found in batch if not isinstance(found, ImageError)]
            rows = iter(self.probabilities(photos)) if photos else iter(())
            for found in batch:
                yield found if isinstance(found, ImageError) else next(rows)


def device_called(name: str) -> torch.device:
    """Where to compute.

    Args:
        name: ``cpu``, ``cuda``, or ``auto``: a GPU where there is one.

    Raises:
        ConfigError: If it is another name, or there is no GPU.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"--device: {name!r} is none of auto, cpu, cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "--device: torch finds no GPU here for 'cuda'. Leave it out to use the CPU."
        )
    gpu = name == "cuda" or (name == "auto" and torch.cuda.is_available())
    return torch.device("cuda" if gpu else "cpu")


def build_trained(
    config: Mapping[str, Any],
    class_names: list[str],
    state: Mapping[str, Tensor] | None,
    device: torch.device,
    recorded: Mapping[str, Any] | None = None,
) -> TrainedNetwork:
    """Build the network of an experiment with weights that it has learnt.

    Args:
        config: The experiment, resolved.
        class_names: In the order of the outputs.
        state: The network's parameters and buffers; None leaves random ones.
        device: Where it is to compute.
        recorded: The fields of `Preprocessing` as they were; by default what follows
            from the experiment with the timm that is installed.

    Raises:
        ConfigError: If there is no such backbone.
        KeyError: If the experiment lacks a key.
        RuntimeError: If the weights are of another network.
    """
    model, data = config["model"]["init_args"], config["data"]["init_args"]
    backbone, channels = model["backbone"], model.get("in_chans")
    preprocessing = preprocessing_of(backbone, channels)
    if size := data.get("image_size"):
        preprocessing = replace(preprocessing, image_size=size)
    if recorded:
        preprocessing = Preprocessing(
            int(recorded["image_size"]),
            tuple(recorded["mean"]),
            tuple(recorded["std"]),
            float(recorded["crop_pct"]),
        )
    size = preprocessing.image_size
    network = create_backbone(
        backbone, "none", len(class_names), in_chans=channels, image_size=(size, size)
    )
    if state is not None:
        network.load_state_dict(state)
    if model.get("channels_last", True):
        network = network.to(memory_format=torch.channels_last)
    return TrainedNetwork(
        network.eval().requires_grad_(False).to(device),
        class_names,
        preprocessing,
        device,
        str(config["trainer"].get("precision")),
        data.get("crop") == "bbox",
    )
