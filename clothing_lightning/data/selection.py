"""The choice of the images of a data set that are used."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from clothing_lightning.data.cleaning import (
    corrected,
    small_classes,
    without,
    without_copies,
)
from clothing_lightning.data.inspection import inspect_images
from clothing_lightning.data.table import Annotations, check_table
from clothing_lightning.errors import DataError, ImageError
from clothing_lightning.wording import closest

if TYPE_CHECKING:
    import numpy as np

    from clothing_lightning.data.options import Selection


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
    source: Annotations, selection: "Selection", *, name: str, workers: int
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
    dropped = [table.head(0).assign(reason="")]
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
    table: pd.DataFrame, selection: "Selection", findings: dict[str, int]
) -> pd.DataFrame:
    _require_labels(table, selection.exclude_labels)
    excluded = table["label"].isin(selection.exclude_labels)
    if selection.exclude_labels:
        findings["rows with an excluded label"] = int(excluded.sum())
    table = table[~excluded]
    least = selection.min_images_per_class
    small = table["label"].isin(small_classes(table, least))
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


def clipped_boxes(
    rows: pd.DataFrame, inspected: pd.DataFrame, name: str
) -> "np.ndarray[Any, Any]":
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
