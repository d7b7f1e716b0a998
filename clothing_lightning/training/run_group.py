"""How the runs of one experiment, each in a process of its own, find each other."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

VARIABLE = "CLOTHING_SERIES"
VARIATION_TAG = "variation"


@dataclass
class Series:
    """A file that the process which starts the runs shares with each of them.

    Attributes:
        file: Its path.
        words: Of the command line, as typed.
        digest: Of the YAML files: all runs are to be of the same experiment.
        variation: What is special to the run that is on.
        parent: Id of the run that stands for all; None until the first one has begun.
    """

    file: str
    words: list[str]
    digest: str
    variation: str = ""
    parent: str | None = None

    @classmethod
    def of_this_process(cls) -> "Series | None":
        """What this process belongs to, if anything."""
        file = os.environ.get(VARIABLE)
        return cls.read(file) if file else None

    @classmethod
    def read(cls, file: str) -> "Series":
        """Read the file."""
        return cls(**json.loads(Path(file).read_text(encoding="utf-8")))

    def write(self) -> None:
        """Write the file."""
        Path(self.file).write_text(json.dumps(asdict(self)), encoding="utf-8")

    def joined(self, experiment: str, name: str) -> dict[str, str]:
        """Start the run that stands for all, if that has not been done.

        Args:
            experiment: That the runs belong to.
            name: Of the run that stands for all.

        Returns:
            The tags that make a run one of them.
        """
        from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

        from clothing_lightning.tracking.read import GROUP_TAG
        from clothing_lightning.tracking.store import create_run

        if self.parent is None:
            content = {"words": self.words, "digest": self.digest}
            tags = {GROUP_TAG: json.dumps(content)}
            self.parent = str(create_run(experiment, name, tags).info.run_id)
            self.write()
        return {MLFLOW_PARENT_RUN_ID: self.parent, VARIATION_TAG: self.variation}
