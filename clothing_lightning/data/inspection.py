"""Inspection of all image files before a training: each is decoded and hashed once.

What was found is remembered on disk. A file whose size and times are the same as
before, by the clocks of the file system, is believed to be the same.
"""

import hashlib
import os
import signal
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from clothing_lightning.data.decoding import read_image
from clothing_lightning.data.locations import cache_folder
from clothing_lightning.data.progress import with_progress
from clothing_lightning.errors import DataError, ImageError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

# Below this many images, starting processes takes longer than decoding.
_FEW_IMAGES = 64
_IMAGES_PER_TASK = 16
_HASH_SIDE = 8
_STAMP = ["size_bytes", "modified_ns", "changed_ns"]


class Finding(NamedTuple):
    """What was found in an image file.

    Attributes:
        sha256: The digest of the file's bytes in hexadecimal; None if it has no bytes
            that can be read.
        width: The width of the upright image in pixels; 0 if it cannot be decoded.
        height: The height of the upright image in pixels; 0 if it cannot be decoded.
        phash: The `perceptual_hash` of the image; None if it cannot be decoded.
        refusal: Why the image cannot be decoded; None if it can.
    """

    sha256: str | None
    width: int
    height: int
    phash: str | None
    refusal: str | None


def inspect_images(root: Path, names: Sequence[str], *, workers: int) -> "pd.DataFrame":
    """Decode and hash every image once.

    Findings of readable images are remembered below `cache_folder`, also when the work
    is interrupted. What is damaged there or cannot be written only costs time.

    Args:
        root: The folder that names are relative to.
        names: Paths of the images, with forward slashes.
        workers: The number of processes that decode. If it is 1 or less, or there are
            few images, this process decodes.

    Returns:
        A row for each name, in order, with the fields of `Finding`.

    Raises:
        DataError: If a decoding process was killed.
    """
    import pandas as pd

    place = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    file = cache_folder() / "inspected" / f"{place}.parquet"
    stamps = pd.DataFrame(
        [_stamp(f"{root}/{name}") for name in names], columns=_STAMP, dtype="int64"
    )
    stamps.insert(0, "name", list(names))
    known = _remembered(file)
    matched = stamps.merge(known, on=["name", *_STAMP], how="left")
    new = list(matched.index[matched["sha256"].isna()])
    inspections = _inspect([f"{root}/{names[index]}" for index in new], workers)
    findings: list[Finding] = []  # an interruption leaves those that are there
    try:
        for finding in with_progress(inspections, "Checking images", total=len(new)):
            findings.append(finding)
    finally:
        rows = new[: len(findings)]
        inspected = pd.DataFrame(findings, columns=Finding._fields, index=rows)
        readable = inspected[inspected["refusal"].isna()].drop(columns="refusal")
        _remember(file, known, stamps.loc[readable.index].join(readable))
    old = matched.drop(index=new).assign(refusal=None)[list(Finding._fields)]
    every = pd.concat([old, inspected]) if len(old) else inspected
    return every.sort_index().astype({"width": int, "height": int})


def perceptual_hash(image: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> str:
    """Compute 64 bits that differ little between pictures that look alike.

    They say which of the 8 x 8 lowest frequencies of the brightness at 32 x 32 px are
    above their median: Zauner, "Implementation and Benchmarking of Perceptual Image
    Hash Functions", 2010, section 3.2.1.

    Args:
        image: An RGB image, ``[height, width, 3]``.

    Returns:
        The bits as 16 hexadecimal digits.
    """
    import cv2
    import numpy as np

    side = 4 * _HASH_SIDE
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    low = cv2.dct(grey)[:_HASH_SIDE, :_HASH_SIDE].ravel()
    return np.packbits(low > np.median(low)).tobytes().hex()


def _stamp(path: str) -> tuple[int, int, int]:
    try:
        status = os.stat(path)  # noqa: PTH116  a Path for each would take as long
    except (OSError, ValueError):
        return -1, -1, -1
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _inspect(paths: Sequence[str], workers: int) -> Iterator[Finding]:
    if workers <= 1 or len(paths) < _FEW_IMAGES:
        yield from map(_inspect_file, paths)
        return
    try:
        # An interrupt reaches all processes; only this one is to answer it.
        with ProcessPoolExecutor(
            workers,
            initializer=signal.signal,
            initargs=(signal.SIGINT, signal.SIG_IGN),
        ) as pool:
            yield from pool.map(_inspect_file, paths, chunksize=_IMAGES_PER_TASK)
    except BrokenProcessPool as err:
        raise DataError(
            f"Checking {len(paths)} images: one of {workers} decoding processes was "
            "killed, most likely for want of memory. Run again with fewer workers."
        ) from err


def _inspect_file(path: str) -> Finding:
    try:
        image = read_image(Path(path))
    except ImageError as err:
        return Finding(_digest(path), 0, 0, None, str(err))
    height, width = image.shape[:2]
    return Finding(_digest(path), width, height, perceptual_hash(image), None)


def _digest(path: str) -> str | None:
    try:
        # Reading a pipe would never end.
        if stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116
            with open(path, "rb") as file:  # noqa: PTH123
                return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        pass
    return None


def _remembered(file: Path) -> "pd.DataFrame":
    import pandas as pd

    columns = ["name", *_STAMP, *Finding._fields[:-1]]
    with suppress(OSError, ValueError, KeyError):  # pyarrow's errors are ValueErrors
        return pd.read_parquet(file)[columns]
    types = dict.fromkeys(_STAMP, "int64") | {"name": "str"}
    return pd.DataFrame(columns=columns).astype(types)


def _remember(file: Path, known: "pd.DataFrame", new: "pd.DataFrame") -> None:
    """Add findings to the cache; without it the next run is slower, no more."""
    import pandas as pd

    if new.empty:
        return
    table = pd.concat([known, new] if len(known) else [new])
    table = table.drop_duplicates("name", keep="last")
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=file.parent) as folder:
            part = Path(folder) / file.name
            table.to_parquet(part, index=False)
            part.replace(file)
