"""What a training is made of."""

from dataclasses import dataclass, field

from lightning.pytorch.callbacks import ModelCheckpoint

from clothing_lightning.datamodules import PhotoDataModule
from clothing_lightning.models.classifier import ClothingClassifier


@dataclass(frozen=True)
class RunOptions:
    """What the run is called in MLflow.

    Attributes:
        name: The name of the run; by default that of the first YAML file.
        experiment: The MLflow experiment that the run belongs to; by default the name
            of the data set.
        tags: Tags that the run gets besides its own.
    """

    name: str | None = None
    experiment: str | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """A model, its data, and the name under which their training is recorded.

    Attributes:
        name: The name of the run.
        experiment: The name of the MLflow experiment that the run belongs to.
        tags: The user's own tags.
        config: The resolved experiment as YAML: fitting from it gives the run again.
        command: The words of the command line, for the record.
        model: The classifier that is trained.
        data: The images that it is trained and tested on.
        checkpoint: Chooses the best epoch.
        test_last: Whether the weights of the last epoch are tested as well.
        show_progress: Whether a progress bar is shown.
    """

    name: str
    experiment: str
    tags: dict[str, str]
    config: str
    command: list[str]
    model: ClothingClassifier
    data: PhotoDataModule
    checkpoint: ModelCheckpoint
    test_last: bool = False
    show_progress: bool = True
