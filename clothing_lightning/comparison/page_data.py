"""What the script of a comparison's page computes with: predictions, tests, photos."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from clothing_lightning.comparison.predictions import Comparison, Model
from clothing_lightning.comparison.ranking import ALPHA, Pair, PairedTest, Ranking
from clothing_lightning.data.decoding import MAX_PIXELS

PHOTOS = 400
"""They bound the page to some megabytes; other images are named by their path."""

_PER_DIRECTION = 16
_PHOTO_PX = 160
_QUALITY = 72
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
_CLEARLY = 0.5  # as the page's script has it

Photo = Callable[[str], bytes | None]


def page_data(compared: Comparison, ranking: Ranking, photo: Photo) -> dict[str, Any]:
    """Gather what the script needs, as values that JSON can hold.

    Returns:
        ``classes`` and ``paths`` hold the names of the classes and the images, which
        all else names by their places. ``labels`` holds the class of each image, and
        in ``models``, best first, each of the ``repeats`` the number of its test set
        and the class ``predicted`` for each of its images: base64 of unsigned numbers
        of ``bytes_per_label`` bytes. ``tests`` holds the images of each test set:
        base64 of unsigned numbers of 4 bytes. ``pairs`` are the tests of each two
        models. ``photos`` holds by the place of the image a JPEG file in base64.
    """
    kind = np.dtype("uint8" if len(compared.class_names) <= 256 else "<u2")
    return {
        "classes": compared.class_names,
        "bytes_per_label": kind.itemsize,
        "labels": _packed(compared.labels, kind),
        "paths": compared.images["path"].tolist(),
        "tests": [_packed(places, np.dtype("<u4")) for places in compared.tests],
        "models": [
            {
                "title": ranked.model.title,
                "accuracy": _rounded(ranked.scores["accuracy"].value),
                "macro_f1": _rounded(ranked.scores["macro_f1"].value),
                "repeats": [
                    {"test": each.test, "predicted": _packed(each.predicted, kind)}
                    for each in ranked.model.repeats
                ],
            }
            for ranked in ranking.models
        ],
        "alpha": ALPHA,
        "pairs": [_pair(pair) for pair in ranking.pairs],
        "photos": _photos(compared, ranking, photo),
    }


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "a": pair.a,
        "b": pair.b,
        "accuracy": _test(pair.accuracy),
        "macro_f1": _test(pair.macro_f1),
        "images_needed": pair.needed,
    }


def _test(test: PairedTest) -> dict[str, float | None]:
    names = ("difference", "low", "high", "p", "p_holm")
    return {name: _rounded(getattr(test, name)) for name in names}


def _packed(values: NDArray[np.intp], kind: "np.dtype[Any]") -> str:
    return b64encode(values.astype(kind).tobytes()).decode()


def _rounded(value: float) -> float | None:
    """Keep the digits that anybody could want; JSON has no NaN."""
    return float(f"{value:.6g}") if np.isfinite(value) else None


def _photos(compared: Comparison, ranking: Ranking, photo: Photo) -> dict[int, str]:
    """Thumbnails of images on which the best models differ."""
    contents = compared.images["sha256"].tolist()
    photos: dict[int, str] = {}
    seen: set[int] = set()
    for image in _disputed_images(compared, ranking):
        if len(photos) == PHOTOS:
            break
        if image not in seen:
            seen.add(image)
            thumbnail = _thumbnail(photo(contents[image]))
            if thumbnail:
                photos[image] = thumbnail
    return photos


def _disputed_images(compared: Comparison, ranking: Ranking) -> Iterator[int]:
    """Images that one model gets right and another wrong, of the best pairs first."""
    models = [ranked.model for ranked in ranking.models]
    pairs = sorted(combinations(range(len(models)), 2), key=lambda p: (sum(p), p))
    shares = [_shares(compared, model) for model in models]
    for one, other in pairs:
        (a, sure_a), (b, sure_b) = shares[one], shares[other]
        for gap, surer in ((a - b, sure_a - sure_b), (b - a, sure_b - sure_a)):
            places = np.flatnonzero(gap >= _CLEARLY)
            order = np.lexsort((-surer[places], -gap[places]))
            yield from places[order][:_PER_DIRECTION].tolist()


def _shares(
    compared: Comparison, model: Model
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each image the share of repeats that are right, and how sure they are."""
    with np.errstate(invalid="ignore"):
        right = np.nanmean(compared.rights(model), axis=0)
    sure, times = np.zeros(len(right)), np.zeros(len(right))
    for repeat in model.repeats:
        places = compared.tests[repeat.test]
        labels = compared.labels[places]
        sure[places] += repeat.probabilities[np.arange(len(places)), labels]
        times[places] += 1
    return right, sure / times


def _thumbnail(data: bytes | None) -> str:
    """A small JPEG in base64; empty if there is no image that can be read."""
    if data is None:
        return ""
    try:
        with Image.open(BytesIO(data), formats=_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                return ""
            image.draft("RGB", (2 * _PHOTO_PX, 2 * _PHOTO_PX))
            photo = ImageOps.exif_transpose(image).convert("RGB")
    except Exception:
        # On damaged files Pillow raises nearly anything; the path is shown instead.
        return ""
    photo.thumbnail((_PHOTO_PX, _PHOTO_PX))
    file = BytesIO()
    photo.save(file, "JPEG", quality=_QUALITY)
    return b64encode(file.getvalue()).decode()
