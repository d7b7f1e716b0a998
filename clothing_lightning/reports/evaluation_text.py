"""What `evaluate` says on the terminal."""

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd
from rich.console import Console
from rich.table import Table

from clothing_lightning.inference.repeatability import Repeated
from clothing_lightning.metrics.classification_report import summary
from clothing_lightning.metrics.intervals import wilson_interval
from clothing_lightning.metrics.registry import METRICS, columns
from clothing_lightning.wording import listed

_SHOWN = 5


def results_table(predictions: pd.DataFrame, title: str) -> Table:
    """Scores, with 95 % Wilson intervals of those that are shares of the images."""
    scores, count = summary(predictions), len(predictions)
    table = Table(f"{title}, {count:,} images", "", "95 % interval")
    table.columns[1].justify = "right"
    for name, label in columns("evaluate", scores).items():
        interval = ""
        if METRICS[name].top:
            ends = wilson_interval(round(scores[name] * count), count)
            interval = f"{ends[0]:.3f} to {ends[1]:.3f}"
        table.add_row(label, f"{scores[name]:.3f}", interval)
    return table


def show_table(table: Table) -> None:
    """Print a table."""
    Console().print(table)


def repeated_lines(
    found: Repeated, then: Mapping[str, str], now: Mapping[str, str]
) -> Iterator[str]:
    """Say whether the numbers are those that the run has stored.

    Args:
        found: What differs.
        then: Versions and device that the run was tested with, by name.
        now: Likewise.
    """
    difference = f"largest difference of a probability {found.largest:.1g}"
    if found.same:
        yield (
            f"The same numbers as stored: accuracy {found.accuracy_now:.4f} on "
            f"{found.images:,} images, {difference}."
        )
        return
    yield (
        f"Not the numbers that are stored: accuracy {found.accuracy_then:.4f} then and "
        f"{found.accuracy_now:.4f} now on {found.images:,} images; {difference}; "
        f"another class for {found.other_class:,}."
    )
    changes = [
        f"{name} {then[name]}, now {now[name]}"
        for name in now
        if name in then and then[name] != now[name]
    ]
    if changes:
        yield f"What has changed since: {'; '.join(changes)}."


def some(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    return listed(names, _SHOWN)


def counted(counts: Mapping[str, int]) -> str:
    """Names with their counts."""
    return ", ".join(f"{name} ({count:,})" for name, count in counts.items())
