"""Paints a synthetic garment: pose, colours, pattern, folds and shadow."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from clothing_lightning.data.synthetic.outlines import Part, Points
from clothing_lightning.data.synthetic.scenes import Floats, colour, smooth_noise

Pattern = Callable[[float], Image.Image]

_OVERSAMPLING = 2
_NEUTRALS = (  # hue, saturation, value: white, grey, black, navy, beige
    (0.0, 0.03, 0.93),
    (0.0, 0.03, 0.6),
    (0.0, 0.08, 0.18),
    (0.62, 0.55, 0.3),
    (0.1, 0.25, 0.78),
)
_DENIM = (0.6, 0.45, 0.48)
_SOLES = ((0.93, 0.92, 0.9), (0.13, 0.12, 0.12), (0.45, 0.3, 0.2))
_PATTERNED = {"Shirt": 0.5, "T-Shirt": 0.25, "Longsleeve": 0.3, "Dress": 0.35}


@dataclass(frozen=True, slots=True)
class Pose:
    """How garment units map to a frame that spans 0 to 1.

    Attributes:
        matrix: Homography, shape (3, 3).
        waves: Heights, paces and phases, (2, 2), (2, 2), (2,), of the gentle waves
            that keep outlines from being perfectly straight.
    """

    matrix: NDArray[np.float64]
    waves: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]

    @property
    def scale(self) -> float:
        """Share of the frame that one garment unit takes."""
        return float(np.hypot(self.matrix[0, 0], self.matrix[1, 0]))

    def place(self, outline: Points, *, closed: bool) -> Points:
        """Map an outline, its edges divided so that they can bend."""
        ends = np.roll(outline, -1, 0)
        steps = np.linspace(0, 1, 4, endpoint=False)[None, :, None]
        dense = (outline[:, None] + (ends - outline)[:, None] * steps).reshape(-1, 2)
        if not closed:
            dense = dense[:-3]
        height, pace, phase = self.waves
        dense = dense + np.sin(dense @ pace + phase) @ height
        flat = np.concatenate([dense, np.ones((len(dense), 1))], 1) @ self.matrix.T
        return flat[:, :2] / flat[:, 2:]


def fitting_pose(rng: Generator, parts: list[Part]) -> Pose:
    """Draw a pose in which the parts fill most of the frame."""
    points = np.concatenate([part.outline for part in parts])
    low, high = points.min(0), points.max(0)
    turn = np.radians(rng.normal(0, 8))
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shear = np.array([[rng.uniform(0.92, 1.08), rng.normal(0, 0.05)], [0, 1]])
    shear[:, 0] *= rng.choice([-1, 1])
    matrix = np.eye(3)
    matrix[:2, :2] = rotation @ shear * rng.uniform(0.72, 0.92) / (high - low).max()
    matrix[:2, 2] = 0.5 + rng.normal(0, 0.025, 2) - matrix[:2, :2] @ (low + high) / 2
    tilt = np.eye(3)
    tilt[2, :2] = rng.normal(0, 0.06, 2)
    tilt[2, 2] = 1 - tilt[2, :2].sum() / 2
    waves = (
        rng.normal(0, 0.008, (2, 2)),
        rng.uniform(3, 7, (2, 2)),
        rng.uniform(0, 6, 2),
    )
    return Pose(tilt @ matrix, waves)


def choose_inks(rng: Generator, label: str, *, kids: bool) -> dict[str, Floats]:
    """Draw a colour per role; ``second`` is the other colour of the pattern."""
    chance = rng.random()
    if label in ("Pants", "Shorts", "Skirt") and chance < 0.4:
        hue, vivid, light = _DENIM
    elif chance < 0.5 and not kids:
        hue, vivid, light = _NEUTRALS[rng.integers(len(_NEUTRALS))]
    else:
        hue, vivid, light = rng.random(), rng.uniform(0.2, 0.7), rng.uniform(0.4, 0.92)
    near = (vivid * 0.8, min(vivid * 1.2, 1))
    cloth = colour(rng, (hue - 0.02, hue + 0.02), near, light)
    second = colour(rng, (0, 1), (0, 0.5), 0.9 if cloth.mean() < 0.55 else 0.28)
    sole = np.array(_SOLES[rng.integers(len(_SOLES))], np.float32)
    trim = second if rng.random() < 0.2 else cloth * rng.uniform(0.8, 1.08)
    return {
        "cloth": cloth,
        "second": second,
        "trim": trim,
        "lining": cloth * 0.5,
        "seam": cloth * 0.75,
        "sole": sole,
        "print": second,
    }


def paint(
    parts: list[Part],
    pose: Pose,
    inks: dict[str, Floats],
    pattern: Pattern | None,
    size: int,
) -> tuple[Floats, Floats]:
    """Fill the parts in order.

    Args:
        parts: Lowest part first.
        pose: Where they lie.
        inks: A colour per role, and ``second`` for the pattern.
        pattern: Where cloth takes the second colour.
        size: Width and height in pixels.

    Returns:
        Colours, shape (size, size, 3), and how far each pixel is covered, shape
        (size, size); both 0 to 1.
    """
    big = size * _OVERSAMPLING
    canvas, cover = Image.new("RGB", (big, big)), Image.new("L", (big, big))
    strokes = ImageDraw.Draw(canvas, "RGBA")
    for part in parts:
        points = pose.place(part.outline, closed=not part.width) * big
        line = [(float(x), float(y)) for x, y in points]
        if part.width:
            width = max(round(part.width * pose.scale * big), 1)
            strokes.line(line, _rgb(inks[part.role]), width, joint="curve")
            continue
        frame = _frame(points, big)
        stencil = _stencil(line, frame, 255)
        shadow = _stencil(line, frame, 90).filter(ImageFilter.GaussianBlur(big / 90))
        canvas.paste((0, 0, 0), frame, shadow)
        canvas.paste(_rgb(inks[part.role]), frame, stencil)
        if part.role == "cloth" and pattern is not None:
            woven = pattern(part.grain_deg).crop(frame)
            second = ImageChops.multiply(stencil, woven)
            canvas.paste(_rgb(inks["second"]), frame, second)
        strokes.line([*line, line[0]], (0, 0, 0, 60), _OVERSAMPLING)
        cover.paste(255, frame, stencil)
    return _shrunk(canvas, size), _shrunk(cover, size)


def _frame(points: Points, size: int) -> tuple[int, int, int, int]:
    """Box around the points, inside the canvas, with room for a blurred edge."""
    room = size // 24
    left, upper = (int(v) for v in (points.min(0) - room).clip(0, size - 1))
    right, lower = (int(v) for v in (points.max(0) + room).clip(1, size))
    return left, upper, max(right, left + 1), max(lower, upper + 1)


def _stencil(
    line: list[tuple[float, float]], frame: tuple[int, int, int, int], fill: int
) -> Image.Image:
    left, upper, right, lower = frame
    stencil = Image.new("L", (right - left, lower - upper))
    ImageDraw.Draw(stencil).polygon([(x - left, y - upper) for x, y in line], fill)
    return stencil


def _rgb(ink: Floats) -> tuple[int, int, int]:
    red, green, blue = (int(v) for v in ink.clip(0, 1) * 255)
    return red, green, blue


def _shrunk(image: Image.Image, size: int) -> Floats:
    small = image.resize((size, size), Image.Resampling.BOX)
    return np.asarray(small, np.float32) / 255


def cloth_pattern(rng: Generator, label: str, pose: Pose, size: int) -> Pattern | None:
    """Draw a pattern, or none, as often as suits the label.

    Returns:
        Where the second colour shows, as a function of the direction of the grain.
    """
    if rng.random() > _PATTERNED.get(label, 0.12):
        return None
    kind = rng.choice(["stripes", "checks", "dots"], p=[0.45, 0.35, 0.2])
    pitch, thin = rng.uniform(0.09, 0.2), rng.uniform(-0.5, 0.5)
    upright = rng.random() < 0.4
    across, along = _garment_grid(pose, size)

    def pattern(grain_deg: float) -> Image.Image:
        turn = np.radians(grain_deg)
        u = np.sin((across * np.cos(turn) + along * np.sin(turn)) * (2 * np.pi / pitch))
        v = np.sin((along * np.cos(turn) - across * np.sin(turn)) * (2 * np.pi / pitch))
        # A slope of about one pixel keeps the edges of the pattern smooth.
        steep = pitch * pose.scale * size / 6
        bars = [(wave - thin) * steep + 0.5 for wave in (u, v)]
        if kind == "dots":
            share = ((u + v - 1.1) * steep + 0.5).clip(0, 1)
        elif kind == "stripes":
            share = bars[0 if upright else 1].clip(0, 1)
        else:
            share = (bars[0].clip(0, 1) + bars[1].clip(0, 1)) / 2
        image = Image.fromarray((share * 255).astype(np.uint8))
        return image.resize((size * _OVERSAMPLING,) * 2, Image.Resampling.BILINEAR)

    return pattern


def _garment_grid(pose: Pose, size: int) -> tuple[Floats, Floats]:
    """Garment coordinates of the pixels, two fields of shape (size, size)."""
    back = np.linalg.inv(pose.matrix).astype(np.float32)
    line = (np.arange(size, dtype=np.float32) + 0.5) / size
    x, y = line[None, :], line[:, None]
    across, along, depth = (row[0] * x + row[1] * y + row[2] for row in back)
    return across / depth, along / depth


def relief(rng: Generator, cover: Floats, light_from: tuple[float, float]) -> Floats:
    """Light and shade of folds and rounded edges, a factor per pixel."""
    size = len(cover)
    rows, columns = (int(v) for v in rng.integers(4, 11, 2))
    folds = smooth_noise(rng, size, (rows, columns))
    folds = folds + 0.5 * smooth_noise(rng, size, (columns, rows))
    height = rng.uniform(0.05, 0.16) * folds + blurred(cover, size / 30)
    down, right = np.gradient(height)
    slope = right * light_from[0] + down * light_from[1]
    return np.asarray(1.03 - slope * (size / 34), np.float32).clip(0.55, 1.3)


def blurred(field: Floats, radius_px: float) -> Floats:
    """Blur a field of values 0 to 1."""
    image = Image.fromarray((field * 255).astype(np.uint8))
    soft = image.filter(ImageFilter.GaussianBlur(radius_px))
    return np.asarray(soft, np.float32) / 255
