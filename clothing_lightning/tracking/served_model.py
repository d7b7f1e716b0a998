"""The model that MLflow serves: photos go in, classes come out.

MLflow copies this file beside the network, and runs it where neither torch nor this
project is installed. It needs mlflow, numpy, onnxruntime, pandas and Pillow alone.

A photo is

- the content of an image file, as bytes;
- the same as base64 text, with or without ``data:image/jpeg;base64,`` before it;
- an array of RGB values from 0 to 255, ``[height, width, 3]``;
- a `pathlib.Path`. Text is never taken for a path and never for an address: whoever
  sends requests to a server can send text, but no `Path`.
"""

import base64
import json
import os
import threading
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

# Before ONNX Runtime is imported, whose makers it would tell that it is used.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import numpy as np
import numpy.typing as npt
import onnxruntime
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from PIL import Image, ImageOps, UnidentifiedImageError

COLUMN, TOP = "image", "top"
MAX_PIXELS = 100_000_000  # as in data/decoding.py
MAX_AT_ONCE = 4  # a photo of MAX_PIXELS takes 2 GB, and any number of requests may come
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")

Photo = npt.NDArray[np.uint8]


class ServedModel(PythonModel):
    """Classifies photos by an ONNX file that prepares them itself."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the network, which says itself what its classes are called."""
        options = onnxruntime.SessionOptions()
        # Threads that wait for work would take the time of those that decode photos.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(
            context.artifacts["network"], options, providers=["CPUExecutionProvider"]
        )
        text = self.session.get_modelmeta().custom_metadata_map["clothing_lightning"]
        about = json.loads(text)
        self.class_names: list[str] = about["class_names"]
        self.temperature = (about.get("calibration") or {}).get("temperature", 1.0)
        self.free = threading.Semaphore(min(os.cpu_count() or 1, MAX_AT_ONCE))

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Classify photos.

        Args:
            context: Of MLflow; not needed.
            model_input: The photos, in the column ``image``.
            params: ``top``, the number of classes that are named for each photo.

        Returns:
            A row for each photo: ``label`` and ``probability`` of the most likely
            class, ``top_k`` with those of the most likely classes, and ``error``. Of a
            photo that cannot be read there is the error alone.

        Raises:
            MlflowException: If ``top`` is less than 1.
        """
        top = (params or {}).get(TOP, 3)
        if top < 1:
            raise MlflowException.invalid_parameter_value(
                f"{TOP} is {top}. It is the number of classes for each photo, from 1."
            )
        photos: list[Any] = []
        for cell in model_input[COLUMN]:
            # {"inputs": ["...", "..."]} comes as one cell.
            texts = isinstance(cell, list) and all(isinstance(x, str) for x in cell)
            photos.extend(cell if texts else [cell])
        rows = [self._answer(photo, top) for photo in photos]
        columns = ["label", "probability", "top_k", "error"]
        return pd.DataFrame(rows, columns=columns, dtype=object)

    def _answer(self, given: Any, top: int) -> list[Any]:
        """Return the row of one photo."""
        with self.free:
            try:
                photo = read_photo(given)
            except Exception as err:  # of any class, on damaged files
                return [None, None, None, " ".join(str(err).split()) or repr(err)]
            logits = self.session.run(None, {"images": photo[None]})[0][0]
        logits = logits / self.temperature
        scores = np.exp(logits - logits.max())
        probabilities = (scores / scores.sum()).tolist()
        ranked = np.argsort(-scores, kind="stable")[:top].tolist()
        top_k = [
            {"label": self.class_names[place], "probability": probabilities[place]}
            for place in ranked
        ]
        return [*top_k[0].values(), top_k, None]


def read_photo(given: Any) -> Photo:
    """Return the pixels of a photo, RGB ``[height, width, 3]``.

    Raises:
        Exception: If it is no photo, or a damaged one, or too large.
    """
    if isinstance(given, str):
        given = _from_base64(given)
    elif isinstance(given, Path):
        if not given.is_file():
            raise ValueError(f"there is no file '{given}'")
        given = given.read_bytes()
    if isinstance(given, bytes):
        return _decode(given)
    if isinstance(given, list | np.ndarray):
        return _from_values(given)
    raise ValueError(
        f"a photo is given as base64 text, bytes, an array or a pathlib.Path, not as "
        f"{type(given).__name__}"
    )


def _from_base64(text: str) -> bytes:
    content = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode("".join(content.split()), validate=True)
    except ValueError as err:
        raise ValueError(
            "is no base64 text. Send the content of the image file; a path is a "
            "pathlib.Path, which only Python can give"
        ) from err


def _from_values(values: Any) -> Photo:
    array = np.asarray(values)
    if array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        raise ValueError(f"an array is [height, width, 3], not {list(array.shape)}")
    _check_size(array.shape[1], array.shape[0])
    if array.dtype.kind not in "iu" or array.min() < 0 or array.max() > 255:
        raise ValueError("an array has whole numbers from 0 to 255")
    return array.astype(np.uint8)


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ValueError(
            f"has {width:,} x {height:,} px, more than the {MAX_PIXELS:,} px that are "
            "read; scale it down"
        )


def _decode(content: bytes) -> Photo:
    """Decode an image file, as `data.decoding.read_image` does."""
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            _check_size(*image.size)
            image.load()
            with suppress(Exception):  # damaged EXIF data; the photo itself is sound
                ImageOps.exif_transpose(image, in_place=True)
            return np.asarray(_rgb(image))
    except UnidentifiedImageError as err:
        raise ValueError(
            f"is no image that can be read ({', '.join(FORMATS)})"
        ) from err


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F"):
        raise ValueError("has 32-bit samples; save it with 8 or 16 bits per sample")
    if image.mode.startswith("I;16"):
        high: npt.NDArray[Any] = np.asarray(image) >> 8
        return Image.fromarray(high.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        photo = image.convert("RGBA")
        on_white = Image.new("RGB", image.size, "white")
        on_white.paste(photo, mask=photo)
        return on_white
    return image.convert("RGB")


set_model(ServedModel())
