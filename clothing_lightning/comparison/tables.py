"""Tables of a comparison's page, as HTML: ranking, pairs, slices, settings."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

from clothing_lightning.comparison.costs import COSTS, cost_text
from clothing_lightning.comparison.predictions import RunPredictions
from clothing_lightning.comparison.ranking import (
    ALPHA,
    Pair,
    RankedModel,
    Ranking,
    Score,
)
from clothing_lightning.comparison.slices import Slices
from clothing_lightning.comparison.text import (
    estimate_text,
    interval_text,
    letters_of,
    p_text,
    spread_text,
)
from clothing_lightning.metrics.classification_report import class_names
from clothing_lightning.metrics.registry import columns

DASH = "\N{EN DASH}"
_SCHEMES = {"", "http", "https", "file"}


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def cell(text: str, value: float | None = None, *, kind: str = "") -> Html:
    """A cell of a table.

    Args:
        text: What it shows; escaped unless it is HTML.
        value: What it is sorted by, if not its text.
        kind: Its CSS class.
    """
    inner = text if isinstance(text, Html) else escape(text)
    value = None if value is None or math.isnan(value) else value
    sort = "" if value is None else f' data-value="{value:.9g}"'
    return Html(f"<td{_class(kind)}{sort}>{inner}")


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    caption: str,
    kind: str = "",
) -> str:
    """A table that can be scrolled and sorted; the first cell of a row names it."""
    body = "\n".join(f"<tbody><tr>{_row(row)}" for row in rows)
    return wide(headings, body, caption=caption, kind=kind)


def wide(headings: Sequence[str], body: str, *, caption: str, kind: str = "") -> str:
    """A table from its bodies, each of which is sorted as a whole."""
    head = "".join(
        f"<th scope=col>{h if isinstance(h, Html) else escape(h)}" for h in headings
    )
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f"<table{_class(kind)}><thead><tr>{head}{body}</table></div>"
    )


def _row(cells: Sequence[str]) -> str:
    first, *others = cells
    name = first if isinstance(first, Html) else breakable(first)
    return f"<th scope=row>{name}" + "".join(
        other if other.startswith("<td") and isinstance(other, Html) else cell(other)
        for other in others
    )


def breakable(name: str) -> Html:
    """Escape a name, with places where a line may break."""
    return Html(re.sub(r"([._/])", r"\1<wbr>", escape(name)))


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def ranking_table(ranking: Ranking, links: Mapping[str, str]) -> str:
    """Models from the best to the worst, each to unfold into its runs.

    Args:
        ranking: The models.
        links: Addresses of runs by their ids.
    """
    scores = columns("page", ranking.models[0].scores)
    costs = [
        name
        for name in COSTS
        if name != "latency_ms" or any(_known(s, name) for s in ranking.models)
    ]
    headings = ["place", "model", *scores.values()]
    headings += [COSTS[name].label for name in costs]
    letters = letters_of(ranking)
    bodies = [
        _model_rows(place, ranked, letters[place], list(scores), costs, links)
        for place, ranked in enumerate(ranking.models)
    ]
    return wide(headings, "\n".join(bodies), caption="Ranking", kind="ranking")


def _known(ranked: RankedModel, cost: str) -> bool:
    return not math.isnan(ranked.costs[cost])


def _model_rows(
    place: int,
    ranked: RankedModel,
    letters: str,
    scores: Sequence[str],
    costs: Sequence[str],
    links: Mapping[str, str],
) -> str:
    runs = ranked.model.runs
    what = f"{len(runs)} runs" if len(runs) > 1 else "1 run"
    marks = "".join(f"<b>{letter}</b>" for letter in _spanned(letters))
    title = ranked.model.title
    cells = [
        cell(Html(f'{place + 1}<span class="alike">{marks}</span>'), place),
        Html(
            f'<th scope=row><input type="checkbox" checked hidden '
            f'aria-label="show {escape(title)}"> <span class="name">{breakable(title)}'
            f'</span> <span class="runs">{what}</span>'
        ),
    ]
    cells += [_score_cell(ranked.scores[name]) for name in scores]
    cells += [cost_cell(name, ranked.costs[name]) for name in costs]
    width = len(scores) + len(costs)
    rows = "".join(_run_row(run, links.get(run.run_id, ""), width) for run in runs)
    return f"<tbody><tr>{''.join(cells)}{rows}"


def _spanned(letters: str) -> Sequence[str]:
    """Up to three letters; of more the first and the last, with a dash."""
    return letters if len(letters) < 4 else (f"{letters[0]}{DASH}{letters[-1]}",)


def _score_cell(score: Score) -> Html:
    ends = f"<small>{interval_text(score)}</small>"
    return cell(Html(f"{score.value:.3f}{spread_text(score.std)}{ends}"), score.value)


def cost_cell(name: str, value: float) -> Html:
    """A cost with its unit; a dash where it is not known."""
    return cell(DASH if math.isnan(value) else cost_text(name, value), value)


def _run_row(run: RunPredictions, link: str, width: int) -> str:
    """One run: its seeds, id, and accuracy on its own test images."""
    what = ", ".join(filter(None, [run.seeds, run.fold and f"fold {run.fold}"]))
    name = escape(run.run_id[:8])
    if link and urlsplit(link).scheme in _SCHEMES:
        name = f'<a href="{escape(link)}" rel="noopener">{name}</a>'
    accuracy, images = _own_accuracy(run)
    return (
        f'\n<tr class="run"><td><td class="of">{escape(what or run.name)} · {name}'
        f"<td>{accuracy:.3f}<small>of its {images:,} images</small>"
        + (f'<td colspan="{width - 1}">{escape(run.name)}' if what else "<td>")
    )


def _own_accuracy(run: RunPredictions) -> tuple[float, int]:
    names = np.array(class_names(run.predictions), dtype=object)
    predicted = names[run.predictions.iloc[:, 2:].to_numpy().argmax(axis=1)]
    right = predicted == run.predictions["label"].to_numpy(dtype=object)
    return float(right.mean()), len(right)


def pairs_table(ranking: Ranking, pairs: Sequence[Pair]) -> str:
    """Tests of pairs, the better model first; those that differ are marked."""
    titles = [ranked.model.title for ranked in ranking.models]
    headings = ["better", "other", "accuracy", "p", "p, Holm", "images needed"]
    headings += ["macro F1", "p, Holm"]
    rows = [
        [
            titles[pair.a],
            cell(breakable(titles[pair.b]), kind="other"),
            _difference_cell(pair.difference, pair.low, pair.high, pair.std),
            cell(p_text(pair.p), pair.p),
            _p_cell(pair.p_holm),
            _needed_cell(pair.needed),
            _difference_cell(pair.f1_difference, pair.f1_low, pair.f1_high),
            _p_cell(pair.f1_p_holm),
        ]
        for pair in pairs
    ]
    return table(headings, rows, caption="Tests of pairs", kind="tests")


def _difference_cell(
    value: float, low: float, high: float, std: float = math.nan
) -> Html:
    ends = f"<small>{signed(low)} to {signed(high)}</small>"
    return cell(Html(f"{signed(value)}{spread_text(std)}{ends}"), value)


def signed(value: float) -> str:
    """With a sign, as the page's script writes it."""
    return f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")


