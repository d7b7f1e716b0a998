"""What `predict` shows and writes: a table, JSON and CSV."""

import csv
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from clothing_lightning.metrics.abstention import FEW_IMAGES
from clothing_lightning.metrics.selective import Answered
from clothing_lightning.wording import counted, printable

UNSURE = "unsure"
"""The answer for photos that no class is probable enough for."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The most probable classes of a photo.

    Attributes:
        path: Path of the photo.
        classes: Name and probability of each class, the most probable first.
        threshold: The least probability that is answered; None if all photos are
            answered.
    """

    path: Path
    classes: list[tuple[str, float]]
    threshold: float | None = None

    @property
    def answer(self) -> str:
        """The most probable class, or ``unsure`` if it is not probable enough."""
        label, probability = self.classes[0]
        below = self.threshold is not None and probability < self.threshold
        return UNSURE if below else label


def show(predictions: Sequence[Prediction], unreadable: Mapping[Path, str]) -> None:
    """Print a table with a row for each photo, named from the folder of them all."""
    if not predictions:
        return
    folder = _common_folder([row.path for row in predictions])
    table = Table("photo", title_justify="left")
    if folder:
        table.title = Text(printable(f"photos in {folder}"))
    table.columns[0].overflow = "fold"
    for place in range(1, len(predictions[0].classes) + 1):
        table.add_column("class" if place == 1 else f"{place}.")
    for row in predictions:
        name = row.path.relative_to(folder) if folder else row.path
        each = [f"{probability:.3f} {label}" for label, probability in row.classes]
        if row.answer != row.classes[0][0]:
            each[0] = f"{row.answer} ({each[0]})"
        table.add_row(*(Text(printable(text)) for text in (str(name), *each)))
    Console().print(table)
    if count := len(unreadable):
        total = count + len(predictions)
        print_note(f"{counted(count, 'photo')} could not be read, of {total:,}.")


def print_note(text: str) -> None:
    """Print a line on stderr."""
    sys.stderr.write(printable(text) + "\n")


def abstention_line(answers: Answered) -> str:
    """Say which photos are answered, and what validation images say of that."""
    low, high = answers.interval
    few = "only " if answers.images < FEW_IMAGES else ""
    return (
        f"unsure below {answers.threshold:.3f}: of {few}"
        f"{counted(answers.images, 'validation image')} {answers.answered:,} "
        f"({answers.share:.0%}) are answered, {answers.accuracy:.3f} of these rightly, "
        f"95 % interval {low:.3f} to {high:.3f}. The threshold was chosen on the same "
        "images, so expect a little less of others."
    )


def _common_folder(paths: Sequence[Path]) -> Path | None:
    """Return the folder that all paths are in; None if it would shorten none."""
    folders = {path.parent for path in paths}
    if len({folder.is_absolute() for folder in folders}) > 1:
        return None
    common = Path(os.path.commonpath(folders))
    return None if common in (Path(), Path("/")) else common


def json_text(
    predictions: Sequence[Prediction],
    unreadable: Mapping[Path, str],
    source: Mapping[str, Any],
) -> str:
    """Write predictions as one JSON document.

    Args:
        predictions: Photos and their classes.
        unreadable: Why photos cannot be read, by path.
        source: Where the network comes from, as the first keys of the document.
    """
    images = [
        {
            "path": str(row.path),
            **({} if row.threshold is None else {"answer": row.answer}),
            "predictions": [
                {"label": name, "probability": probability}
                for name, probability in row.classes
            ],
        }
        for row in predictions
    ]
    reasons = [{"path": str(path), "reason": why} for path, why in unreadable.items()]
    content = {**source, "images": images, "unreadable": reasons}
    return json.dumps(content, indent=2) + "\n"


def write_csv(predictions: Sequence[Prediction], file: Path) -> None:
    """Write a row for each photo; a file that is there already is left alone.

    Where photos may be answered ``unsure``, the answer stands after the path.

    Raises:
        OSError: If it cannot be written.
    """
    places = range(1, len(predictions[0].classes) + 1 if predictions else 1)
    head = [f"{what}_{k}" for k in places for what in ("prediction", "probability")]
    # Names of files may hold what is not Unicode; it comes back by the same handler.
    with file.open("x", newline="", encoding="utf-8", errors="surrogateescape") as out:
        writer = csv.writer(out)
        abstains = any(row.threshold is not None for row in predictions)
        writer.writerow(["path", *(["answer"] if abstains else []), *head])
        for row in predictions:
            each = [cell for name, p in row.classes for cell in (name, f"{p:.6g}")]
            answer = [row.answer] if abstains else []
            writer.writerow([str(row.path), *answer, *each])
