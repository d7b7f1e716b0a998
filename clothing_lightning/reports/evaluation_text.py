"""What `evaluate` says on the terminal."""

from collections.abc import Iterator, Mapping

import pandas as pd
from rich.console import Console
from rich.table import Table

from clothing_lightning.metrics.agreement import Agreement
from clothing_lightning.metrics.classification_report import summary
from clothing_lightning.metrics.intervals import wilson_interval
from clothing_lightning.metrics.registry import METRICS, columns


def show_results(predictions: pd.DataFrame, title: str) -> None:
    """Print scores, with 95 % Wilson intervals of those that are shares of images."""
    scores, count = summary(predictions), len(predictions)
    table = Table(f"{title}, {count:,} images", "", "95 % interval")
    table.columns[1].justify = "right"
    for name, label in columns("evaluate", scores).items():
        interval = ""
        if METRICS[name].top:
            ends = wilson_interval(round(scores[name] * count), count)
            interval = f"{ends[0]:.3f} to {ends[1]:.3f}"
        table.add_row(label, f"{scores[name]:.3f}", interval)
    Console().print(table)


def agreement_lines(
    result: Agreement, before: Mapping[str, str], now: Mapping[str, str]
) -> Iterator[str]:
    """Say whether the predictions are those that the run has stored.

    Args:
        result: What differs.
        before: Versions and device of the stored predictions, by name.
        now: Versions and device of the predictions made now, by name.
    """
    difference = f"largest difference of a probability {result.largest_difference:.1g}"
    if result.is_exact:
        yield (
            f"The same numbers as stored: accuracy {result.accuracy_now:.4f} on "
            f"{result.images:,} images, {difference}."
        )
        return
    yield (
        f"Not the numbers that are stored: accuracy {result.accuracy_before:.4f} then "
        f"and {result.accuracy_now:.4f} now on {result.images:,} images; {difference}; "
        f"another class for {result.changed_classes:,}."
    )
    changes = [
        f"{name} {before[name]}, now {now[name]}"
        for name in now
        if name in before and before[name] != now[name]
    ]
    if changes:
        yield f"What has changed since: {'; '.join(changes)}."
