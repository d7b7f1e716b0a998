from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from clothing_lightning.data.options import Preprocessing
from clothing_lightning.errors import ImageError
from clothing_lightning.inference import trained_network
from clothing_lightning.inference.trained_network import TrainedNetwork, build_network
from clothing_lightning.models.backbones import create_untrained
from clothing_lightning.models.description import NetworkDescription

ABOUT = NetworkDescription(
    "test_resnet", ["Dress", "Hat", "Shirt"], Preprocessing(64), image_size=64
)


def built(**changes: Any) -> TrainedNetwork:
    torch.manual_seed(0)
    state = create_untrained("test_resnet", (64, 64), 3).state_dict()
    return build_network(replace(ABOUT, **changes), state, torch.device("cpu"))


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Five photos, of which the second is missing."""
    files = [tmp_path / f"{number}.png" for number in range(5)]
    for number, file in enumerate(files):
        rng = np.random.default_rng(number)
        Image.fromarray(rng.integers(0, 256, (70, 90, 3), np.uint8)).save(file)
    files[1].unlink()
    return files


@pytest.mark.parametrize("workers", [False, True])
def test_photos_are_predicted_alike_in_batches_of_any_size(
    workers: bool, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = built()
    expected = list(model.predict(paths, 1))
    monkeypatch.setattr(
        trained_network, "_BATCHES_WITHOUT_WORKERS", 0 if workers else 9
    )
    for size in (1, 2, 9):
        results = list(model.predict(paths, size))
        assert isinstance(results[1], ImageError)
        assert len(results) == 5
        for result, alone in zip(results, expected, strict=True):
            if isinstance(alone, torch.Tensor):
                assert isinstance(result, torch.Tensor)
                assert torch.allclose(result, alone, atol=1e-6)
                assert float(result.sum()) == pytest.approx(1)


def test_few_photos_start_no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trained_network, "usable_cores", lambda: 16)
    batches = (0, 1, trained_network._BATCHES_WITHOUT_WORKERS)
    assert [trained_network._worker_count(n) for n in batches] == [0, 0, 0]
    assert trained_network._worker_count(100) == 8
    assert trained_network._worker_count(6) == 6


def test_a_network_and_its_preprocessing_have_the_same_channels() -> None:
    with pytest.raises(ValueError, match=r"takes images of 3 channels, and the mean"):
        built(preprocessing=Preprocessing(64, (0.5,), (0.5,)))
