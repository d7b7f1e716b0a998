"""What `compress` says on the terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from clothing_lightning.metrics.classification_report import class_names, summary
from clothing_lightning.metrics.intervals import wilson_interval
from clothing_lightning.metrics.significance import (
    holm,
    paired_difference_interval,
    sign_flip_test,
)
from clothing_lightning.wording import counted, joined

HEADS = ("rung", "accuracy", "p", "macro\nF1", "MB", "ms", "ms of 32", "MACs")
_ALPHA = 0.05
_LESS = 0.95  # of what float32 takes: medians of the same file differ by some percent


@dataclass(frozen=True)
class TestedRung:
    """A rung and its test.

    Attributes:
        name: Its name.
        predictions: Its predictions for the test images, the same for all rungs.
        metrics: Its metrics, with its costs.
        groups: Number of groups (such as senders) that the test images are of; 0 if it
            is not known.
    """

    name: str
    predictions: pd.DataFrame
    metrics: Mapping[str, float]
    groups: int = 0

    @property
    def right(self) -> "NDArray[np.bool_]":
        """Whether it is right, for each image."""
        names = class_names(self.predictions)
        predicted = np.array(names)[self.predictions[names].to_numpy().argmax(axis=1)]
        labels: NDArray[np.str_] = self.predictions["label"].to_numpy(dtype=str)
        right: NDArray[np.bool_] = predicted == labels
        return right

    @property
    def accuracy(self) -> float:
        """Share of the images about which it is right."""
        return float(self.right.mean())

    @property
    def costs(self) -> dict[str, float]:
        """Its costs by their names: ``size_mb``, ``latency_ms``, ``macs``, ..."""
        return {name.removeprefix("model/"): v for name, v in self.metrics.items()}


def p_values(rungs: Sequence[TestedRung]) -> list[float]:
    """Test each rung but the first against the first, by McNemar's exact test.

    Returns:
        The p-values, not adjusted for their number.
    """
    first = rungs[0].right.astype(int)
    return [float(sign_flip_test(first - rung.right)) for rung in rungs[1:]]


def show_ladder(rungs: Sequence[TestedRung]) -> None:
    """Print a row for each rung, float32 first, and what follows from them."""
    table = Table(*HEADS)
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    for cells in ladder_rows(rungs):
        table.add_row(*cells)
    console = Console()
    console.print(table)
    threads = int(rungs[0].metrics.get("model/latency_threads", 0))
    console.print(
        f"{counted(len(rungs[0].predictions), 'test image')}; accuracy above its 95 % "
        "interval; p: McNemar's\nexact test against float32, Holm's adjustment. ms: "
        "median above 95th percentile\nof a batch of 1 and of 32 on the CPU, "
        f"{counted(threads, 'thread')}. MACs are those of the network:\nother numbers "
        "change what one of them costs, not how many there are.",
        highlight=False,
    )
    if 0 < rungs[0].groups < len(rungs[0].predictions):
        console.print(
            f"The test images are of {counted(rungs[0].groups, 'group')} (such as "
            "senders). Intervals and p take images as independent, which those of one "
            "group are not: they are too narrow, and too small.",
            highlight=False,
        )
    console.print(verdict(rungs), highlight=False)


def ladder_rows(rungs: Sequence[TestedRung]) -> list[list[str]]:
    """Return what is below each of `HEADS`, float32 first.

    A second line is the interval of an accuracy, or the 95th percentile of a time.
    """
    tests = ["", *map(_p, holm(np.array(p_values(rungs))))]
    return [[r.name, *_cells(r, p)] for r, p in zip(rungs, tests, strict=True)]


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _cells(rung: TestedRung, p: str) -> list[str]:
    count = len(rung.predictions)
    scores, costs = summary(rung.predictions), rung.metrics
    low, high = wilson_interval(round(scores["accuracy"] * count), count)
    times = [
        f"{costs[f'model/latency{batch}_ms']:.1f}\n"
        f"{costs[f'model/latency{batch}_p95_ms']:.1f}"
        for batch in ("", "_batch32")
    ]
    macs = costs.get("model/macs")
    return [
        f"{scores['accuracy']:.3f}\n{low:.3f}-{high:.3f}",
        p,
        f"{scores['macro_f1']:.3f}",
        f"{costs['model/size_mb']:.1f}",
        *times,
        f"{macs / 1e6:,.0f} M" if macs else "-",
    ]


def verdict(rungs: Sequence[TestedRung]) -> str:
    """Name the smallest and the fastest rung that loses nothing that shows.

    By p-values that are not adjusted: with more rungs none should seem more alike.
    """
    original, *others = rungs
    if not others:
        return ""
    alike = [
        rung
        for rung, p in zip(others, p_values(rungs), strict=True)
        if p >= _ALPHA or rung.right.mean() >= original.right.mean()
    ]
    if not alike:
        return (
            f"{joined([rung.name for rung in others])}: less accurate than float32 "
            "(p < 0.05, not adjusted)."
        )
    sentences = []
    named: dict[str, str] = {}
    for metric, word, unit in (
        ("model/size_mb", "smallest", "MB"),
        ("model/latency_ms", "fastest", "ms"),
    ):
        best = min(alike, key=lambda rung: rung.metrics[metric])
        before, after = original.metrics[metric], best.metrics[metric]
        if after < _LESS * before:
            sentences.append(
                f"The {word} that this test cannot tell from float32: {best.name} "
                f"({after:.1f} {unit} instead of {before:.1f})."
            )
            named[best.name] = _left_open(original, best)
        else:
            sentences.append(
                f"None is {word.replace('est', 'er')} than float32 ({before:.1f} "
                f"{unit}) that this test cannot tell from it."
            )
    return "\n".join([*sentences, *named.values()])


def _left_open(original: TestedRung, rung: TestedRung) -> str:
    """Say how much of a loss the test could have missed."""
    gaps = rung.right.astype(float) - original.right
    low, high = (100 * end for end in paired_difference_interval(gaps))
    return (
        f"{rung.name} less float32: {100 * gaps.mean():+.1f} points of accuracy "
        f"(95 % interval {low:+.1f} to {high:+.1f}, not adjusted)."
    )
