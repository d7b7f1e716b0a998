"""Names of runs, in which repeats of one training differ by a seed or fold alone."""

import re

_REPEATS = re.compile(
    r"(?<=.)(?:[\s,_-]*(?:split[\s_-]?)?(?:seed|fold)[\s_-]?\d+(?: of \d+)?)+$",
    re.IGNORECASE,
)


def without_repeat(name: str) -> str:
    """Name of a run without the seed or fold at its end, unless that is all of it."""
    return _REPEATS.sub("", name)


def name_and_id(name: str, run_id: str) -> str:
    """Name of a run and the start of its id, as messages show it."""
    return f"{name} ({run_id[:8]})"
