"""`export` from its words to its files, with a tiny run that is really trained."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from torch import Tensor, nn

from clothing_lightning import export
from clothing_lightning.compression import export as exporting
from clothing_lightning.compression import winner
from clothing_lightning.compression.formats import FORMATS
from clothing_lightning.inference.checkpoint import read_checkpoint
from tests.hub_server import Hub, hub
from tests.trained_run import COLOURS, Trained, trained

__all__ = ["hub", "trained"]

# The hub's client calls its own transport in a way that is to go.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

Captured = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


@pytest.fixture
def refused(tmp_path: Path, capsys: Captured) -> Callable[..., str]:
    """Function that runs the command, and holds that it left nothing behind."""
    folder = tmp_path / "new"
    folder.mkdir()

    def run(*words: str) -> str:
        assert export.main([*words, "--out", str(folder / "out")]) == 2
        assert list(folder.iterdir()) == []
        found = capsys.readouterr()
        assert not found.out
        assert found.err.count("error: ") == 1
        return found.err.strip().removeprefix("error: ")

    return run


@contextmanager
def moved_away(path: Path) -> Iterator[None]:
    elsewhere = path.with_name(f"{path.name}-elsewhere")
    path.rename(elsewhere)
    try:
        yield
    finally:
        elsewhere.rename(path)


def moved_away_if_there(path: Path) -> AbstractContextManager[None]:
    return moved_away(path) if path.exists() else nullcontext()


def test_help_names_the_formats(capsys: Captured) -> None:
    assert export.main(["--help"]) == 0
    shown = capsys.readouterr().out
    for name in ("onnx", "safetensors", "torch", "--with-preprocessing", "--out"):
        assert name in shown
    assert list(export.TARGETS) == list(FORMATS)


def test_an_export_is_a_file_and_its_card(
    trained: Trained, tmp_path: Path, capsys: Captured
) -> None:
    folder = tmp_path / "deep" / "out"
    assert export.main(["tiny", "--out", str(folder)]) == 0
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == ["README.md", "model.onnx"]
    assert {oct(file.stat().st_mode)[-3:] for file in files} == {"644"}
    assert [path.name for path in folder.parent.iterdir()] == ["out"]
    count = len(trained.stored())
    shown = capsys.readouterr().out
    assert f"the same class for {count} of {count} test images" in shown
    assert str(folder / "model.onnx") in shown.replace("\n", "")
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert yaml.safe_load(card.split("---\n")[1])["library_name"] == "onnxruntime"
    assert f"`{trained.run.run_id}`" in card
    assert f"`{trained.run.tags['test_digest']}`" in card
    assert f"{count} of these {count} images have the same class" in card
    for name in COLOURS:
        assert f"\n| {name} | " in card
    # Another export into the same folder takes the place of this one.
    (folder / "model.onnx").write_bytes(b"")
    assert export.main([str(trained.best), "--out", str(folder)]) == 0
    assert (folder / "model.onnx").stat().st_size > 10_000


def test_it_goes_below_exports_where_no_folder_is_named(
    trained: Trained,
) -> None:
    assert export.main(["tiny", "--to", "safetensors"]) == 0
    folder = Path("exports") / "tiny-safetensors"
    config = json.loads((folder / "config.json").read_text())
    assert config["label_names"] == list(COLOURS)
    assert (folder / "model.safetensors").stat().st_mode & 0o777 == 0o644


def test_another_format_takes_the_place_of_the_one_before(
    trained: Trained, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    files = {
        "safetensors": {"model.safetensors", "config.json"},
        "mlflow": {"MLmodel", "artifacts", "requirements.txt", "served_model.py"},
        "torch": {"model.pt2"},
    }
    for target, written in files.items():
        words = ["tiny", "--to", target, "--out", str(folder)]
        assert export.main(words) == 0
        (folder / "notes.txt").write_text("mine")
        names = {path.name for path in folder.iterdir()}
        assert names >= {"README.md", "notes.txt"} | written
        assert not names & {n for t in files if t != target for n in files[t]}


@pytest.mark.parametrize("words", [["--root", "nowhere"], ["--register", "shirts"]])
def test_a_refused_export_leaves_no_folder(words: list[str], trained: Trained) -> None:
    with moved_away_if_there(Path("exports")):
        assert export.main(["tiny", *words]) == 2
        assert not Path("exports").exists()


def test_images_may_lie_elsewhere_now(
    trained: Trained, tmp_path: Path, refused: Callable[..., str]
) -> None:
    with moved_away(trained.photos):
        message = refused("tiny", "--to", "torch")
        assert f"'{trained.photos}'" in message
        assert "--root FOLDER" in message
        root = f"{trained.photos}-elsewhere"
        words = ["tiny", "--to", "torch", "--root", root, "--out", str(tmp_path / "x")]
        assert export.main(words) == 0


def test_photos_that_cannot_be_read_are_told(
    trained: Trained, tmp_path: Path, capsys: Captured
) -> None:
    path, *others = trained.stored()["path"]
    with moved_away(trained.photos / path):
        words = ["tiny", "--to", "torch", "--out", str(tmp_path / "x")]
        assert export.main(words) == 0
    shown = capsys.readouterr().out
    assert "without images that cannot be read" in shown
    assert path in shown
    assert f"the same class for {len(others)} of {len(others)} test images" in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nobody"], "run 'nobody' is not in sqlite"),
        (["none.ckpt"], "none.ckpt: there is no such checkpoint"),
        (["tiny", "--to", "torch", "--with-preprocessing"], "--to torch is no such"),
        (["tiny", "--to", "keras"], "--to: invalid choice: 'keras'"),
        (["--to", "onnx", "tiny"], "--to: name the run before the flags"),
        (["tiny", "--register", "x"], "Use --to mlflow in the place of --to onnx"),
        (["tiny", "--to", "mlflow", "--register", "a/b"], "'a/b' is no name of a mo"),
        (["tiny", "--to", "mlflow", "--register", " "], "' ' is no name of a model"),
        (["tiny", "--to", "mlflow", "--alias", "best"], "--alias: is of a registered"),
        (["tiny", "--to", "mlflow", "--if-better"], "--if-better: is of a registered"),
        (
            ["tiny", "--to", "mlflow", "--register", "x", "--if-better"],
            "--if-better: says when an alias is moved",
        ),
        (
            ["tiny", "--to", "mlflow", "--register", "x", "--alias", "V1"],
            "--alias: 'V1' is no alias",
        ),
        (["tiny", "--too", "onnx"], "unrecognized arguments: --too"),
        (["tiny", "--root", "nowhere"], "--root FOLDER"),
    ],
)
def test_bad_words_are_refused(
    words: list[str], message: str, trained: Trained, refused: Callable[..., str]
) -> None:
    assert message in refused(*words)


def test_a_run_without_a_checkpoint_is_refused(
    trained: Trained, refused: Callable[..., str]
) -> None:
    with moved_away(trained.best):
        assert "there is no network to restore: name another run" in refused("tiny")


def test_a_checkpoint_whose_run_is_unknown_is_refused(
    trained: Trained, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winner, "run_of", lambda description: None)
    message = refused(str(trained.best))
    assert "only the run knows the images to test it on. Set MLFLOW_TR" in message


def test_files_of_others_stay(
    trained: Trained, tmp_path: Path, capsys: Captured
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "README.md").write_text("# My own")
    assert export.main(["tiny", "--out", str(folder)]) == 2
    assert "holds files that are not of an export" in capsys.readouterr().err
    assert [file.read_text() for file in folder.iterdir()] == ["# My own"]


@pytest.mark.parametrize("library", ["onnxruntime", "onnxscript"])
def test_a_library_that_is_not_installed_is_named(
    library: str,
    trained: Trained,
    refused: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] == library:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    message = refused("tiny")
    assert re.search(rf"\b{library} is not installed", message)
    assert "pip install 'clothing-lightning[export]'" in message


def test_another_network_than_the_trained_one_is_not_kept(
    trained: Trained, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(folder: Path) -> Callable[[Tensor], Tensor]:
        module: Callable[[Tensor], Tensor] = torch_format.read(folder)
        return lambda images: module(images).roll(1, dims=1)

    torch_format = FORMATS["torch"]
    formats = {"torch": replace(torch_format, read=read)}
    monkeypatch.setattr(exporting, "FORMATS", formats)
    assert "what was exported is not the same network" in refused(
        "tiny", "--to", "torch"
    )


class Undecided(nn.Module):
    """A network that no tracer follows: what it does depends on what it sees."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3)) if images.mean() > 0 else images.sum((2, 3))


