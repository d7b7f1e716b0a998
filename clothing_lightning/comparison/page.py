"""One page, complete in itself: which model is best, whether that is real, its cost."""

import math
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from html import escape

from clothing_lightning.comparison import page_details as details
from clothing_lightning.comparison import tables as tables
from clothing_lightning.comparison.cost_figure import NAMED, cost_figure
from clothing_lightning.comparison.costs import COSTS, cost_text
from clothing_lightning.comparison.page_data import Photo, as_json, page_data
from clothing_lightning.comparison.pareto import front
from clothing_lightning.comparison.predictions import Comparison
from clothing_lightning.comparison.ranking import Ranking
from clothing_lightning.comparison.text import conclusions, costs_known
from clothing_lightning.metrics.registry import METRICS
from clothing_lightning.reports.inline_svg import inline_svg
from clothing_lightning.reports.page import filled, packaged
from clothing_lightning.wording import listed

ALL_PAIRS = 12
"""Models of which all pairs are in the table; of more, each is held to the best."""

_SPREAD = " ± is the standard deviation over repeats."


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
        compared: Models on the same images.
        ranking: Of them.
        title: Of the page.
        command: What was typed to make it.
        photo: Function from an image's SHA-256 to the bytes of its file, or None where
            they cannot be had.
        links: Addresses of runs by their ids.
        timed_on: The machine of the latencies, if they were measured.

    Returns:
        The page; it needs nothing from elsewhere.
    """
    sections = [
        ("Ranking", _ranking(ranking, links)),
        ("Is it real?", _pairs(ranking)),
        ("Cost against quality", _costs(ranking, timed_on)),
        ("Where two models differ", _differing(ranking)),
        ("Classes", details.classes_section(compared, ranking)),
        ("Slices", details.slices_section(compared, ranking)),
        ("Calibration", details.calibration_section(compared, ranking)),
        ("Learning curves", details.curves_section(ranking)),
        ("Settings that differ", details.settings_section(ranking)),
    ]
    script = packaged("comparison_page.js")
    return filled(
        "comparison_page.html",
        title=escape(title),
        own_css=packaged("comparison_page.css"),
        head=_head(compared, ranking),
        body="\n".join(_section(name, inner) for name, inner in sections if inner),
        command=escape(command),
        script=script,
        script_hash=b64encode(sha256(script.encode()).digest()).decode(),
        data=as_json(page_data(compared, ranking, photo)),
    )


def _section(name: str, inner: str) -> str:
    key = "".join(c for c in name.lower().replace(" ", "-") if c.isalnum() or c == "-")
    return f'<section id="{key}"><h2>{name}</h2>{inner}</section>'


def _head(compared: Comparison, ranking: Ranking) -> str:
    """Warnings, what was compared, and the answer."""
    warnings = "".join(f"<li>{escape(remark)}" for remark in compared.remarks)
    if warnings:
        warnings = (
            '<div class="warning" role="note"><h2>Read this first</h2>'
            f"<ul>{warnings}</ul></div>"
        )
    models, runs = compared.models, [run for m in compared.models for run in m.runs]
    facts = [
        _count(len(models), "model"),
        _count(len(runs), "run"),
        _count(len(compared.images), "test image"),
        _count(len(compared.class_names), "class", "classes"),
    ]
    if len(compared.tests) > 1:
        sizes = sorted({len(places) for places in compared.tests})
        each = " to ".join(f"{n:,}" for n in dict.fromkeys((sizes[0], sizes[-1])))
        facts.append(f"{len(compared.tests)} test sets of {each} images")
    answer = "".join(f"<p>{escape(s)}</p>" for s in conclusions(compared, ranking))
    return (
        f'{warnings}<p class="small">{", ".join(facts)}</p>'
        f'<div class="advice answer">{answer}</div>'
    )


def _ranking(ranking: Ranking, links: Mapping[str, str]) -> str:
    scores = (ranked.scores[ranking.by] for ranked in ranking.models)
    spread = "" if all(math.isnan(score.std) for score in scores) else _SPREAD
    note = (
        f"By {METRICS[ranking.by].label}. Below each score: its 95 % interval over "
        f"images.{spread} Neighbours that share a letter cannot be told apart."
    )
    return (
        f'<p class="small">{note}</p><div class="tools" hidden>'
        '<input type="search" data-for="ranking" placeholder="search models and runs" '
        'aria-label="search models and runs"><span class="count small" role="status">'
        '</span> <button type="button" id="unfold">unfold all runs</button> '
        '<button type="button" id="show-all" hidden></button></div>'
        + tables.ranking_table(ranking, links)
    )


def _pairs(ranking: Ranking) -> str:
    if not ranking.pairs:
        return ""
    few = len(ranking.models) <= ALL_PAIRS
    pairs = [pair for pair in ranking.pairs if few or pair.a == 0]
    stds = [pair.std for pair in pairs]
    spread = "" if all(map(math.isnan, stds)) else " ± is over test sets."
    which = "Every two models" if few else "Each model held to the best"
    note = (
        f"{which}, on the same images: exact McNemar test of accuracy, and a paired "
        "bootstrap of macro F1. p, Holm is corrected for all "
        f"{_count(len(ranking.pairs), 'pair')}; below 0.05 it is bold. Images needed: "
        "test images that would tell their accuracies apart four times in five, if the "
        f"difference is what was seen.{spread}"
    )
    return (
        f'<p class="small">{note}</p>{tables.pairs_table(ranking, pairs)}'
        '<div class="scripted" hidden><h3>All pairs at a glance</h3>'
        '<p class="small">Difference of accuracy in points, row less column: blue '
        "where the row is better beyond chance, orange where it is worse, grey where "
        "they cannot be told apart. Choose a cell to look at the pair.</p>"
        '<div id="all-pairs"></div></div>'
    )


def _costs(ranking: Ranking, timed_on: str) -> str:
    """A figure and a sentence for each cost that is known, one of them in sight."""
    known = [cost for cost in costs_known(ranking) if COSTS[cost].lower_is_better]
    # What differs comes first: of one network's recipes the time and not the MACs.
    by_use = sorted(known, key=lambda c: (not _differs(ranking, c), c != "macs"))
    parts = {cost: _cost(ranking, cost) for cost in by_use}
    if not parts:
        return "<p>No cost is known.</p>"
    options = "".join(
        f'<option value="cost-{cost}">{COSTS[cost].label}' for cost in parts
    )
    chosen = (
        f'<p class="scripted" hidden><label>Cost <select id="cost">{options}</select>'
        "</label></p>"
    )
    if timed_on and "latency_ms" in parts:
        note = f"Latency: the median of one image at a time, {timed_on}."
        parts["latency_ms"] += f'<p class="small">{escape(note)}</p>'
    return chosen + "".join(
        f'<div class="cost" id="cost-{cost}">{inner}</div>'
        for cost, inner in parts.items()
    )


def _differs(ranking: Ranking, cost: str) -> bool:
    return len({ranked.costs[cost] for ranked in ranking.models}) > 1


def _cost(ranking: Ranking, cost: str) -> str:
    titles = _titles(ranking)
    costs = [ranked.costs[cost] for ranked in ranking.models]
    if len(costs) > 1 and not _differs(ranking, cost):
        same = f"{COSTS[cost].label}: the same for all ({cost_text(cost, costs[0])})."
        return f"<p>{same[0].upper()}{same[1:]}</p>"
    scores = [ranked.scores[ranking.by] for ranked in ranking.models]
    best = front(costs, [score.value for score in scores])
    named = [
        f"{titles[n]} ({cost_text(cost, costs[n])}, {scores[n].value:.3f})"
        for n in best
    ]
    sentence = (
        f"By {COSTS[cost].label}, no model is cheaper and better than one of these: "
        f"{', '.join(named)}."
    )
    unknown = [titles[n] for n, value in enumerate(costs) if math.isnan(value)]
    if unknown:
        sentence += f" Not known for {len(unknown)}: {listed(unknown, 5)}."
    if len(titles) > NAMED:
        sentence += " Point at a dot for its name."
    drawn = cost_figure(titles, costs, scores, best, cost=cost, score=ranking.by)
    hints = {
        f"model-{n}": f"{title}: {cost_text(cost, costs[n])}, {scores[n].value:.3f}"
        for n, title in enumerate(titles)
    }
    svg = inline_svg(drawn, f"cost-{cost}-figure", sentence, hints)
    return f"<p>{escape(sentence)}</p>{svg}"


def _differing(ranking: Ranking) -> str:
    """Empty places, which the script fills for the chosen pair."""
    if not ranking.pairs:
        return ""
    options = "".join(
        f'<option value="{n}">{n + 1}. {escape(title)}'
        for n, title in enumerate(_titles(ranking))
    )
    return packaged("comparison_pair.html").replace("{options}", options)


def _titles(ranking: Ranking) -> list[str]:
    return [ranked.model.title for ranked in ranking.models]


def _count(number: int, one: str, many: str = "") -> str:
    return f"1 {one}" if number == 1 else f"{number:,} {many or one + 's'}"
