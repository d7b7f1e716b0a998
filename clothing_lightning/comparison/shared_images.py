"""The images on which models can be compared: tested by all, learnt by none."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from clothing_lightning.comparison.predictions import PooledPredictions, RunPredictions
from clothing_lightning.errors import DataError
from clothing_lightning.metrics.classification_report import class_names
from clothing_lightning.wording import counted, joined, listed

FEW = 100  # images, of which is said that they decide little

Pooled = dict[str, list[PooledPredictions]]
"""Repeats of each model by its title."""


def leave_out_learnt_images(pooled: Pooled, remarks: list[str]) -> None:
    """Take images out of every test set that their own run has learnt from."""
    leaked: set[str] = set()
    for repeats in pooled.values():
        for repeat in repeats:
            learnt = frozenset().union(*(_own_leaks(run) for run in repeat.runs))
            if learnt:
                path = str(repeat.table.loc[min(learnt), "path"])
                remarks.append(
                    f"{repeat.runs[0].label} was tested on "
                    f"{counted(len(learnt), 'image')} that it had learnt from, such as "
                    f"{path}. They are left out for all."
                )
            leaked |= learnt
    for repeats in pooled.values():
        repeats[:] = [_without(repeat, leaked) for repeat in repeats]


def _own_leaks(run: RunPredictions) -> frozenset[str]:
    return run.learnt_contents & frozenset(run.predictions_by_content.index)


def _without(repeat: PooledPredictions, contents: set[str]) -> PooledPredictions:
    if repeat.contents.isdisjoint(contents):
        return repeat
    return replace(repeat, table=repeat.table[~repeat.table.index.isin(contents)])


def agree_on_labels(pooled: Pooled, remarks: list[str]) -> None:
    """Leave out images that are labelled differently, or with a class not all know."""
    every = [repeat for repeats in pooled.values() for repeat in repeats]
    labels = pd.concat([repeat.table["label"] for repeat in every])
    labels = labels.reset_index().drop_duplicates()
    differing = labels["sha256"][labels["sha256"].duplicated()]
    if not differing.empty:
        both = labels["label"][labels["sha256"] == differing.iloc[0]]
        remarks.append(
            f"{counted(differing.nunique(), 'image has', 'images have')} different "
            f"labels in different runs, such as {listed(sorted(both))}. Left out."
        )
    known = [frozenset(class_names(repeat.table)) for repeat in every]
    partial = frozenset().union(*known) - frozenset.intersection(*known)
    odd = labels["sha256"][labels["label"].isin(partial)]
    if partial:
        remarks.append(
            f"The models do not choose among the same classes: not all know "
            f"{listed(sorted(partial))}. Images of such classes ({odd.nunique():,}) "
            "are left out; to choose among fewer is easier."
        )
    out = set(differing) | set(odd)
    for repeats in pooled.values():
        repeats[:] = [_without(repeat, out) for repeat in repeats]


def on_the_same_sets(pooled: Pooled, remarks: list[str]) -> Pooled | None:
    """Keep repeats whose whole test set every model was tested on."""
    sets = [{repeat.contents for repeat in repeats} for repeats in pooled.values()]
    common = set.intersection(*sets) - {frozenset()}
    if not common:
        return None
    left_out = {
        title: [repeat for repeat in repeats if repeat.contents not in common]
        for title, repeats in pooled.items()
    }
    runs = [run.label for each in left_out.values() for r in each for run in r.runs]
    if runs:
        remarks.append(
            "Models are compared on the test sets that they have in common. Runs "
            f"with another set are left out: {listed(runs)}. To compare those, name "
            "them alone."
        )
    return {
        title: [repeat for repeat in repeats if repeat.contents in common]
        for title, repeats in pooled.items()
    }


def on_shared_images(pooled: Pooled, remarks: list[str]) -> Pooled:
    """Keep the images that all models tested.

    Of a model the repeats that tested all of them; if none did, each image once, by the
    first repeat that tested it.

    Raises:
        DataError: If there is no such image.
    """
    tested = {
        title: frozenset().union(*(repeat.contents for repeat in repeats))
        for title, repeats in pooled.items()
    }
    shared = frozenset.intersection(*tested.values())
    if not shared:
        raise DataError(" ".join([_nothing_in_common(tested), *remarks]))
    whole = {
        title: [repeat for repeat in repeats if shared <= repeat.contents]
        for title, repeats in pooled.items()
    }
    order = sorted(shared)
    sizes = listed([f"{title} {len(each):,}" for title, each in tested.items()])
    remarks.append(
        f"The models were tested on different images ({sizes}). They are compared on "
        f"the {len(shared):,} that all of them tested."
        + _once([t for t, r in pooled.items() if len(r) > 1 and not whole[t]])
        + (" So few decide little." if len(shared) < FEW else "")
        + _better_without(tested, len(shared))
    )
    remarks += _learnt_by_others(pooled, shared)
    kept = {}
    for title, repeats in pooled.items():
        if 0 < len(whole[title]) < len(repeats):
            partial = [r for r in repeats if not shared <= r.contents]
            runs = listed([run.label for repeat in partial for run in repeat.runs])
            remarks.append(f"Left out, since they did not test all of these: {runs}.")
        # What is whole, or else each image once, by the first repeat that tested it.
        runs_of_all = [run for repeat in repeats for run in repeat.runs]
        pieced = PooledPredictions.of(runs_of_all, [r.table for r in repeats])
        kept[title] = [
            replace(repeat, table=repeat.table.loc[order])
            for repeat in whole[title] or [pieced]
        ]
    return kept


def _once(titles: Sequence[str]) -> str:
    """Say whose repeats have tested parts of the images, so that none has a spread."""
    if not titles:
        return ""
    return (
        f" Of {listed(titles)} each image counts once, by the first repeat that tested "
        "it; named alone, with others on the same test sets, repeats have a spread."
    )


def _better_without(tested: Mapping[str, frozenset[str]], shared: int) -> str:
    """Say which model costs the others most of their images, if one does."""
    if len(tested) < 3:
        return ""
    others = {}
    for title in tested:
        rest = [images for other, images in tested.items() if other != title]
        others[title] = len(frozenset.intersection(*rest))
    title = max(others, key=others.__getitem__)
    if others[title] < 2 * shared:
        return ""
    return f" Without {title} it would be {others[title]:,}: name the runs to compare."


def _learnt_by_others(pooled: Pooled, shared: frozenset[str]) -> list[str]:
    """Name runs that were trained on images that others were tested on."""
    overlaps: dict[str, int] = {}
    for title, repeats in pooled.items():
        runs = [run for repeat in repeats for run in repeat.runs]
        learnt = frozenset().union(*(run.learnt_contents for run in runs))
        for other, theirs in pooled.items():
            tests = frozenset().union(*(repeat.contents for repeat in theirs))
            if other != title and (both := (tests & learnt) - shared):
                images = counted(len(both), "image")
                overlaps[f"{title} on {images} of {other}'s test"] = len(both)
    if not overlaps:
        return []
    most = sorted(overlaps, key=lambda each: -overlaps[each])
    few = most if len(most) < 3 else [most[0], f"likewise {len(most) - 1} more pairs"]
    return [
        f"Trained on what others are tested on: {joined(few)}. None of these images is "
        "compared."
    ]


def _nothing_in_common(tested: Mapping[str, frozenset[str]]) -> str:
    """Say which models could be compared among themselves."""
    groups: list[list[str]] = []
    for title, images in tested.items():
        for group in groups:
            if all(images & tested[other] for other in group):
                group.append(title)
                break
        else:
            groups.append([title])
    alike = "; ".join(listed(group) for group in groups)
    return (
        f"{listed(list(tested))}: no image was tested by all of them. Compare those "
        f"that share images by naming them: {alike}. Or test them on the same data "
        "with evaluate."
    )
