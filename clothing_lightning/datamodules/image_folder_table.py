"""A CSV with a path and a label in each row."""

import os
import posixpath
import re
import unicodedata
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from clothing_lightning.data.table import Annotations, read_cells
from clothing_lightning.datamodules.image_folder_tree import SPLIT_NAMES, require_inside
from clothing_lightning.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

# Names of columns that data modules and manifests add.
OURS = frozenset({"sha256", "label_before", "reason"})


def read_table(
    file: Path, root: Path, columns: Mapping[str, str | None]
) -> Annotations:
    """Read a CSV of labelled images; which of them are there is checked.

    Args:
        file: A CSV in UTF-8, separated by commas.
        root: The folder that paths in the table are relative to.
        columns: The file's names of the columns ``path``, ``label``, ``group`` and
            ``split``. There may be none of the last two: their name is None, or the
            usual one. Further columns are kept, as far as their names have no meaning
            of their own in an annotation table.

    Raises:
        DataError: If the file is no such table, a path leads out of the root, a split
            has another name, or no row has an image.
    """
    table = _read(file, columns)
    _normalise(table, file)
    if "split" in table:
        _translate_splits(table, file)
    there = _on_disk(root, table["path"])
    if not there.any():
        raise DataError(
            f"{file}: none of the {len(table):,} rows has an image: "
            f"'{root / table['path'].iloc[0]}' and the others are not there. Paths are "
            "relative to the table's folder, or to --data.init_args.root."
        )
    findings = {"rows": len(table), "rows without an image": int((~there).sum())}
    table = table[there].reset_index(drop=True)
    if "group" in table:
        alone = table["group"].isna()
        findings["images without a group"] = int(alone.sum())
        table["group"] = table["group"].where(~alone, table["path"])
    return Annotations(root, table, findings)


def _read(file: Path, columns: Mapping[str, str | None]) -> "pd.DataFrame":
    """Read the columns by our names, and further ones by their own."""
    import pandas as pd

    try:
        with warnings.catch_warnings():
            # Pandas only warns where it leaves out cells beyond the header's.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = read_cells(file)
    except pd.errors.EmptyDataError as err:
        raise DataError(f"{file}: is empty. Each image takes a row.") from err
    except UnicodeDecodeError as err:
        raise DataError(f"{file}: is not in UTF-8 ({err}). Save it as such.") from err
    except (ValueError, pd.errors.ParserWarning) as err:
        reason = " ".join(str(err).split())
        raise DataError(
            f"{file}: is no CSV in UTF-8 with commas ({reason}). A cell that holds a "
            "comma needs quotes."
        ) from err
    wanted = _wanted(file, list(table.columns), columns)
    slices = [
        name
        for name in table.columns
        if name not in {*wanted.values(), *columns, *OURS} and table[name].notna().any()
    ]
    if table.empty:
        raise DataError(f"{file}: has no rows. Each image takes one.")
    table[slices] = table[slices].fillna("")
    kept = table[[*wanted.values(), *slices]]
    return kept.set_axis([*wanted, *slices], axis=1)


def _wanted(
    file: Path, there: list[str], columns: Mapping[str, str | None]
) -> dict[str, str]:
    """Return the columns of the file by our names for them."""
    wanted: dict[str, str] = {}
    if len(there) == 1 and (other := re.search("[;\t]", there[0])):
        raise DataError(
            f"{file}: its cells are divided by {other[0]!r}, expected commas. Save it "
            "with commas."
        )
    for ours, theirs in columns.items():
        optional = ours in ("group", "split") and theirs == ours
        if theirs is None or (optional and theirs not in there):
            continue
        if theirs not in there:
            raise DataError(
                f"{file}: has no column {theirs!r} but {', '.join(there)}. Name the "
                f"one with the {ours} of an image: "
                f"--data.init_args.{ours}_column=COLUMN."
            )
        wanted[ours] = theirs
    return wanted


def _normalise(table: "pd.DataFrame", file: Path) -> None:
    """Refuse paths that lead out; write each path and label in one way."""
    paths = table["path"].fillna("").str.replace("\\", "/", regex=False)
    for row, path in enumerate(paths, 2):
        leads_out = path.startswith("/") or ".." in path.split("/")
        if not path or leads_out or "\0" in path or _DRIVE.match(path):
            raise DataError(
                f"{file}: row {row} names the image {path!r}. Paths are those of files "
                "below the file's folder (or --data.init_args.root), relative to it "
                "and without '..'."
            )
    table["path"] = paths.map(posixpath.normpath)
    labels = table["label"].str.strip()
    table["label"] = labels.map(
        lambda label: unicodedata.normalize("NFC", label), na_action="ignore"
    )


_DRIVE = re.compile("[A-Za-z]:")


def _translate_splits(table: "pd.DataFrame", file: Path) -> None:
    given = table["split"]
    table["split"] = given.str.strip().str.lower().map(SPLIT_NAMES)
    odd = given[table["split"].isna()].fillna("")
    if not odd.empty:
        raise DataError(
            f"{file}: the split of {table['path'][odd.index[0]]!r} is {odd.iloc[0]!r} "
            f"({len(odd)} such rows), expected train, validation or test. If the "
            "column means something else, pass --data.init_args.split_column=null."
        )


def _on_disk(root: Path, paths: "pd.Series[str]") -> "pd.Series[bool]":
    """Whether each file is there; what is there must be below the root."""
    import pandas as pd

    for folder in {posixpath.dirname(path) for path in paths}:
        require_inside(root, folder)
    there = []
    for path in paths:
        file = f"{root}/{path}"
        there.append(os.path.lexists(file))
        if os.path.islink(file):  # noqa: PTH114  many
            require_inside(root, path)
    return pd.Series(there, paths.index)
