"""One page, complete in itself: which model is best, whether that is real, its cost.

Figures have room for the best eight models.
"""

import math
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from clothing_lightning.comparison import figures, tables
from clothing_lightning.comparison.by_class import f1_by_class
from clothing_lightning.comparison.calibrated import calibrated
from clothing_lightning.comparison.cost_figure import NAMED, cost_figure
from clothing_lightning.comparison.costs import COSTS, cost_text
from clothing_lightning.comparison.hyperparameters import differences
from clothing_lightning.comparison.page_data import Photo, page_data
from clothing_lightning.comparison.pareto import front
from clothing_lightning.comparison.predictions import Comparison
from clothing_lightning.comparison.ranking import Ranking
from clothing_lightning.comparison.slices import slices
from clothing_lightning.comparison.text import conclusions, costs_known
from clothing_lightning.metrics.registry import METRICS
from clothing_lightning.reports.inline_svg import inline_svg
from clothing_lightning.reports.page import Table, render
from clothing_lightning.wording import counted, listed

ALL_PAIRS = 12
"""Models of which all pairs are in the table; of more, each is held to the best."""


def comparison_page(
    compared: Comparison,
    ranking: Ranking,
    *,
    title: str,
    command: str,
    photo: Photo,
    links: Mapping[str, str],
    timed_on: str = "",
) -> str:
    """Write one HTML page with tables, figures and photos, which needs nothing else.

    Args:
        compared: The models, and the images on which all of them were tested.
        ranking: The same models from the best to the worst.
        title: The title of the page.
        command: The command that makes the page.
        photo: A function from an image's SHA-256 to the bytes of its file, or None
            where the file is not to be had.
        links: The address of each run that has one, by the run's id.
        timed_on: The machine of the latencies, if they were measured.
    """
    models = [ranked.model for ranked in ranking.models]
    best = models[: figures.MOST]
    stds = [ranked.scores[ranking.by].std for ranked in ranking.models]
    settings = {model.title: model.runs[0].hyperparameters for model in models}
    return render(
        "comparison_page.html",
        title=title,
        command=command,
        remarks=compared.remarks,
        facts=_facts(compared),
        conclusions=conclusions(compared, ranking),
        ranked_by=METRICS[ranking.by].label,
        has_spread=not all(map(math.isnan, stds)),
        ranking=tables.ranking_table(ranking, links),
        titles=[model.title for model in models],
        pairs=_pairs(ranking),
        costs=_costs(ranking),
        timed_on=timed_on,
        data=page_data(compared, ranking, photo),
        drawn=figures.MOST,
        classes=_classes(compared, ranking),
        slices=_slices(compared, ranking),
        calibration=_calibration(compared, ranking),
        curves=inline_svg(
            figures.curves_figure(best),
            "curves-figure",
            "Learning curves of the models",
        ),
        has_repeats=any(len(model.runs) > 1 for model in best),
        settings=tables.differences_table(differences(settings)),
    )


def _facts(compared: Comparison) -> list[str]:
    """How much was compared."""
    facts = [
        counted(len(compared.models), "model"),
        counted(sum(len(model.runs) for model in compared.models), "run"),
        counted(len(compared.images), "test image"),
        counted(len(compared.class_names), "class", "classes"),
    ]
    if len(compared.tests) > 1:
        sizes = sorted({len(places) for places in compared.tests})
        each = " to ".join(f"{n:,}" for n in dict.fromkeys((sizes[0], sizes[-1])))
        facts.append(f"{len(compared.tests)} test sets of {each} images")
    return facts


def _pairs(ranking: Ranking) -> dict[str, Any] | None:
    """Tests of all pairs, or of many models those with the best; None of one model."""
    if not ranking.pairs:
        return None
    are_all = len(ranking.models) <= ALL_PAIRS
    pairs = [pair for pair in ranking.pairs if are_all or pair.a == 0]
    return {
        "table": tables.pairs_table(ranking, pairs),
        "are_all": are_all,
        "tested": counted(len(ranking.pairs), "pair"),
        "has_spread": not all(math.isnan(pair.accuracy.std) for pair in pairs),
    }


