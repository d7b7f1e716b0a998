"""Outlines that synthetic garments are cut from.

Units are free: x grows to the right, y grows downwards, a garment is 1 to 2 units
high, and whoever paints it fits it into the frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Points = NDArray[np.float64]
Role = Literal["cloth", "trim", "lining", "seam", "sole", "print"]


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a garment.

    Attributes:
        outline: Corner points, shape (n, 2).
        role: Which of the garment's colours it takes; only cloth is patterned.
        width: Stroke width in garment units; 0 fills the outline.
        grain_deg: Direction of the pattern, clockwise from upright.
    """

    outline: Points
    role: Role = "cloth"
    width: float = 0.0
    grain_deg: float = 0.0


def chain(*rows: ArrayLike) -> Points:
    """Join points (2,) and runs of points (n, 2) into one run."""
    return np.concatenate([np.atleast_2d(np.asarray(row, float)) for row in rows])


def both_sides(right: Points) -> Points:
    """Close a right-hand side by its mirror image at x = 0."""
    return chain(right, right[::-1] * [-1, 1])


def bend(start: ArrayLike, end: ArrayLike, bulge: float, steps: int = 11) -> Points:
    """Arc whose middle lies ``bulge`` to the right of the way from start to end."""
    first, last = np.asarray(start, float), np.asarray(end, float)
    along = np.linspace(0, 1, steps)[:, None]
    way = last - first
    aside = np.array([-way[1], way[0]]) / max(float(np.hypot(*way)), 1e-9)
    curve = first + along * way + 4 * along * (1 - along) * bulge * aside
    return np.asarray(curve, float)


def loop(rows: Sequence[tuple[float, float]], steps: int = 6) -> Points:
    """Closed Catmull-Rom curve through the rows."""
    here = np.array(rows, float)[:, None]
    before, after, beyond = (np.roll(here, shift, 0) for shift in (1, -1, -2))
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    curve = 2 * here + t * (after - before)
    curve = curve + t**2 * (2 * before - 5 * here + 4 * after - beyond)
    curve = curve + t**3 * (3 * here - before - 3 * after + beyond)
    return np.asarray(curve / 2, float).reshape(-1, 2)


def tube(path: ArrayLike, widths: Sequence[float]) -> Points:
    """Outline of a bent tube around a path, with its full width at each point."""
    spine = np.asarray(path, float)
    way = np.gradient(spine, axis=0)
    aside = np.stack([-way[:, 1], way[:, 0]], 1) / np.hypot(*way.T)[:, None]
    half = aside * np.asarray(widths, float)[:, None] / 2
    return chain(spine + half, (spine - half)[::-1])


def ellipse(x: float, y: float, width: float, height: float) -> Points:
    """Ellipse around (x, y) with its full width and height."""
    turn = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    return np.stack([x + width / 2 * np.cos(turn), y + height / 2 * np.sin(turn)], 1)


def box(left: float, top: float, right: float, bottom: float) -> Points:
    """Upright rectangle."""
    return chain((left, top), (right, top), (right, bottom), (left, bottom))
