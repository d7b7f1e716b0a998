"""The annotation table: what every data set becomes before anything else.

One row an image, with the columns ``path`` (relative to the root, with forward
slashes), ``label``, ``group`` (who or what must not straddle a split; may be
missing), later ``split`` and ``sha256``, and any further columns, which reports
use as slices.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clothing_lightning.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

SPLITS = ("train", "val", "test")
RESERVED_LABELS = frozenset({"path", "label"})  # columns of the predictions table


@dataclass
class Annotations:
    """What a data set says of its images, and what is odd about it.

    Attributes:
        root: The folder that ``path`` is relative to.
        table: The annotation table, without ``split`` unless the set has its own.
        findings: Counts of what was left out and why; shown and logged.
    """

    root: Path
    table: pd.DataFrame
    findings: dict[str, int] = field(default_factory=dict)


def check_table(table: pd.DataFrame, name: str) -> None:
    """Refuse a table that no classifier can be trained on.

    Args:
        table: An annotation table.
        name: What to call it in messages.

    Raises:
        DataError: If it is empty, names an image twice, lacks a label, has one
            class only, or a class has a name that predictions cannot store.
    """
    if table.empty:
        raise DataError(f"{name}: no image is left. Check the labels it excludes.")
    twice = table["path"][table["path"].duplicated()]
    if not twice.empty:
        raise DataError(
            f"{name}: {twice.iloc[0]!r} is listed more than once ({len(twice)} such "
            "rows). Keep one row for each image."
        )
    unlabelled = table["path"][table["label"].isna() | (table["label"] == "")]
    if not unlabelled.empty:
        raise DataError(
            f"{name}: {unlabelled.iloc[0]!r} has no label ({len(unlabelled)} such "
            "rows). Label it or remove the row."
        )
    labels = set(table["label"])
    if len(labels) < 2:
        raise DataError(
            f"{name}: the only class is {labels.pop()!r}. A classifier needs at "
            "least two."
        )
    if reserved := sorted(labels & RESERVED_LABELS):
        raise DataError(
            f"{name}: {reserved[0]!r} cannot be a class name, since predictions have "
            "a column of that name. Rename the class."
        )


def read_cells(file: Path) -> pd.DataFrame:
    """Read a CSV in UTF-8, every cell as text; only an empty one is missing.

    "None" may be a label; and a comma at the end of the rows must not turn the first
    column into an index.

    Raises:
        ValueError: If it is none: pandas' parser errors are of this kind.
        OSError: If it cannot be read.
    """
    import pandas as pd

    return pd.read_csv(
        file,
        dtype=str,
        encoding="utf-8-sig",
        keep_default_na=False,
        na_values=[""],
        index_col=False,
    )


def counts(table: pd.DataFrame) -> pd.DataFrame:
    """Images per class and split.

    Returns:
        One row for each class in class order (sorted by name), the columns
        ``train``, ``val`` and ``test``.
    """
    import pandas as pd

    crossed = pd.crosstab(table["label"], table["split"])
    return crossed.reindex(columns=list(SPLITS), fill_value=0).sort_index()


def group_overlap(table: pd.DataFrame) -> dict[str, float]:
    """Share of the images of val and test whose group also has images in train.

    Returns:
        A share from 0 to 1 for each of ``val`` and ``test``; empty where the table
        has no groups.
    """
    if "group" not in table or table["group"].isna().all():
        return {}
    in_train = set(table.loc[table["split"] == "train", "group"].dropna())
    return {
        split: float(table.loc[table["split"] == split, "group"].isin(in_train).mean())
        for split in SPLITS[1:]
        if (table["split"] == split).any()
    }


def split_digest(table: pd.DataFrame) -> str:
    """Fingerprint of all images, their labels and their splits."""
    return digest(table, ("path", "sha256", "label", "split"))


def digest(table: pd.DataFrame, columns: tuple[str, ...]) -> str:
    """Fingerprint of some columns that does not depend on the order of the rows.

    Returns:
        16 hexadecimal digits of a SHA-256.
    """
    rows = sorted("\t".join(map(str, row)) for row in table[list(columns)].to_numpy())
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]
