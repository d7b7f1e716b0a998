"""Where a synthetic garment is photographed: senders' habits, grounds, light."""

import io
from colorsys import hsv_to_rgb
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Floats = NDArray[np.floating[Any]]


def colour(
    rng: Generator, hue: tuple[float, float], vivid: tuple[float, float], light: float
) -> Floats:
    """Draw an RGB colour, values 0 to 1, hue and saturation from the ranges given."""
    value = np.clip(light + rng.normal(0, 0.06), 0.1, 0.97)
    rgb = hsv_to_rgb(rng.uniform(*hue) % 1, rng.uniform(*vivid), float(value))
    return np.array(rgb, np.float32)


def smooth_noise(rng: Generator, size: int, cells: tuple[int, int]) -> Floats:
    """Draw a field of shape (size, size), deviation near 1; cells: rows, columns."""
    coarse = Image.fromarray(rng.standard_normal(cells).astype(np.float32))
    return np.array(coarse.resize((size, size), Image.Resampling.BICUBIC))


@dataclass(frozen=True, slots=True)
class Habit:
    """How one sender takes photos.

    Attributes:
        ground: A key of ``_GROUNDS``.
        paint: RGB colour of the ground.
        cell: Size of its planks or tiles, as a share of the frame.
        cast: RGB factors of the light.
        light: Brightness factor.
        light_from: Direction (x, y) that the light comes from.
        blur: Radius in pixels of a frame 128 pixels wide.
        noise: Deviation of the sensor noise.
        quality: JPEG quality.
        messy: Probability of things lying about.
    """

    ground: str
    paint: Floats
    cell: float
    cast: Floats
    light: float
    light_from: tuple[float, float]
    blur: float
    noise: float
    quality: int
    messy: float


def sender_habit(rng: Generator) -> Habit:
    """Draw the habit of one sender."""
    ground = str(rng.choice(list(_GROUNDS)))
    warm = ground == "wood" or rng.random() < 0.5
    vivid = (0.25, 0.5) if ground == "wood" else (0.02, 0.25)
    warmth, turn = rng.normal(0, 0.04), rng.uniform(0, 2 * np.pi)
    return Habit(
        ground=ground,
        paint=colour(
            rng, (0.05, 0.11) if warm else (0, 1), vivid, rng.uniform(0.5, 0.95)
        ),
        cell=rng.uniform(0.16, 0.4),
        cast=np.array([1 + warmth, 1, 1 - warmth], np.float32),
        light=rng.uniform(0.88, 1.15),
        light_from=(float(np.cos(turn)), float(np.sin(turn))),
        blur=rng.uniform(0.0, 0.7),
        noise=rng.uniform(0.004, 0.03),
        quality=int(rng.integers(60, 93)),
        messy=float(rng.choice([0.0, 0.1, 0.3])),
    )


def background(rng: Generator, style: Habit, size: int) -> Floats:
    """Draw what the garment lies on, shape (size, size, 3), values near 0 to 1."""
    shade = _GROUNDS[style.ground](rng, style.cell * rng.uniform(0.85, 1.15), size)
    if style.ground != "wall" and rng.random() < 0.5:
        shade = shade.T
    canvas = style.paint * (1 + rng.normal(0, 0.03, 3)) * shade[..., None]
    if rng.random() < style.messy:
        for _ in range(rng.integers(1, 4)):
            _lay_thing(rng, canvas)
    return np.asarray(canvas, np.float32)


def _axes(size: int) -> tuple[Floats, Floats]:
    line = (np.arange(size, dtype=np.float32) + 0.5) / size
    return line[None, :], line[:, None]


def _wood(rng: Generator, cell: float, size: int) -> Floats:
    x, y = _axes(size)
    place = y / cell + rng.random()
    plank = place.astype(int)
    tone = rng.normal(1, 0.07, 16)[plank]
    grain = smooth_noise(rng, size, (64, 4)) + 0.6 * smooth_noise(rng, size, (24, 3))
    gap = np.abs(place % 1 - 0.5) > 0.5 - 0.9 / (cell * size)
    ends = (x + rng.random(16)[plank]) % 1 < 1.5 / size
    return np.asarray((tone + 0.04 * grain) * np.where(gap | ends, 0.66, 1), np.float32)


