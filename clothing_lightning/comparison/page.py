"""One page, complete in itself: which model is best, whether that is real, its cost."""

import math
from collections.abc import Mapping
from typing import Any

from clothing_lightning.comparison import tables
from clothing_lightning.comparison.cost_figure import NAMED, cost_figure
from clothing_lightning.comparison.costs import COSTS, cost_text
from clothing_lightning.comparison.page_data import Photo, page_data
from clothing_lightning.comparison.page_details import details
from clothing_lightning.comparison.pareto import front
from clothing_lightning.comparison.predictions import Comparison
from clothing_lightning.comparison.ranking import Ranking
from clothing_lightning.comparison.text import conclusions, costs_known
from clothing_lightning.metrics.registry import METRICS
from clothing_lightning.reports.inline_svg import inline_svg
from clothing_lightning.reports.page import render
from clothing_lightning.wording import listed

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
    """Write one HTML page with tables, figures and photos.

    Args:
        compared: The models, and the images on which all of them were tested.
        ranking: The same models from the best to the worst.
        title: The title of the page.
        command: The command that makes the page.
        photo: A function from an image's SHA-256 to the bytes of its file, or None
            where the file is not to be had.
        links: The address of each run that has one, by the run's id.
        timed_on: The machine of the latencies, if they were measured.

    Returns:
        The page, which needs nothing from elsewhere.
    """
    stds = [ranked.scores[ranking.by].std for ranked in ranking.models]
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
        titles=[ranked.model.title for ranked in ranking.models],
        pairs=_pairs(ranking),
        costs=_costs(ranking),
        timed_on=timed_on,
        data=page_data(compared, ranking, photo),
        **details(compared, ranking),
    )


def _facts(compared: Comparison) -> list[str]:
    """How much was compared."""
    runs = sum(len(model.runs) for model in compared.models)
    facts = [
        _count(len(compared.models), "model"),
        _count(runs, "run"),
        _count(len(compared.images), "test image"),
        _count(len(compared.class_names), "class", "classes"),
    ]
    if len(compared.tests) > 1:
        sizes = sorted({len(places) for places in compared.tests})
        each = " to ".join(f"{n:,}" for n in dict.fromkeys((sizes[0], sizes[-1])))
        facts.append(f"{len(compared.tests)} test sets of {each} images")
    return facts


def _count(number: int, one: str, many: str = "") -> str:
    return f"1 {one}" if number == 1 else f"{number:,} {many or one + 's'}"


def _pairs(ranking: Ranking) -> dict[str, Any] | None:
    """Tests of all pairs, or of many models those with the best; None of one model."""
    if not ranking.pairs:
        return None
    are_all = len(ranking.models) <= ALL_PAIRS
    pairs = [pair for pair in ranking.pairs if are_all or pair.a == 0]
    return {
        "table": tables.pairs_table(ranking, pairs),
        "are_all": are_all,
        "tested": _count(len(ranking.pairs), "pair"),
        "has_spread": not all(math.isnan(pair.std) for pair in pairs),
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
    if len(costs) > 1 and not _differs(ranking, cost):
        same = f"{COSTS[cost].label}: the same for all ({cost_text(cost, costs[0])})."
        return {"sentence": f"{same[0].upper()}{same[1:]}", "figure": ""}
    scores = [ranked.scores[ranking.by] for ranked in ranking.models]
    numbers = [
        f"{cost_text(cost, value)}, {score.value:.3f}"
        for value, score in zip(costs, scores, strict=True)
    ]
    best = front(costs, [score.value for score in scores])
    named = ", ".join(f"{titles[n]} ({numbers[n]})" for n in best)
    sentence = (
        f"By {COSTS[cost].label}, no model is cheaper and better than one of these: "
        f"{named}."
    )
    unknown = [titles[n] for n, value in enumerate(costs) if math.isnan(value)]
    if unknown:
        sentence += f" Not known for {len(unknown)}: {listed(unknown, 5)}."
    if len(titles) > NAMED:
        sentence += " Point at a dot for its name."
    drawn = cost_figure(titles, costs, scores, best, cost=cost, score=ranking.by)
    hints = {f"model-{n}": f"{titles[n]}: {text}" for n, text in enumerate(numbers)}
    figure = inline_svg(drawn, f"cost-{cost}-figure", sentence, hints)
    return {"sentence": sentence, "figure": figure}
