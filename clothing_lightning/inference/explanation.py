"""Files that show what spoke for the predicted class of each photo."""

import re
from collections.abc import Sequence
from pathlib import Path

import torch

from clothing_lightning.data.progress import with_progress
from clothing_lightning.errors import ImageError
from clothing_lightning.inference.grad_cam import grad_cam
from clothing_lightning.inference.trained_network import TrainedNetwork
from clothing_lightning.reports.explanation import explanation_figure
from clothing_lightning.reports.predicted import Prediction
from clothing_lightning.reports.style import save

_LONGEST_NAME = 80  # in bytes


def write_explanations(
    model: TrainedNetwork, predictions: Sequence[Prediction], folder: Path
) -> None:
    """Draw one picture for each photo: ``0001_<name of the photo>.png``, ...

    Args:
        model: The network that has predicted them.
        predictions: Photos and their classes; the most probable class is explained.
        folder: An empty folder for the pictures; made if it is not there.

    Raises:
        ConfigError: If the network's features have no places.
        ImageError: If a photo cannot be read any more.
        OSError: If a picture cannot be written.
    """
    number = {name: index for index, name in enumerate(model.class_names)}
    folder.mkdir(parents=True, exist_ok=True)
    digits = max(len(str(len(predictions))), 4)
    photos = model.read_photos([row.path for row in predictions])
    rows = with_progress(predictions, "Explaining", total=len(predictions))
    for index, row in enumerate(rows):
        file = folder / f"{index + 1:0{digits}}_{_plain_name(row.path)}.png"
        label, probability = row.classes[0]
        photo = photos[index]
        if isinstance(photo, ImageError):
            raise photo
        wanted = torch.tensor([number[label]], device=model.device)
        image = model.normalise(photo[None])
        (heat,) = grad_cam(model.network, image, wanted).cpu().numpy()
        figure = explanation_figure(
            photo.numpy(),
            heat,
            title=row.path.name,
            prediction=label,
            probability=probability,
        )
        save(figure, file)


def _plain_name(path: Path) -> str:
    """Return the name of a photo as a part of another file's name."""
    name = re.sub(r"[^\w-]+", "_", path.stem).encode(errors="ignore")
    return name[:_LONGEST_NAME].decode(errors="ignore")
