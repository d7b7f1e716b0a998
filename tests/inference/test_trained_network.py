from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from clothing_lightning.errors import ConfigError, ImageError
from clothing_lightning.inference.trained_network import (
    TrainedNetwork,
    build_trained,
    device_called,
)
from clothing_lightning.models.backbones import create_untrained, preprocessing_of

NAMES = ["Dress", "Hat", "Shirt"]


def built(size: int | None = None, **recorded: Any) -> TrainedNetwork:
    torch.manual_seed(0)
    state = create_untrained("test_resnet", (64, 64), 3).state_dict()
    config = {
        "model": {"init_args": {"backbone": "test_resnet", "weights": "hub"}},
        "data": {"init_args": {"image_size": size}},
        "trainer": {"precision": "32-true"},
    }
    return build_trained(config, NAMES, state, torch.device("cpu"), recorded or None)


def test_preprocessing_follows_from_the_experiment_unless_it_is_recorded() -> None:
    own = preprocessing_of("test_resnet")
    assert built().preprocessing == own
    assert built(64).preprocessing.image_size == 64
    recorded = {
        "image_size": 48,
        "mean": [0.1, 0.2, 0.3],
        "std": [0.5, 0.5, 0.5],
        "crop_pct": 0.8,
        "boxes": False,
    }
    found = built(64, **recorded).preprocessing
    assert (found.image_size, found.crop_pct) == (48, 0.8)
    assert found.mean == (0.1, 0.2, 0.3)


def test_photos_are_predicted_alike_in_batches_of_any_size(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    for number, path in enumerate(paths):
        rng = np.random.default_rng(number)
        Image.fromarray(rng.integers(0, 256, (70, 90, 3), np.uint8)).save(path)
    paths[1].unlink()
    model = built(64)
    found = {size: list(model.predict(paths, size)) for size in (1, 2, 9)}
    for results in found.values():
        assert isinstance(results[1], ImageError)
        for result, alone in zip(results, found[1], strict=True):
            if isinstance(alone, torch.Tensor):
                assert isinstance(result, torch.Tensor)
                assert torch.allclose(result, alone, atol=1e-6)
                assert float(result.sum()) == pytest.approx(1)


def test_an_unknown_device_is_told() -> None:
    with pytest.raises(ConfigError, match=r"--device: 'tpu' is none of auto, cpu"):
        device_called("tpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_told() -> None:
    with pytest.raises(ConfigError, match=r"torch finds no GPU here for 'cuda'"):
        device_called("cuda")
    assert device_called("auto").type == "cpu"
