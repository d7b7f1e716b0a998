import os
import struct
import sys
import warnings
import zlib
from pathlib import Path
from subprocess import run
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from clothing_lightning.data import decoding
from clothing_lightning.data.decoding import MAX_PIXELS, read_image
from clothing_lightning.errors import ImageError

FORMATS = ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"]
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def save(image: Image.Image, path: Path, **options: Any) -> Path:
    image.save(path, **options)
    return path


def colours(path: Path) -> list[tuple[int, ...]]:
    """The pixels of the first row."""
    return [tuple(int(value) for value in pixel) for pixel in read_image(path)[0]]


def image_of(pixels: list[Any], mode: str) -> Image.Image:
    """One row of pixels."""
    image = Image.new(mode, (len(pixels), 1))
    for x, pixel in enumerate(pixels):
        image.putpixel((x, 0), pixel)
    return image


def photo(height: int = 48, width: int = 40) -> Image.Image:
    """Smooth colours and some noise, as photos have."""
    y, x = np.mgrid[0:height, 0:width]
    values = np.stack([4 * y % 256, 5 * x % 256, (x * y) % 256], axis=-1)
    noise = np.random.default_rng(0).integers(-20, 20, values.shape)
    return Image.fromarray((values + noise).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_is_read_by_content_not_by_name(
    tmp_path: Path, format: str
) -> None:
    path = save(photo(), tmp_path / "photo.dat", format=format)
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB"))
    pixels = read_image(path)
    assert pixels.shape == (48, 40, 3)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, expected)


def test_array_is_contiguous_and_read_only(tmp_path: Path) -> None:
    for mode in ("RGB", "L", "RGBA"):
        path = save(photo().convert(mode), tmp_path / "a.png")
        flags = read_image(path).flags
        assert flags.c_contiguous
        assert not flags.writeable


def test_palette_gives_its_colours(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)
    for name in ("a.png", "a.gif", "a.bmp", "a.tif"):
        assert colours(save(image, tmp_path / name)) == [RED, BLUE]


@pytest.mark.parametrize("name", ["a.png", "a.gif"])
def test_transparent_colour_of_a_palette_becomes_white(
    tmp_path: Path, name: str
) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)
    assert colours(save(image, tmp_path / name, transparency=1)) == [RED, WHITE]


def test_palette_with_alpha_values_is_laid_on_white(tmp_path: Path) -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([*RED, *BLUE, *GREEN])
    image.putdata([0, 1, 2])
    path = save(image, tmp_path / "a.png", transparency=b"\x00\x66\xff")
    assert colours(path) == [WHITE, (153, 153, 255), GREEN]


@pytest.mark.parametrize(
    ("mode", "pixels", "expected"),
    [
        ("1", [0, 255], [(0, 0, 0), WHITE]),
        ("L", [0, 100], [(0, 0, 0), (100, 100, 100)]),
        ("LA", [(0, 0), (0, 102), (100, 255)], [WHITE, (153,) * 3, (100,) * 3]),
        (
            "RGBA",
            [(*RED, 0), (*RED, 102), (1, 2, 3, 255)],
            [WHITE, (255, 153, 153), (1, 2, 3)],
        ),
        ("I;16", [0, 255, 256, 65535], [(0,) * 3, (0,) * 3, (1,) * 3, WHITE]),
    ],
)
def test_mode_is_converted(
    tmp_path: Path, mode: str, pixels: list[Any], expected: list[tuple[int, ...]]
) -> None:
    path = save(image_of(pixels, mode), tmp_path / "a.png")
    with Image.open(path) as image:
        assert image.mode == mode
    assert colours(path) == expected


def test_transparent_colour_without_alpha_becomes_white(tmp_path: Path) -> None:
    path = save(image_of([RED, BLUE], "RGB"), tmp_path / "a.png", transparency=RED)
    assert colours(path) == [WHITE, BLUE]
    path = save(image_of([7, 8], "L"), tmp_path / "b.png", transparency=7)
    assert colours(path) == [WHITE, (8, 8, 8)]


@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_tiff_is_read_in_either_byte_order(tmp_path: Path, order: str) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(grey_tiff(order, [0, 256, 65535]))
    assert colours(path) == [(0, 0, 0), (1, 1, 1), WHITE]


