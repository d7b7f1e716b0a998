"""What the checkpoint of a network says besides its weights, as plain values."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from clothing_lightning import __version__
from clothing_lightning.data.options import Preprocessing
from clothing_lightning.metrics.selective import Calibration

KEY = "clothing_lightning"
"""Key of the description in a checkpoint."""
ARTIFACT = "config/network.json"
"""File of a run that holds the same, for readers that need no weights."""
FORMAT_VERSION = 2
"""Version of the description's format, which changes when older readers would fail.

2 has ``shapes``; networks without them are written as 1, which older versions read.
"""

_MAX_CLASSES = 100_000
_MAX_NAME = 500  # characters
_MAX_SIZE_PX = 4096


@dataclass(frozen=True)
class NetworkDescription:
    """All that is needed to build a network and to give it images.

    Attributes:
        backbone: timm's name of the network, or the name of one of ours.
        class_names: Names of the classes in the order of the network's outputs.
        preprocessing: What the network expects of its images.
        in_chans: Channels that the network was built for; None: the backbone's own.
        image_size: Height and width in pixels that the network was built for; None:
            the backbone's own.
        channels_last: Whether filters lie in memory with the channels innermost.
        precision: Lightning's name of the precision of the training and its test.
        crops_to_boxes: Whether the network was trained on garments cut out of photos.
        run_id: Id of the run that trained the network; empty if no run was recorded.
        run_name: Name of that run.
        software_version: Version of this software that wrote the description.
        calibration: What the validation images say of the network's confidence; None
            before the test of the best checkpoint, and from older versions.
        shapes: Shape of each parameter and buffer of a pruned network that is not as
            the backbone has it, by its name; None: all are.
    """

    backbone: str
    class_names: list[str]
    preprocessing: Preprocessing
    in_chans: int | None = None
    image_size: int | None = None
    channels_last: bool = True
    precision: str = "32-true"
    crops_to_boxes: bool = False
    run_id: str = ""
    run_name: str = ""
    software_version: str = __version__
    calibration: Calibration | None = None
    shapes: dict[str, list[int]] | None = None

    @property
    def temperature(self) -> float:
        """What logits are divided by before they become calibrated probabilities."""
        return self.calibration.temperature if self.calibration else 1.0

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of its images as they are tested."""
        size = self.preprocessing.image_size
        return len(self.preprocessing.mean), size, size

    def to_values(self) -> dict[str, Any]:
        """Return the description as plain values."""
        return {"format_version": 1 if self.shapes is None else 2, **asdict(self)}

    def to_json(self) -> str:
        """Return the description as text for a file."""
        return json.dumps(self.to_values(), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_values(cls, values: Any) -> Self:
        """Read plain values, which may come from anybody.

        Values that this version does not know are ignored.

        Raises:
            ValueError: If a value is missing, of another type or out of range, or the
                format is newer than this software.
        """
        _require_types(values, {"format_version": int, "software_version": str})
        _require_range("format_version", values["format_version"], 1, math.inf)
        if values["format_version"] > FORMAT_VERSION:
            raise ValueError(
                f"it has format {values['format_version']}, of version "
                f"{values['software_version'][:20]}, and this version reads format "
                f"{FORMAT_VERSION}: pip install --upgrade clothing-lightning"
            )
        types = _stored_types(cls)
        values = dict.fromkeys(_OPTIONAL) | values
        _require_types(values, types)
        names, size = values["class_names"], values["image_size"]
        if not 0 < len(names) <= _MAX_CLASSES or any(map(_is_no_name, names)):
            raise ValueError(f"class_names are not 1 to {_MAX_CLASSES:,} names")
        if len(set(names)) < len(names):
            raise ValueError("a name is twice among class_names")
        if any(_is_no_text(values[key]) for key in ("backbone", "run_id", "run_name")):
            raise ValueError("a name holds what is no text")
        if size is not None:
            _require_range("image_size", size, 1, _MAX_SIZE_PX)
        if values["in_chans"] not in (None, 1, 3):
            raise ValueError(f"in_chans is {values['in_chans']}, not 1 or 3")
        _require_shapes(values["shapes"] or {})
        read: dict[str, Any] = {
            "preprocessing": _preprocessing(values["preprocessing"])
        }
        if values["calibration"] is not None:
            read["calibration"] = Calibration.from_values(values["calibration"])
        return cls(**{key: values[key] for key in types} | read)


_OPTIONAL = ("calibration", "shapes")
"""Values that older versions did not write."""

_STORED_AS: dict[Any, Any] = {
    list[str]: list,
    tuple[float, ...]: list | tuple,
    float: int | float,
    Preprocessing: dict,
    Calibration | None: dict | None,
    dict[str, list[int]] | None: dict | None,
}


def _stored_types(described: type) -> dict[str, Any]:
    """The type that each field of a dataclass has as a plain value."""
    return {
        field.name: _STORED_AS.get(field.type, field.type)
        for field in fields(described)
    }


def _preprocessing(values: Mapping[str, Any]) -> Preprocessing:
    _require_types(values, _stored_types(Preprocessing))
    _require_range("preprocessing.image_size", values["image_size"], 1, _MAX_SIZE_PX)
    _require_range("preprocessing.crop_pct", values["crop_pct"], 1e-3, 1)
    resized = values["image_size"] / values["crop_pct"]
    _require_range("preprocessing.image_size / crop_pct", resized, 1, 2 * _MAX_SIZE_PX)
    for key, least in (("mean", -1e6), ("std", 1e-6)):
        for value in values[key]:
            _require_range(f"preprocessing.{key}", value, least, 1e6)
    mean, std = tuple(values["mean"]), tuple(values["std"])
    return Preprocessing(values["image_size"], mean, std, values["crop_pct"])


def _require_shapes(shapes: Mapping[Any, Any]) -> None:
    """Refuse what cannot be shapes; whether they fit is for `reshape` to find out."""
    for name, shape in shapes.items():
        if not isinstance(name, str) or not isinstance(shape, list | tuple):
            raise ValueError("shapes are not lists of numbers by names")
        if any(type(size) is not int for size in shape):
            raise ValueError(f"shapes of {name[:80]!r} are not whole numbers")


def _is_no_name(name: Any) -> bool:
    return (
        not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME or _is_no_text(name)
    )


def _is_no_text(name: str) -> bool:
    """Whether a name holds half a character, which no file can be written with."""
    return any("\ud800" <= char <= "\udfff" for char in name)


def _require_types(values: Any, types: Mapping[str, Any]) -> None:
    if not isinstance(values, dict):
        raise ValueError(f"a {type(values).__name__} stands in place of named values")
    for key, wanted in types.items():
        if key not in values:
            raise ValueError(f"{key} is missing")
        is_bool = isinstance(values[key], bool) and wanted is not bool
        if is_bool or not isinstance(values[key], wanted):
            raise ValueError(f"{key} is a {type(values[key]).__name__}")


def _require_range(key: str, value: Any, least: float, most: float) -> None:
    if not isinstance(value, int | float) or not least <= value <= most:
        raise ValueError(f"{key} is {str(value)[:40]}, not from {least} to {most}")
