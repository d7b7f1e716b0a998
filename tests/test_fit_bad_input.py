"""`fit` on bad input: one message, exit code 2, and nothing of the user's is lost."""

import io
import os
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from lightning.pytorch import Callback, LightningModule, Trainer
from mlflow.entities import Run
from PIL import Image

from clothing_lightning import fit
from clothing_lightning.training import fitting

Recorded = Callable[[], list[Run]]
Spoil = Callable[[Path], None]

pytestmark = pytest.mark.usefixtures("workplace")


def contents(*folders: str) -> dict[Path, bytes]:
    files = [file for folder in folders for file in Path(folder).rglob("*")]
    return {file: file.read_bytes() for file in files if file.is_file()}


def the_message(err: str) -> str:
    """What stderr holds, which must be one message and nothing else."""
    assert err.startswith("\nerror: ")
    assert err.count("error: ") == 1
    assert "Traceback" not in err
    return err.removeprefix("\nerror: ")


# Data


def changed(name: str, change: Callable[[bytes], bytes]) -> Spoil:
    def spoil(root: Path) -> None:
        file = root / name
        file.write_bytes(change(file.read_bytes()))

    return spoil


def without(pattern: str) -> Spoil:
    def spoil(root: Path) -> None:
        for file in root.glob(pattern):
            file.unlink()

    return spoil


def image_of(side_px: int) -> bytes:
    """A PNG of one pixel whose header declares a square."""
    file = io.BytesIO()
    Image.new("RGB", (1, 1)).save(file, "PNG")
    png = bytearray(file.getvalue())
    png[16:24] = struct.pack(">II", side_px, side_px)
    png[29:33] = struct.pack(">I", zlib.crc32(png[12:29]))
    return bytes(png)


