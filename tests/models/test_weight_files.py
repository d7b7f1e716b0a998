import os
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging
from safetensors.torch import save_file
from torch import Tensor
from torch.utils.data import DataLoader

from clothing_lightning.data.dataset import Batch
from clothing_lightning.errors import WeightsError
from clothing_lightning.models.backbones import create_backbone
from clothing_lightning.models.classifier import ClothingClassifier
from clothing_lightning.models.weight_files import read_state

SAFELY = "no file of weights that can be read safely.*Save a plain state dict"


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.mark}'",)


def trained(*callbacks: Callback) -> L.Trainer:
    images = [Batch(torch.randn(4, 3, 32, 32), torch.arange(4), torch.arange(4))] * 3
    model = ClothingClassifier(
        "test_resnet",
        "none",
        class_names=["a", "b", "c", "d"],
        train_counts=[1, 2, 3, 4],
        class_weights="balanced",
    )
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        callbacks=list(callbacks),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    loader: DataLoader[Batch] = DataLoader(images, batch_size=None)  # type: ignore[arg-type]
    trainer.fit(model, loader, loader)
    return trainer


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(one[k].equal(other[k]) for k in one)


@pytest.mark.parametrize("wrapped", [False, True])
def test_reads_what_torch_saved(wrapped: bool, tmp_path: Path) -> None:
    state = create_backbone("test_resnet", "none", 2).state_dict()
    file = tmp_path / "weights.pth"
    torch.save({"state_dict": state, "epoch": 3} if wrapped else state, file)
    assert same(read_state(file), dict(state))


def test_reads_safetensors(tmp_path: Path) -> None:
    state = create_backbone("test_vit", "none", 2).state_dict()
    save_file(state, tmp_path / "weights.safetensors")
    assert same(read_state(tmp_path / "weights.safetensors"), dict(state))


def test_takes_the_network_from_our_checkpoint(tmp_path: Path) -> None:
    trainer = trained()
    trainer.save_checkpoint(tmp_path / "best.ckpt")
    network = trainer.lightning_module.network
    assert isinstance(network, torch.nn.Module)
    assert same(read_state(tmp_path / "best.ckpt"), dict(network.state_dict()))


class SaveAtEpochEnd(Callback):
    def __init__(self, file: Path) -> None:
        self.file = file

    def on_train_epoch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule
    ) -> None:
        trainer.save_checkpoint(self.file)


def test_takes_the_averaged_weights_where_weights_were_averaged(tmp_path: Path) -> None:
    file = tmp_path / "best.ckpt"
    trainer = trained(EMAWeightAveraging(decay=0.5), SaveAtEpochEnd(file))
    assert "current_model_state" in torch.load(file, weights_only=True)
    network = trainer.lightning_module.network  # the average, once training is over
    assert isinstance(network, torch.nn.Module)
    assert same(read_state(file), dict(network.state_dict()))


def test_names_that_only_look_like_our_checkpoint_are_kept(tmp_path: Path) -> None:
    # timm's volo keeps its blocks under "network", beside others.
    state = {"network.0.weight": torch.ones(2), "norm.weight": torch.ones(2)}
    torch.save(state, tmp_path / "volo.pth")
    assert read_state(tmp_path / "volo.pth").keys() == state.keys()


def test_hostile_file_is_refused_and_does_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "it ran"
    torch.save({"weight": Hostile(mark)}, tmp_path / "hostile.pth")
    with pytest.raises(WeightsError, match=f"hostile.pth' is {SAFELY}"):
        read_state(tmp_path / "hostile.pth")
    assert not mark.exists()
    torch.load(tmp_path / "hostile.pth", weights_only=False)  # it would have
    assert mark.exists()


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
@pytest.mark.parametrize("content", [b"", b"not weights at all", b"PK\3\4 cut off"])
def test_file_of_another_kind_is_an_error(
    name: str, content: bytes, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=f"{name}' is {SAFELY}"):
        read_state(tmp_path / name)


@pytest.mark.parametrize("content", [torch.ones(2), [1, 2], {}, {"epoch": 1}])
def test_file_without_parameters_is_an_error(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(WeightsError, match=r"weights.pth' has no parameters"):
        read_state(tmp_path / "weights.pth")


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"nowhere\.pth' is not a file\. Give hub"):
        read_state(tmp_path / "nowhere.pth")
