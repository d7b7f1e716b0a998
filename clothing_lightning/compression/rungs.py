"""The rungs of the ladder: what each depends on, and how it is made."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

from clothing_lightning.compression.conversion import (
    convert,
    write_float16,
    write_float32,
    write_int8,
)
from clothing_lightning.compression.fine_tuning import fine_tune
from clothing_lightning.compression.source import Source, Task
from clothing_lightning.tracking.read import StoredRun


@dataclass(frozen=True)
class Rung:
    """A kind of smaller network.

    Attributes:
        make: Function that makes it and tests it, as a child of the run.
        base: Name of the rung that it is made of; None: of the run's network.
        options: Names of the settings in `Source` that it depends on.
    """

    make: Callable[[Task], StoredRun]
    base: str | None = None
    options: tuple[str, ...] = ()

    def settings(self, source: Source) -> str:
        """Return all settings that it depends on, and the weights, as JSON."""
        chosen = [asdict(getattr(source, option)) for option in self.options]
        options = {key: each[key] for each in chosen for key in each}
        return json.dumps({"weights": source.weights} | options)

    def label(self, source: Source) -> str:
        """Return what sets it apart from others of its name."""
        return "".join(getattr(source, option).label for option in self.options)


RUNGS: dict[str, Rung] = {
    "float32": Rung(partial(convert, write=write_float32)),
    "float16": Rung(partial(convert, write=write_float16), "float32"),
    "int8": Rung(partial(convert, write=write_int8), "float32", ("quantization",)),
    "pruned": Rung(fine_tune, None, ("pruning",)),
    "pruned-int8": Rung(
        partial(convert, write=write_int8), "pruned", ("pruning", "quantization")
    ),
}
"""The rungs by their names; each comes after the one that it is made of."""


def with_bases(names: list[str]) -> list[str]:
    """Return rungs and those that they are made of, float32 first, in order."""
    wanted = {"float32", *names}
    wanted |= {base for name in names if (base := RUNGS[name].base)}
    return [name for name in RUNGS if name in wanted]
