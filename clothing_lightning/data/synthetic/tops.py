"""Cuts of synthetic garments for the upper body."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from clothing_lightning.data.synthetic.outlines import (
    Part,
    Points,
    bend,
    box,
    chain,
    ellipse,
    loop,
    tube,
)


@dataclass(frozen=True, slots=True)
class Cut:
    """Half widths, lengths and full sleeve widths of a garment."""

    shoulder: float = 0.5
    waist: float = 0.45
    hem: float = 0.5
    length: float = 1.35
    neck: float = 0.19
    depth: float = 0.14
    pointed: bool = False
    sleeve: float = 0.4
    sleeve_width: float = 0.34
    cuff_width: float = 0.26
    hem_bulge: float = 0.03


def _neckline(cut: Cut) -> Points:
    left, right = (-cut.neck, 0.0), (cut.neck, 0.0)
    if cut.pointed:
        return chain(left, (0, cut.depth * 1.7), right)
    return bend(left, right, cut.depth)


def _torso(cut: Cut) -> Points:
    waist_y = 0.42 + 0.35 * (cut.length - 0.42)
    side = chain(
        (cut.neck, 0),
        (cut.shoulder, 0.13),
        (cut.shoulder * 0.94, 0.42),
        (cut.waist, waist_y),
        (cut.hem, cut.length),
    )
    mirrored = side[::-1] * [-1, 1]
    hem = bend(side[-1], mirrored[0], -cut.hem_bulge)
    return chain(side, hem, mirrored, _neckline(cut))


def _sleeve(rng: Generator, cut: Cut, side: int, hang_deg: float) -> tuple[Part, Part]:
    """Sleeve and cuff; ``hang_deg`` is 0 for stretched out, 90 for hanging."""
    elbow_deg = hang_deg + (rng.uniform(-18, 30) if cut.sleeve > 0.6 else 0)
    # The first point rounds off the shoulder, which would stick out as a corner.
    spine = [np.array([cut.shoulder * 0.6, 0.2]), np.array([cut.shoulder * 0.9, 0.26])]
    for turn in np.radians([hang_deg, elbow_deg]):
        step = np.array([np.cos(turn), np.sin(turn)]) * cut.sleeve / 2
        spine.append(spine[-1] + step)
    middle = (cut.sleeve_width + cut.cuff_width) / 2
    widths = (cut.sleeve_width * 0.6, cut.sleeve_width, middle, cut.cuff_width)
    flip = np.array([side, 1])
    cuff = [spine[-1] - (spine[-1] - spine[-2]) * 0.18, spine[-1]]
    return (
        Part(tube(spine, widths) * flip, grain_deg=side * (elbow_deg - 90)),
        Part(tube(cuff, (cut.cuff_width * 1.04,) * 2) * flip, "trim"),
    )


def top(
    rng: Generator,
    cut: Cut,
    hang_deg: tuple[float, float],
    *,
    cuffs: bool = False,
    sleeves: bool = True,
) -> list[Part]:
    """Lining at the back of the neck, sleeves and torso."""
    behind = bend((-cut.neck, 0), (cut.neck, 0), 0.05)
    parts = [Part(chain(behind, _neckline(cut)[::-1]), "lining")]
    hang = rng.uniform(*hang_deg)
    for side in (-1, 1) if sleeves else ():
        sleeve = _sleeve(rng, cut, side, hang + rng.normal(0, 5))
        parts += sleeve if cuffs else sleeve[:1]
    return [*parts, Part(_torso(cut))]


def _motif(rng: Generator) -> list[Part]:
    """Print on the chest: a disc, a star or lines like lettering."""
    kind, size, y = rng.integers(3), rng.uniform(0.28, 0.5), rng.uniform(0.5, 0.7)
    if kind == 0:
        return [Part(ellipse(0, y, size, size), "print")]
    if kind == 1:
        turn = np.linspace(0, 2 * np.pi, 10, endpoint=False) - np.pi / 2
        radius = np.where(np.arange(10) % 2 == 0, size * 0.6, size * 0.27)
        star = np.stack([radius * np.cos(turn), y + radius * np.sin(turn)], 1)
        return [Part(star, "print")]
    rows = y + np.arange(rng.integers(1, 4)) * 0.13
    spans = rng.uniform(0.3, 0.6, len(rows)) * size
    return [
        Part(box(-x, row, x, row + 0.07), "print")
        for x, row in zip(spans, rows, strict=True)
    ]


def t_shirt(rng: Generator) -> list[Part]:
    """Crew or V neck, short sleeves, often a print."""
    cut = Cut(
        waist=rng.uniform(0.42, 0.5),
        hem=rng.uniform(0.46, 0.54),
        length=rng.uniform(1.15, 1.45),
        depth=rng.uniform(0.11, 0.2),
        pointed=rng.random() < 0.25,
        sleeve=rng.uniform(0.34, 0.48),
        sleeve_width=0.36,
        cuff_width=rng.uniform(0.27, 0.36),
    )
    parts = top(rng, cut, (25, 60), cuffs=rng.random() < 0.25)
    parts.append(Part(_neckline(cut), "trim", width=0.045))
    return parts + (_motif(rng) if rng.random() < 0.4 else [])


def longsleeve(rng: Generator) -> list[Part]:
    """Crew, V or roll neck, long sleeves."""
    cut = Cut(
        hem=rng.uniform(0.42, 0.52),
        length=rng.uniform(1.15, 1.45),
        depth=rng.uniform(0.1, 0.17),
        pointed=rng.random() < 0.2,
        sleeve=rng.uniform(0.95, 1.15),
        sleeve_width=0.31,
        cuff_width=rng.uniform(0.16, 0.21),
    )
    parts = top(rng, cut, (35, 78), cuffs=rng.random() < 0.7)
    if rng.random() < 0.2:
        roll = chain((-0.17, -0.15), (0.17, -0.15), (0.2, 0.06), (-0.2, 0.06))
        return [*parts, Part(roll)]
    parts.append(Part(_neckline(cut), "trim", width=0.05))
    if rng.random() < 0.5:
        rib = box(-cut.hem, cut.length - 0.1, cut.hem, cut.length + 0.02)
        parts.append(Part(rib, "trim"))
    return parts + (_motif(rng) if rng.random() < 0.2 else [])


def shirt(rng: Generator) -> list[Part]:
    """Collar, button front, short or long sleeves, often a pocket."""
    long = rng.random() < 0.6
    cut = Cut(
        waist=rng.uniform(0.4, 0.47),
        hem=rng.uniform(0.44, 0.52),
        length=rng.uniform(1.3, 1.55),
        depth=0.1,
        pointed=True,
        sleeve=rng.uniform(0.95, 1.15) if long else rng.uniform(0.36, 0.46),
        cuff_width=rng.uniform(0.18, 0.23) if long else 0.32,
        hem_bulge=rng.uniform(0.04, 0.14),
    )
    parts = top(rng, cut, (40, 78) if long else (30, 58), cuffs=long)
    parts.append(Part(chain((0, 0.15), (0, cut.length)), "seam", width=0.13))
    for y in np.linspace(0.24, cut.length - 0.12, rng.integers(5, 8)):
        parts.append(Part(ellipse(0, y, 0.05, 0.05), "sole"))
    leaf = chain((0.2, -0.06), (0.03, 0.15), (0.17, 0.27), (0.27, 0.03))
    parts += _mirrored([Part(leaf, "trim")])
    if rng.random() < 0.6:
        pocket = chain((0.36, 0.45), (0.36, 0.7), (0.245, 0.75), (0.13, 0.7))
        pocket = chain((0.13, 0.45), pocket, (0.13, 0.45))
        parts.append(Part(pocket, "seam", width=0.025))
    return parts


def _mirrored(parts: Sequence[Part]) -> list[Part]:
    return [
        Part(part.outline * [side, 1], part.role, part.width, side * part.grain_deg)
        for side in (-1, 1)
        for part in parts
    ]


def outwear(rng: Generator) -> list[Part]:
    """Jacket or coat: wide, open in front, with hood, lapels or a short collar."""
    cut = Cut(
        shoulder=0.54,
        waist=rng.uniform(0.5, 0.58),
        hem=rng.uniform(0.52, 0.64),
        length=rng.uniform(1.25, 1.85),
        depth=0.16,
        pointed=True,
        sleeve=rng.uniform(1.0, 1.15),
        sleeve_width=0.42,
        cuff_width=rng.uniform(0.27, 0.33),
    )
    parts = top(rng, cut, (55, 80), cuffs=rng.random() < 0.5)
    opening, bottom = rng.uniform(0.0, 0.16), cut.length
    gap = chain((-0.05, 0.2), (0.05, 0.2), (opening, bottom), (-opening, bottom))
    parts.append(Part(gap, "lining"))
    parts.append(Part(chain((0, 0.2), (opening, bottom)), "sole", width=0.03))
    front = [Part(chain((0.2, bottom * 0.72), (0.38, bottom * 0.6)), "seam", 0.045)]
    if rng.random() < 0.4:
        for y in np.arange(0.35, bottom - 0.05, 0.19):
            front.append(Part(bend((0.08, y), (0.5, y), 0.025), "seam", width=0.03))
    kind = rng.random()
    if kind < 0.4:
        hood = [(-0.34, 0.1), (-0.3, -0.28), (0.0, -0.4), (0.3, -0.28), (0.34, 0.1)]
        lining = Part(loop(hood) * [0.66, 0.72], "lining")
        return [Part(loop(hood)), lining, *parts, *_mirrored(front)]
    lapel = chain((0.19, -0.12), (0.0, 0.2), (0.1, 0.3), (0.3, 0.08))
    if kind < 0.7:
        lapel = chain(
            (0.2, -0.05), (0.02, 0.62), (0.33, 0.34), (0.26, 0.24), (0.34, 0.12)
        )
    return [*parts, *_mirrored([*front, Part(lapel, "trim")])]