def grey_tiff(order: str, values: list[int]) -> bytes:
    """A row of 16-bit samples, written by hand."""
    tags = [(256, len(values)), (257, 1), (258, 16), (259, 1), (262, 1), (273, 8)]
    tags += [(277, 1), (278, 1), (279, 2 * len(values))]
    data = struct.pack(f"{order}{len(values)}H", *values)
    content = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(
        f"{order}I", 8 + len(data)
    )
    content += data + struct.pack(f"{order}H", len(tags))
    for tag, value in tags:
        content += struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0)
    return content + bytes(4)


def test_16_bit_colour_and_16_bit_grey_agree(tmp_path: Path) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + checksum

    for colour_type, channels in ((0, 1), (2, 3)):
        header = struct.pack(">IIBBBBB", 1, 1, 16, colour_type, 0, 0, 0)
        row = zlib.compress(b"\0" + struct.pack(">H", 0x7FFF) * channels)
        path = tmp_path / "a.png"
        path.write_bytes(
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", header)
            + chunk(b"IDAT", row)
            + chunk(b"IEND", b"")
        )
        assert colours(path) == [(0x7F, 0x7F, 0x7F)]


def cmyk_jpeg(planes: tuple[int, ...], path: Path) -> Path:
    # Pillow writes what Adobe does: an Adobe marker, and inverted samples.
    return save(Image.new("CMYK", (16, 16), planes), path, quality=100)


def test_cmyk_jpeg_of_adobe_is_not_inverted(tmp_path: Path) -> None:
    path = cmyk_jpeg((0, 255, 255, 0), tmp_path / "red.jpg")
    assert b"Adobe" in path.read_bytes()
    np.testing.assert_allclose(read_image(path)[8, 8], RED, atol=2)
    path = cmyk_jpeg((0, 0, 0, 255), tmp_path / "black.jpg")
    np.testing.assert_allclose(read_image(path)[8, 8], 0, atol=2)


def test_ycck_jpeg_of_adobe_is_read(tmp_path: Path) -> None:
    # Adobe's YCCK is the YCbCr of the complement of its inverted CMY: red is stored
    # as the YCbCr of cyan. Pillow inverts what it writes, and cannot write YCCK, so
    # the planes are given complemented and the marker's transform is set by hand.
    cyan = Image.new("RGB", (1, 1), (0, 255, 255)).convert("YCbCr")
    y, cb, cr = (255 - int(value) for value in np.asarray(cyan)[0, 0])
    path = cmyk_jpeg((y, cb, cr, 0), tmp_path / "a.jpg")
    content = bytearray(path.read_bytes())
    content[content.index(b"Adobe") + 11] = 2
    path.write_bytes(content)
    np.testing.assert_allclose(read_image(path)[8, 8], RED, atol=3)


def test_cmyk_tiff_is_read(tmp_path: Path) -> None:
    path = save(Image.new("CMYK", (1, 1), (0, 255, 255, 0)), tmp_path / "a.tif")
    assert colours(path) == [RED]


@pytest.mark.parametrize(("mode", "value"), [("I", 70_000), ("F", 0.5)])
def test_32_bit_samples_are_refused(tmp_path: Path, mode: str, value: float) -> None:
    path = save(Image.new(mode, (2, 2), value), tmp_path / "a.tif")
    with pytest.raises(ImageError, match=rf"a\.tif: has 32-bit samples .*mode {mode}"):
        read_image(path)


def test_first_frame_of_an_animation_is_read(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, BLUE)]
    for name in ("a.gif", "a.webp", "a.png", "a.tif"):
        path = save(frames[0], tmp_path / name, save_all=True, append_images=frames[1:])
        np.testing.assert_allclose(read_image(path)[0, 0], RED, atol=3)
    frames[0].save(
        tmp_path / "a.jpg", format="MPO", save_all=True, append_images=frames[1:]
    )
    np.testing.assert_allclose(read_image(tmp_path / "a.jpg")[0, 0], RED, atol=3)


