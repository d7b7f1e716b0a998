"""Seeded splits into train, validation and test.

An image's place is decided by a hash of the seed and its path (or, in grouped
splits, its group), never by its position in a file, so the same seed gives the
same split on every machine and in every order of rows.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from clothing_lightning.data.options import Split
from clothing_lightning.data.table import SPLITS, counts, read_columns, refuse_repeats
from clothing_lightning.errors import ConfigError, DataError

Parts = npt.NDArray[np.int64]


def assign_splits(
    table: pd.DataFrame,
    split: Split,
    fold: str | None = None,
    *,
    groups_bind: bool = False,
) -> pd.DataFrame:
    """Put every image into train, val or test.

    Args:
        table: An annotation table.
        split: How the images are to be divided.
        fold: ``"2 of 5"`` makes the second of five parts the test split and takes
            validation from the others; every image is tested once over all folds.
        groups_bind: Whether the method ``auto`` keeps groups together.

    Returns:
        The table with the column ``split``, sorted by path, without the images
        that ``fraction`` or a file leaves out.

    Raises:
        ConfigError: If the fold is not ``k of n`` or does not go with the method, or
            groups or an own split are asked for and the table has none.
        DataError: If a class has too few images, or a split file does not fit.
    """
    table = table.sort_values("path", ignore_index=True)
    suited: Literal["grouped", "stratified"] = (
        "grouped" if groups_bind else "stratified"
    )
    if split.method == "auto":
        split = replace(split, method="own" if "split" in table else suited)
    if fold is not None and split.method in ("file", "own"):
        raise ConfigError(
            f"fold is {fold!r}, but split.method {split.method!r} says what the test "
            "images are. To divide all images anew, pass "
            "--data.init_args.split.method stratified (or grouped)."
        )
    if split.method == "own":
        placed = _own_splits(table, replace(split, method=suited))
    elif split.method == "file":
        placed = _read_splits(table, Path(split.file or ""))
    else:
        placed = _hold_out(table, split, fold)
    _require_every_split(placed, split)
    return placed if split.fraction == 1 else _thin(placed, split)


def parse_fold(fold: str) -> tuple[int, int]:
    """Read ``"2 of 5"``.

    Returns:
        The number of the fold, from 1, and the number of folds.

    Raises:
        ConfigError: If the text is anything else.
    """
    if match := re.fullmatch(r"([0-9]{1,6}) of ([0-9]{1,6})", " ".join(fold.split())):
        number, total = int(match[1]), int(match[2])
        if 1 <= number <= total and total >= 2:
            return number, total
    raise ConfigError(f"fold is {fold!r}. Write it as '2 of 5', counting from 1.")


def _hold_out(table: pd.DataFrame, split: Split, fold: str | None) -> pd.DataFrame:
    """Divide off the test images, then the validation images of what is left."""
    number, total = parse_fold(fold) if fold is not None else (1, 0)
    shares = [1 / total] * total if total else [split.test, 1 - split.test]
    # One in each fold, and two left to share between train and validation.
    small = _small_classes(table, split, least={0: 3, 2: 4}.get(total, total))
    placed = table.assign(split="train")
    placed = _take_from_train(placed, split, "test", shares, small, number - 1)
    val = split.val / (1 - split.test)
    return _take_from_train(placed, split, "val", [val, 1 - val], small)


def _take_from_train(
    table: pd.DataFrame,
    split: Split,
    name: str,
    shares: Sequence[float],
    small: Sequence[str],
    number: int = 0,
) -> pd.DataFrame:
    """Divide the training images, but not small classes; one part becomes a split."""
    rest = table[(table["split"] == "train") & ~table["label"].isin(small)]
    divide = _divide_grouped if split.method == "grouped" else _divide_stratified
    part = divide(rest, shares, f"{split.seed}:{name}")
    placed = table.copy()
    placed.loc[rest.index[part == number], "split"] = name
    return placed


def _small_classes(table: pd.DataFrame, split: Split, least: int) -> list[str]:
    grouped = split.method == "grouped"
    if grouped and ("group" not in table or table["group"].isna().any()):
        raise ConfigError(
            "split.method is 'grouped', but not every image has a group. Use "
            "'stratified', or give each image a group."
        )
    unit = "group" if grouped else "path"
    sizes = table.groupby("label")[unit].nunique()
    small = sizes[sizes < least]
    if not small.empty and split.small_classes == "error":
        what = "groups" if grouped else "images"
        named = ", ".join(f"{label!r} has {size}" for label, size in small.items())
        raise DataError(
            f"split: {named} {what}, and {least} are needed to have one in every part. "
            "Leave the class out (data.init_args.exclude_labels), add images, or keep "
            "it for training alone (data.init_args.split.small_classes=train)."
        )
    return [str(label) for label in small.index]


def _sort_keys(names: Iterable[object], salt: str) -> "np.ndarray[Any, Any]":
    """Random but reproducible keys that put names into an order."""
    texts = (f"{salt}:{name}" for name in names)
    return np.array([hashlib.sha256(text.encode()).hexdigest() for text in texts])


def _divide_stratified(
    table: pd.DataFrame, shares: Sequence[float], salt: str
) -> Parts:
    """Return the part of each row, with every class divided in the same shares.

    Remainders go where the parts lag behind over the classes so far, which keeps the
    totals right to one image where there are not many classes with a handful of
    images; no part goes without a class that has enough images.
    """
    part = np.zeros(len(table), dtype=np.int64)
    keys = _sort_keys(table["path"], salt)
    labels = table["label"].to_numpy()
    behind = np.zeros(len(shares))
    for label in sorted(set(labels)):
        rows = np.flatnonzero(labels == label)
        rows = rows[np.argsort(keys[rows])]
        quota = np.asarray(shares) * len(rows)
        sizes = np.floor(quota + 1e-9).astype(np.int64)
        left = len(rows) - sizes.sum()
        sizes[np.argsort(sizes - quota - behind, kind="stable")[:left]] += 1
        while (sizes == 0).any() and sizes.max() > 1:
            sizes[sizes.argmax()] -= 1
            sizes[sizes.argmin()] += 1
        behind += quota - sizes
        part[rows] = np.repeat(np.arange(len(shares)), sizes)
    return part


def _divide_grouped(table: pd.DataFrame, shares: Sequence[float], salt: str) -> Parts:
    """Return the part of each row, with no group divided.

    The classes are divided in the given shares as far as possible.

    Greedy: from large groups to small, each goes where it brings the class counts
    closest to their quotas, with rare classes weighing as much as frequent ones.
    """
    classes = pd.crosstab(table["group"], table["label"])
    keys = _sort_keys(classes.index, salt)
    sizes = zip(classes.index, classes.sum(axis=1), keys, strict=True)
    # Blurred by up to a factor of two, or no seed could move a large group.
    blurred = {name: n * 2 ** (int(key[:8], 16) / 2**32) for name, n, key in sizes}
    order = sorted(classes.index, key=blurred.__getitem__, reverse=True)
    totals = classes.sum().to_numpy(dtype=float)
    quota = np.outer(shares, totals)
    filled = np.zeros_like(quota)
    chosen: dict[object, int] = {}
    rows = dict(zip(classes.index, classes.to_numpy(dtype=float), strict=True))
    for group in order:
        added = rows[group]
        before = (filled - quota) ** 2
        cost = (((filled + added - quota) ** 2 - before) / (quota * totals)).sum(axis=1)
        chosen[group] = int(np.argmin(cost))
        filled[chosen[group]] += added
    return np.array([chosen[group] for group in table["group"]])


def _require_every_split(table: pd.DataFrame, split: Split) -> None:
    present = counts(table)
    untrained = present.index[present["train"] == 0]
    if len(untrained):
        raise DataError(
            f"split: class {str(untrained[0])!r} has no image in train. Add some, or "
            "leave the class out (data.init_args.exclude_labels)."
        )
    for name in SPLITS[1:]:
        if present[name].sum() == 0:
            raise DataError(f"split: {name} has no image. Give it a larger share.")
        missing = present.index[present[name] == 0]
        if (
            len(missing)
            and split.method == "grouped"
            and split.small_classes != "train"
        ):
            raise DataError(
                f"split: class {str(missing[0])!r} has no image in {name}, since its "
                "groups fell elsewhere. Use another split.seed, leave the class out, "
                "or accept it (data.init_args.split.small_classes=train)."
            )


def _thin(table: pd.DataFrame, split: Split) -> pd.DataFrame:
    """Keep a share of each class in each split, but at least one image."""
    keys = _sort_keys(table["path"], f"{split.seed}:fraction")
    kept: list[int] = []
    for rows in map(np.asarray, table.groupby(["split", "label"]).indices.values()):
        size = max(1, round(split.fraction * len(rows)))
        kept.extend(rows[np.argsort(keys[rows])][:size])
    return table.iloc[sorted(kept)].reset_index(drop=True)


def _read_splits(table: pd.DataFrame, file: Path) -> pd.DataFrame:
    """Put every image where a file says, and leave out those that it lacks."""
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


def _own_splits(table: pd.DataFrame, split: Split) -> pd.DataFrame:
    """Keep the data set's own splits, and take missing ones from train."""
    if "split" not in table:
        raise ConfigError(
            "split.method is 'own', but this data set has no split of its own. Use "
            "'stratified', 'grouped' or 'file'."
        )
    odd = table.loc[~table["split"].isin(SPLITS), "split"]
    if not odd.empty:
        raise DataError(
            f"split: the data set's own has {odd.iloc[0]!r} ({len(odd)} such rows), "
            f"expected one of {', '.join(SPLITS)}."
        )
    missing = [name for name in ("test", "val") if not (table["split"] == name).any()]
    train = table[table["split"] == "train"]
    if not missing or train.empty:
        return table
    small = _small_classes(train, split, len(missing) + 1)
    shares = {"test": split.test, "val": split.val}
    for name in missing:
        share = shares[name] * len(table) / (table["split"] == "train").sum()
        if share >= 1:
            raise DataError(
                f"split: the data set's own has no {name}, and its train has too few "
                f"images to give {shares[name]:.0%} of all. Lower split.{name}."
            )
        table = _take_from_train(table, split, name, [share, 1 - share], small)
    return table