def _tiles(rng: Generator, cell: float, size: int) -> Floats:
    x, y = (axis / cell + rng.random() for axis in _axes(size))
    tone = rng.normal(1, 0.03, (16, 16))[y.astype(int), x.astype(int)]
    inside = np.maximum(np.abs(x % 1 - 0.5), np.abs(y % 1 - 0.5))
    joint = np.where(inside > 0.5 - 1.2 / (cell * size), rng.uniform(0.75, 0.87), 1)
    stain = smooth_noise(rng, size, (9, 9)) * 0.02
    return np.asarray((tone + stain) * joint, np.float32)


def _sheet(rng: Generator, cell: float, size: int) -> Floats:
    cells = int(1.5 / cell) + 2
    folds = smooth_noise(rng, size, (cells, cells + 2))
    folds = folds + 0.4 * smooth_noise(rng, size, (16, 9))
    slope = (folds - np.roll(folds, 2, (0, 1))) * 0.035 / cell
    return np.asarray(1 + slope * 128 / size, np.float32).clip(0.75, 1.15)


def _wall(rng: Generator, cell: float, size: int) -> Floats:
    x, y = _axes(size)
    tone = 1.08 - 0.2 * (y + (x - 0.5) * rng.normal(0, 0.5))
    edge = 1 - cell / 2
    tone = tone * np.where(y > edge, 0.75, 1) + np.where(
        np.abs(y - edge) < 0.02, 0.12, 0
    )
    return np.asarray(tone + smooth_noise(rng, size, (40, 40)) * 0.012, np.float32)


def _carpet(rng: Generator, cell: float, size: int) -> Floats:
    pile = rng.standard_normal((size, size), np.float32)
    tufts = smooth_noise(rng, size, (size // 3, size // 3))
    worn = smooth_noise(rng, size, (5, 5)) * min(cell, 0.3)
    return np.asarray(1 + 0.04 * pile + 0.045 * tufts + 0.1 * worn, np.float32)


_GROUNDS = {
    "wood": _wood,
    "tiles": _tiles,
    "sheet": _sheet,
    "wall": _wall,
    "carpet": _carpet,
}


def _lay_thing(rng: Generator, canvas: Floats) -> None:
    """Put a disc or a rounded block with its shadow near the edge of the frame."""
    x, y = _axes(len(canvas))
    turn, tilt = rng.uniform(0, 2 * np.pi, 2)
    across, down = x - 0.5 - 0.55 * np.cos(turn), y - 0.5 - 0.55 * np.sin(turn)
    u = (across * np.cos(tilt) + down * np.sin(tilt)) / rng.uniform(0.06, 0.16)
    v = (down * np.cos(tilt) - across * np.sin(tilt)) / rng.uniform(0.06, 0.16)
    power = 2 if rng.random() < 0.4 else 8
    reach = np.asarray((np.abs(u) ** power + np.abs(v) ** power) ** (1 / power))[
        ..., None
    ]
    canvas *= 1 - 0.35 * ((1.4 - reach) / 0.4).clip(0, 1)
    solid = ((1 - reach) * 12).clip(0, 1)
    ink = colour(rng, (0, 1), (0.05, 0.5), rng.uniform(0.35, 0.85))
    canvas += (ink * (1.08 - 0.15 * reach) - canvas) * solid


def photograph(rng: Generator, scene: Floats, style: Habit) -> bytes:
    """Light the scene, shape (size, size, 3), values 0 to 1, and return a JPEG."""
    size = len(scene)
    x, y = _axes(size)
    fall = (x - 0.5) * style.light_from[0] + (y - 0.5) * style.light_from[1]
    light = style.light * rng.uniform(0.9, 1.1) * (1 + rng.uniform(0, 0.35) * fall)
    if rng.random() < 0.25:
        edge = fall + 0.1 * smooth_noise(rng, size, (4, 4)) + rng.uniform(0.05, 0.3)
        light = light * (1 - 0.3 / (1 + np.exp(edge * 25)))
    cast = style.cast * (1 + rng.normal(0, 0.015, 3))
    grain = rng.standard_normal(scene.shape, np.float32) * style.noise
    exposed = (scene * (light[..., None] * cast) + grain).clip(0, 1)
    image = Image.fromarray((exposed * 255).astype(np.uint8))
    blur = style.blur * rng.uniform(0.5, 1.3) * size / 128
    image = image.filter(ImageFilter.GaussianBlur(blur))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=style.quality)
    return file.getvalue()