# How an upright image lies in a file of each EXIF orientation: by the standard, the
# file's first row is the photo's (top, top, bottom, bottom, left, right, right, left)
# side, its first column the (left, right, right, left, top, top, bottom, bottom).
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: upright.transpose(1, 0, 2)[::-1],
    7: lambda upright: upright.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda upright: upright.transpose(1, 0, 2)[:, ::-1],
}


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp", "a.jpg"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photo_is_turned_upright(tmp_path: Path, orientation: int, name: str) -> None:
    upright = np.zeros((32, 48, 3), np.uint8)
    upright[:16, :16], upright[:16, 32:], upright[16:, :16] = RED, GREEN, BLUE
    stored: npt.NDArray[np.uint8] = np.ascontiguousarray(STORED[orientation](upright))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, dict[str, int]] = {
        "a.webp": {"lossless": True},
        "a.jpg": {"quality": 100, "subsampling": 0},
    }
    path = save(
        Image.fromarray(stored), tmp_path / name, exif=exif, **options.get(name, {})
    )
    np.testing.assert_allclose(read_image(path), upright, atol=3)


def test_transparent_palette_image_is_turned_too(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(image, tmp_path / "a.png", transparency=1, exif=exif)
    assert read_image(path).tolist() == [[list(RED)], [list(WHITE)]]


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_unknown_orientation_leaves_the_photo(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(image_of([RED, BLUE], "RGB"), tmp_path / "a.png", exif=exif)
    assert colours(path) == [RED, BLUE]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow's own
@pytest.mark.parametrize("exif", [b"garbage", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0"])
def test_damaged_exif_data_leaves_the_photo(tmp_path: Path, exif: bytes) -> None:
    path = save(photo(), tmp_path / "a.jpg", exif=b"Exif\0\0" + exif)
    assert exif in path.read_bytes()
    assert read_image(path).shape == (48, 40, 3)


def test_missing_file_is_named_as_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImageError, match=r"^images/a\.jpg: there is no such file$"):
        read_image(Path("images/a.jpg"))


def test_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=rf"^{tmp_path}: is a folder; an image file"):
        read_image(tmp_path)


def test_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(ImageError, match=r"a\.jpg: is a device or pipe"):
        read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("name", ["a\0b.jpg", 300 * "a", "file/a.jpg"])
def test_impossible_path_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ImageError, match=r": cannot be opened \(.+\)$"):
        read_image(tmp_path / name)


def test_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    with pytest.raises(ImageError, match=r"a\.jpg: is empty \(0 bytes\)$"):
        read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("content", [b"<html>Not found</html>", b"\xff\xd8", b"%PDF-1"])
def test_other_content_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(
        ImageError, match=r"a\.jpg: is no image that can be read \(JPEG"
    ):
        read_image(tmp_path / "a.jpg")


def test_format_outside_the_list_is_refused(tmp_path: Path) -> None:
    path = save(photo(), tmp_path / "a.jpg", format="PPM")
    with pytest.raises(ImageError, match=r"is no image that can be read"):
        read_image(path)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9, 0.99])
@pytest.mark.parametrize("format", FORMATS)
def test_truncated_image_is_refused(tmp_path: Path, format: str, share: float) -> None:
    path = save(photo(200, 150), tmp_path / "a.img", format=format)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ImageError, match=r"a\.img: is damaged or cut short \(.+\)$"):
        read_image(path)


def outcome(path: Path) -> str:
    try:
        read_image(path)
    except ImageError as err:
        return str(err)
    return f"{path}: is fine"


@pytest.mark.parametrize("format", FORMATS)
def test_damage_never_raises_anything_else(tmp_path: Path, format: str) -> None:
    path = save(photo(), tmp_path / "a.img", format=format)
    content = np.frombuffer(path.read_bytes(), np.uint8)
    random = np.random.default_rng(0)
    for _ in range(40):
        damaged = content.copy()
        places = random.integers(8, min(len(content), 200), size=4)
        damaged[places] = random.integers(0, 256, size=4)
        path.write_bytes(damaged.tobytes())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            message = outcome(path)
        assert message.startswith(f"{path}: ")
        assert "\n" not in message


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    checksum = struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + checksum


