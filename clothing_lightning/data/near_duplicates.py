"""Nearly the same picture twice: found by hashes, confirmed by a second look.

Hashes of different garments on the same background are often closer than those of one
photo and its crop. So pairs of close hashes are only candidates: one is laid upon the
other, and their details are compared.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from clothing_lightning.data.close_hashes import close_pairs
from clothing_lightning.data.decoding import read_image
from clothing_lightning.data.progress import with_progress
from clothing_lightning.errors import ImageError

Picture = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float32]
Item = TypeVar("Item")
Result = TypeVar("Result")

SIMILAR = 0.95
"""In the clothing dataset the same pictures are above 0.96, other ones below 0.92."""
LOOKED_AT = 10_000  # pairs at most: to read and compare one takes some milliseconds

_RADIUS, _MIRRORED_RADIUS = 12, 8  # of 64 bits
# The number of different garments within a radius grows with the square of the images.
_MANY_IMAGES, _RADIUS_OF_MANY = 20_000, 10
# A mirror changes the sign of odd horizontal frequencies: every second bit of the hash.
_MIRROR = 0x5555_5555_5555_5555
_SIDE_PX = 64
_DETAIL_PX = 5.0  # standard deviation of the blur that is taken away
_LEAST_OVERLAP = 0.5
_STEPS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-4)


@dataclass(frozen=True)
class NearDuplicates:
    """Pairs of nearly identical images.

    Attributes:
        pairs: ``path_a``, ``path_b``, ``distance`` (bits in which the hashes differ),
            ``mirrored`` and ``similarity`` (0 to 1), the most similar first.
        candidates: The number of pairs whose hashes are close.
        looked_at: The number of candidates, the closest ones, that were compared.
    """

    pairs: pd.DataFrame
    candidates: int
    looked_at: int


def near_duplicates(
    root: Path, hashes: "pd.Series[str]", *, workers: int
) -> NearDuplicates:
    """Find pictures that were encoded again, scaled, brightened, mirrored or trimmed.

    Args:
        root: The folder that paths are relative to.
        hashes: Perceptual hashes, by path, of one of each set of identical files.
        workers: The number of threads that read and compare.
    """
    candidates = candidate_pairs(hashes)
    chosen = candidates[:LOOKED_AT]
    paths = sorted({*chosen["path_a"], *chosen["path_b"]})
    files = [root / path for path in paths]
    read = _each(_picture, files, "Reading look-alikes", workers)
    pictures = dict(zip(paths, read, strict=True))

    def similarity_of(pair: tuple[str, str, int, bool]) -> float:
        one, other, _, mirrored = pair
        first, second = pictures[one], pictures[other]
        if first is None or second is None:
            return 0.0
        return similarity(first, np.fliplr(second) if mirrored else second)

    pairs = list(chosen.itertuples(index=False, name=None))
    seen = _each(similarity_of, pairs, "Comparing look-alikes", workers)
    scored = chosen.assign(similarity=np.round(np.array(seen, np.float64), 4))
    same = scored[scored["similarity"] >= SIMILAR].sort_values(
        ["similarity", "path_a", "path_b"], ascending=[False, True, True]
    )
    return NearDuplicates(same.reset_index(drop=True), len(candidates), len(chosen))


def candidate_pairs(hashes: "pd.Series[str]") -> pd.DataFrame:
    """Find pairs of images with close hashes, the closest first.

    Of many images with the very same hash, such as blank ones, each is paired with the
    next three, and one of them with images of other hashes.

    Args:
        hashes: Perceptual hashes of 16 hexadecimal digits, by path.

    Returns:
        ``path_a``, ``path_b``, ``distance`` in bits, and ``mirrored``.
    """
    numbers = np.array([int(digits, 16) for digits in hashes], dtype=np.uint64)
    distinct, first = np.unique(numbers, return_index=True)
    radius = _RADIUS if len(hashes) <= _MANY_IMAGES else _RADIUS_OF_MANY
    plain = close_pairs(distinct, radius)
    mirrored = close_pairs(distinct, _MIRRORED_RADIUS, _MIRROR)
    equal = _equal(numbers)
    close = np.concatenate([plain, mirrored])
    ends = np.concatenate([equal, np.sort(first[close[:, :2]], axis=1)])
    paths = hashes.index.to_numpy()
    pairs = pd.DataFrame(
        {
            "path_a": paths[ends[:, 0]],
            "path_b": paths[ends[:, 1]],
            "distance": np.append(np.zeros(len(equal), np.int64), close[:, 2]),
            "mirrored": np.arange(len(ends)) >= len(equal) + len(plain),
        }
    )
    return pairs.sort_values("distance", kind="stable", ignore_index=True)


def _equal(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Pairs of places of equal numbers, ``[P, 2]``, each with its next three."""
    order = np.argsort(numbers, kind="stable")
    near = [np.column_stack([order[:-lag], order[lag:]]) for lag in (1, 2, 3)]
    one, other = np.concatenate(near).T
    equal = numbers[one] == numbers[other]
    return np.column_stack([one[equal], other[equal]])


def similarity(one: Picture, other: Picture) -> float:
    """Correlation of the details of two pictures where they overlap.

    The other one is moved, turned and scaled until its brightness fits best:
    Evangelidis and Psarakis, "Parametric Image Alignment Using Enhanced Correlation
    Coefficient Maximization", PAMI 2008. Then colours count as well.

    Args:
        one: One picture, RGB, ``[64, 64, 3]``.
        other: The other picture, RGB, ``[64, 64, 3]``.

    Returns:
        At most 1; 0 if they do not fit, or one of them is blank.
    """
    first, second = _details(one), _details(other)
    move: Values = np.eye(2, 3, dtype=np.float32)
    gray: Values = first.mean(-1)
    other_gray: Values = second.mean(-1)
    try:
        cv2.findTransformECC(gray, other_gray, move, cv2.MOTION_AFFINE, _STEPS)
    except cv2.error:  # it does not converge
        return 0.0
    inside = _moved(np.ones_like(first), move) > 0.999
    if inside.mean() < _LEAST_OVERLAP:
        return 0.0
    return _correlation(first[inside], _moved(second, move)[inside])


def _moved(values: Values, move: Values) -> Values:
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(values, move, (_SIDE_PX, _SIDE_PX), flags=how)
    return np.asarray(moved, np.float32)


def _details(picture: Picture) -> Values:
    values = picture.astype(np.float32)
    return values - cv2.GaussianBlur(values, (0, 0), _DETAIL_PX)


def _correlation(one: Values, other: Values) -> float:
    one, other = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((one * one).sum() * (other * other).sum()))
    return float((one * other).sum()) / scale if scale > 0 else 0.0


def _picture(path: Path) -> Picture | None:
    try:
        size = (_SIDE_PX, _SIDE_PX)
        small = cv2.resize(read_image(path), size, interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.uint8)
    except ImageError:  # it was readable a moment ago
        return None


def _each(
    function: Callable[[Item], Result], items: Sequence[Item], what: str, workers: int
) -> list[Result]:
    """Apply a function in threads; an interrupt does not wait for what is queued."""
    pool = ThreadPoolExecutor(max(workers, 1))
    try:
        return list(with_progress(pool.map(function, items), what, total=len(items)))
    finally:
        pool.shutdown(cancel_futures=True)
