"""The scripts of model cards, run where nothing of this project can be imported."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from clothing_lightning import export
from clothing_lightning.compression.formats import FORMATS
from clothing_lightning.compression.usage import usage
from clothing_lightning.data.augmentation import Pipeline
from clothing_lightning.data.options import Preprocessing
from clothing_lightning.inference.predictor import Predictor
from tests.compression.networks import random_network
from tests.trained_run import Trained, draw, trained

__all__ = ["trained"]

OURS = ["clothing_lightning", "albumentations", "cv2", "lightning", "mlflow"]
WITHOUT_TORCH = [*OURS, "torch", "torchvision", "timm", "pandas"]


@pytest.fixture
def answers(trained: Trained, tmp_path: Path) -> Callable[..., str]:
    """Function that exports, and holds the card's script against `predict`."""

    def run(without: list[str], *words: str) -> str:
        folder = tmp_path / "out"
        assert export.main(["tiny", *words, "--out", str(folder)]) == 0
        card = (folder / "README.md").read_text(encoding="utf-8")
        found = re.search(r"```python\n(.*?)```", card, re.DOTALL)
        assert found is not None
        script = found[1]
        (folder / "use.py").write_text(script, encoding="utf-8")
        program = (
            f"import runpy, sys; sys.modules.update(dict.fromkeys({without}));"
            "runpy.run_path('use.py')"
        )
        table = Predictor("tiny", device="cpu")(trained.photos)
        assert Predictor("tiny").temperature != 1
        surest = table.groupby("prediction")["probability"].idxmax()
        assert len(surest) > 1
        for row in table.loc[surest].itertuples():
            shutil.copy(str(row.path), folder / "photo.jpg")
            printed = subprocess.run(
                [sys.executable, "-I", "-c", program],
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
            assert printed.returncode == 0, printed.stderr
            name, probability = printed.stdout.split()
            assert name == row.prediction
            # timm's own transform has another filter than the run's test.
            tolerance = 0.05 if "timm.data" in script else 0.005
            assert float(probability) == pytest.approx(row.probability, abs=tolerance)
        return script

    return run


def test_onnx_needs_20_lines_and_neither_torch_nor_this_project(
    answers: Callable[..., str],
) -> None:
    script = answers(WITHOUT_TORCH)
    assert len(script.splitlines()) <= 20
    imported = set(re.findall(r"^(?:import|from) (\w+)", script, re.MULTILINE))
    assert imported == {"json", "numpy", "onnxruntime", "PIL"}


def test_onnx_with_preprocessing_needs_less(answers: Callable[..., str]) -> None:
    script = answers(WITHOUT_TORCH, "--with-preprocessing")
    assert len(script.splitlines()) <= 14
    assert "resize" not in script


def test_safetensors_are_read_by_timm(answers: Callable[..., str]) -> None:
    assert "timm.create_model(" in answers(OURS, "--to", "safetensors")


def test_torch_needs_no_timm(answers: Callable[..., str]) -> None:
    assert "torch.export.load(" in answers([*OURS, "timm"], "--to", "torch")


def test_mlflow_needs_neither_torch_nor_this_project(
    answers: Callable[..., str],
) -> None:
    without = [name for name in WITHOUT_TORCH if name not in ("mlflow", "pandas")]
    assert "mlflow.pyfunc.load_model(" in answers(without, "--to", "mlflow")


@pytest.mark.parametrize("target", ["onnx", "safetensors", "torch", "mlflow"])
@pytest.mark.parametrize("channels", [1, 3])
def test_scripts_are_python_for_gray_networks_too(target: str, channels: int) -> None:
    preprocessing = Preprocessing(28, (0.286,) * channels, (0.353,) * channels, 0.9)
    script = usage(target, "test_resnet", preprocessing, with_preprocessing=False)
    compile(script, "use.py", "exec")
    assert max(map(len, script.splitlines())) <= 100


@pytest.mark.parametrize("size", [(61, 97), (20, 50), (36, 36), (400, 533), (37, 9)])
@pytest.mark.parametrize("channels", [1, 3])
def test_scripts_give_the_network_the_pixels_of_its_test(
    size: tuple[int, int], channels: int
) -> None:
    preprocessing = Preprocessing(32, (0.4,) * channels, (0.3,) * channels)
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    script = usage("onnx", "test_resnet", preprocessing, with_preprocessing=False)
    lines = script[script.index("grown = ") : script.index("logits = ")]
    names: dict[str, Any] = {"photo": Image.fromarray(pixels), "np": np, "Image": Image}
    exec(lines, names)
    expected = preprocessing.normalise(
        torch.from_numpy(Pipeline([], 32, 0.875)(pixels, 0))[None]
    )
    found = torch.from_numpy(names["images"])
    torch.testing.assert_close(found, expected, atol=1.01 / 255 / 0.3, rtol=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_timm_reads_networks_of_gray_images(
    channels: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = random_network(Preprocessing(32, (0.4,) * channels, (0.3,) * channels))
    FORMATS["safetensors"].write(model, tmp_path)
    photo = tmp_path / "photo.jpg"
    draw(photo, (200, 40, 40), 0)
    monkeypatch.chdir(tmp_path)
    exec(
        usage(
            "safetensors", "test_resnet", model.preprocessing, with_preprocessing=False
        ),
        {},
    )
    *_, probability = capsys.readouterr().out.split()
    (expected,) = model.predict([photo], 1)
    assert isinstance(expected, torch.Tensor)
    assert float(probability) == pytest.approx(float(expected.max()), abs=0.02)


def test_timm_is_told_of_networks_that_are_ours() -> None:
    preprocessing = Preprocessing(64)
    for backbone, import_line in (
        ("compact_cnn", "import clothing_lightning.models.networks"),
        ("resnet18.a1_in1k", ""),
    ):
        script = usage("safetensors", backbone, preprocessing, with_preprocessing=False)
        assert ("clothing_lightning" in script) == bool(import_line)
        assert import_line in script
