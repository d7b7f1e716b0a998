"""The sentences of an audit: what was found, and what is to be done about it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from clothing_lightning.data.audit import Audit
from clothing_lightning.wording import counted, joined, listed

Weight = Literal["put right", "look at", "know"]
WEIGHTS: tuple[Weight, ...] = ("put right", "look at", "know")

FEW_IMAGES, FEW_TESTED = 50, 10
IMBALANCED = 10.0
ELONGATED = 3.0
_NAMED = 5
_CORRECT = "in corrections.csv"


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


def issues(audit: Audit) -> list[Issue]:
    """Return everything that an audit finds odd, the most important first."""
    return sorted(_issues(audit), key=lambda issue: WEIGHTS.index(issue.weight))


def _issues(audit: Audit) -> Iterator[Issue]:
    if audit.source.split_error:
        yield Issue("put right", "There is no split.", audit.source.split_error)
    yield from _unreadable(audit.source.unreadable)
    yield from _leaks(audit)
    yield from _copies(audit)
    yield from _class_issues(audit)
    yield from _size_issues(audit)
    yield from (Issue("know", *remark) for remark in audit.source.remarks)
    yield from _left_out(audit.source.findings)


def _unreadable(unreadable: pd.DataFrame) -> Iterator[Issue]:
    if len(unreadable):
        yield Issue(
            "put right",
            f"{counted(len(unreadable), 'image')} cannot be read.",
            "Replace or remove the files (unreadable.csv says why), or train without "
            "them: --data.init_args.on_unreadable drop.",
        )


def _leaks(audit: Audit) -> Iterator[Issue]:
    identical, nearly = audit.leaks["identical"], audit.leaks["nearly"]
    if any(identical.values()):
        yield Issue(
            "put right",
            f"{_of_splits(identical)} the same file as one that is trained on, so "
            "scores would be too good.",
            "Keep one of each: --data.init_args.drop_duplicates true.",
        )
    only_near = {name: nearly[name] - identical[name] for name in nearly}
    if any(only_near.values()):
        yield Issue(
            "put right",
            f"{_of_splits(only_near)} nearly the same picture as one that is trained "
            "on, so scores would be too good.",
            f"Compare the pairs on the page; {_CORRECT}, list one of each without a "
            "label to leave it out.",
        )
    shared = {name: share for name, share in audit.groups_shared.items() if share}
    if shared:
        group = audit.source.group_noun
        parts = [f"{share:.0%} of the {name}" for name, share in shared.items()]
        yield Issue(
            "look at",
            f"{joined(parts)} images are from a {group} whose images are trained "
            "on as well.",
            f"To know how it does on a new {group}, keep each on one side: "
            "--data.init_args.split.method grouped.",
        )


def _copies(audit: Audit) -> Iterator[Issue]:
    pairs = audit.pairs
    conflicts = pairs[pairs["labels_differ"]]
    same, near = (int((conflicts["identical"] == kind).sum()) for kind in (True, False))
    if same:
        yield Issue(
            "put right",
            f"{counted(same, 'file')} {_is(same)} there again with another label.",
            f"Write the right label of both {_CORRECT}; drop_duplicates leaves both "
            "out.",
        )
    if near:
        yield Issue(
            "look at",
            f"{counted(near, 'pair')} of nearly identical images {_is(near)} labelled "
            "differently.",
            f"Compare them on the page, and write the right labels {_CORRECT}.",
        )
    sets = audit.duplicates["set"].nunique()
    if sets:
        more = len(audit.duplicates) - sets
        yield Issue(
            "look at",
            f"{counted(more, 'image')} {_is(more)} a copy of another file "
            "(duplicates.csv).",
            "Leave copies out: --data.init_args.drop_duplicates true.",
        )
    pairs_near = int((~pairs["identical"]).sum())
    if pairs_near:
        yield Issue(
            "look at",
            f"{counted(pairs_near, 'pair')} of images {_is(pairs_near)} nearly the "
            "same (near_duplicates.csv).",
            "Compare them on the page: is one a copy of the other?",
        )
    looked_at, candidates = audit.source.near.looked_at, audit.source.near.candidates
    if looked_at < candidates:
        many = "more than a million" if candidates > 10**6 else f"{candidates:,}"
        yield Issue(
            "know",
            f"Of {many} pairs of look-alikes, the {looked_at:,} closest were compared.",
            "",
        )


def _class_issues(audit: Audit) -> Iterator[Issue]:
    totals = audit.counts.sum(axis=1)
    alike = pd.Series(totals.index.astype(str), totals.index)
    plain = alike.str.casefold().str.replace(r"[\W_]+", "", regex=True)
    twins = plain[(plain != "") & plain.duplicated(keep=False)].sort_values()
    if len(twins):
        yield Issue(
            "look at",
            f"Classes whose names are nearly the same: {_some(twins.index)}.",
            f"If they mean the same, write one of the names {_CORRECT}.",
        )
    few = totals[totals < FEW_IMAGES].sort_values()
    tested = audit.counts.get("test", totals)
    hardly = tested[(tested < FEW_TESTED) & ~tested.index.isin(few.index)]
    if len(few):
        named = [f"{label} ({count})" for label, count in few.items()]
        yield Issue(
            "look at",
            f"Classes with fewer than {FEW_IMAGES} images: {_some(named)}.",
            "Add images, or leave them out: --data.init_args.min_images_per_class "
            f"{FEW_IMAGES}."
            if len(totals) - len(few) >= 2
            else "Add images: so few make results that hardly tell models apart.",
        )
    if len(hardly):
        named = [f"{label} ({count})" for label, count in hardly.items()]
        yield Issue(
            "know",
            f"Classes with fewer than {FEW_TESTED} test images: {_some(named)}.",
            "Their scores say little; fit with --folds 5 tests every image once.",
        )
    times = totals.max() / totals.min()
    if times >= IMBALANCED:
        yield Issue(
            "know",
            f"The largest class, {totals.idxmax()} ({totals.max():,}), has "
            f"{times:.0f} times the images of the smallest, {totals.idxmin()} "
            f"({totals.min():,}).",
            "Judge by macro F1, and try --model.init_args.class_weights balanced or "
            "--data.init_args.sampling balanced.",
        )


def _size_issues(audit: Audit) -> Iterator[Issue]:
    short, size = audit.images["short_px"], audit.source.size_px
    tiny, small = int((short < size / 2).sum()), int((short < size).sum())
    if tiny:
        suited = max(32, int(short.median()) // 32 * 32)
        todo = "Get larger copies, or leave them out."
        if suited < size:
            todo = f"Most are: try --data.init_args.image_size {suited}."
        yield Issue(
            "look at",
            f"{counted(tiny, 'image')} {_is(tiny)} far smaller than the network's "
            f"{size} px: less than half.",
            todo,
        )
    if small > tiny:
        yield Issue(
            "know",
            f"{counted(small - tiny, 'image')} {_is(small - tiny)} somewhat smaller "
            f"than the network's {size} px.",
            "",
        )
    long = int((audit.images["ratio"] > ELONGATED).sum())
    if long:
        yield Issue(
            "look at",
            f"{counted(long, 'image')} {_is(long)} more than {ELONGATED:g} times as "
            "long as wide, or the other way round.",
            "The network is given the middle: see on the page whether the garment is "
            "there.",
        )


_SILENT = ("rows", "images", "unreadable images")  # told elsewhere
_ADVICE = {
    "rows without an image": "Get the missing files, or remove the rows.",
    "images without a row": "They are not used. Add rows for those that should be.",
    "photos in formats that are not read": "Convert them to JPEG to use them.",
}


def _left_out(findings: Mapping[str, int]) -> Iterator[Issue]:
    for what, count in findings.items():
        if count and what not in _SILENT:
            # What may have been meant to be trained on is more than good to know.
            weight: Weight = "look at" if what in _ADVICE else "know"
            yield Issue(weight, f"{count:,} {what}.", _ADVICE.get(what, ""))


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _of_splits(numbers: Mapping[str, int]) -> str:
    parts = [f"{count:,} of the {split}" for split, count in numbers.items() if count]
    return f"{joined(parts)} images {_is(sum(numbers.values()))}"


def _some(names: Iterable[object]) -> str:
    return listed([str(name) for name in names], _NAMED)
