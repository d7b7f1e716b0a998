"""The file that MLflow serves: what it takes for a photo, and what it answers."""

import base64
import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clothing_lightning.data.decoding import MAX_PIXELS, read_image
from clothing_lightning.tracking import served_model
from clothing_lightning.tracking.served_model import read_photo

ROOT = Path(__file__).parents[2]
PIXELS = np.random.default_rng(0).integers(0, 256, (30, 20, 3), np.uint8)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees
    return encoded(Image.fromarray(PIXELS), "JPEG", exif=exif)


def images() -> dict[str, bytes]:
    rgb = Image.fromarray(PIXELS)
    deep = Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257)
    see_through = rgb.copy()
    see_through.putalpha(Image.fromarray(PIXELS[..., 1]))
    return {
        "rgb.jpg": encoded(rgb, "JPEG"),
        "turned.jpg": turned(),
        "cmyk.jpg": encoded(rgb.convert("CMYK"), "JPEG"),
        "grey.jpg": encoded(rgb.convert("L"), "JPEG"),
        "deep.png": encoded(deep, "PNG"),
        "rgba.png": encoded(see_through, "PNG"),
        "grey_alpha.png": encoded(see_through.convert("LA"), "PNG"),
        "palette.png": encoded(rgb.convert("P"), "PNG"),
        "clear_palette.png": encoded(rgb.convert("P"), "PNG", transparency=3),
        "bits.png": encoded(rgb.convert("1"), "PNG"),
        "photo.webp": encoded(rgb, "WEBP"),
        "photo.gif": encoded(rgb, "GIF"),
        "photo.bmp": encoded(rgb, "BMP"),
        "photo.tiff": encoded(rgb, "TIFF"),
    }


@pytest.mark.parametrize("name", images())
def test_files_are_decoded_as_those_of_the_training(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(content := images()[name])
    expected = read_image(file)
    text = base64.b64encode(content).decode()
    for given in (content, text, f"data:image/any;base64,{text}", file):
        found = read_photo(given)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, expected)


def test_base64_may_be_broken_into_lines() -> None:
    text = base64.encodebytes(images()["rgb.jpg"]).decode()
    assert "\n" in text.strip()
    assert read_photo(text).shape == PIXELS.shape


@pytest.mark.parametrize("given", [PIXELS, PIXELS.astype(np.int64), PIXELS.tolist()])
def test_arrays_are_taken_as_they_are(given: Any) -> None:
    np.testing.assert_array_equal(read_photo(given), PIXELS)


def test_both_readers_stop_at_the_same_size() -> None:
    assert served_model.MAX_PIXELS == MAX_PIXELS


def png_of(width: int, height: int) -> bytes:
    """The beginning of a file that claims a size."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    checked = header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n\0\0\0\r" + checked + b"\0\0\0\0IDAT" + b"\0" * 4


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("photo.jpg", "is no base64 text"),
        ("/etc/hostname", "is no base64 text"),
        ("file:///etc/hostname", "is no base64 text"),
        ("http://localhost/photo.jpg", "is no base64 text"),
        ("data:image/png,n?ne", "is no base64 text"),
        ("", "is no image that can be read"),
        (b"%PDF-1.4", "is no image that can be read"),
        (b"<svg/>", "is no image that can be read"),
        (images()["rgb.jpg"][:700], "truncated"),
        (png_of(65_535, 65_535), "exceeds limit of"),
        (Path("none.jpg"), "there is no file 'none.jpg'"),
        (Path("/dev/zero"), "there is no file"),
        (None, "not as NoneType"),
        (float("nan"), "not as float"),
        ({"image": 1}, "not as dict"),
        ([], r"is \[height, width, 3\], not \[0\]"),
        ([[[1, 2, 3]], [1]], "inhomogeneous"),
        (PIXELS[..., 0], r"not \[30, 20\]"),
        (PIXELS.astype(float), "whole numbers from 0 to 255"),
        ([[[256, 0, 0]]], "whole numbers from 0 to 255"),
        ([[[-1, 0, 0]]], "whole numbers from 0 to 255"),
        (np.broadcast_to(np.uint8(0), (10_001, 10_001, 3)), "10,001 x 10,001 px"),
    ],
)
def test_what_is_no_photo_is_told(given: Any, message: str) -> None:
    with pytest.raises(Exception, match=message):
        read_photo(given)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_file_is_refused_from_its_header() -> None:
    with pytest.raises(ValueError, match="has 10,000 x 12,000 px, more than the"):
        read_photo(png_of(10_000, 12_000))


def test_text_is_never_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even that of a file whose name could be base64."""
    monkeypatch.chdir(tmp_path)
    file = Path("photos/shirt")
    file.parent.mkdir()
    file.write_bytes(images()["rgb.jpg"])
    assert read_photo(file).shape == PIXELS.shape
    with pytest.raises(ValueError, match="is no image that can be read"):
        read_photo(str(file))


def test_onnx_runtime_tells_its_makers_nothing(tmp_path: Path) -> None:
    """Which it prepares for in the home folder as soon as it is imported."""
    subprocess.run(
        [sys.executable, "-c", "from clothing_lightning.tracking import served_model"],
        env={"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert list(tmp_path.rglob("*onnxruntime*")) == []
