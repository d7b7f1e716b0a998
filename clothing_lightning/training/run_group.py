"""How the runs of one experiment, each in a process of its own, find each other."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from clothing_lightning.tracking.read import GROUP_TAG, PARENT_TAG
from clothing_lightning.tracking.store import create_run

VARIABLE = "CLOTHING_RUN_GROUP"  # the environment's, with the path of the file
VARIATION_TAG = "variation"


@dataclass(frozen=True)
class Variation:
    """One of several runs of an experiment.

    Attributes:
        name: What sets the run apart, such as ``fold 2 of 5, seed 1``.
        options: The flags that make it so.
    """

    name: str
    options: list[str]


@dataclass(frozen=True)
class GroupPlan:
    """An experiment, and the variations in which it is run.

    Attributes:
        files: The YAML files, in order.
        options: Flags and their values that all of the runs have.
        words: The command line as it was typed.
        variations: The runs; none if the experiment is run once.
        folds: The number of folds among the variations; 0 without a cross-validation.
    """

    files: list[Path]
    options: list[str]
    words: list[str]
    variations: list[Variation]
    folds: int = 0


@dataclass
class RunGroup:
    """A file that the process which starts the runs shares with each of them.

    Attributes:
        file: The path of the file.
        words: The command line as it was typed.
        digest: A digest of the YAML files: all runs are to be of the same experiment.
        variation: What sets the current run apart.
        parent: The id of the run that stands for all; None until the first has begun.
    """

    file: str
    words: list[str]
    digest: str
    variation: str = ""
    parent: str | None = None

    @classmethod
    def of_this_process(cls) -> "RunGroup | None":
        """The group that this process trains a run of; None if it trains alone."""
        file = os.environ.get(VARIABLE)
        return cls.read(file) if file else None

    @classmethod
    def read(cls, file: str) -> "RunGroup":
        """Read the file."""
        return cls(**json.loads(Path(file).read_text(encoding="utf-8")))

    def write(self) -> None:
        """Write the file."""
        Path(self.file).write_text(json.dumps(asdict(self)), encoding="utf-8")

    def join(self, experiment: str, name: str) -> dict[str, str]:
        """Start the run that stands for all, unless an earlier run has done so.

        Returns:
            The tags that make a run of this name and MLflow experiment its child.

        Raises:
            StorageError: If the store cannot be written.
        """
        if self.parent is None:
            content = json.dumps({"words": self.words, "digest": self.digest})
            run = create_run(experiment, name, {GROUP_TAG: content})
            self.parent = str(run.info.run_id)
            self.write()
        return {PARENT_TAG: self.parent, VARIATION_TAG: self.variation}
