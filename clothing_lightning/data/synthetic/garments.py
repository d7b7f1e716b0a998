"""Cuts of synthetic garments: one function per label."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from clothing_lightning.data.synthetic.outlines import (
    Part,
    bend,
    both_sides,
    box,
    chain,
    ellipse,
    loop,
)
from clothing_lightning.data.synthetic.tops import (
    Cut,
    longsleeve,
    outwear,
    shirt,
    t_shirt,
    top,
)


def garment_parts(label: str, rng: Generator, *, kids: bool = False) -> list[Part]:
    """Cut one garment at random, its lowest part first.

    Args:
        label: A key of ``GARMENTS``.
        rng: Decides the cut.
        kids: Stubbier, as clothes for children are.
    """
    stretch = np.array([1.2 if kids else 1.0, 1.0])
    return [
        Part(part.outline * stretch, part.role, part.width, part.grain_deg)
        for part in GARMENTS[label](rng)
    ]


def _dress(rng: Generator) -> list[Part]:
    waist, waist_y = rng.uniform(0.27, 0.34), rng.uniform(0.62, 0.8)
    length, flare = rng.uniform(1.55, 2.05), rng.uniform(0.45, 0.8)
    cut = Cut(
        shoulder=rng.uniform(0.32, 0.4),
        waist=waist,
        hem=waist,
        length=waist_y,
        neck=rng.uniform(0.16, 0.24),
        depth=rng.uniform(0.14, 0.3),
        pointed=rng.random() < 0.4,
        sleeve=rng.choice([0.26, 0.34, 0.7]),
        sleeve_width=0.26,
        cuff_width=rng.uniform(0.18, 0.26),
        hem_bulge=0.0,
    )
    parts = top(rng, cut, (40, 70), sleeves=rng.random() < 0.5)
    parts += _cone(rng, waist, waist_y, flare, length)
    belt = box(-waist * 1.03, waist_y - 0.06, waist * 1.03, waist_y + 0.03)
    return [*parts, Part(belt, "trim")] if rng.random() < 0.6 else parts


def _skirt(rng: Generator) -> list[Part]:
    waist, length = rng.uniform(0.3, 0.38), rng.uniform(0.7, 1.15)
    parts = _cone(rng, waist, 0.0, waist + rng.uniform(0.1, 0.5), length)
    band = box(-waist * 1.02, -0.04, waist * 1.02, rng.uniform(0.07, 0.13))
    return [*parts, Part(band, "trim")]


def _cone(
    rng: Generator, waist: float, top_y: float, flare: float, length: float
) -> list[Part]:
    """Skirt with pleats between two half widths and two heights."""
    right = bend((waist, top_y), (flare, length), rng.uniform(-0.05, 0.06))
    hem = bend((flare, length), (-flare, length), -rng.uniform(0.04, 0.12))
    parts = [Part(chain(right, hem, right[::-1] * [-1, 1]))]
    count, reach = int(rng.integers(3, 9)), rng.uniform(0.5, 0.95)
    for share in np.linspace(-0.8, 0.8, count) + rng.normal(0, 0.03, count):
        low = (share * flare, top_y + (length - top_y) * reach)
        fold = chain((share * waist, top_y + 0.05), low)
        parts.append(Part(fold, "seam", width=0.022))
    return parts


def _legs(
    rng: Generator, *, length: float, hem: float, rise: float, spread: float
) -> list[Part]:
    """Two legs, pockets, fly and waistband; ``spread`` moves the feet apart."""
    waist, hip = rng.uniform(0.36, 0.42), rng.uniform(0.44, 0.5)
    parts = []
    for side in (-1, 1):
        foot = hip - hem / 2 + spread + rng.normal(0, 0.02)
        knee_y, knee = (rise + length) / 2, (hip * 0.9 + hem) / 2
        middle = (hip / 2 + foot) / 2 + 0.02
        outer = [
            (hip, rise * 0.75),
            (middle + knee / 2, knee_y),
            (foot + hem / 2, length),
        ]
        inner = [(foot - hem / 2, length), (middle - knee / 2, knee_y), (0, rise)]
        leg = chain((0, 0), (waist, 0), outer, inner) * [side, 1]
        parts.append(Part(leg, grain_deg=-side * 6))
        pocket = bend((waist * 0.55, 0.06), (hip * 0.97, 0.3), 0.05) * [side, 1]
        parts.append(Part(pocket, "seam", width=0.025))
    band = box(-waist * 1.01, -0.06, waist * 1.01, 0.06)
    fly = chain((0, 0.04), (0, rise))
    button = Part(ellipse(0, 0, 0.06, 0.06), "sole")
    return [*parts, Part(fly, "seam", width=0.025), Part(band, "trim"), button]


def _pants(rng: Generator) -> list[Part]:
    return _legs(
        rng,
        length=rng.uniform(1.7, 2.2),
        hem=rng.uniform(0.2, 0.36),
        rise=rng.uniform(0.42, 0.55),
        spread=rng.uniform(0, 0.22),
    )


def _shorts(rng: Generator) -> list[Part]:
    rise = rng.uniform(0.4, 0.5)
    return _legs(
        rng,
        length=rise + rng.uniform(0.22, 0.5),
        hem=rng.uniform(0.4, 0.47),
        rise=rise,
        spread=rng.uniform(0.02, 0.09),
    )


def _shoe_from_side(rng: Generator) -> list[Part]:
    """Sneaker, boot or pump with the toe to the right."""
    shaft = float(rng.choice([0.0, 0.0, 0.3, 0.55]))
    heel = rng.random() < 0.3
    upper = loop(
        [(-0.62, 0.3), (-0.64, -0.12 - shaft), (-0.2, -0.14 - shaft), (-0.1, 0.0),
         (0.25, 0.14), (0.6, 0.22), (0.68, 0.38), (0.0, 0.4 if heel else 0.34)]
    )  # fmt: skip
    mouth = ellipse(-0.42, -0.13 - shaft, 0.44, 0.1)
    parts = [Part(upper), Part(mouth, "lining")]
    if heel:
        spike = chain((-0.66, 0.26), (-0.4, 0.34), (-0.5, 0.62), (-0.6, 0.62))
        base = chain((-0.5, 0.33), (0.0, 0.38), (0.7, 0.36), (0.66, 0.42), (0.1, 0.46))
        return [*parts, Part(spike, "sole"), Part(base, "sole")]
    block = chain((-0.68, 0.3), (0.7, 0.32), (0.72, 0.42), (0.64, 0.5))
    parts.append(Part(chain(block, (-0.62, 0.5), (-0.7, 0.44)), "sole"))
    for x in np.arange(-0.16, 0.22, 0.1):
        y = 0.02 + 0.28 * max(float(x), 0)
        lace = chain((x - 0.02, y - 0.02), (x - 0.1, y + 0.12))
        parts.append(Part(lace, "sole", width=0.03))
    return parts


def _shoe_from_above(rng: Generator) -> list[Part]:
    toe = rng.uniform(0.2, 0.27)
    sole = loop(
        [(0, -0.68), (toe, -0.46), (0.27, -0.1), (0.2, 0.3), (0.2, 0.55), (0, 0.68),
         (-0.2, 0.55), (-0.2, 0.3), (-0.25, -0.1), (-toe, -0.46)]
    )  # fmt: skip
    mouth = ellipse(0, 0.33, 0.26, 0.44)
    parts = [Part(sole, "sole"), Part(sole * 0.9), Part(mouth, "lining")]
    for y in np.arange(-0.3, 0.1, 0.09) if rng.random() < 0.7 else ():
        parts.append(Part(chain((-0.12, y), (0.12, y)), "sole", width=0.035))
    return parts


def _shoes(rng: Generator) -> list[Part]:
    """A pair from above, or a pair or a single shoe from the side."""
    if rng.random() < 0.4:
        shoe = _shoe_from_above(rng)
        apart = np.array([rng.uniform(0.28, 0.36), 0.0])
    else:
        shoe = _shoe_from_side(rng)
        apart = np.array([0.12, rng.uniform(0.1, 0.3)])
        if rng.random() < 0.25:
            return shoe
    return [
        Part(part.outline + shift, part.role, part.width)
        for shift in (-apart, apart)
        for part in shoe
    ]


def _cap(rng: Generator) -> list[Part]:
    crown = chain(bend((-0.6, 0.1), (0.5, 0.1), -0.66, 25), (-0.1, 0.2))
    reach = rng.uniform(0.95, 1.15)
    brim = [(0.0, 0.1), (0.5, 0.02), (reach, 0.2), (reach - 0.1, 0.3), (0.3, 0.24)]
    parts = [
        Part(crown),
        Part(bend((-0.02, -0.55), (0.3, 0.1), -0.1), "seam", width=0.025),
        Part(bend((-0.06, -0.55), (-0.35, 0.1), 0.1), "seam", width=0.025),
        Part(ellipse(-0.04, -0.56, 0.12, 0.06), "trim"),
        Part(loop(brim), "trim"),
    ]
    badge = Part(ellipse(0.2, -0.12, 0.24, 0.2), "print")
    return [*parts, badge] if rng.random() < 0.5 else parts


def _beanie(rng: Generator) -> list[Part]:
    height = rng.uniform(0.6, 0.85)
    dome = Part(bend((-0.5, 0.2), (0.5, 0.2), -height, 25))
    bobble = Part(ellipse(0, 0.1 - height, 0.3, 0.3), "trim")
    parts = [bobble, dome] if rng.random() < 0.6 else [dome]
    parts.append(Part(box(-0.54, 0.1, 0.54, 0.38), "trim"))
    for x in np.linspace(-0.46, 0.46, 9):
        parts.append(Part(chain((x, 0.11), (x, 0.37)), "seam", width=0.025))
    return parts


def _brimmed(rng: Generator) -> list[Part]:
    brim = ellipse(0, 0.2, rng.uniform(1.7, 2.1), rng.uniform(0.4, 0.6))
    dent = bend((0, -0.39), (0.34, -0.42), -0.03)
    crown = both_sides(chain(dent, (0.4, -0.3), (0.48, 0.2), (0.25, 0.27)))
    band = both_sides(chain((0.25, 0.13), (0.46, 0.06), (0.48, 0.2), (0.25, 0.27)))
    return [Part(brim), Part(crown), Part(band, "trim")]


def _hat(rng: Generator) -> list[Part]:
    kinds = (_cap, _beanie, _brimmed)
    return kinds[rng.integers(len(kinds))](rng)


# In the order of the labels' frequency, most frequent first.
GARMENTS: dict[str, Callable[[Generator], list[Part]]] = {
    "T-Shirt": t_shirt,
    "Longsleeve": longsleeve,
    "Pants": _pants,
    "Shoes": _shoes,
    "Shirt": shirt,
    "Dress": _dress,
    "Outwear": outwear,
    "Shorts": _shorts,
    "Hat": _hat,
    "Skirt": _skirt,
}
