from dataclasses import replace

import pandas as pd
import pytest
from scipy.stats import binomtest

from clothing_lightning.reports.ladder_text import TestedRung as Rung
from clothing_lightning.reports.ladder_text import p_values, show_ladder, verdict


def rung(name: str, wrong: range, size: float, ms: float) -> Rung:
    """A rung that is wrong about some of 100 images."""
    scores = [[0.1, 0.9] if n in wrong else [0.9, 0.1] for n in range(100)]
    table = pd.DataFrame(scores, columns=["Hat", "Shoe"])
    table.insert(0, "path", [f"{n}.jpg" for n in range(100)])
    table.insert(1, "label", "Hat")
    costs = {
        "size_mb": size,
        "macs": 384e6,
        "latency_ms": ms,
        "latency_p95_ms": 1.5 * ms,
        "latency_batch32_ms": 30 * ms,
        "latency_batch32_p95_ms": 1234.5,
        "latency_threads": 2,
    }
    return Rung(name, table, {f"model/{key}": value for key, value in costs.items()})


FLOAT32 = rung("float32", range(10), 14, 20)
LOSES = rung("int8", range(30), 4, 8)
ALIKE = rung("float16", range(2, 12), 7, 25)


def test_p_values_are_of_the_exact_test_for_two_tests() -> None:
    lost, alike = p_values([FLOAT32, LOSES, ALIKE])
    assert lost == pytest.approx(binomtest(0, 20).pvalue)
    assert alike == pytest.approx(binomtest(2, 4).pvalue)


def test_the_smallest_that_loses_nothing_is_named_and_none_is_faster() -> None:
    assert verdict([FLOAT32, LOSES, ALIKE]).splitlines() == [
        "The smallest that this test cannot tell from float32: float16 (7.0 MB instead "
        "of 14.0).",
        "None is faster than float32 (20.0 ms) that this test cannot tell from it.",
        "float16 less float32: +0.0 points of accuracy (95 % interval -4.7 to +4.7, "
        "not adjusted).",
    ]


def test_that_each_loses_is_said() -> None:
    said = verdict([FLOAT32, LOSES])
    assert said == "int8: less accurate than float32 (p < 0.05, not adjusted)."


def test_a_version_that_is_better_beyond_chance_does_not_lose() -> None:
    assert "int8 (3.0 MB" in verdict([LOSES, rung("int8", range(10), 3, 8)])


def test_float32_alone_has_nothing_to_be_compared_with() -> None:
    assert verdict([FLOAT32]) == ""


def test_the_table_has_a_row_for_each_within_80_columns(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_ladder([FLOAT32, LOSES, ALIKE])
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    rows = [line for line in shown.splitlines() if "384 M" in line]
    assert [row.split()[1] for row in rows] == ["float32", "int8", "float16"]
    assert "<0.001" in rows[1]
    assert "2 threads" in shown


def test_what_is_faster_by_chance_is_not_called_faster() -> None:
    said = verdict([FLOAT32, rung("int8", range(10), 4, 19.5)])
    assert "None is faster than float32 (20.0 ms)" in said


@pytest.mark.parametrize(("groups", "is_said"), [(0, False), (40, True), (100, False)])
def test_images_of_one_group_are_not_called_independent(
    groups: int, is_said: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    show_ladder([replace(FLOAT32, groups=groups), ALIKE])
    shown = capsys.readouterr().out
    assert ("The test images are of 40 groups (such as senders)." in shown) is is_said
    assert max(map(len, shown.splitlines())) <= 80
