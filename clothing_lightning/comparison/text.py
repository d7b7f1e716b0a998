"""What a comparison says, in words and tables: terminal, Markdown, CSV."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from operator import attrgetter

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from clothing_lightning.comparison.costs import COSTS, cost_text
from clothing_lightning.comparison.pareto import front
from clothing_lightning.comparison.predictions import Comparison
from clothing_lightning.comparison.ranking import ALPHA, PairedTest, Ranking, Score
from clothing_lightning.metrics.registry import METRICS, columns
from clothing_lightning.reports.page import Cell
from clothing_lightning.wording import joined, markdown_cell

_PAIR = {
    "accuracy_difference": "accuracy.difference",
    "accuracy_low": "accuracy.low",
    "accuracy_high": "accuracy.high",
    "p": "accuracy.p",
    "p_holm": "accuracy.p_holm",
    "macro_f1_difference": "macro_f1.difference",
    "macro_f1_low": "macro_f1.low",
    "macro_f1_high": "macro_f1.high",
    "macro_f1_p": "macro_f1.p",
    "macro_f1_p_holm": "macro_f1.p_holm",
    "images_needed": "needed",
    "accuracy_difference_std": "accuracy.std",
}
"""Columns of the table of pairs, and the field of `Pair` that each holds."""


def score_text(score: Score) -> str:
    """``0.851 (0.817 to 0.879)``."""
    return f"{score.value:.3f} ({score.low:.3f} to {score.high:.3f})"


def conclusions(compared: Comparison, ranking: Ranking) -> list[str]:
    """The answer, in sentences."""
    places = ranking.models
    n = len(compared.images)
    what = METRICS[ranking.by].label
    best = places[0]
    score = f"{score_text(best.scores[ranking.by])} on {n:,} test images."
    budget = [ranking.answer.sentence] if ranking.answer else []
    if len(places) == 1:
        return [f"{best.model.title}: {what} {score}", *budget]
    return [
        f"{best.model.title} has the highest {what}: {score}",
        _leaders(ranking, n),
        *_front_sentence(ranking),
        *_trained_once(ranking),
        *budget,
    ]


def _leaders(ranking: Ranking, n: int) -> str:
    """Which models cannot be told from the best, and what would be needed to."""
    places = range(1, len(ranking.models))
    rivals = [place for place in places if ranking.p(0, place) >= ALPHA]
    titles = [ranked.model.title for ranked in ranking.models]
    corrected = ", corrected for all pairs" if len(ranking.pairs) > 1 else ""
    if not rivals:
        many = len(places) > 2
        whom = f"all {len(places)} others" if many else joined(titles[1:])
        return (
            f"It is better than {whom} beyond the chance of the test images "
            f"(p < {ALPHA}{corrected})."
        )
    alike = joined([titles[place] for place in rivals])
    sentence = (
        f"It cannot be told apart from {alike} at n = {n:,} "
        f"(p of at least {ALPHA}{corrected})."
    )
    needed = ranking.pair(0, rivals[0]).needed
    if ranking.by == "accuracy" and needed is not None and needed > n:
        images = f"about {estimate_text(needed)} test images"
        sentence += f" To tell it from {titles[rivals[0]]} would take {images}."
    return sentence


def _front_sentence(ranking: Ranking) -> list[str]:
    costs = [ranked.costs["macs"] for ranked in ranking.models]
    if any(math.isnan(cost) for cost in costs):
        return []
    if len(set(costs)) == 1:
        return [f"All need the same MACs ({cost_text('macs', costs[0])})."]
    scores = [ranked.scores[ranking.by].value for ranked in ranking.models]
    names = [
        f"{ranking.models[place].model.title} ({cost_text('macs', costs[place])})"
        for place in front(costs, scores)
    ]
    if len(names) == 1:
        return [f"No other model has fewer MACs than {names[0]}."]
    return [f"By MACs, no model is cheaper and better than one of {joined(names)}."]


def _trained_once(ranking: Ranking) -> list[str]:
    """Name what nobody knows the spread of."""
    models = [ranked.model for ranked in ranking.models]
    once = [model.title for model in models if len(model.runs) == 1]
    if not once:
        return []
    if len(once) == len(models):
        who = "Each was"
    else:
        who = f"{joined(once) if len(once) < 6 else f'{len(once):,} models'} "
        who += "was" if len(once) == 1 else "were"
    return [f"{who} trained once: another seed may turn out otherwise."]


def estimate_text(count: int) -> str:
    """A number that is an estimate, with two figures."""
    step = 10 ** max(len(str(count)) - 2, 0)
    return f"{math.ceil(count / step) * step:,}"


def ranking_table(ranking: Ranking) -> pd.DataFrame:
    """One row a model, best first: scores with their intervals, costs in base units."""
    rows = []
    for ranked in ranking.models:
        model = ranked.model
        row: dict[str, object] = {"model": model.title, "repeats": len(model.repeats)}
        for name, score in ranked.scores.items():
            row |= {
                name: score.value,
                f"{name}_low": score.low,
                f"{name}_high": score.high,
                f"{name}_std": score.std,
            }
        row |= ranked.costs
        rows.append(row | {"runs": " ".join(run.run_id for run in model.runs)})
    return pd.DataFrame(rows)


def pairs_table(ranking: Ranking) -> pd.DataFrame:
    """One row for each two models, the better one first."""
    titles = [ranked.model.title for ranked in ranking.models]
    values = attrgetter(*_PAIR.values())
    rows = [(titles[pair.a], titles[pair.b], *values(pair)) for pair in ranking.pairs]
    return pd.DataFrame(rows, columns=["better", "other", *_PAIR])


def markdown(compared: Comparison, ranking: Ranking, *, title: str) -> str:
    """The comparison as a page of Markdown."""
    scores, costs = columns("page", ranking.models[0].scores), costs_known(ranking)
    headings, rows = ranking_cells(ranking, scores, costs)
    named = [
        [*map(markdown_cell, names), *map(_on_one_line, cells)]
        for names, cells in zip(_names(ranking), rows, strict=True)
    ]
    lines = [f"# {title}", ""]
    lines += [f"> {remark}\n" for remark in compared.remarks]
    lines += [*conclusions(compared, ranking), ""]
    lines += _table(["", "model", *headings], named)
    lines += ["", *_pair_lines(ranking)]
    return "\n".join(lines).rstrip() + "\n"


def _on_one_line(cell: Cell) -> str:
    return f"{cell.text} ({cell.note})" if cell.note else cell.text


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    sides = [":---", *["---:"] * (len(header) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (header, sides, *rows)]


def _pair_lines(ranking: Ranking) -> list[str]:
    """Differences of neighbours in the ranking, which is what people ask next."""
    if len(ranking.models) < 2:
        return []
    rows = []
    any_spread = any(not math.isnan(pair.accuracy.std) for pair in ranking.pairs)
    titles = [markdown_cell(ranked.model.title) for ranked in ranking.models]
    for place, neighbours in enumerate(pairwise(titles)):
        pair = ranking.pair(place, place + 1)
        needed = "-" if pair.needed is None else estimate_text(pair.needed)
        accuracy, macro_f1 = _tested(pair.accuracy), _tested(pair.macro_f1)
        rows.append([*neighbours, *accuracy, needed, *macro_f1])
    header = ["better", "next", "accuracy", "p, Holm", "images needed"]
    header += ["macro F1", "p, Holm"]
    return [
        "Differences between neighbours: exact McNemar test, and a paired bootstrap of "
        "macro F1; p is corrected for all pairs. "
        + ("± is over test sets. " if any_spread else "")
        + "Images needed: by accuracy.",
        "",
        *_table(header, rows),
    ]


def _tested(test: PairedTest) -> tuple[str, str]:
    """The difference with its interval, and the corrected p-value."""
    ends = f"{test.low:+.3f} to {test.high:+.3f}"
    difference = f"{test.difference:+.3f}{spread_text(test.std)} ({ends})"
    return difference, p_text(test.p_holm)


def p_text(p: float) -> str:
    """A p-value for people."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def costs_known(ranking: Ranking) -> list[str]:
    """Costs that are known of at least one model."""
    return [
        cost
        for cost in COSTS
        if not all(math.isnan(each.costs[cost]) for each in ranking.models)
    ]


