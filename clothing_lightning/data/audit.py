"""What is odd about a data set: tables in, tables out, nothing is read or printed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from clothing_lightning.data.audit_issues import Issue, issues
from clothing_lightning.data.near_duplicates import NearDuplicates
from clothing_lightning.data.table import SPLITS, counts, group_overlap


@dataclass(frozen=True)
class Source:
    """What is audited.

    Attributes:
        name: Of the data set.
        root: Folder that paths are relative to.
        table: Annotation table with ``sha256``, and ``split`` if it can be made.
        inspected: ``width``, ``height`` and ``phash`` by path.
        unreadable: ``path``, ``label`` and ``reason``.
        findings: Counts of what the data module left out.
        near: Of one of each set of identical files.
        size_px: Side of the images that the network is given.
        group_noun: What a group is, such as a sender.
        split_error: Why there is no split, or empty.
        remarks: What is particular to the data set.
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
    remarks: tuple[Issue, ...] = ()


@dataclass(frozen=True)
class Audit:
    """What was found.

    Attributes:
        source: What was looked at.
        counts: Images by class; a column for each split, or one for all.
        images: The table with ``width``, ``height``, ``short_px`` and ``ratio`` (long
            by short side).
        duplicates: Images whose file is there more than once, by ``set``.
        pairs: Identical and nearly identical images, those to look at first first.
        leaks: Images of val and test that are also trained on: ``identical`` files,
            and identical or ``nearly`` identical ones.
        groups_shared: Share of val and test from a group that is trained on too.
        issues: What is to be put right first.
    """

    source: Source
    counts: pd.DataFrame
    images: pd.DataFrame
    duplicates: pd.DataFrame
    pairs: pd.DataFrame
    leaks: dict[str, dict[str, int]]
    groups_shared: dict[str, float]
    issues: list[Issue] = field(default_factory=list)

    @property
    def near_table(self) -> pd.DataFrame:
        """Nearly identical images only, the most similar first, as in the CSV file."""
        near = self.pairs[~self.pairs["identical"]]
        columns = ["path", "label", "split", "group"]
        sides = [f"{name}_{side}" for name in columns for side in ("a", "b")]
        order = [*sides[:2], "distance", "similarity", "mirrored", *sides[2:]]
        return near.sort_values("similarity", ascending=False, kind="stable")[order]


def audit(source: Source) -> Audit:
    """Look for what would spoil a training or its evaluation."""
    table = source.table
    sizes = source.inspected[["width", "height"]]
    images = table[["path", "label"]].join(sizes, on="path")
    images["short_px"] = images[["width", "height"]].min(axis=1)
    images["ratio"] = images[["width", "height"]].max(axis=1) / images["short_px"]
    identical = pd.Series(pd.factorize(table["sha256"])[0], table.index)
    nearly = _joined(identical, table, source.near.pairs)
    placed = "split" in table
    found = Audit(
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
    return replace(found, issues=issues(found))


def leaked(table: pd.DataFrame, sets: "pd.Series[int]") -> dict[str, int]:
    """Images of val and test that share a set with one of train.

    Args:
        table: With ``split``.
        sets: Number of the set of each row; alone in it or not.
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
    """Join the sets that near pairs connect; each is named by its lowest number."""
    by_path = dict(zip(table["path"], sets, strict=True))
    parent = {number: number for number in by_path.values()}

    def top(number: int) -> int:
        while parent[number] != number:
            number = parent[number] = parent[parent[number]]
        return number

    for one, other in zip(near["path_a"], near["path_b"], strict=True):
        low, high = sorted((top(by_path[one]), top(by_path[other])))
        parent[high] = low
    return sets.map({number: top(number) for number in parent})


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
    """The distribution of the sizes of images.

    Args:
        images: ``width`` and ``height`` in pixels, ``short_px`` and ``ratio``.

    Returns:
        Smallest, median and largest size, and quantiles of the short side.
    """
    area = (images["width"] * images["height"]).to_numpy()
    order = np.argsort(area, kind="stable")
    places = {"smallest": 0, "median": len(order) // 2, "largest": len(order) - 1}
    facts: dict[str, float | str] = {}
    for name, place in places.items():
        width, height = images[["width", "height"]].iloc[order[place]]
        facts[name] = f"{width} x {height}"
    for percent in (5, 50, 95):
        value = float(np.percentile(images["short_px"], percent))
        facts[f"short_side_p{percent}_px"] = value
    facts["largest_ratio"] = float(images["ratio"].max())
    return facts
