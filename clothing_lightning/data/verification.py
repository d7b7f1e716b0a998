"""Which images cannot be read: found before a training starts, not during it."""

import hashlib
import os
import re
import signal
import stat
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path

from clothing_lightning.data.decoding import read_image
from clothing_lightning.data.progress import with_progress
from clothing_lightning.errors import DataError, ImageError, StorageError

# Below this many images, starting processes takes longer than decoding.
_FEW_IMAGES = 64
_IMAGES_PER_TASK = 16
_DIGEST = re.compile(rb"^[0-9a-f]{64}$", re.MULTILINE)


def cache_folder() -> Path:
    """Return where results are kept that can be made again; it need not exist.

    ``$CLOTHING_CACHE``, else ``$XDG_CACHE_HOME/clothing_lightning``, else
    ``~/.cache/clothing_lightning``. An empty variable counts as unset.

    Raises:
        StorageError: If neither variable is set and there is no home folder.
    """
    try:
        if own := os.environ.get("CLOTHING_CACHE"):
            return Path(own).expanduser()
        caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        return Path(caches).expanduser() / "clothing_lightning"
    except RuntimeError as err:
        raise StorageError(
            "The home folder of this user is not known. Set CLOTHING_CACHE to a "
            "folder that can be written."
        ) from err


def file_digests(paths: Sequence[Path], workers: int) -> list[str]:
    """Hash the content of files.

    Args:
        paths: Of the files.
        workers: Threads; below 1 counts as 1.

    Returns:
        SHA-256 of each file in hexadecimal, in the order of ``paths``.

    Raises:
        DataError: If a file cannot be read.
    """
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        digests = pool.map(_file_digest, paths)
        return list(with_progress(digests, "Hashing files", total=len(paths)))


def _file_digest(path: Path) -> str:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # reading a pipe would never end
            raise DataError(
                f"{path}: is no ordinary file. Put an image there, or take it off the "
                "list of images."
            )
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as err:
        raise DataError(
            f"{path}: cannot be read ({err.strerror}). Put the file there, or take it "
            "off the list of images."
        ) from err


def find_unreadable(
    paths: Sequence[Path], digests: Sequence[str], *, cache: Path | None, workers: int
) -> dict[int, str]:
    """Decode every image once, and tell which ones cannot be read.

    Images found good are remembered by content, also when the check is interrupted,
    so that the next run decodes only what is new.

    Args:
        paths: Of the images.
        digests: SHA-256 of each, from ``file_digests``.
        cache: File of the digests of good images, one a line. One that is damaged
            or cannot be written only costs time. None remembers nothing.
        workers: Processes. With 1 or fewer, or few images, this process decodes.

    Returns:
        Index in ``paths`` to the message of ``read_image``, in the order of ``paths``.

    Raises:
        DataError: If a decoding process was killed.
    """
    known = _known_good(cache)
    indices = [
        index
        for index, (_, digest) in enumerate(zip(paths, digests, strict=True))
        if digest not in known
    ]
    refusals = _refusals([paths[index] for index in indices], workers)
    refusals = with_progress(refusals, "Checking images", total=len(indices))
    unreadable: dict[int, str] = {}
    good: set[str] = set()
    try:
        for index, refusal in zip(indices, refusals, strict=True):
            if refusal is None:
                good.add(digests[index])
            else:
                unreadable[index] = refusal
    finally:
        _remember(cache, good)
    return unreadable


def _refusals(paths: Sequence[Path], workers: int) -> Iterator[str | None]:
    """Yield the error message of each image, or None if it is good."""
    if workers <= 1 or len(paths) < _FEW_IMAGES:
        yield from map(_refusal, paths)
        return
    try:
        # An interrupt reaches all processes; only this one is to answer it.
        with ProcessPoolExecutor(
            workers,
            initializer=signal.signal,
            initargs=(signal.SIGINT, signal.SIG_IGN),
        ) as pool:
            yield from pool.map(_refusal, paths, chunksize=_IMAGES_PER_TASK)
    except BrokenProcessPool as err:
        raise DataError(
            f"Checking {len(paths)} images: one of {workers} decoding processes was "
            "killed, most likely for want of memory. Run again with fewer workers."
        ) from err


def _refusal(path: Path) -> str | None:
    try:
        read_image(path)
    except ImageError as err:
        return str(err)
    return None


def _known_good(cache: Path | None) -> set[str]:
    if cache is None:
        return set()
    try:
        content = cache.read_bytes()
    except OSError:
        return set()
    return {digest.decode() for digest in _DIGEST.findall(content)}


def _remember(cache: Path | None, good: set[str]) -> None:
    """Add digests to the cache; without it the next run is slower, no more."""
    if cache is None or not good:
        return
    with suppress(OSError):
        cache.parent.mkdir(parents=True, exist_ok=True)
        lines = sorted(_known_good(cache) | good)
        handle, name = tempfile.mkstemp(dir=cache.parent, prefix=f"{cache.name}.")
        part = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.writelines(f"{digest}\n" for digest in lines)
            part.replace(cache)
        finally:
            part.unlink(missing_ok=True)
