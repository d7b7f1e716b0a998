import pytest
import torch

from clothing_lightning.errors import ConfigError
from clothing_lightning.models.devices import device_name, select_device


def test_an_unknown_device_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"--device: 'tpu' is none of auto, cpu"):
        select_device("tpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"torch finds no GPU here for 'cuda'"):
        select_device("cuda")
    assert select_device("auto").type == "cpu"


def test_the_name_is_that_of_the_device_that_computes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was the GPU's name wherever there is a GPU, though the CPU was used."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _=None: "NVIDIA X")
    assert device_name(select_device("cpu")) == "cpu"
    assert device_name(select_device("auto")) == "NVIDIA X"
