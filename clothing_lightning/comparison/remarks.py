"""What a reader must know of the runs before believing their ranking."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from clothing_lightning.comparison.predictions import RunPredictions
from clothing_lightning.wording import listed

UNEQUAL = 1.1  # ratio of numbers of images from which it is remarked

Models = Mapping[str, Sequence[Sequence[RunPredictions]]]
"""Repeats of each model by its title; each repeat is its folds, or one run."""


def repeat_remarks(
    title: str, repeats: Mapping[tuple[str, object], Mapping[object, RunPredictions]]
) -> list[str]:
    """Say where the same settings and seeds came with other images."""
    by_seeds: dict[str, list[RunPredictions]] = {}
    for (seeds, _), folds in repeats.items():
        by_seeds.setdefault(seeds, []).append(next(iter(folds.values())))
    return [
        f"{title}: {listed([run.label for run in runs])} have the same settings and "
        "seeds, and other test images. They count as repeats of one model."
        for runs in by_seeds.values()
        if len(runs) > 1
    ]


def remarks_on(models: Models) -> list[str]:
    """Say where models were not tested, trained or timed under the same conditions."""
    remarks = []
    if prepared := _unlike(models, lambda run: run.preprocessing):
        remarks.append(
            "Test images were not prepared alike, which is part of what is compared: "
            f"{prepared}."
        )
    sizes = {
        title: float(np.mean([run.train_count for folds in repeats for run in folds]))
        for title, repeats in models.items()
    }
    if max(sizes.values()) > UNEQUAL * min(sizes.values()):
        counts = listed([f"{title} {size:,.0f}" for title, size in sizes.items()])
        remarks.append(
            f"The models were trained on unequal numbers of images: {counts}."
        )
    if machines := _unlike(models, lambda run: run.machine):
        remarks.append(f"Training times are of different machines: {machines}.")
    return remarks


def _unlike(models: Models, what: Callable[[RunPredictions], str]) -> str:
    """Which models have which value, where not all have the same; else empty."""
    ways: dict[str, list[str]] = {}
    for title, repeats in models.items():
        for way in sorted({what(run) for folds in repeats for run in folds}):
            ways.setdefault(way or "not recorded", []).append(title)
    if len(ways) < 2:
        return ""
    return "; ".join(f"{way} ({listed(who)})" for way, who in ways.items())