@pytest.mark.parametrize("target", ["onnx", "torch"])
def test_a_network_that_cannot_be_exported_is_told(
    target: str,
    trained: Trained,
    refused: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = read_checkpoint(trained.best, None, "cpu")
    other = replace(model, network=Undecided())
    monkeypatch.setattr(winner, "read_checkpoint", lambda *_: other)
    message = refused("tiny", "--to", target)
    assert f"test_resnet: cannot be exported to {target} (" in message
    assert "\n" not in message


def test_an_interrupted_export_leaves_nothing(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(exporting, "check", interrupted)
    folder = tmp_path / "new" / "out"
    assert export.main(["tiny", "--to", "torch", "--out", str(folder)]) == 130
    assert {path.name for path in tmp_path.iterdir()} <= {"cache"}


def test_a_folder_that_cannot_be_written_is_told(
    trained: Trained, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "file").write_text("mine")
    words = ["tiny", "--to", "torch", "--out", str(tmp_path / "file" / "out")]
    assert export.main(words) == 2
    assert "is a file. Name another folder." in capsys.readouterr().err


def test_what_is_exported_already_is_told(
    trained: Trained, tmp_path: Path, refused: Callable[..., str]
) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"")
    assert "is an ONNX file already" in refused(str(file))


def test_a_link_in_the_folder_is_replaced_not_followed(
    trained: Trained, tmp_path: Path
) -> None:
    """The folder of an earlier export may come from anybody."""
    folder, mine = tmp_path / "out", tmp_path / "mine"
    mine.write_text("mine")
    words = ["tiny", "--to", "torch", "--out", str(folder)]
    assert export.main(words) == 0
    (folder / "model.pt2").unlink()
    for name in ("model.pt2", "model.pt2.part", "README.md.part"):
        (folder / name).symlink_to(mine)
    assert export.main(words) == 0
    assert mine.read_text() == "mine"
    files = {file.name: file.is_symlink() for file in folder.iterdir()}
    assert files == {"README.md": False, "model.pt2": False}


def test_an_export_is_pushed_and_kept(
    trained: Trained, tmp_path: Path, capsys: Captured, hub: Hub
) -> None:
    folder = tmp_path / "out"
    words = ["tiny", "--to", "torch", "--out", str(folder), "--push-to-hub"]
    assert export.main([*words, "anna/clothes", "--private"]) == 0
    assert f"pushed    {hub.url}/anna/clothes" in capsys.readouterr().out
    pushed = hub.repositories["anna/clothes"]
    assert pushed.private
    assert pushed.files == {file.name: file.read_bytes() for file in folder.iterdir()}
    (folder / ".secret").write_text("mine")
    assert export.main([*words, "anna/clothes"]) == 0
    assert set(pushed.files) == {"README.md", "model.pt2"}
    capsys.readouterr()

    hub.repositories.clear()
    hub.user = "bob"
    (folder / "model.pt2").unlink()
    assert export.main([*words, "anna/clothes"]) == 2
    assert "may not write to 'anna/clothes'" in capsys.readouterr().err
    assert (folder / "model.pt2").is_file()


def test_what_is_not_pushed_is_told_before_the_work(
    trained: Trained, refused: Callable[..., str], hub: Hub, monkeypatch: Patch
) -> None:
    assert "--private: is of --push-to-hub" in refused("tiny", "--private")
    words = ["tiny", "--push-to-hub"]
    assert "'clothes' is not the name of a rep" in refused(*words, "clothes")
    assert "--to mlflow makes a model" in refused(*words, "a/b", "--to", "mlflow")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert "the token is refused" in refused(*words, "anna/clothes")