def _needed_cell(needed: int | None) -> Html:
    return cell(DASH) if needed is None else cell(estimate_text(needed), needed)


def _p_cell(p: float) -> Html:
    return cell(p_text(p), p, kind="differ" if p < ALPHA else "")


def slices_table(titles: Sequence[str], order: Sequence[int], part: Slices) -> str:
    """Accuracy of each model in each part that a column makes.

    Args:
        titles: Of the models, in the order of the comparison.
        order: Places in ``titles``, best first.
        part: The parts.
    """
    headings = [
        "model",
        *(
            Html(f"{escape(name)}<small>n = {count:,}</small>")
            for name, count in part.images.items()
        ),
    ]
    rows = [
        [titles[number], *(_interval_cell(*score) for score in part.scores[number])]
        for number in order
    ]
    return table(headings, rows, caption=f"Accuracy by {part.by}", kind="slices")


def _interval_cell(value: float, low: float, high: float) -> Html:
    return cell(Html(f"{value:.3f}<small>{low:.3f} to {high:.3f}</small>"), value)


def differences_table(differing: pd.DataFrame) -> str:
    """Settings that differ, a row each; a dash where one is not set."""
    rows = [
        [str(key), *(DASH if value != value else str(value) for value in row)]
        for key, row in zip(differing.index, differing.to_numpy(), strict=True)
    ]
    headings = ["setting", *map(str, differing.columns)]
    return table(headings, rows, caption="Settings that differ", kind="settings")


def classes_table(f1: pd.DataFrame, support: Sequence[int]) -> str:
    """F1 of each class and model."""
    rows = [
        [
            str(name),
            cell(f"{count:,}", count),
            *(cell(DASH if math.isnan(v) else f"{v:.3f}", v) for v in values),
        ]
        for name, count, values in zip(f1.index, support, f1.to_numpy(), strict=True)
    ]
    headings = ["class", "images", *map(str, f1.columns)]
    return table(headings, rows, caption="F1 of each class", kind="classes")
