from typing import Any

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader

from clothing_lightning.data.dataset import Batch
from clothing_lightning.models.classifier import ClothingClassifier
from clothing_lightning.models.phases import Phase
from clothing_lightning.training.messages import PhaseAnnouncer, describe


def classifier(*phases: Phase, backbone: str = "test_resnet") -> ClothingClassifier:
    return ClothingClassifier(
        backbone,
        "none",
        class_names=list("abcde"),
        train_counts=[1] * 5,
        phases=list(phases),
    )


def told(
    model: ClothingClassifier, capsys: pytest.CaptureFixture[str], **options: Any
) -> list[str]:
    """Lines that a training of one batch in each epoch prints of phases."""
    images, labels = torch.randn(2, 3, 32, 32), torch.tensor([0, 1])
    batches: Any = [Batch(images, labels, torch.arange(2))]
    trainer = L.Trainer(
        accelerator="cpu",
        logger=False,
        callbacks=[PhaseAnnouncer()],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        **options,
    )
    trainer.fit(model, DataLoader(batches, batch_size=None))
    lines = capsys.readouterr().out.splitlines()
    return [line for line in lines if line.startswith(("Phase", "warning"))]


@pytest.mark.filterwarnings("ignore")
def test_each_phase_is_told_once_when_it_begins(
    capsys: pytest.CaptureFixture[str],
) -> None:
    phases = [Phase(2, "head"), Phase(2, "last: 1/3", lr_factor=0.1)]
    first, second = told(classifier(*phases), capsys, max_epochs=4)
    assert first.startswith("Phase 1 of 2 trains the head (485 of 373 k parameters)")
    assert second.startswith("Phase 2 of 2 trains the last 1/3 of test_resnet (")
    assert second.endswith("parameters), learning rate times 0.1")


@pytest.mark.filterwarnings("ignore")
def test_training_of_all_that_there_is_needs_no_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert told(classifier(Phase()), capsys, max_epochs=1) == []


@pytest.mark.filterwarnings("ignore")
def test_phases_that_the_run_does_not_come_to_are_a_warning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    phases = [Phase(1, "head"), Phase(3)]
    warning, phase = told(classifier(*phases), capsys, max_epochs=1)
    assert warning.startswith("warning: the run ends after 1 of the 4 epochs that ")
    assert phase.startswith("Phase 1 of 2")


def test_parts_are_told_in_words() -> None:
    parts = ["head", "layer4.*"]
    model = classifier(Phase(1, parts), backbone="resnet18")
    assert describe(model) == (
        "Phase 1 of 1 trains the head and layer4.* (8.4 M of 11.2 M parameters)"
    )
    model = classifier(Phase(1, lr_factor=3), backbone="resnet18")
    assert describe(model) == (
        "Phase 1 of 1 trains all of resnet18 (11.2 M of 11.2 M parameters), learning "
        "rate times 3"
    )
