"""Splits that a file prescribes."""

from pathlib import Path

import pandas as pd

from clothing_lightning.data.table import SPLITS, read_columns, refuse_repeats
from clothing_lightning.errors import DataError


def read_splits(table: pd.DataFrame, file: Path) -> pd.DataFrame:
    """Put every image where a file says.

    Args:
        table: An annotation table.
        file: A CSV or Parquet file with the columns ``path`` and ``split``, such as the
            manifest of a run, of which rows that were dropped are left out.

    Returns:
        The rows of the images that the file names, with ``split``.

    Raises:
        DataError: If the file cannot be read, or does not fit the table.
    """
    if not file.is_file():
        raise DataError(f"split.file: '{file}' is not a file. Check the path.")
    given = read_columns(file, ("path", "split"))
    # A manifest says "dropped" of images that could not be read.
    given = given[given["split"] != "dropped"]
    odd = given[~given["split"].isin(SPLITS)]
    if not odd.empty:
        raise DataError(
            f"{file}: the split of {odd['path'].iloc[0]!r} is {odd['split'].iloc[0]!r} "
            f"({len(odd)} such rows), expected one of {', '.join(SPLITS)}."
        )
    refuse_repeats(file, given["path"])
    names = set(table["path"])
    absent = given["path"][~given["path"].isin(names)]
    if not absent.empty:
        raise DataError(
            f"{file}: {absent.iloc[0]!r} is not an image of this data set "
            f"({len(absent)} such rows). Was the file made for other data?"
        )
    placed = table.drop(columns="split", errors="ignore")
    return placed.merge(given[["path", "split"]], on="path", validate="one_to_one")
