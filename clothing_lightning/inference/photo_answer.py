"""One photo and what a network says of it, for the page that tries a network."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from PIL import Image

from clothing_lightning.data.decoding import read_image
from clothing_lightning.errors import ConfigError, ImageError
from clothing_lightning.inference.grad_cam import grad_cam
from clothing_lightning.inference.onnx_network import OnnxNetwork
from clothing_lightning.inference.predictor import Predictor
from clothing_lightning.reports.explanation import overlaid
from clothing_lightning.reports.page import data_address

_SHOWN_CLASSES = 5
_PREVIEW_PX = 640
_QUALITY = 85

Answer = dict[str, Any]
Answering = Callable[[Path], Answer]


def no_explanation(predictor: Predictor) -> str:
    """Why the page cannot show what speaks for a class; empty where it can."""
    if isinstance(predictor.model.network, OnnxNetwork):
        return (
            "An ONNX file has no gradients, so there is no picture of what speaks for "
            "a class (Grad-CAM): name the run, or its checkpoint, for that."
        )
    return ""


def answering(predictor: Predictor) -> Answering:
    """Return a function that answers one photo.

    It takes the path of an image file, and returns what becomes JSON: ``classes``, name
    and calibrated probability of the most probable ones; ``photo``, the address of a
    small copy; and ``heat``, that of what the network saw with what speaks for the
    first class laid over it, or None where there is no Grad-CAM. It raises ImageError,
    with a message that holds no path, if the file cannot be read.
    """

    def answer(file: Path) -> Answer:
        try:
            photo = read_image(file)
        except ImageError as err:
            raise ImageError(str(err).removeprefix(f"{file}: ")) from err
        seen = predictor.model.prepare(photo)
        (scores,) = predictor.model.probabilities(seen[None], predictor.temperature)
        values, order = scores.sort(descending=True, stable=True)
        names = [predictor.class_names[k] for k in order[:_SHOWN_CLASSES].tolist()]
        return {
            "classes": list(zip(names, values.tolist(), strict=False)),
            "photo": _address(photo),
            "heat": _heat(predictor, seen, order[:1]),
        }

    return answer


def _heat(predictor: Predictor, seen: torch.Tensor, wanted: torch.Tensor) -> str | None:
    model = predictor.model
    if no_explanation(predictor):
        return None
    try:
        image = model.normalise(seen[None])
        (heat,) = grad_cam(model.network, image, wanted.to(model.device)).cpu().numpy()
    except ConfigError:  # features without places
        return None
    return _address(overlaid(seen.numpy(), heat))


def _address(pixels: NDArray[Any]) -> str:
    """A copy that fits into a page, as the address of a JPEG."""
    image = Image.fromarray(pixels)
    image.thumbnail((_PREVIEW_PX, _PREVIEW_PX))
    file = BytesIO()
    image.save(file, "JPEG", quality=_QUALITY)
    return data_address("image/jpeg", file.getvalue())
