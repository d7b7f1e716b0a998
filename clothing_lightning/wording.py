"""How messages and reports put things."""

from collections.abc import Sequence


def listed(names: Sequence[str], limit: int = 6) -> str:
    """The first names, and how many there are besides; empty if there is none."""
    shown = ", ".join(names[:limit])
    more = len(names) - limit
    return f"{shown} and {more:,} more" if more > 0 else shown


def joined(names: Sequence[str]) -> str:
    """``a, b and c``; empty if there is none."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