def ranking_cells(
    ranking: Ranking,
    scores: Mapping[str, str],
    costs: Sequence[str],
    *,
    unknown: str = "-",
) -> tuple[list[str], list[list[Cell]]]:
    """Headings, and the cells of each model, as terminal, Markdown and page have them.

    Args:
        ranking: The models.
        scores: The heading of each score by its name.
        costs: Names of the costs, which come after the scores.
        unknown: The text of a cost that is not known.
    """
    headings = [*scores.values(), *(COSTS[cost].label for cost in costs)]
    rows = []
    for ranked in ranking.models:
        row = [score_cell(ranked.scores[name]) for name in scores]
        for cost in costs:
            value = ranked.costs[cost]
            row.append(Cell(cost_text(cost, value, unknown), value))
        rows.append(row)
    return headings, rows


def score_cell(score: Score) -> Cell:
    """A score with its spread; the interval, if there is one, stands below."""
    ends = "" if math.isnan(score.low) else f"{score.low:.3f} to {score.high:.3f}"
    return Cell(f"{score.value:.3f}{spread_text(score.std)}", score.value, ends)


def spread_text(std: float) -> str:
    """`` ± 0.012``; empty where there is but one value."""
    return "" if math.isnan(std) else f" ± {std:.3f}"


def letters_of(ranking: Ranking) -> list[str]:
    """For each place letters: models that share one cannot be told apart."""
    groups = [group for group in ranking.alike if len(group) > 1]
    return [
        "".join(_letter(n) for n, group in enumerate(groups) if place in group)
        for place in range(len(ranking.models))
    ]


