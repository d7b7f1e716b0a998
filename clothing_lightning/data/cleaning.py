"""Corrections of an annotation table, before it is divided.

Each function returns the table that is left and the rows that were dropped, with the
column ``reason``; both go into the manifest of a run.
"""

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from clothing_lightning.data.table import read_columns, refuse_repeats
from clothing_lightning.errors import DataError


class Cleaned(NamedTuple):
    """An annotation table, and what was taken from it.

    Attributes:
        table: The rows that are left.
        dropped: The rows that were taken out, with the column ``reason``.
    """

    table: pd.DataFrame
    dropped: pd.DataFrame


def without(table: pd.DataFrame, reasons: pd.Series) -> Cleaned:
    """Drop rows.

    Args:
        table: An annotation table.
        reasons: Why a row is dropped, by its index in the table; rows without a reason
            stay.
    """
    dropped = table.loc[reasons.index].assign(reason=reasons)
    return Cleaned(table.drop(index=reasons.index), dropped)


def corrected(table: pd.DataFrame, file: Path) -> Cleaned:
    """Correct labels by a file that a person has written.

    Args:
        table: An annotation table.
        file: A CSV with the columns ``path`` and ``label``; an empty label drops the
            image.

    Returns:
        The table with new labels, and ``label_before`` for rows whose label changed.

    Raises:
        DataError: If the file cannot be read, or names an image twice or one that is
            not in the table.
    """
    given = _read_corrections(file)
    unknown = given.index[~given.index.isin(table["path"])]
    if len(unknown):
        raise DataError(
            f"{file}: {unknown[0]!r} is not an image of this data set ({len(unknown)} "
            "such rows). Paths are relative to its root, with forward slashes."
        )
    new = table["path"].map(given)
    drop = new == ""
    changed = new.notna() & ~drop & (new != table["label"])
    table = table.assign(
        label_before=table["label"].where(changed),
        label=new.where(changed, table.label),
    )
    reasons = drop[drop].map(lambda _: f"dropped by {file.name}")
    return without(table, reasons)


def _read_corrections(file: Path) -> pd.Series:
    if not file.is_file():
        raise DataError(
            f"data.init_args.corrections: '{file}' is not a file. Check the path."
        )
    given = read_columns(file, ("path", "label")).fillna("")
    refuse_repeats(file, given["path"])
    return given.set_index("path")["label"].str.strip()


def small_classes(table: pd.DataFrame, least: int) -> list[str]:
    """Classes with fewer than ``least`` images, sorted by name."""
    sizes = table["label"].value_counts()
    return sorted(str(label) for label in sizes.index[sizes < least])


def without_copies(table: pd.DataFrame) -> Cleaned:
    """Keep one of each set of identical files; none where their labels differ.

    Args:
        table: An annotation table, sorted by path, with ``sha256``. If it has a split
            of its own, a test image stays before a training image.
    """
    order = table
    if "split" in table:
        rank = table["split"].map({"test": 0, "val": 1}).fillna(2)
        order = table.assign(rank=rank).sort_values("rank", kind="stable")
    same = order.groupby("sha256", sort=False)
    first = same["path"].transform("first").reindex(table.index)
    undecided = same["label"].transform("nunique").reindex(table.index) > 1
    copy = (first != table["path"]) & ~undecided
    reasons = pd.concat(
        [
            "same file as " + first[copy],
            first[undecided].map(lambda path: f"same file as {path}, other label"),
        ]
    )
    return without(table, reasons)
