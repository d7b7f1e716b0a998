"""An exported ONNX file in the place of a run."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from clothing_lightning import evaluate, predict
from clothing_lightning.compression.onnx_export import export_onnx
from clothing_lightning.errors import ConfigError, RunError
from clothing_lightning.inference.checkpoint import read_checkpoint
from clothing_lightning.inference.onnx_network import OnnxNetwork, read_onnx
from clothing_lightning.inference.predictor import Predictor
from clothing_lightning.models.description import KEY
from tests.trained_run import COLOURS, Trained, trained

__all__ = ["trained"]

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def exported(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("exported") / "tiny.onnx"
    export_onnx(read_checkpoint(trained.best, None, "cpu"), file)
    return file


@pytest.fixture
def changed(exported: Path, tmp_path: Path) -> Callable[..., Path]:
    """Function that copies the file, with a change to its content."""

    def copy(change: Callable[[Any], object]) -> Path:
        model = onnx.load(exported)
        change(model)
        file = tmp_path / "changed.onnx"
        onnx.save(model, file)
        return file

    return copy


def describe(model: Any, **changes: object) -> None:
    (text,) = (each for each in model.metadata_props if each.key == KEY)
    text.value = json.dumps(json.loads(text.value) | changes)


def test_it_describes_itself_and_answers_as_the_checkpoint(
    trained: Trained, exported: Path
) -> None:
    before, after = (Predictor(str(file)) for file in (trained.best, exported))
    assert after.title == "tiny"
    assert after.model.description == before.model.description
    photos = [trained.photo(label, number) for label in COLOURS for number in range(3)]
    names = list(COLOURS)
    first, second = before(photos)[names], after(photos)[names]
    assert np.abs(first.to_numpy() - second.to_numpy()).max() < 1e-4


def test_threads_are_chosen(exported: Path) -> None:
    images = torch.zeros(1, 3, 32, 32)
    for threads in (1, 2):
        network = OnnxNetwork(exported, threads)
        options = network.session.get_session_options()
        assert options.intra_op_num_threads == threads
        assert network(images).shape == (1, len(COLOURS))


def test_predict_takes_it(trained: Trained, exported: Path, capsys: Captured) -> None:
    assert predict.main([str(exported), trained.photo(), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["checkpoint"] == str(exported)
    (image,) = content["images"]
    (row,) = Predictor("tiny")(trained.photo()).itertuples()
    assert image["predictions"][0]["label"] == row.prediction


def test_evaluate_gives_the_numbers_of_the_run(
    trained: Trained, exported: Path, capsys: Captured
) -> None:
    assert evaluate.main([str(exported), "--name", "onnx"]) == 0
    count = len(trained.stored())
    shown = " ".join(capsys.readouterr().out.split())
    assert re.search(rf"The same numbers as stored: .* on {count} images", shown)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--device", "cuda"], "--device cuda: '{}' is an ONNX file, which is run on"),
        (["--explain", "why"], "--explain: '{}' is an ONNX file, which has no gradi"),
    ],
)
def test_what_it_cannot_do_is_told(
    words: list[str], message: str, trained: Trained, exported: Path, capsys: Captured
) -> None:
    assert predict.main([str(exported), trained.photo(), *words]) == 2
    found = capsys.readouterr()
    assert message.format(exported) in found.err
    assert not found.out
    assert not Path("why").exists()


def test_a_file_that_prepares_photos_itself_is_refused(
    changed: Callable[..., Path],
) -> None:
    def takes_photos(model: Any) -> None:
        for each in model.metadata_props:
            each.value = "photos" if each.key.endswith(".takes") else each.value

    with pytest.raises(
        RunError, match=r"prepares photos itself, .* without --with-pre"
    ):
        read_onnx(changed(takes_photos))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_names": ["Hat", "Dress"]}, r"\[3\]\], and it describes .* \[2\]\]"),
        ({"backbone": 3}, "backbone is a int"),
        ({"format_version": 99}, "it has format 99"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(
    changes: dict[str, object], message: str, changed: Callable[..., Path]
) -> None:
    file = changed(lambda model: describe(model, **changes))
    with pytest.raises(RunError, match=f"does not describe its network .*{message}"):
        read_onnx(file)


def test_a_description_that_is_no_json_is_refused(
    changed: Callable[..., Path],
) -> None:
    def nest(model: Any) -> None:
        for each in model.metadata_props:
            each.value = "[" * 100_000

    with pytest.raises(RunError, match="does not describe its network"):
        read_onnx(changed(nest))


def test_a_file_without_a_description_is_refused(
    changed: Callable[..., Path], trained: Trained, capsys: Captured
) -> None:
    file = changed(lambda model: model.ClearField("metadata_props"))
    assert OnnxNetwork(file).metadata == {}
    assert predict.main([str(file), trained.photo()]) == 2
    message = capsys.readouterr().err
    assert f"'{file}': does not describe its network" in message
    assert "Use a file that export has written." in message


def test_a_file_of_other_inputs_is_refused(changed: Callable[..., Path]) -> None:
    def rename(model: Any) -> None:
        for node in model.graph.node:
            for place, name in enumerate(node.input):
                if name == "images":
                    node.input[place] = "pixels"
        model.graph.input[0].name = "pixels"

    with pytest.raises(RunError, match=r"takes \['pixels'\] and gives \['logits'\], e"):
        OnnxNetwork(changed(rename))


@pytest.mark.parametrize("content", [b"", b"no onnx", None])
def test_a_damaged_file_is_refused(
    content: bytes | None, exported: Path, trained: Trained, capsys: Captured
) -> None:
    file = exported.with_name("damaged.onnx")
    whole = exported.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if content is None else content)
    assert predict.main([str(file), trained.photo()]) == 2
    assert f"'{file}': is no ONNX file that can be run (" in capsys.readouterr().err


def test_no_file_is_told(trained: Trained, capsys: Captured) -> None:
    assert predict.main(["none.onnx", trained.photo()]) == 2
    assert "none.onnx: there is no such checkpoint" in capsys.readouterr().err


def test_onnxruntime_that_is_not_installed_is_named(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=r"clothing-lightning\[export\]"):
        OnnxNetwork(exported)
