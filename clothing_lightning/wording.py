"""How messages and reports put things."""

import re
from collections.abc import Iterable, Sequence


def listed(names: Sequence[str], limit: int = 6) -> str:
    """The first names, and how many there are besides; empty if there is none."""
    shown = ", ".join(names[:limit])
    more = len(names) - limit
    return f"{shown} and {more:,} more" if more > 0 else shown


def counted(number: int, noun: str, plural: str = "") -> str:
    """``1 image``, ``3,000 images``.

    Args:
        number: How many there are.
        noun: What they are, in the singular.
        plural: What more than one are called, where it is not the noun with an "s".
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def closest(
    name: str, names: Iterable[str], limit: int = 3, cutoff: float = 0.6
) -> str:
    """`` Closest names: a, b.``, as the end of a message; empty if none is near.

    Args:
        name: What was given.
        names: What it may have been meant to be.
        limit: Most names to suggest.
        cutoff: How alike a suggestion has to be, from 0 to 1.
    """
    from difflib import get_close_matches

    near = get_close_matches(name, list(names), n=limit, cutoff=cutoff)
    return f" Closest names: {', '.join(near)}." if near else ""


def one_line(err: BaseException) -> str:
    """What an error says, in one line; its type where it says nothing."""
    return " ".join(str(err).split()) or type(err).__name__


def on_machine(device: str, threads: int | None) -> str:
    """``cpu, 2 threads``; of a GPU its name alone."""
    if device != "cpu" or threads is None:
        return device
    return f"cpu, {counted(threads, 'thread')}"


def joined(names: Sequence[str]) -> str:
    """``a, b and c``; empty if there is none."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def printable(text: str) -> str:
    """Replace characters that would move a terminal's cursor or cannot be written."""
    return "".join(
        char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text
    )


def printable_lines(text: str) -> str:
    """The same for a text of several lines."""
    return "\n".join(map(printable, text.split("\n")))


def markdown_cell(text: str) -> str:
    """Text as it appears in a Markdown table: one line, no markup.

    An underscore within a word, as in ``resnet18_frozen``, is none.
    """
    line = " ".join(text.split())
    return re.sub(r"[\\|*`<[]|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", line)
