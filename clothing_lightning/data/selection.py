"""The choice of the images of a data set that are used, before it is divided."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from clothing_lightning.data.inspection import inspect_images
from clothing_lightning.data.options import Selection
from clothing_lightning.data.table import (
    Annotations,
    check_table,
    read_columns,
    refuse_repeats,
)
from clothing_lightning.errors import DataError, ImageError
from clothing_lightning.wording import closest


class Selected(NamedTuple):
    """The images of a data set that are used, and those that were left out.

    Attributes:
        source: The annotations of the images that are used, with ``sha256``, sorted by
            path.
        dropped: Rows that were left out one by one, with the column ``reason``.
        inspected: What `inspect_images` found, by path.
    """

    source: Annotations
    dropped: pd.DataFrame
    inspected: pd.DataFrame


def select(
    source: Annotations, selection: Selection, *, name: str, workers: int
) -> Selected:
    """Correct labels, leave out what is not wanted, and inspect the rest.

    Args:
        source: The annotations of the data set, whose findings are added to.
        selection: Which images are wanted.
        name: The name of the data set in messages.
        workers: The number of processes that inspect images.

    Raises:
        DataError: If nothing is left to train on, or the corrections do not fit.
        ImageError: If an image cannot be read and is not to be dropped.
    """
    table = source.table.sort_values("path", ignore_index=True)
    dropped = []
    if selection.corrections is not None:
        table, by_hand = corrected(table, Path(selection.corrections).expanduser())
        changed = int(table["label_before"].notna().sum())
        source.findings["corrected labels"] = changed
        dropped.append(by_hand)
    table = _of_wanted_classes(table, selection, source.findings)
    if table.empty and selection.min_images_per_class > 1:
        raise DataError(
            f"{name}: no class has {selection.min_images_per_class} images. Lower "
            "data.init_args.min_images_per_class."
        )
    check_table(table, name)
    inspected = inspect_images(source.root, list(table["path"]), workers=workers)
    table["sha256"] = inspected["sha256"]
    inspected = inspected.set_index(table["path"])
    refusals = inspected["refusal"].set_axis(table.index).dropna()
    table, unreadable = without(table, refusals)
    if selection.on_unreadable == "error":
        _require_none(unreadable)
    source.findings["unreadable images"] = len(unreadable)
    dropped.append(unreadable)
    if selection.drop_duplicates:
        table, copies = without_copies(table)
        source.findings["dropped copies"] = len(copies)
        dropped.append(copies)
    source.table = table.reset_index(drop=True)
    check_table(source.table, name)
    filled = [rows for rows in dropped if len(rows)] or [unreadable]
    return Selected(source, pd.concat(filled), inspected)


def _of_wanted_classes(
    table: pd.DataFrame, selection: Selection, findings: dict[str, int]
) -> pd.DataFrame:
    _require_labels(table, selection.exclude_labels)
    excluded = table["label"].isin(selection.exclude_labels)
    if selection.exclude_labels:
        findings["rows with an excluded label"] = int(excluded.sum())
    table = table[~excluded]
    least = selection.min_images_per_class
    small = table.groupby("label")["path"].transform("size") < least
    if least > 1:
        what = f"rows of classes with fewer than {least} images"
        findings[what] = int(small.sum())
    return table[~small].reset_index(drop=True)


def _require_labels(table: pd.DataFrame, labels: tuple[str, ...]) -> None:
    """Refuse a label that seems misspelt; others may just not occur."""
    there = set(table["label"].dropna())
    for label in set(labels) - there:
        if near := closest(label, there, cutoff=0.7):
            raise DataError(
                f"data.init_args.exclude_labels: no image has the label {label!r}."
                f"{near}"
            )


def _require_none(unreadable: pd.DataFrame) -> None:
    if unreadable.empty:
        return
    more = f" (and {len(unreadable) - 1} more)" if len(unreadable) > 1 else ""
    raise ImageError(
        f"{unreadable['reason'].iloc[0]}{more}. Replace or remove it, or pass "
        "--data.init_args.on_unreadable=drop to train without it."
    )


def without(
    table: pd.DataFrame, reasons: pd.Series
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Drop rows.

    Args:
        table: An annotation table.
        reasons: Why a row is dropped, by its index in the table; rows without a reason
            stay.

    Returns:
        The rows that are left, and the dropped ones with the column ``reason``.
    """
    dropped = table.loc[reasons.index].assign(reason=reasons)
    return table.drop(index=reasons.index), dropped


def corrected(table: pd.DataFrame, file: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Correct labels by a file that a person has written.

    Args:
        table: An annotation table.
        file: A CSV with the columns ``path`` and ``label``; an empty label drops the
            image.

    Returns:
        The table with new labels, and ``label_before`` for rows whose label changed;
        and the rows that were dropped, as of `without`.

    Raises:
        DataError: If the file cannot be read, or names an image twice or one that is
            not in the table.
    """
    if not file.is_file():
        raise DataError(
            f"data.init_args.corrections: '{file}' is not a file. Check the path."
        )
    rows = read_columns(file, ("path", "label")).fillna("")
    refuse_repeats(file, rows["path"])
    given = rows.set_index("path")["label"].str.strip()
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


def without_copies(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep one of each set of identical files; none where their labels differ.

    Args:
        table: An annotation table, sorted by path, with ``sha256``. If it has a split
            of its own, a test image stays before a training image.

    Returns:
        The rows that are left and those that were dropped, as of `without`.
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


def clipped_boxes(
    rows: pd.DataFrame, inspected: pd.DataFrame, name: str
) -> np.ndarray[Any, Any]:
    """Clip the box of each row to its image.

    Args:
        rows: Rows with ``left``, ``top``, ``right`` and ``bottom`` in pixels.
        inspected: What `inspect_images` found, by path.
        name: The name of the data set in messages.

    Returns:
        Left, top, right and bottom of each box, ``[N, 4]``.

    Raises:
        DataError: If a box lies outside of its image.
    """
    size = inspected.loc[rows["path"], ["width", "height"]].to_numpy()
    boxes = rows[["left", "top", "right", "bottom"]].to_numpy(dtype="int64")
    boxes = boxes.clip(0, size[:, [0, 1, 0, 1]])
    empty = pd.Series((boxes[:, 2:] <= boxes[:, :2]).any(axis=1), index=rows.index)
    outside = rows["path"][empty]
    if not outside.empty:
        raise DataError(
            f"{name}: the box of {outside.iloc[0]!r} lies outside of the image "
            f"({len(outside)} such rows). Train without boxes, or correct it."
        )
    return boxes
