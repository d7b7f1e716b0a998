"""What the terminal says of the phases of a fine-tuning."""

from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.markup import escape

from clothing_lightning.models.classifier import ClothingClassifier
from clothing_lightning.models.phases import Phase, first_epoch
from clothing_lightning.reports.console import say, warn


class PhaseTeller(Callback):
    """Says which phase begins or goes on, and what trains in it."""

    def __init__(self) -> None:
        """Begin with nothing said."""
        self.told: int | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Warn of phases that the run does not come to."""
        model = cast("ClothingClassifier", pl_module)
        total = first_epoch(model.phases, len(model.phases))
        if trainer.max_epochs is not None and 0 <= trainer.max_epochs < total:
            warn(
                f"the run ends after {trainer.max_epochs} of the {total} epochs that "
                "its phases have (trainer.max_epochs)."
            )

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, *args: Any
    ) -> None:
        """Tell of a phase that has begun: the module enters it after the callbacks."""
        model = cast("ClothingClassifier", pl_module)
        if model.phase != self.told and model.phases != [Phase()]:
            say(escape(describe(model)))
        self.told = model.phase


def describe(model: ClothingClassifier) -> str:
    """Say what trains in the phase that a model is in, and how fast."""
    phase, count = model.phases[model.phase], len(model.phases)
    sizes = [(p.numel(), p.requires_grad) for p in model.network.parameters()]
    trained, total = sum(n for n, trains in sizes if trains), sum(n for n, _ in sizes)
    what = " and ".join(_in_words(part, model.backbone) for part in phase.parts)
    rate = f", learning rate times {phase.lr_factor:g}" if phase.lr_factor != 1 else ""
    return (
        f"Phase {model.phase + 1} of {count} trains {what} ({_short(trained)} of "
        f"{_short(total)} parameters){rate}"
    )


def _in_words(part: str, backbone: str) -> str:
    if part == "all":
        return f"all of {backbone}"
    if part == "head":
        return "the head"
    if part.startswith("last:"):
        return f"the last {part.removeprefix('last:').strip()} of {backbone}"
    return part


def _short(count: int) -> str:
    """Return a number of parameters to three digits: ``11.2 M``."""
    for size, unit in ((10**6, " M"), (10**3, " k")):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    return str(count)
