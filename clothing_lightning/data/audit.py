"""What is odd about a data set: tables in, tables out, nothing is read or printed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from clothing_lightning.data.near_duplicates import NearDuplicates
from clothing_lightning.data.table import SPLITS, counts, group_overlap


@dataclass(frozen=True)
class Source:
    """A data set that is audited.

    Attributes:
        name: The name of the data set.
        root: The folder that paths are relative to.
        table: The annotation table with ``sha256``, and with ``split`` if the data set
            can be divided.
        inspected: ``width``, ``height`` and ``phash`` of each image, by path.
        unreadable: ``path``, ``label`` and ``reason`` of images that cannot be read.
        findings: Counts of what the data module left out.
        near: Nearly identical images, looked for in one of each set of identical files.
        size_px: The side of the square images that the network is given, in pixels.
        group_noun: What a group of images is called, such as a sender.
        split_error: Why the data set cannot be divided; empty if it can.
        remarks: What only the data module knows of, each with what is to be done.
    """

    name: str
    root: str
    table: pd.DataFrame
    inspected: pd.DataFrame
    unreadable: pd.DataFrame
    findings: Mapping[str, int]
    near: NearDuplicates
    size_px: int = 224
    group_noun: str = "group"
    split_error: str = ""
    remarks: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Audit:
    """What was found in a data set.

    Attributes:
        source: The data set that was audited.
        counts: Images of each class; a column for each split, or ``all``.
        images: ``path``, ``label``, ``width``, ``height``, ``short_px`` and ``ratio``
            (long by short side) of each image.
        duplicates: Images whose file is there more than once, numbered by ``set``.
        pairs: Pairs of identical or nearly identical images, the most urgent first.
        leaks: Images of val and test that are also trained on, by split: under
            ``identical`` as the same file, under ``nearly`` as the same picture.
        groups_shared: Share of the images of val and test whose group is trained on.
    """

    source: Source
    counts: pd.DataFrame
    images: pd.DataFrame
    duplicates: pd.DataFrame
    pairs: pd.DataFrame
    leaks: dict[str, dict[str, int]]
    groups_shared: dict[str, float]

    @property
    def near_table(self) -> pd.DataFrame:
        """Nearly identical images only, the most similar first, as in the CSV file."""
        near = self.pairs[~self.pairs["identical"]]
        columns = ["path", "label", "split", "group"]
        sides = [f"{name}_{side}" for name in columns for side in ("a", "b")]
        order = [*sides[:2], "distance", "similarity", "mirrored", *sides[2:]]
        return near.sort_values("similarity", ascending=False, kind="stable")[order]


def audit(source: Source) -> Audit:
    """Look for what would spoil a training on a data set, or its evaluation."""
    table = source.table
    sizes = source.inspected[["width", "height"]]
    images = table[["path", "label"]].join(sizes, on="path")
    images["short_px"] = images[["width", "height"]].min(axis=1)
    images["ratio"] = images[["width", "height"]].max(axis=1) / images["short_px"]
    identical = pd.Series(pd.factorize(table["sha256"])[0], table.index)
    nearly = _joined(identical, table, source.near.pairs)
    placed = "split" in table
    return Audit(
        source=source,
        counts=counts(table) if placed else _class_counts(table),
        images=images,
        duplicates=_duplicates(table, identical),
        pairs=_pairs(table, identical, source.near.pairs),
        leaks={
            name: leaked(table, sets) if placed else {}
            for name, sets in (("identical", identical), ("nearly", nearly))
        },
        groups_shared=group_overlap(table) if placed else {},
    )


def leaked(table: pd.DataFrame, sets: "pd.Series[int]") -> dict[str, int]:
    """Count the images of val and test that share a set with an image of train.

    Args:
        table: An annotation table with ``split``.
        sets: The number of the set that each row belongs to.
    """
    trained = set(sets[table["split"] == "train"])
    return {
        split: int(sets[table["split"] == split].isin(trained).sum())
        for split in SPLITS[1:]
    }


def _class_counts(table: pd.DataFrame) -> pd.DataFrame:
    return table["label"].value_counts().sort_index().to_frame("all")


def _joined(
    sets: "pd.Series[int]", table: pd.DataFrame, near: pd.DataFrame
) -> "pd.Series[int]":
    """Number the sets anew after joining those that near pairs connect."""
    by_path = pd.Series(sets.to_numpy(), table["path"])
    ends = by_path.loc[near["path_a"]], by_path.loc[near["path_b"]]
    edges = csr_array((np.ones(len(near)), ends), shape=(len(table), len(table)))
    _, joined = connected_components(edges, directed=False)
    return pd.Series(joined[sets], table.index)


def _duplicates(table: pd.DataFrame, identical: "pd.Series[int]") -> pd.DataFrame:
    again = identical.duplicated(keep=False)
    names = ("path", "label", "split", "group", "sha256")
    rows = table.loc[again, [name for name in names if name in table]]
    rows.insert(0, "set", pd.factorize(identical[again])[0] + 1)
    return rows.sort_values(["set", "path"], ignore_index=True)


def _pairs(
    table: pd.DataFrame, identical: "pd.Series[int]", near: pd.DataFrame
) -> pd.DataFrame:
    """Identical files, each with the first of its set, and near duplicates."""
    first = table["path"].groupby(identical).transform("first")
    copy = first != table["path"]
    same = pd.DataFrame({"path_a": first[copy], "path_b": table.loc[copy, "path"]})
    same = same.assign(distance=0, mirrored=False, similarity=1.0, identical=True)
    both = pd.concat([same, near.assign(identical=False)], ignore_index=True)
    known = table.set_index("path")
    for name in ("label", "split", "group"):
        values = known[name] if name in known else pd.Series(dtype=str)
        for side in ("a", "b"):
            both[f"{name}_{side}"] = both[f"path_{side}"].map(values)
    both["labels_differ"] = both["label_a"] != both["label_b"]
    trained = (both[["split_a", "split_b"]] == "train").sum(axis=1)
    both["straddles"] = (trained == 1) & ("split" in table)
    first_shown = ["labels_differ", "straddles", "similarity"]
    return both.sort_values(
        [*first_shown, "path_a", "path_b"],
        ascending=[False, False, False, True, True],
        ignore_index=True,
    )


def size_facts(images: pd.DataFrame) -> dict[str, float | str]:
    """Describe the distribution of the sizes of images.

    Args:
        images: A table of images with ``width`` and ``height`` in pixels, ``short_px``
            and ``ratio``.

    Returns:
        The smallest, median and largest size, quantiles of the short side, and the
        largest ratio of long to short side.
    """
    area = images["width"] * images["height"]
    by_area = images.loc[area.sort_values(kind="stable").index, ["width", "height"]]
    places = {"smallest": 0, "median": len(images) // 2, "largest": -1}
    facts: dict[str, float | str] = {}
    for name, place in places.items():
        width, height = by_area.iloc[place]
        facts[name] = f"{width} x {height}"
    for percent in (5, 50, 95):
        value = float(images["short_px"].quantile(percent / 100))
        facts[f"short_side_p{percent}_px"] = value
    facts["largest_ratio"] = float(images["ratio"].max())
    return facts