def _costs(ranking: Ranking) -> dict[str, dict[str, str]]:
    """A sentence and a figure for each cost that is known.

    Costs that differ come first: of one network trained in several ways the time, and
    not the MACs.
    """
    known = [cost for cost in costs_known(ranking) if COSTS[cost].lower_is_better]
    by_use = sorted(known, key=lambda c: (not _differs(ranking, c), c != "macs"))
    return {
        cost: {"name": COSTS[cost].label, **_cost(ranking, cost)} for cost in by_use
    }


def _differs(ranking: Ranking, cost: str) -> bool:
    return len({ranked.costs[cost] for ranked in ranking.models}) > 1


def _cost(ranking: Ranking, cost: str) -> dict[str, str]:
    titles = [ranked.model.title for ranked in ranking.models]
    costs = [ranked.costs[cost] for ranked in ranking.models]
    label = COSTS[cost].label
    if len(costs) > 1 and not _differs(ranking, cost):
        same = f"{label}: the same for all ({cost_text(cost, costs[0])})."
        return {"sentence": f"{same[0].upper()}{same[1:]}", "figure": ""}
    scores = [ranked.scores[ranking.by] for ranked in ranking.models]
    numbers = [
        f"{cost_text(cost, value)}, {score.value:.3f}"
        for value, score in zip(costs, scores, strict=True)
    ]
    best = front(costs, [score.value for score in scores])
    named = ", ".join(f"{titles[n]} ({numbers[n]})" for n in best)
    sentence = f"By {label}, no model is cheaper and better than one of these: {named}."
    unknown = [titles[n] for n, value in enumerate(costs) if math.isnan(value)]
    if unknown:
        sentence += f" Not known for {len(unknown)}: {listed(unknown, 5)}."
    if len(titles) > NAMED:
        sentence += " Point at a dot for its name."
    drawn = cost_figure(titles, costs, scores, best, cost=cost, score=ranking.by)
    hints = {f"model-{n}": f"{titles[n]}: {text}" for n, text in enumerate(numbers)}
    figure = inline_svg(drawn, f"cost-{cost}-figure", sentence, hints)
    return {"sentence": sentence, "figure": figure}


def _classes(compared: Comparison, ranking: Ranking) -> dict[str, Markup | Table]:
    """F1 by class, the easiest class first."""
    f1 = f1_by_class(compared, [ranked.model for ranked in ranking.models])
    images = compared.images["label"].value_counts()
    counts = [int(images[name]) for name in f1.index]
    drawn = figures.f1_figure(f1.iloc[:, : figures.MOST], counts)
    return {
        "figure": inline_svg(drawn, "f1-figure", "F1 of each class and model"),
        "table": tables.classes_table(f1, counts),
    }


def _slices(compared: Comparison, ranking: Ranking) -> dict[str, Table]:
    """Accuracy by what else is known of the images: a table for each column."""
    titles = [model.title for model in compared.models]
    order = [titles.index(ranked.model.title) for ranked in ranking.models]
    return {
        part.by: tables.slices_table(titles, order, part) for part in slices(compared)
    }


def _calibration(compared: Comparison, ranking: Ranking) -> dict[str, Markup | Table]:
    """Confidence against accuracy, and what leaving out unsure images brings."""
    best = [ranked.model for ranked in ranking.models[: figures.MOST]]
    models = {model.title: calibrated(compared, model) for model in best}
    accuracy = figures.reliability_figure(models)
    coverage = figures.coverage_figure(models)
    return {
        "table": tables.calibration_table(models),
        "reliability": inline_svg(
            accuracy, "reliability-figure", "Accuracy over confidence"
        ),
        "coverage": inline_svg(
            coverage, "coverage-figure", "Accuracy on the most confident images"
        ),
    }
