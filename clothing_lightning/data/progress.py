"""A bar on stderr for what takes a while."""

from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

T = TypeVar("T")

_APPEARS_AFTER_S = 1.0


def with_progress(
    items: Iterable[T],
    description: str,
    *,
    total: float | None,
    size: Callable[[T], float] = lambda _: 1,
) -> Iterator[T]:
    """Yield the items, and show how far they are and how long the rest will take.

    The bar appears on a terminal only, once a second has passed, and goes when all
    is done, so that quick work leaves no trace.

    Args:
        items: The items that are worked through, read lazily.
        description: What is done with them, in a few words.
        total: The sum of the sizes of all items; None where it is not known.
        size: The size of an item; by default each counts 1.
    """
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    task = bar.add_task(description, total=total)
    appears_at = monotonic() + _APPEARS_AFTER_S
    try:
        for item in items:
            bar.advance(task, size(item))
            if monotonic() > appears_at:
                bar.start()
            yield item
    finally:
        if bar.live.is_started:  # else stopping would print an empty line
            bar.stop()
