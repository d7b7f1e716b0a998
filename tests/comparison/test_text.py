"""Sentences and tables about comparisons whose outcome is known."""

import math
from dataclasses import replace

import numpy as np
import pytest

from clothing_lightning.comparison.predictions import Comparison
from clothing_lightning.comparison.ranking import Ranking, Score, rank
from clothing_lightning.comparison.text import (
    conclusions,
    estimate_text,
    letters_of,
    markdown,
    p_text,
    pairs_table,
    ranking_table,
    score_text,
    show,
)
from tests.compared_models import comparison

CLASSES = [f"class {n}" for n in range(7)]


@pytest.fixture(scope="module")
def outcome() -> tuple[Comparison, Ranking]:
    """Two good models that are alike, and a bad one."""
    found = comparison({"good": 3.0, "fair": 2.9, "b|ad": 0.3}, CLASSES)
    return found, rank(found, resamples=200)


def test_a_score_is_told_with_its_interval() -> None:
    assert score_text(Score(0.8506, 0.8174, 0.8791)) == "0.851 (0.817 to 0.879)"


def test_estimates_have_two_figures() -> None:
    told = [estimate_text(n) for n in (7, 63, 568, 12_345)]
    assert told == ["7", "63", "570", "13,000"]


def test_p_values_are_not_told_finer_than_they_are_known() -> None:
    assert [p_text(p) for p in (0.0004, 0.0104, 1.0)] == ["< 0.001", "0.010", "1.000"]


def test_rivals_of_the_best_are_named_with_the_images_it_would_take(
    outcome: tuple[Comparison, Ranking],
) -> None:
    found, ranking = outcome
    first, second = (s.model.title for s in ranking.models[:2])
    said = conclusions(found, ranking)
    assert said[0].startswith(f"{first} has the highest accuracy: 0.")
    assert said[0].endswith(" on 300 test images.")
    assert said[1].startswith(f"It cannot be told apart from {second} at n = 300 (p of")
    assert "corrected for all pairs" in said[1]


def test_a_clear_winner_is_told_as_such() -> None:
    found = comparison({"good": 3.0, "bad": 0.3}, CLASSES)
    said = conclusions(found, rank(found, resamples=50))
    assert (
        said[1]
        == "It is better than bad beyond the chance of the test images (p < 0.05)."
    )


@pytest.mark.parametrize(
    ("seeds", "told"),
    [
        ({}, "Each was trained once: another seed may turn out otherwise."),
        ({"a": 2, "b": 2}, "c was trained once: another seed may turn out otherwise."),
        ({"b": 2}, "a and c were trained once: another seed may turn out otherwise."),
        ({"a": 2, "b": 2, "c": 2}, None),
    ],
)
def test_what_was_trained_once_is_told(seeds: dict[str, int], told: str | None) -> None:
    found = comparison({"a": 3.0, "b": 1.5, "c": 0.3}, CLASSES, seeds=seeds)
    said = conclusions(found, rank(found, resamples=20))
    assert [each for each in said if "trained once" in each] == ([told] if told else [])


def test_the_spread_over_test_sets_is_told_where_there_are_several() -> None:
    for splits, has in ((1, False), (2, True)):
        found = comparison({"a": 3.0, "b": 0.5}, CLASSES, splits=splits)
        ranking = rank(found, resamples=20)
        page = markdown(found, ranking, title="")
        assert ("± is over test sets" in page) == has
        assert math.isnan(ranking.pairs[0].accuracy.std) != has
    a, b = (found.rights(ranked.model) for ranked in ranking.models)
    each = np.nanmean(a - b, axis=1)
    test = ranking.pairs[0].accuracy
    assert test.std == pytest.approx(np.std(each, ddof=1))
    assert f"{test.difference:+.3f} ± {test.std:.3f} (" in page


def test_one_model_is_better_than_none() -> None:
    found = comparison({"alone": 3.0}, CLASSES)
    ranking = rank(found, resamples=50)
    assert len(conclusions(found, ranking)) == 1
    assert list(pairs_table(ranking).columns[:2]) == ["better", "other"]


def test_models_that_cannot_be_told_apart_share_a_letter(
    outcome: tuple[Comparison, Ranking],
) -> None:
    assert letters_of(outcome[1]) == ["a", "a", ""]


def test_markdown_keeps_names_in_their_cells(
    outcome: tuple[Comparison, Ranking],
) -> None:
    found, ranking = outcome
    told = replace(found, remarks=("Beware.",))
    lines = markdown(told, ranking, title="Mine").splitlines()
    assert lines[0] == "# Mine"
    assert "> Beware." in lines
    (row,) = [line for line in lines if line.startswith("| 3 ")]
    assert "b\\|ad" in row
    tables = [line for line in lines if line.startswith("|")]
    widths = {line.replace("\\|", "").count("|") for line in tables}
    assert len(widths) == 2  # of the ranking, and of the pairs


def test_tables_have_a_row_for_each_model_and_pair(
    outcome: tuple[Comparison, Ranking],
) -> None:
    ranking = outcome[1]
    models, pairs = ranking_table(ranking), pairs_table(ranking)
    assert list(models["model"])[-1] == "b|ad"
    assert (models["accuracy_low"] < models["accuracy"]).all()
    assert len(pairs) == 3
    assert (pairs["p"] <= pairs["p_holm"]).all()


def test_a_terminal_of_80_columns_holds_it(
    outcome: tuple[Comparison, Ranking],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    found, ranking = outcome
    show(replace(found, remarks=("[bold]Beware[/].",)), ranking)
    text = capsys.readouterr().out
    for ranked in ranking.models:
        ranked.costs["latency_ms"] = 16.5
    show(found, ranking)
    text += capsys.readouterr().out
    tables = [line for line in text.splitlines() if line[:1] in "│┃┏└├┡"]
    assert max(map(len, tables)) <= 80
    assert "…" not in text
    assert "warning: [bold]Beware[/]." in text
