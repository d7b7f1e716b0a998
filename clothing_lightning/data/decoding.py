"""Image files to arrays: one way in for training, reports and prediction.

Whatever an image file holds, what comes out is 8-bit RGB, upright. Colour profiles
are not applied. The formats are a closed list, and the readers are called directly:
``PIL.Image.open`` would try every format it knows, and answers a large image by a
warning or an error that depend on a global setting of the process.
"""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, ImageOps
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from clothing_lightning.errors import ImageError
from clothing_lightning.wording import one_line

MAX_PIXELS = 100_000_000
"""Larger images are refused from their header, before anything is decoded.

Decoding takes about 10 bytes per pixel (4 in Pillow, 3 in the array, 3 between), so
this bounds it to 1 GB in each process that loads images, while a file of a few
kilobytes can claim more than any machine has. Phones take 12 to 50 megapixels.
"""
MAX_RATIO = 100
"""Most that one side may be of the other: resizing the short side to 256 px would make
millions of the long one, of which the centre shows next to nothing."""

# First bytes of a file -> what reads it. JPEG comes first: it is the common case.
_READERS: tuple[tuple[bytes, Callable[[IO[bytes]], ImageFile.ImageFile]], ...] = (
    (b"\xff\xd8\xff", JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"RIFF", WebPImageFile),
    (b"GIF8", GifImageFile),
    (b"BM", BmpImageFile),
    (b"II*\0", TiffImageFile),
    (b"MM\0*", TiffImageFile),
)
_FORMATS = "JPEG, PNG, WEBP, BMP, GIF or TIFF"


def read_image(path: Path) -> npt.NDArray[np.uint8]:
    """Decode an image file.

    EXIF orientation is applied. Transparency is laid on white. Of 16-bit samples the
    high byte is kept. An animation gives its first frame.

    Args:
        path: A JPEG, PNG, WEBP, BMP, GIF or TIFF file; its content says which.

    Returns:
        An RGB image, ``[height, width, 3]``. The array is read-only, which saves a
        copy.

    Raises:
        ImageError: If there is no such file, it is no image or a damaged one, or it
            has more than ``MAX_PIXELS`` or ``MAX_RATIO``. The message is one line,
            without full stop.
    """
    _check_file(path)
    try:
        with path.open("rb") as stream:
            image = _open(path, stream)
            _check_size(path, image)
            image.load()
            _turn_upright(image)
            return np.asarray(_rgb(path, image))
    except (ImageError, MemoryError):
        raise
    except Image.DecompressionBombError as err:
        # Some readers apply Pillow's bound on their own, before the size is known.
        raise ImageError(
            f"{path}: has more pixels than Pillow reads; scale it down"
        ) from err
    except Exception as err:
        # On damaged files Pillow raises nearly anything: OSError, SyntaxError,
        # struct.error, IndexError, ValueError, EOFError, ...
        raise ImageError(f"{path}: is damaged or cut short ({one_line(err)})") from err


def _check_file(path: Path) -> None:
    try:
        status = path.stat()
    except FileNotFoundError as err:
        raise ImageError(f"{path}: there is no such file") from err
    except (OSError, ValueError) as err:
        reason = getattr(err, "strerror", None) or err
        raise ImageError(f"{path}: cannot be opened ({reason})") from err
    if stat.S_ISDIR(status.st_mode):
        raise ImageError(f"{path}: is a folder; an image file was expected")
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(f"{path}: is a device or pipe; an image file was expected")
    if status.st_size == 0:
        raise ImageError(f"{path}: is empty (0 bytes)")


def _open(path: Path, stream: IO[bytes]) -> ImageFile.ImageFile:
    """Read the header; no pixel is decoded."""
    head = stream.read(8)
    stream.seek(0)
    for magic, reader in _READERS:
        if head.startswith(magic):
            return reader(stream)
    raise ImageError(f"{path}: is no image that can be read ({_FORMATS})")


def _check_size(path: Path, image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{path}: has {width:,} x {height:,} px, more than the {MAX_PIXELS:,} px "
            "that are read; scale it down"
        )
    if width * height == 0:
        raise ImageError(f"{path}: has no pixels ({width} x {height})")
    if max(width, height) > MAX_RATIO * min(width, height):
        raise ImageError(
            f"{path}: has {width:,} x {height:,} px; one side may be {MAX_RATIO} times "
            "the other; cut out what it shows"
        )


def _rgb(path: Path, image: Image.Image) -> Image.Image:
    """Convert from any mode; an RGB image is passed on as it is."""
    if image.mode in ("I", "F"):
        raise ImageError(
            f"{path}: has 32-bit samples (Pillow's mode {image.mode}), of unknown "
            "range; save it with 8 or 16 bits per sample"
        )
    if image.mode.startswith("I;16"):
        # Pillow keeps the high byte of 16-bit colour; grey photos get the same.
        high: npt.NDArray[Any] = np.asarray(image) >> 8
        return Image.fromarray(high.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        photo = image.convert("RGBA")
        on_white = Image.new("RGB", image.size, "white")
        on_white.paste(photo, mask=photo)
        return on_white
    return image if image.mode == "RGB" else image.convert("RGB")


def _turn_upright(image: Image.Image) -> None:
    """Turn a photo as its EXIF data says."""
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except MemoryError:
        raise
    except Exception:  # damaged EXIF data, by any exception: the photo itself is sound
        return
