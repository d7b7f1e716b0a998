"""Pipelines from a decoded photo to the square uint8 image that a network gets.

Normalisation is not among the steps: it is done for a whole batch at once, on the
device, by `Preprocessing.normalise`.
"""

import inspect
import pkgutil
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import albumentations as A
import cv2
import numpy as np

from clothing_lightning.data.options import AugmentationPolicy
from clothing_lightning.errors import ConfigError
from clothing_lightning.wording import closest, one_line

AnyTransform: TypeAlias = A.BasicTransform | A.BaseCompose
OPTION = "data.init_args.augmentation"
Image = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


class Pipeline:
    """A chain of albumentations transforms with a seed for each image.

    The seed makes the result depend on nothing but the image, the epoch and the
    run's seed, whichever worker does it and in whichever order.
    """

    def __init__(
        self, transforms: Sequence[AnyTransform], size: int, crop_pct: float
    ) -> None:
        """Chain transforms, with a resize and centre crop after them if need be.

        Args:
            transforms: Random transforms, applied in order to uint8 images of any
                size.
            size: Height and width of the result in pixels.
            crop_pct: Share of the resized short side that the crop keeps.
        """
        self.size = size
        self.random = A.Compose(list(transforms)) if transforms else None
        self.geometry = A.Compose(centre_crop(size, crop_pct))

    def __call__(self, image: Image, seed: int) -> Image:
        """Transform one image, ``[H, W, 3]``.

        Raises:
            ConfigError: If the transforms make anything but an RGB image of it.
        """
        if self.random is not None:
            self.random.set_random_seed(seed)
            image = self.random(image=image)["image"]
            _require_rgb(image)
        # After chosen transforms only where they left another size; but a plain
        # photo is cropped like all others, even one that has the size by chance.
        if self.random is None or image.shape[:2] != (self.size, self.size):
            image = self.geometry(image=image)["image"]
        return image


def _require_rgb(made: Any) -> None:
    """Refuse what is no longer a photo after the user's transforms."""
    if getattr(made, "dtype", None) != np.uint8 or made.shape[2:] != (3,):
        raise ConfigError(
            f"{OPTION}: makes an image of type "
            f"{getattr(made, 'dtype', type(made).__name__)} and shape "
            f"{tuple(made.shape)}, expected uint8 and (height, width, 3). Leave out "
            "Normalize, ToFloat and ToTensorV2; the model does this itself."
        )


def centre_crop(size: int, crop_pct: float) -> list[A.BasicTransform]:
    """Resize the short side to ``size / crop_pct`` and cut out the centre."""
    return [
        # Areas are averaged where it shrinks; enlarging by them would make blocks.
        A.SmallestMaxSize(
            round(size / crop_pct),
            interpolation=cv2.INTER_LINEAR,
            area_for_downscale="image",
        ),
        A.CenterCrop(size, size),
    ]


def policy_transforms(
    policy: AugmentationPolicy, size: int, crop_pct: float
) -> list[A.BasicTransform]:
    """Return the random transforms of a policy.

    Args:
        policy: ``none`` has no random transform. ``light`` has a flip, and a shift,
            scale and rotation so small that the garment stays in the picture.
            ``strong`` has a random resized crop of at least 35 % of the area, a flip,
            a rotation, colour jitter, and sometimes a hole.
        size: Height and width of the result in pixels.
        crop_pct: Share of the resized short side that a centre crop keeps.
    """
    if policy == "light":
        return [
            *centre_crop(size, crop_pct),
            A.HorizontalFlip(p=0.5),
            A.Affine(
                scale=(0.9, 1.1),
                translate_percent=(-0.06, 0.06),
                rotate=(-10, 10),
                border_mode=cv2.BORDER_REFLECT_101,
                p=0.8,
            ),
        ]
    if policy == "strong":
        return [
            A.RandomResizedCrop((size, size), scale=(0.35, 1.0)),
            A.HorizontalFlip(p=0.5),
            A.Affine(rotate=(-15, 15), border_mode=cv2.BORDER_REFLECT_101, p=0.3),
            A.ColorJitter(0.3, 0.3, 0.3, 0.05, p=0.8),
            A.CoarseDropout(p=0.25),
        ]
    return []


def build(transform: Mapping[str, Any]) -> AnyTransform:
    """Make a transform from its name and arguments.

    Args:
        transform: ``class_path``, such as ``albumentations.HorizontalFlip`` or the name
            of another class that derives from albumentations' transforms, and
            ``init_args``. The ``transforms`` of a composition like ``OneOf`` are
            listed in the same way.

    Raises:
        ConfigError: If there is no such transform, or an argument does not fit.
    """
    given = set(transform) if isinstance(transform, Mapping) else set()
    if "class_path" not in given or given - {"class_path", "init_args"}:
        raise ConfigError(
            f"{OPTION}: {transform} is no transform. Write class_path, such as "
            "albumentations.HorizontalFlip, and init_args."
        )
    cls = _transform_class(transform["class_path"])
    arguments = dict(transform.get("init_args") or {})
    known = set(inspect.signature(cls).parameters)
    if unknown := sorted(set(arguments) - known):
        raise ConfigError(
            f"{OPTION}: {transform['class_path']} has no argument {unknown[0]!r}. It "
            f"takes {', '.join(sorted(known))}."
        )
    try:
        if "transforms" in arguments:
            nested = arguments["transforms"]
            arguments["transforms"] = [build(inner) for inner in nested]
        built: AnyTransform = cls(**arguments)
    except ConfigError:
        raise
    except (TypeError, ValueError) as err:
        reason = one_line(err).partition(" For further information")[0]
        raise ConfigError(
            f"{OPTION}: {transform['class_path']} does not take "
            f"{transform.get('init_args')} ({reason})."
        ) from err
    return built


def _transform_class(name: str) -> type:
    try:
        cls = pkgutil.resolve_name(name)
    except (AttributeError, ImportError, ValueError):
        cls = None
    if isinstance(cls, type) and issubclass(cls, AnyTransform):
        return cls
    near = closest(str(name).rpartition(".")[2], dir(A))
    raise ConfigError(
        f"{OPTION}: {name!r} is not the name of a transform."
        f"{near or ' See albumentations.'}"
    )