def huge_headers() -> dict[str, bytes]:
    side = struct.pack("<H", 60_000)
    jpeg_side = struct.pack(">H", 60_000)
    tags = [(256, 60_000), (257, 60_000), (258, 8), (259, 1), (262, 1), (273, 8)]
    tags += [(277, 1), (278, 1), (279, 1)]
    tiff = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags))
    for tag, value in tags:
        tiff += struct.pack("<HHIHH", tag, 3, 1, value, 0)
    return {
        "PNG": png_header(60_000, 60_000) + b"\0\0\0\0IDAT",
        "JPEG": b"\xff\xd8\xff\xc0\0\x0b\x08" + 2 * jpeg_side + b"\x01\x01\x11\0"
        b"\xff\xda\0\x08\x01\x01\0\0\x3f\0",
        "GIF": b"GIF89a" + 2 * side + b"\x80\0\0" + bytes(6) + b",\0\0\0\0"
        b"\x01\0\x01\0\0\x02\x02D\x01\0;",
        "BMP": b"BM"
        + bytes(8)
        + struct.pack("<IIiiHHI", 54, 40, 60_000, 60_000, 1, 24, 0)
        + bytes(20),
        "TIFF": tiff + bytes(4),
    }


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "BMP", "TIFF"])
def test_huge_image_is_refused_from_its_header(tmp_path: Path, format: str) -> None:
    path = tmp_path / "a.img"
    path.write_bytes(huge_headers()[format])
    with pytest.raises(
        ImageError,
        match=r"a\.img: has 60,000 x 60,000 px, more than the 100,000,000 px",
    ):
        read_image(path)


def test_huge_webp_is_refused(tmp_path: Path) -> None:
    # Pillow's reader of WEBP applies Pillow's own bound.
    extended = b"VP8X" + struct.pack("<II", 10, 0) + 2 * (16_382).to_bytes(3, "little")
    path = tmp_path / "a.webp"
    path.write_bytes(
        b"RIFF" + struct.pack("<I", len(extended) + 4) + b"WEBP" + extended
    )
    with pytest.raises(ImageError, match=r"a\.webp: (has more pixels|is damaged)"):
        read_image(path)


def test_bound_is_ours_and_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(photo(10, 10), tmp_path / "a.png")
    monkeypatch.setattr(decoding, "MAX_PIXELS", 100)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)
    assert read_image(path).shape == (10, 10, 3)
    monkeypatch.setattr(decoding, "MAX_PIXELS", 99)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(ImageError, match="has 10 x 10 px, more than the 99 px"):
        read_image(path)


def test_pillow_does_not_warn_below_our_bound(tmp_path: Path) -> None:
    # 95 megapixels are more than Pillow's default bound; the data is cut short.
    width, height = 9_500, 10_000
    assert 89_478_485 < width * height < MAX_PIXELS
    (tmp_path / "a.png").write_bytes(png_header(width, height) + b"\0\0\0\0IDAT")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError, match="is damaged or cut short"):
            read_image(tmp_path / "a.png")


def test_importing_does_not_load_torch() -> None:
    modules = ("decoding", "inspection", "download")
    lines = [f"import clothing_lightning.data.{name}" for name in modules]
    code = "; ".join(["import sys", *lines, "sys.exit('torch' in sys.modules)"])
    assert run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.photos
def test_real_photos_are_read_as_pillow_reads_them() -> None:
    if "CLOTHING_DATA" not in os.environ:
        pytest.skip("CLOTHING_DATA does not name the folder of the real photos")
    folder = Path(os.environ["CLOTHING_DATA"]) / "clothing-dataset" / "images"
    paths = sorted(folder.glob("*.jpg"))[::100]
    assert len(paths) > 50
    for path in paths:
        with Image.open(path) as image:
            np.testing.assert_array_equal(read_image(path), np.asarray(image))


@pytest.mark.parametrize("turned", [False, True])
def test_a_line_is_refused(tmp_path: Path, turned: bool) -> None:
    """Resized by its short side it would fill the memory."""
    size = (2, 201) if turned else (201, 2)
    path = save(photo(*size), tmp_path / "a.png")
    with pytest.raises(ImageError, match="one side may be 100 times the other"):
        read_image(path)
    assert read_image(save(photo(200, 2), path)).shape == (200, 2, 3)
