"""What an audit of a data set is given, and what it finds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from clothing_lightning.data.near_duplicates import NearDuplicates

Weight = Literal["put right", "look at", "know"]
WEIGHTS: tuple[Weight, ...] = ("put right", "look at", "know")


@dataclass(frozen=True)
class Issue:
    """Something odd about a data set.

    Attributes:
        weight: How much it matters: ``put right`` before training, ``look at`` it and
            decide, or only ``know`` it.
        what: A sentence with numbers that says what is odd.
        todo: A sentence that says what is to be done; may be empty.
    """

    weight: Weight
    what: str
    todo: str


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
        remarks: Issues that only the data module knows of.
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
        issues: Everything that is odd, the most important first.
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
