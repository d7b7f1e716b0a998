"""Tables of a comparison's page: ranking, pairs, classes, slices, settings."""

import math
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

from clothing_lightning.comparison.calibrated import Calibrated
from clothing_lightning.comparison.costs import COSTS
from clothing_lightning.comparison.predictions import RunPredictions
from clothing_lightning.comparison.ranking import (
    ALPHA,
    Pair,
    PairedTest,
    Ranking,
    Score,
)
from clothing_lightning.comparison.slices import Slices
from clothing_lightning.comparison.text import (
    costs_known,
    estimate_text,
    letters_of,
    p_text,
    ranking_cells,
    score_cell,
    spread_text,
)
from clothing_lightning.metrics.classification_report import class_names
from clothing_lightning.metrics.registry import columns
from clothing_lightning.reports.page import Cell, Row, Table, breakable

DASH = "\N{EN DASH}"
_SCHEMES = {"", "http", "https", "file"}
_COVERAGES = (0.5, 0.8, 0.9)


def ranking_table(ranking: Ranking, links: Mapping[str, str]) -> dict[str, Any]:
    """Gather the models from the best to the worst, each with its runs.

    Args:
        ranking: The models and their scores.
        links: The address of each run that has one, by the run's id.

    Returns:
        The ``headings`` of scores and costs, and of each model in ``models`` what the
        template shows; ``letters`` are those that it shares with its likes.
    """
    scores = columns("page", ranking.models[0].scores)
    known = costs_known(ranking)
    costs = [cost for cost in COSTS if cost != "latency_ms" or cost in known]
    headings, rows = ranking_cells(ranking, scores, costs, unknown=DASH)
    models = [
        {
            "title": ranked.model.title,
            "letters": _shortened(letters),
            "cells": cells,
            "runs": [_run(run, links.get(run.run_id, "")) for run in ranked.model.runs],
        }
        for ranked, letters, cells in zip(
            ranking.models, letters_of(ranking), rows, strict=True
        )
    ]
    return {"headings": headings, "models": models}


def _shortened(letters: str) -> list[str]:
    """Up to three letters; of more letters the first and the last, with a dash."""
    return list(letters) if len(letters) < 4 else [f"{letters[0]}{DASH}{letters[-1]}"]


def _run(run: RunPredictions, link: str) -> dict[str, str | Cell]:
    """Gather what the page says of a run, with the accuracy on its own test images."""
    names = np.array(class_names(run.predictions), dtype=object)
    predicted = names[run.predictions.iloc[:, 2:].to_numpy().argmax(axis=1)]
    right = predicted == run.predictions["label"].to_numpy(dtype=object)
    fold = run.fold and f"fold {run.fold}"
    return {
        "id": run.run_id[:8],
        "name": run.name,
        "repeat": ", ".join(filter(None, [run.seeds, fold])),
        "link": link if urlsplit(link).scheme in _SCHEMES else "",
        "accuracy": Cell(f"{right.mean():.3f}", note=f"of its {len(right):,} images"),
    }


def pairs_table(ranking: Ranking, pairs: Sequence[Pair]) -> Table:
    """Tests of pairs, the better model first; those that differ are marked."""
    titles = [ranked.model.title for ranked in ranking.models]
    headings = ["better", "other", "accuracy", "p", "p, Holm", "images needed"]
    headings += ["macro F1", "p, Holm"]
    rows = [
        [
            titles[pair.a],
            Cell(breakable(titles[pair.b]), kind="other"),
            _difference_cell(pair.accuracy),
            Cell(p_text(pair.accuracy.p), pair.accuracy.p),
            _corrected_p_cell(pair.accuracy.p_holm),
            DASH
            if pair.needed is None
            else Cell(estimate_text(pair.needed), pair.needed),
            _difference_cell(pair.macro_f1),
            _corrected_p_cell(pair.macro_f1.p_holm),
        ]
        for pair in pairs
    ]
    return Table("tests", "Tests of pairs", headings, rows)


def _difference_cell(test: PairedTest) -> Cell:
    text = f"{signed(test.difference)}{spread_text(test.std)}"
    ends = f"{signed(test.low)} to {signed(test.high)}"
    return Cell(text, test.difference, ends)


def signed(value: float) -> str:
    """A difference with its sign, as the page's script writes it."""
    return f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")


def _corrected_p_cell(p: float) -> Cell:
    return Cell(p_text(p), p, kind="differ" if p < ALPHA else "")


def slices_table(titles: Sequence[str], order: Sequence[int], part: Slices) -> Table:
    """Accuracy of each model in each part of the images that a column makes.

    Args:
        titles: The models' titles, in the order of the comparison.
        order: Places in ``titles``, the best model first.
        part: The parts and their scores.
    """
    parts = [Cell(name, note=f"n = {count:,}") for name, count in part.images.items()]
    rows: list[Row] = [
        [titles[number], *(score_cell(Score(*ends)) for ends in part.scores[number])]
        for number in order
    ]
    return Table("slices", f"Accuracy by {part.by}", ["model", *parts], rows)


def classes_table(f1: pd.DataFrame, support: Sequence[int]) -> Table:
    """F1 of each class and model, with the number of test images of the class."""
    rows: list[Row] = [
        [str(name), Cell(f"{count:,}", count), *map(_number_cell, values)]
        for name, count, values in zip(f1.index, support, f1.to_numpy(), strict=True)
    ]
    headings = ["class", "images", *map(str, f1.columns)]
    return Table("classes", "F1 of each class", headings, rows)


def calibration_table(models: Mapping[str, Calibrated]) -> Table:
    """How far the confidence of each model, by its title, can be believed."""
    headings = ["model", "ECE", "ECE after temperature", "temperature"]
    surest = [
        Cell("accuracy", note=f"surest {100 * share:.0f} %") for share in _COVERAGES
    ]
    rows: list[Row] = [
        [
            title,
            _number_cell(each.error),
            _number_cell(each.error_after),
            _number_cell(np.mean(each.temperatures or math.nan), digits=2),
            *(_number_cell(_accuracy(each, share)) for share in _COVERAGES),
        ]
        for title, each in models.items()
    ]
    return Table("calibration", "Calibration", [*headings, *surest], rows)


def _accuracy(calibrated: Calibrated, share: float) -> float:
    """Accuracy on the smallest part of the images that is at least a share of them."""
    coverage = calibrated.coverage
    return float(coverage[coverage["coverage"] >= share]["accuracy"].iloc[0])


def _number_cell(value: float | np.floating, digits: int = 3) -> Cell:
    number = float(value)
    return Cell(DASH if math.isnan(number) else f"{number:.{digits}f}", number)


def differences_table(differing: pd.DataFrame) -> Table:
    """Settings that differ, a row each; a dash where a setting is not set."""
    values = differing.fillna(DASH).astype(str)
    rows = [[str(key), *row] for key, *row in values.itertuples()]
    headings = ["setting", *map(str, differing.columns)]
    return Table("settings", "Settings that differ", headings, rows)