IMAGE, TABLE = "images/0007.jpg", "images.csv"
OR_DROP = "Replace or remove it, or pass --data.init_args.on_unreadable=drop"
GET_IT = "Get the data by one of*--data.init_args.root=FOLDER"
BAD_DATA: dict[str, tuple[Spoil, str]] = {
    "text as image": (
        changed(IMAGE, lambda sound: b"<html>not found</html>"),
        f"../clothes/{IMAGE}: is no image that can be read (JPEG, *). {OR_DROP}",
    ),
    "truncated image": (
        changed(IMAGE, lambda sound: sound[: len(sound) // 2]),
        f"../clothes/{IMAGE}: is damaged or cut short (*truncated*). {OR_DROP}",
    ),
    "empty image": (
        changed(IMAGE, lambda sound: b""),
        f"../clothes/{IMAGE}: is empty (0 bytes). {OR_DROP}",
    ),
    "huge image": (
        changed(IMAGE, lambda sound: image_of(side_px=60_000)),
        f"../clothes/{IMAGE}: has 60,000 x 60,000 px, more than *. {OR_DROP}",
    ),
    "class of one image": (
        changed(TABLE, lambda sound: sound.replace(b"Dress", b"Scarf", 1)),
        "split: 'Scarf' has 1 image*3 are needed*(data.init_args.exclude_labels)",
    ),
    "table without labels": (
        changed(TABLE, lambda sound: sound.replace(b"label", b"class", 1)),
        "../clothes/images.csv: has no column 'label' but image, *. It needs image,",
    ),
    "no table": (
        without(TABLE),
        f"ClothingDataset: '../clothes/images.csv' is not there. {GET_IT}",
    ),
    "no folder of images": (
        lambda root: shutil.rmtree(root / "images"),
        f"ClothingDataset: '../clothes' has images.csv, but no folder images*{GET_IT}",
    ),
    "folder without images": (
        without("images/*"),
        "ClothingDataset: none of the 40 rows *'../clothes/images/0000.jpg'",
    ),
}


@pytest.mark.parametrize(
    ("spoil", "message"), list(BAD_DATA.values()), ids=list(BAD_DATA)
)
def test_bad_data_are_told_before_anything_is_written(
    spoil: Spoil,
    message: str,
    experiment: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    spoil(Path("../clothes"))
    before = contents(".", "../clothes")
    assert fit.main([str(experiment), "--data.init_args.root=../clothes"]) == 2
    assert fnmatchcase(the_message(capfd.readouterr().err), f"{message}*")
    assert contents(".", "../clothes") == before


# Settings; test_fit.py has those that are given as flags


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        (
            "model: {init_args: {label_smooting: 0.1}}",
            "model.init_args.label_smooting: there is no such option. Closest names: "
            "label_smoothing.",
        ),
        (
            "seed_everthing: 1",
            "seed_everthing: there is no such option. Closest names: seed_everything.",
        ),
        ("trainer: {max_epochs: soon}", "trainer.max_epochs: 'soon' is not int or"),
        (
            "data: {init_args: {batch_size: many}}",
            "data.init_args.batch_size: 'many' is not int",
        ),
        (
            "data: {init_args: {split: {method: rnadom}}}",
            "data.init_args.split.method: 'rnadom' is not one of 'auto', 'stratified',",
        ),
        (
            "data: {init_args: {root: ../clothes/images.csv, download: archive}}",
            "ClothingDataset: '../clothes/images.csv/images.csv' is not there.",
        ),
        (
            "trainer: {max_epoch: 3}",
            "trainer.max_epoch: there is no such option. Closest names: max_epochs",
        ),
        (
            "data: {init_args: {split: {vall: 0.2}}}",
            "data.init_args.split.vall: there is no such option. Closest names: val",
        ),
        (
            "data: {init_args: {batch_size: null}}",
            "data.init_args.batch_size: is null. Write a value, or leave it out for 32",
        ),
        ("seed_everything: -1", "seed_everything is -1. It is a whole number from 0"),
        ("# trainer: {max_epochs: 1}", "overlay.yaml: holds no keys. Write some, or"),
    ],
)
def test_a_mistake_in_a_file_is_told_by_its_key(
    overlay: str, message: str, experiment: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("overlay.yaml").write_text(overlay)
    before = contents(".", "../clothes")
    assert fit.main([str(experiment), "overlay.yaml"]) == 2
    assert fnmatchcase(the_message(capfd.readouterr().err), f"{message}*")
    assert contents(".", "../clothes") == before


# Runs


def test_a_finished_run_stays_so_when_it_cannot_be_continued(
    experiment: Path, recorded: Recorded, capfd: pytest.CaptureFixture[str]
) -> None:
    assert fit.main([str(experiment), "--trainer.max_epochs=1"]) == 0
    before = contents("mlruns/artifacts")
    capfd.readouterr()
    assert fit.main(["--resume", "tiny", "--data.init_args.batch_size=0"]) == 2
    assert the_message(capfd.readouterr().err).startswith("data.init_args.batch_size ")
    assert [run.info.status for run in recorded()] == ["FINISHED"]
    assert contents("mlruns/artifacts") == before


def test_a_run_whose_folder_cannot_be_made_has_failed(
    experiment: Path, recorded: Recorded, capfd: pytest.CaptureFixture[str]
) -> None:
    in_the_way = Path("mlruns/artifacts")
    in_the_way.write_text("mine")
    assert fit.main([str(experiment)]) == 2
    message = (
        f"'{in_the_way}/*': results cannot be written there (Not a "
        "directory). Free some space, change its permissions, or start from another*"
    )
    assert fnmatchcase(the_message(capfd.readouterr().err), message)
    assert [run.info.status for run in recorded()] == ["FAILED"]
    assert in_the_way.read_text() == "mine"


@pytest.fixture
def bound() -> list[str]:
    """Words before a command that bind it to permissions, which root is not."""
    if os.geteuid() != 0:
        return []
    words = ["setpriv", "--bounding-set=-dac_override"]
    if not shutil.which(words[0]) or subprocess.run([*words, "true"]).returncode:
        pytest.skip("root may write anywhere, and setpriv cannot take that away")
    return words


@pytest.mark.slow
@pytest.mark.parametrize("folder", [".", "mlruns"])
def test_a_folder_without_permission_to_write(
    folder: str, bound: list[str], experiment: Path
) -> None:
    if folder == ".":
        shutil.rmtree("mlruns")
    before = contents(".")
    Path(folder).chmod(0o500)
    command = [sys.executable, "-m", "clothing_lightning.fit", str(experiment)]
    done = subprocess.run(
        [*bound, *command], capture_output=True, text=True, check=False
    )
    Path(folder).chmod(0o700)
    assert done.returncode == 2
    message = "MLflow: *'sqlite:///*/mlflow.db'*(*). *writable*set MLFLOW_TRACKING_URI*"
    assert fnmatchcase(the_message(done.stderr), message)
    assert contents(".") == before


class Broken(Callback):
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        raise ZeroDivisionError("a fault of ours")


def test_a_fault_of_ours_keeps_its_traceback(
    experiment: Path, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "Progress", Broken)
    with pytest.raises(ZeroDivisionError, match="a fault of ours"):
        fit.main([str(experiment)])
    assert [run.info.status for run in recorded()] == ["FAILED"]
