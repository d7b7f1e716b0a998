"""``styles.csv`` of the fashion products."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from clothing_lightning.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "id",
    "gender",
    "masterCategory",
    "subCategory",
    "articleType",
    "baseColour",
    "season",
    "year",
    "usage",
    "productDisplayName",
)


def read_styles(file: Path) -> "pd.DataFrame":
    """Read ``styles.csv``, in which names hold commas without quotes.

    No field but the name, the last, holds a comma: so what follows the ninth one is the
    name. Each line is a row, whatever quotes it holds.

    Args:
        file: The path of ``styles.csv``, in UTF-8, or in Latin-1 if no column but that
            of names needs it.

    Returns:
        The columns of the file as text; ``NA`` and missing cells are empty.

    Raises:
        DataError: If the file is no such table, or an id is no number or listed twice.
    """
    import pandas as pd

    content = file.read_bytes()
    try:
        text, utf8 = content.decode("utf-8-sig"), True
    except UnicodeDecodeError:
        text, utf8 = content.decode("latin-1"), False
    lines = [line for row in text.split("\n") if (line := row.strip("\r"))]
    header = _fields(lines[0]) if lines else []
    if tuple(header[: len(COLUMNS)]) != COLUMNS:
        raise DataError(
            f"{file}: begins with {lines[0][:80] if lines else ''!r}, expected the "
            f"columns {', '.join(COLUMNS)}. Get the file again."
        )
    if len(lines) == 1:
        raise DataError(f"{file}: has no rows. Get the file again.")
    rows = [_row(file, line) for line in lines[1:]]
    table = pd.DataFrame(rows, columns=list(COLUMNS), dtype="str").replace("NA", "")
    if not utf8:
        _refuse_foreign_letters(file, table)
    _check_ids(file, table["id"])
    return table


def _fields(line: str) -> list[str]:
    # Line by line, so that a quote which nobody closes cannot swallow other rows.
    try:
        return next(csv.reader([line]))
    except csv.Error as err:  # longer than any field may be
        raise DataError(
            f"styles.csv: the row {line[:80]!r}... is no row of a table ({err}). Get "
            "the file again."
        ) from err


def _row(file: Path, line: str) -> list[str]:
    fields = _fields(line)
    last = len(COLUMNS) - 1
    if len(fields) < last:
        raise DataError(
            f"{file}: the row {line[:80]!r} has {len(fields)} columns, expected "
            f"{len(COLUMNS)}. Get the file again."
        )
    return [*(field.strip() for field in fields[:last]), ",".join(fields[last:])]


def _refuse_foreign_letters(file: Path, table: "pd.DataFrame") -> None:
    """Where the encoding had to be guessed, labels must not depend on it."""
    for column in COLUMNS[:-1]:
        odd = table[column][~table[column].map(str.isascii)]
        if not odd.empty:
            raise DataError(
                f"{file}: is no text in UTF-8, and read as Latin-1 it has "
                f"{odd.iloc[0]!r} as {column}. Save it in UTF-8."
            )


def _check_ids(file: Path, ids: "pd.Series[str]") -> None:
    odd = ids[~ids.str.fullmatch("[0-9]+")]
    if not odd.empty:
        raise DataError(
            f"{file}: {odd.iloc[0]!r} is no id ({len(odd)} such rows). An id is the "
            "number that an image is named by."
        )
    twice = ids[ids.duplicated()]
    if not twice.empty:
        raise DataError(
            f"{file}: the id {twice.iloc[0]} is listed more than once ({len(twice)} "
            "such rows). Keep one row for each image."
        )
