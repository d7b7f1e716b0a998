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
from clothing_lightning.wording import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

SPLITS = ("train", "val", "test")
RESERVED_LABELS = frozenset({"path", "label"})  # columns of the predictions table


@dataclass
class Annotations:
    """The annotations of a data set, and what is odd about them.

    Attributes:
        root: The folder that paths in the table are relative to.
        table: The annotation table, without ``split`` unless the data set has splits
            of its own.
        findings: How many rows or images were left out, by the reason.
    """

    root: Path
    table: pd.DataFrame
    findings: dict[str, int] = field(default_factory=dict)


def check_table(table: pd.DataFrame, name: str) -> None:
    """Refuse a table that no classifier can be trained on.

    Args:
        table: An annotation table.
        name: What the table is called in messages.

    Raises:
        DataError: If the table is empty, names an image twice, lacks a label, has one
            class only, or a class has a name that predictions cannot store.
    """
    if table.empty:
        raise DataError(f"{name}: no image is left. Check the labels it excludes.")
    refuse_repeats(name, table["path"])
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


def refuse_repeats(
    subject: object, paths: pd.Series[str], remedy: str = "Keep one row for each image."
) -> None:
    """Refuse a list that names an image twice.

    Args:
        subject: What the message begins with, such as the file of the list.
        paths: The paths in the list.
        remedy: What the message tells the user to do.

    Raises:
        DataError: If a path is there more than once.
    """
    repeated = paths[paths.duplicated()]
    if not repeated.empty:
        raise DataError(
            f"{subject}: {repeated.iloc[0]!r} is listed more than once "
            f"({len(repeated)} such rows). {remedy}"
        )


def read_columns(file: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read a table that has to have some columns.

    Args:
        file: A Parquet file, told by its suffix, or a CSV in UTF-8.
        columns: Names of the columns that are needed.

    Returns:
        All columns of the file; those of a CSV as text.

    Raises:
        DataError: If it is no such file, or a column is missing.
    """
    import pandas as pd

    parquet = file.suffix == ".parquet"
    try:
        table = pd.read_parquet(file) if parquet else read_cells(file)
    except (OSError, ValueError) as err:  # pyarrow's and the CSV parser's as well
        kind = "Parquet file" if parquet else "CSV in UTF-8"
        raise DataError(f"{file}: is no {kind} ({one_line(err)}).") from err
    if missing := [name for name in columns if name not in table]:
        raise DataError(
            f"{file}: has no column {missing[0]!r} but "
            f"{', '.join(map(str, table.columns))}. It needs {', '.join(columns)}."
        )
    return table


def read_cells(file: Path) -> pd.DataFrame:
    """Read a CSV in UTF-8, every cell as text; only an empty cell is a missing value.

    "None" may be a label; and a comma at the end of the rows must not turn the first
    column into an index.

    Raises:
        ValueError: If the file is no CSV in UTF-8; pandas' parser errors are of this
            kind.
        OSError: If the file cannot be read.
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
    """Count the images of each class in each split.

    Returns:
        A row for each class, sorted by name, with the columns ``train``, ``val`` and
        ``test``.
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
