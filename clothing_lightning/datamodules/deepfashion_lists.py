"""The list files of DeepFashion: a count, a header, then one row for each image."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clothing_lightning.data.table import SPLITS, refuse_repeats
from clothing_lightning.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

BOX = ["left", "top", "right", "bottom"]


def read_list(file: Path, columns: Sequence[str]) -> "pd.DataFrame":
    """Read a list file.

    Args:
        file: A text in UTF-8, with or without a byte order mark, with any line ends.
        columns: The names that the columns are given, as many as the header has. Only
            cells of the first column may hold spaces.

    Returns:
        A table with all cells as text.

    Raises:
        DataError: If the file is no text, lacks its count or header, or has another
            number of rows or columns than these say.
    """
    lines = _lines(file)
    count, header = lines[0].as_py(), lines[1].as_py()
    words = header.split()
    if len(words) != len(columns) or "/" in header or words[-1].isdecimal():
        raise DataError(
            f"{file}: has {header[:80]!r} as its second line, expected the names of "
            f"{len(columns)} columns ({', '.join(columns)})."
        )
    if len(lines) == 2 or int(count) != len(lines) - 2:
        raise DataError(
            f"{file}: its first line says {int(count):,} rows, and there are "
            f"{len(lines) - 2:,}. It is not whole: get it again."
        )
    return _table(file, lines[2:], columns)


def _lines(file: Path) -> Any:
    """Array of the lines that are not empty; the first is a number, a second exists."""
    # By pyarrow, since half a million Python strings take seconds and half a gigabyte.
    import pyarrow as pa
    from pyarrow import compute

    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise DataError(
            f"{file}: is no text in UTF-8 (byte {err.start:,} is "
            f"0x{err.object[err.start]:02x}). Get it again, or convert it."
        ) from err
    rows = compute.split_pattern(pa.array([text], pa.large_string()), "\n").flatten()
    rows = compute.utf8_trim_whitespace(rows)
    lines = rows.filter(compute.not_equal(rows, ""))
    if not len(lines):
        raise DataError(f"{file}: is empty. Get it again.")
    first = lines[0].as_py()
    if not re.fullmatch("[0-9]{1,9}", first) or len(lines) < 2:
        raise DataError(
            f"{file}: begins with {first[:80]!r}, expected a line with the number of "
            "rows and one with the names of the columns."
        )
    return lines


def _table(file: Path, lines: Any, columns: Sequence[str]) -> "pd.DataFrame":
    import pandas as pd
    from pyarrow import compute

    wide = len(columns)
    rows = compute.ascii_split_whitespace(lines, max_splits=wide - 1, reverse=True)
    long_enough = compute.equal(compute.list_value_length(rows), wide)
    if (place := compute.index(long_enough, False).as_py()) >= 0:
        raise DataError(
            f"{file}: the row {lines[place].as_py()[:80]!r} has {len(rows[place])} "
            f"columns, expected {wide} ({', '.join(columns)})."
        )
    cells = rows.flatten()
    return pd.DataFrame(
        {name: pd.Series(cells[i::wide], dtype="str") for i, name in enumerate(columns)}
    )


def read_categories(cloth: Path, images: Path) -> "pd.DataFrame":
    """Read the category of each image.

    Args:
        cloth: ``list_category_cloth.txt``, the names of categories, whose ids count
            from 1.
        images: ``list_category_img.txt``, paths ``img/<garment>/<photo>`` and ids.

    Returns:
        A table with the columns ``path``, ``group`` (the garment's folder) and
        ``label``.

    Raises:
        DataError: If a file is malformed, names an image twice or outside of ``img``,
            or has an id that no category has.
    """
    names = read_list(cloth, ("category_name", "category_type"))["category_name"]
    table = read_list(images, ("path", "id"))
    table["group"] = _garments(images, table["path"])
    known = {str(number): name for number, name in enumerate(names, 1)}
    table["label"] = table["id"].str.lstrip("0").map(known)
    odd = table[table["label"].isna()]
    if not odd.empty:
        raise DataError(
            f"{images}: the category of {odd['path'].iloc[0]!r} is "
            f"{odd['id'].iloc[0]!r} ({len(odd)} such rows), expected a number from 1 "
            f"to {len(names)}, the rows of {cloth.name}."
        )
    return table[["path", "group", "label"]]


def _garments(file: Path, paths: "pd.Series[str]") -> "pd.Series[str]":
    """The folder of each photo, after a look at whether all lie where they must."""
    plain = r"[^/\\\x00-\x1f]+"
    sound = paths.str.fullmatch(f"img/{plain}/{plain}")
    odd = paths[~sound | paths.str.contains("/..", regex=False)]
    if not odd.empty:
        raise DataError(
            f"{file}: {odd.iloc[0]!r} is no path of an image ({len(odd)} such rows), "
            "expected img/<garment>/<photo>."
        )
    refuse_repeats(file, paths, "Get it again.")
    ends = paths.str.removeprefix("img/")
    return ends.str.replace(r"/.*$", "", regex=True)


def read_partition(file: Path, paths: "pd.Series[str]") -> "pd.Series[str]":
    """Read ``train``, ``val`` or ``test`` for each path: ``list_eval_partition.txt``.

    Raises:
        DataError: If the file is malformed, lacks an image or names another split.
    """
    split = _rows_of(paths, file, ("path", "split"))["split"]
    odd = split[~split.isin(SPLITS)]
    if not odd.empty:
        raise DataError(
            f"{file}: puts {paths[odd.index[0]]!r} into {odd.iloc[0]!r} ({len(odd)} "
            f"such rows), expected one of {', '.join(SPLITS)}. Is it the file of "
            "another benchmark of DeepFashion?"
        )
    return split


def read_boxes(file: Path, paths: "pd.Series[str]") -> "pd.DataFrame":
    """Read the box around the garment of each path: ``list_bbox.txt``.

    ``left``, ``top``, ``right`` and ``bottom`` are in pixels of the low-resolution
    image.

    Raises:
        DataError: If the file is malformed, lacks an image or has an empty box.
    """
    texts = _rows_of(paths, file, ("path", *BOX))
    whole = texts[BOX].apply(lambda column: column.str.fullmatch(r"-?[0-9]{1,6}"))
    boxes = texts[BOX].where(whole, "0").astype("int64")
    sound = (boxes["right"] > boxes["left"]) & (boxes["bottom"] > boxes["top"])
    sound &= (boxes["right"] > 0) & (boxes["bottom"] > 0)
    odd = texts[~sound | ~whole.all(axis=1)]
    if not odd.empty:
        raise DataError(
            f"{file}: the box of {odd['path'].iloc[0]!r} is "
            f"{' '.join(odd[BOX].iloc[0])} ({len(odd)} such rows), expected whole "
            "numbers left, top, right, bottom, with right > left and bottom > top."
        )
    return boxes


def _rows_of(
    paths: "pd.Series[str]", file: Path, columns: Sequence[str]
) -> "pd.DataFrame":
    """Read the row of each path in a list file, which may hold further ones."""
    rows = read_list(file, columns)
    refuse_repeats(file, rows["path"], "Get it again.")
    placed = rows.set_index("path").reindex(paths).reset_index()
    placed.index = paths.index
    absent = paths[placed.isna().any(axis=1)]
    if not absent.empty:
        raise DataError(
            f"{file}: has no row for {absent.iloc[0]!r} ({len(absent)} such images). "
            "It is not whole, or belongs to another release: get it again."
        )
    return placed


def grown(
    boxes: "pd.DataFrame", margin: float, scale: "npt.NDArray[np.floating] | float"
) -> "pd.DataFrame":
    """Scale boxes and add a margin.

    Args:
        boxes: ``left``, ``top``, ``right``, ``bottom`` in pixels.
        margin: The share of a box's width (height) that is added on the left and
            right (at the top and bottom) of it.
        scale: How many pixels of the image one pixel of the box is: one number for
            all boxes, or one for each.

    Returns:
        The boxes in whole pixels, rounded outwards; not below 0, but maybe beyond the
        image.
    """
    import numpy as np

    corners = boxes[BOX].to_numpy(dtype=float) * np.reshape(scale, (-1, 1))
    sides = corners[:, 2:] - corners[:, :2]
    start = np.floor(corners[:, :2] - margin * sides).clip(0)
    end = np.ceil(corners[:, 2:] + margin * sides)
    whole = np.hstack([start, end]).astype(np.int64)
    return boxes.assign(**dict(zip(BOX, whole.T, strict=True)))
