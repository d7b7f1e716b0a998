"""The files of Fashion-MNIST: IDX, gzipped, unpacked into PNG files.

The format is described at yann.lecun.com/exdb/mnist: two zero bytes, 8 for unsigned
bytes, the number of dimensions, each dimension as a big-endian 32-bit number, the
content.
"""

import gzip
import hashlib
import math
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from clothing_lightning.data.progress import with_progress
from clothing_lightning.errors import DataError, StorageError

Bytes = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


class IdxFile(NamedTuple):
    """A file of Fashion-MNIST as it has to be.

    Attributes:
        name: The name of the packed file.
        shape: The dimensions of the content.
        sha256: The digest of the unpacked file, which Debian packs anew.
        gz_sha256: The digest of the packed file as its authors publish it.
    """

    name: str
    shape: tuple[int, ...]
    sha256: str
    gz_sha256: str


# The images and the labels of each split.
FILES = {
    "train": (
        IdxFile(
            "train-images-idx3-ubyte.gz",
            (60_000, 28, 28),
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        ),
        IdxFile(
            "train-labels-idx1-ubyte.gz",
            (60_000,),
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        ),
    ),
    "test": (
        IdxFile(
            "t10k-images-idx3-ubyte.gz",
            (10_000, 28, 28),
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        ),
        IdxFile(
            "t10k-labels-idx1-ubyte.gz",
            (10_000,),
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
}


def read_idx(folder: Path, file: IdxFile) -> Bytes:
    """Read a file whose content is known.

    No more is unpacked than there should be, whatever the file holds.

    Raises:
        DataError: If the file is damaged, or has another content.
    """
    path = folder / file.name
    header = struct.pack(f">HBB{len(file.shape)}I", 0, 8, len(file.shape), *file.shape)
    size = len(header) + math.prod(file.shape)
    try:
        with gzip.open(path) as stream:
            content = stream.read(size + 1)
    except (OSError, EOFError, zlib.error) as err:
        raise DataError(
            f"{path}: is no gzip file, or damaged ({err}). {REPLACE}"
        ) from err
    if content[: len(header)] != header:
        raise DataError(
            f"{path}: begins with {content[: len(header)].hex()}, expected "
            f"{header.hex()} ({' x '.join(map(str, file.shape))} bytes in IDX format). "
            f"{REPLACE}"
        )
    if len(content) != size:
        actual = f"{len(content):,}" if len(content) < size else f"more than {size:,}"
        raise DataError(
            f"{path}: unpacks to {actual} bytes, expected {size:,}. {REPLACE}"
        )
    digest = hashlib.sha256(content).hexdigest()
    if digest != file.sha256:
        raise DataError(
            f"{path}: the SHA-256 of what it unpacks to is {digest}, expected "
            f"{file.sha256}. Is it MNIST, of digits? {REPLACE}"
        )
    return np.frombuffer(content, np.uint8, offset=len(header)).reshape(file.shape)


REPLACE = (
    "Move it away and get it again, as by --data.init_args.download=true with "
    "--data.init_args.root=FOLDER."
)


def unpack(source: Path, target: Path, classes: Sequence[str]) -> None:
    """Write all images as ``target/{train,test}/<class>/<number>.png``.

    Args:
        source: The folder with the packed files.
        target: The folder to make; it appears when all images are written.
        classes: The names of the folders of classes, in label order.

    Raises:
        DataError: If a file is damaged or not the expected one.
        StorageError: If the images cannot be written.
    """
    images: list[tuple[str, Bytes]] = []
    for split, files in FILES.items():
        photos, labels = (read_idx(source, file) for file in files)
        for number, (photo, label) in enumerate(zip(photos, labels, strict=True)):
            images.append((f"{split}/{classes[label]}/{number:05}.png", photo))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # A name of its own, since another process may be unpacking as well.
        with TemporaryDirectory(
            prefix=f"{target.name}.part", dir=target.parent, ignore_cleanup_errors=True
        ) as folder:
            part = Path(folder, target.name)
            for split in FILES:
                for name in classes:
                    (part / split / name).mkdir(parents=True)
            rows = with_progress(images, "Unpacking images", total=len(images))
            for name, pixels in rows:
                (part / name).write_bytes(png(pixels))
            try:
                part.rename(target)
            except OSError:  # unless the other process was faster
                if not target.is_dir():
                    raise
    except OSError as err:
        raise StorageError(
            f"{target}: cannot be written ({err.strerror}). Make room, or set "
            "CLOTHING_CACHE to another folder."
        ) from err


def png(pixels: Bytes) -> bytes:
    """Encode a small gray image without compression.

    Compressors differ from machine to machine, and with them a file's digest, by which
    runs on the same images are told from others.

    Args:
        pixels: The image, ``[H, W]``, less than 64 KiB.
    """
    height, width = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)  # 0: not filtered
    stored = struct.pack("<BHH", 1, len(rows), len(rows) ^ 0xFFFF) + rows
    data = b"\x78\x01" + stored + struct.pack(">I", zlib.adler32(rows))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))
