"""What is odd about a data set: tables in, tables out, nothing is read or printed."""

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from clothing_lightning.data.audit_issues import issues
from clothing_lightning.data.audit_types import Audit, Source
from clothing_lightning.data.table import SPLITS, counts, group_overlap


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
    result = Audit(
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
    return replace(result, issues=issues(result))


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
