"""How messages and reports put things."""

from collections.abc import Iterable, Sequence


def listed(names: Sequence[str], limit: int = 6) -> str:
    """The first names, and how many there are besides; empty if there is none."""
    shown = ", ".join(names[:limit])
    more = len(names) - limit
    return f"{shown} and {more:,} more" if more > 0 else shown


def closest(name: str, names: Iterable[str], limit: int = 3) -> str:
    """`` Closest names: a, b.``, as the end of a message; empty if none is near."""
    from difflib import get_close_matches

    near = get_close_matches(name, list(names), n=limit)
    return f" Closest names: {', '.join(near)}." if near else ""


def on_machine(device: str, threads: int | None) -> str:
    """``cpu, 2 threads``; of a GPU its name alone."""
    if device != "cpu" or threads is None:
        return device
    return f"cpu, {threads} thread{'s' * (threads != 1)}"


def joined(names: Sequence[str]) -> str:
    """``a, b and c``; empty if there is none."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
