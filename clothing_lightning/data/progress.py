"""A bar on stderr for what takes a while."""

from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

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

    Yields:
        The items, unchanged.
    """
    appears_at = monotonic() + _APPEARS_AFTER_S
    bar: Progress | None = None
    done = 0.0
    try:
        for item in items:
            done += size(item)
            if bar is None and monotonic() > appears_at:
                bar = _bar()
                task = bar.add_task(description, total=total)
                bar.start()
            if bar is not None:
                bar.update(task, completed=done)
            yield item
    finally:
        if bar is not None and bar.live.is_started:
            bar.stop()


def _bar() -> "Progress":
    from rich import progress
    from rich.console import Console

    console = Console(stderr=True)
    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
