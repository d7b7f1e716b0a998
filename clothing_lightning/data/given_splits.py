"""Splits that a file gives."""

from pathlib import Path

import pandas as pd

from clothing_lightning.data.table import SPLITS
from clothing_lightning.errors import DataError


def read_splits(table: pd.DataFrame, file: Path) -> pd.DataFrame:
    """Put every image where a file says.

    Args:
        table: An annotation table.
        file: A CSV or Parquet file with the columns ``path`` and ``split``, such as the
            manifest of a run, of which rows that were dropped are left out.

    Returns:
        The images that the file names, with ``split``.

    Raises:
        DataError: If it cannot be read, or does not fit the table.
    """
    if not file.is_file():
        raise DataError(f"split.file: '{file}' is not a file. Check the path.")
    parquet = file.suffix == ".parquet"
    try:
        given = pd.read_parquet(file) if parquet else pd.read_csv(file, dtype=str)
    except (OSError, ValueError) as err:  # pyarrow's and the CSV parser's as well
        reason = " ".join(str(err).split())
        raise DataError(
            f"{file}: is no {'Parquet file' if parquet else 'CSV in UTF-8'} ({reason})."
        ) from err
    if missing := {"path", "split"} - set(given.columns):
        raise DataError(
            f"{file}: has no column {sorted(missing)[0]!r} but "
            f"{', '.join(map(str, given.columns))}. It needs 'path' and 'split'."
        )
    # A manifest says "dropped" of images that could not be read.
    given = given[given["split"] != "dropped"]
    odd = given[~given["split"].isin(SPLITS)]
    if not odd.empty:
        raise DataError(
            f"{file}: the split of {odd['path'].iloc[0]!r} is {odd['split'].iloc[0]!r} "
            f"({len(odd)} such rows), expected one of {', '.join(SPLITS)}."
        )
    twice = given["path"][given["path"].duplicated()]
    if not twice.empty:
        raise DataError(
            f"{file}: {twice.iloc[0]!r} is listed more than once ({len(twice)} such "
            "rows). Keep one row for each image."
        )
    names = set(table["path"])
    absent = given["path"][~given["path"].isin(names)]
    if not absent.empty:
        raise DataError(
            f"{file}: {absent.iloc[0]!r} is not an image of this data set "
            f"({len(absent)} such rows). Was the file made for other data?"
        )
    placed = table.drop(columns="split", errors="ignore")
    return placed.merge(given[["path", "split"]], on="path", validate="one_to_one")