def _names(ranking: Ranking) -> Iterator[tuple[str, str]]:
    """The place of each model with its letters, and its title."""
    for place, letters in enumerate(letters_of(ranking)):
        yield f"{place + 1} {letters}", ranking.models[place].model.title


def _letter(number: int) -> str:
    """``a`` to ``z``, then ``aa`` and so on."""
    quotient, rest = divmod(number, 26)
    return (_letter(quotient - 1) if quotient else "") + chr(ord("a") + rest)


def show(compared: Comparison, ranking: Ranking) -> None:
    """Print remarks, ranking and conclusions."""
    console = Console()
    for remark in compared.remarks:
        text = f"[bold yellow]warning:[/] {escape(remark)}"
        console.print(text, highlight=False, soft_wrap=True)
    console.print(_shown_scores(ranking))
    if costs_known(ranking):
        console.print(_shown_costs(ranking))
    if any(letters_of(ranking)):
        console.print(
            "Neighbours that share a letter cannot be told apart.", highlight=False
        )
    for sentence in conclusions(compared, ranking):
        console.print(sentence, highlight=False, soft_wrap=True, markup=False)


def _shown_scores(ranking: Ranking) -> Table:
    """What fits into a terminal of 80 columns; the page has the rest."""
    scores = columns("terminal", ranking.models[0].scores)
    headings, rows = ranking_cells(ranking, scores, [])
    table = Table("", Column("model", overflow="fold"), show_lines=True)
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    for (place, model), cells in zip(_names(ranking), rows, strict=True):
        texts = [f"{cell.text}\n{cell.note.replace(' to ', '-')}" for cell in cells]
        table.add_row(place, escape(model), *texts)
    return table


def _shown_costs(ranking: Ranking) -> Table:
    costs = costs_known(ranking)
    if "latency_ms" in costs:
        costs.remove("size_mb")  # 80 columns have room for five; it goes with params
    headings, rows = ranking_cells(ranking, {}, costs)
    table = Table("", Column("model", overflow="fold"))
    for heading in headings:
        table.add_column(heading, justify="right")
    for place, (ranked, cells) in enumerate(zip(ranking.models, rows, strict=True), 1):
        texts = [cell.text for cell in cells]
        table.add_row(str(place), escape(ranked.model.title), *texts)
    return table
