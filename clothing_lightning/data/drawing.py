"""The embedded data set: photos of clothes, drawn here, for use without a download."""

import csv
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator

from clothing_lightning.data.synthetic.garments import GARMENTS, garment_parts
from clothing_lightning.data.synthetic.painting import (
    blurred,
    choose_inks,
    cloth_pattern,
    fitting_pose,
    paint,
    relief,
)
from clothing_lightning.data.synthetic.scenes import (
    background,
    photograph,
    sender_habit,
)
from clothing_lightning.errors import ConfigError, DataError

LABELS: tuple[str, ...] = tuple(GARMENTS)

# Every 40 images in a row hold exactly these, so the classes are as unequal as in
# the real data set however many images are drawn, and none is ever missing.
_BLOCK = np.repeat(np.arange(len(LABELS)), (10, 6, 6, 5, 4, 3, 2, 2, 1, 1))
_SENDERS = 40
# Second number of each random stream's key, so that no two streams are alike.
_SHARED, _ANNOTATION, _PIXELS, _ORDER, _SENDER = range(5)
_README = """\
These images are synthetic: drawn by the program clothing_lightning, not photographed.
They show no real garment, person or place. Licence: CC0 1.0, no rights reserved.
"""


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of ``images.csv``."""

    image: str
    sender_id: int
    label: str
    kids: bool


def draw_sample(
    folder: Path,
    *,
    images: int = 480,
    seed: int = 0,
    size_px: int = 128,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Draw the data set: ``images.csv``, ``images/<id>.jpg`` and ``README.txt``.

    Everything is drawn into ``<folder>.part``, which is renamed at the end, so a
    drawing that was interrupted never looks like a whole data set. Image k is the
    same however many are drawn.

    Args:
        folder: Must not exist, or be empty.
        images: Number of images, at least 1; 40 show every label.
        seed: Decides ids, labels, senders and pixels; at least 0.
        size_px: Width and height, at least 32.
        progress: Called with the number of images drawn so far.

    Raises:
        ConfigError: If a number is too small.
        DataError: If something is in the way.
    """
    for name, value, least in (
        ("images", images, 1),
        ("seed", seed, 0),
        ("size_px", size_px, 32),
    ):
        if value < least:
            raise ConfigError(f"{name}: {value} is too small. Set {least} or more.")
    part = _empty_part(folder)
    rows = []
    for index, row in enumerate(_rows(images, seed)):
        rng = np.random.default_rng([seed, _PIXELS, index])
        photo = _photo(row, rng, seed, size_px)
        (part / "images" / f"{row.image}.jpg").write_bytes(photo)
        rows.append(astuple(row))
        if progress is not None:
            progress(index + 1)
    with (part / "images.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_Row.__slots__)
        writer.writerows(rows)
    if folder.exists():
        folder.rmdir()
    part.rename(folder)


def _empty_part(folder: Path) -> Path:
    """Clear the way for the folder and start its ``.part``."""
    part = folder.with_name(folder.name + ".part")
    readme = part / "README.txt"
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(
            f"{folder}: something is there already. Remove it or name another folder."
        )
    if readme.is_file() and readme.read_text(encoding="utf-8") == _README:
        shutil.rmtree(part)
    if part.exists():
        raise DataError(
            f"{part}: the sample is drawn there, but something else is in the way. "
            "Remove or rename it."
        )
    (part / "images").mkdir(parents=True)
    readme.write_text(_README, encoding="utf-8")
    return part


def _rows(images: int, seed: int) -> Iterator[_Row]:
    shared = np.random.default_rng([seed, _SHARED])
    senders = shared.choice(400, _SENDERS, replace=False) + 1
    likes_kids = shared.random(_SENDERS) < 0.2
    share = 1 / (np.arange(_SENDERS) + 2.0)
    labels = np.empty(0, int)
    for index in range(images):
        if index % len(_BLOCK) == 0:
            block = np.random.default_rng([seed, _ORDER, index])
            labels = block.permutation(_BLOCK)
        rng = np.random.default_rng([seed, _ANNOTATION, index])
        sender = rng.choice(_SENDERS, p=share / share.sum())
        kids = rng.random() < (0.35 if likes_kids[sender] else 0.02)
        yield _Row(
            str(uuid.UUID(bytes=rng.bytes(16), version=4)),
            int(senders[sender]),
            LABELS[labels[index % len(_BLOCK)]],
            bool(kids),
        )


def _photo(row: _Row, rng: Generator, seed: int, size: int) -> bytes:
    """Draw the photo of one row as JPEG."""
    habit = sender_habit(np.random.default_rng([seed, _SENDER, row.sender_id]))
    if rng.random() < 0.12:
        habit = sender_habit(rng)
    parts = garment_parts(row.label, rng, kids=row.kids)
    pose = fitting_pose(rng, parts)
    inks = choose_inks(rng, row.label, kids=row.kids)
    pattern = cloth_pattern(rng, row.label, pose, size)
    garment, cover = paint(parts, pose, inks, pattern, size)
    garment = garment * relief(rng, cover, habit.light_from)[..., None]
    away = [round(-way * size / 50) for way in reversed(habit.light_from)]
    shadow = 0.5 * np.roll(blurred(cover, size / 40), away, (0, 1))
    ground = background(rng, habit, size) * (1 - shadow[..., None])
    scene = ground + (garment - ground) * cover[..., None]
    return photograph(rng, scene, habit)
