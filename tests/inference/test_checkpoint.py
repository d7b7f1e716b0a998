"""Checkpoints of a tiny run that is really trained, alone, of old and spoilt."""

import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from clothing_lightning.errors import RunError
from clothing_lightning.inference.checkpoint import read_checkpoint
from clothing_lightning.inference.predictor import Predictor
from clothing_lightning.models.description import ARTIFACT, KEY, NetworkDescription
from tests.trained_run import COLOURS, Trained, store_as_before_0_2, trained

__all__ = ["trained"]


def changed(
    trained: Trained, folder: Path, change: Callable[[dict[str, Any]], object]
) -> Path:
    """A copy of the best checkpoint in which something is changed."""
    content = torch.load(trained.best, weights_only=True)
    change(content)
    file = folder / "changed.ckpt"
    torch.save(content, file)
    return file


@pytest.mark.parametrize("name", ["best.ckpt", "last.ckpt"])
def test_a_checkpoint_describes_itself(trained: Trained, name: str) -> None:
    file = trained.best.with_name(name)
    about = read_checkpoint(file).description
    assert about.class_names == list(COLOURS)
    assert about.preprocessing.image_size == about.image_size == 32
    assert (about.run_id, about.run_name) == (trained.run.run_id, "tiny")
    assert about.precision == "32-true"
    assert (about.calibration is None) == (name == "last.ckpt")
    stored = json.loads((trained.artifacts / ARTIFACT).read_text())
    assert NetworkDescription.from_values(stored | {"calibration": None}) == replace(
        about, calibration=None
    )
    if name == "best.ckpt":
        assert NetworkDescription.from_values(stored) == about


def test_a_checkpoint_alone_predicts(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = str(Path(trained.photo()).resolve())
    expected = Predictor("tiny")(photo)
    alone = tmp_path / "alone.ckpt"
    shutil.copy(trained.best, alone)
    monkeypatch.chdir(tmp_path)
    assert Predictor("alone.ckpt")(photo).equals(expected)
    assert Predictor("alone.ckpt").title == "tiny"
    assert not (tmp_path / "mlruns").exists()


def test_a_checkpoint_alone_needs_no_mlflow(trained: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(trained.best, folder / "alone.ckpt")
    script = (
        "import sys; sys.modules['mlflow'] = None; "
        "from clothing_lightning import predict; "
        f"sys.exit(predict.main(['alone.ckpt', {trained.photo()!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [path.name for path in folder.iterdir()] == ["alone.ckpt"]


def test_a_run_from_before_0_2_predicts(trained: Trained, tmp_path: Path) -> None:
    expected = Predictor("tiny")(trained.photo())
    with store_as_before_0_2(trained):
        about = read_checkpoint(trained.best).description
        assert about.run_id == trained.run.run_id
        for reference in ("tiny", str(trained.best)):
            assert Predictor(reference)(trained.photo()).equals(expected)
        alone = tmp_path / "alone.ckpt"
        shutil.copy(trained.best, alone)
        handed_on = tmp_path / "copy"
        shutil.copytree(trained.artifacts, handed_on)
    copied = handed_on / "checkpoints" / "best.ckpt"
    assert Predictor(str(copied))(trained.photo()).equals(expected)
    message = r"was written before version 0\.2 .* Name the run instead of the file"
    with pytest.raises(RunError, match=message):
        Predictor(str(alone))


def test_a_missing_checkpoint_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"none\.ckpt: there is no such checkpoint"):
        Predictor(str(tmp_path / "none.ckpt"))


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


@pytest.mark.parametrize("key", ["state_dict", KEY, "elsewhere"])
@pytest.mark.parametrize(
    "save", [torch.save, lambda c, f: f.write_bytes(pickle.dumps(c))]
)
def test_a_checkpoint_runs_no_code(
    key: str, save: Any, trained: Trained, tmp_path: Path
) -> None:
    content = torch.load(trained.best, weights_only=True)
    content[key] = Touch(tmp_path / "touched")
    file = tmp_path / "evil.ckpt"
    save(content, file)
    with pytest.raises(RunError, match=r"is no checkpoint that can be read safely"):
        Predictor(str(file))
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"format_version": 99},
            "it has format 99, of version .*pip install --upgrade",
        ),
        ({"format_version": None}, "cannot be used .format_version is a NoneType"),
        ({"backbone": "resnet_of_nobody"}, "'resnet_of_nobody' is not a timm model"),
        ({"backbone": "resnet18"}, "do not fit the network .* 'resnet18'"),
        ({"backbone": "../../etc/passwd"}, "'../../etc/passwd' is not a timm model"),
        ({"backbone": "hf-hub:a/b"}, "'hf-hub:a/b' is not a timm model"),
        ({"class_names": ["Hat"]}, "do not fit the network .*size mismatch"),
        ({"class_names": 7}, "cannot be used .class_names is a int"),
        ({"class_names": ["Hat", "Hat"]}, "a name is twice among class_names"),
        ({"class_names": ["Hat", "x" * 501]}, "class_names are not 1 to"),
        ({"class_names": ["Hat", "\ud800"]}, "class_names are not 1 to"),
        ({"run_name": "\udcff"}, "a name holds what is no text"),
        ({"format_version": -1}, "format_version is -1"),
        ({"image_size": True}, "image_size is a bool"),
        ({"in_chans": 1}, "do not fit the network"),
        ({"image_size": -1}, "cannot be used .image_size is -1"),
        ({"calibration": {"temperature": 0}}, "cannot be used .calibration: the curve"),
        ({"preprocessing": None}, "cannot be used .preprocessing is a NoneType"),
    ],
)
def test_a_description_that_does_not_hold_is_one_message(
    changes: dict[str, Any], message: str, trained: Trained, tmp_path: Path
) -> None:
    file = changed(trained, tmp_path, lambda content: content[KEY].update(changes))
    with pytest.raises(RunError, match=f"'{file}': .*{message}"):
        Predictor(str(file))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.update({KEY: [1, 2]}), "a list stands in place of"),
        (lambda content: content.pop("state_dict"), "no checkpoint that can"),
        (lambda content: content.update(state_dict=3), "holds more than tensors"),
        (lambda content: content["state_dict"].clear(), "do not fit the network"),
        (
            lambda content: content["state_dict"].update(
                {"network.fc.weight": torch.zeros(2, 2, dtype=torch.complex64)}
            ),
            "do not fit the network",
        ),
    ],
)
def test_a_spoilt_checkpoint_is_one_message(
    change: Any, message: str, trained: Trained, tmp_path: Path
) -> None:
    file = changed(trained, tmp_path, change)
    with pytest.raises(RunError, match=f"'{file}': .*{message}"):
        Predictor(str(file))


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut short"])
def test_a_damaged_file_is_one_message(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "damaged.ckpt"
    file.write_bytes(content)
    with pytest.raises(RunError, match=r"is no checkpoint that can be read safely"):
        Predictor(str(file))
