import inspect
from pathlib import Path

import pytest
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from clothing_lightning import fit
from clothing_lightning.cli.arguments import COMMON_OPTIONS, split_arguments
from clothing_lightning.data.options import Split
from clothing_lightning.datamodules import ImageFolder, PhotoDataModule
from clothing_lightning.errors import ConfigError
from clothing_lightning.models.classifier import ClothingClassifier
from clothing_lightning.training.experiment import RunOptions


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "a.yaml"
    path.write_text("trainer: {}")
    return str(path)


def names(words: list[str]) -> list[str]:
    return [variation.name for variation in split_arguments(words).variations]


def test_experiment_is_run_once_unless_told(file: str) -> None:
    assert split_arguments([file, "--seed_everything", "1"]).variations == []


def test_folds_are_counted_from_one(file: str) -> None:
    found = split_arguments([file, "--folds", "3", "--trainer.max_epochs", "1"])
    assert [variation.options for variation in found.variations] == [
        ["--data.init_args.fold", f"{number} of 3"] for number in (1, 2, 3)
    ]
    assert found.options == ["--trainer.max_epochs", "1"]
    assert found.folds == 3


def test_seeds_leave_the_split_and_split_seeds_change_it(file: str) -> None:
    (run,) = split_arguments([file, "--seeds", "7"]).variations
    assert run.options == ["--seed_everything", "7"]
    (run,) = split_arguments([file, "--split_seeds", "7"]).variations
    assert run.options == ["--data.init_args.split.seed", "7"]


def test_folds_and_seeds_are_combined(file: str) -> None:
    words = [file, "--seeds", "0", "1", "--folds", "2"]
    assert names(words) == [
        "fold 1 of 2, seed 0",
        "fold 1 of 2, seed 1",
        "fold 2 of 2, seed 0",
        "fold 2 of 2, seed 1",
    ]


def test_numbers_may_follow_an_equals_sign(file: str) -> None:
    assert split_arguments([file, "--folds=2"]).folds == 2
    assert names([file, "--seeds=3"]) == ["seed 3"]


def test_several_runs_are_not_resumed_one_by_one(file: str) -> None:
    with pytest.raises(ConfigError, match="--resume: runs go on as they began"):
        split_arguments([file, "--resume", "abcd", "--seeds", "0", "1"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seeds", ""], "--seeds: '' is not a whole number"),
        (["--folds"], "--folds: expected one argument"),
        (["--folds", "1"], "--folds: 1 is given"),
        (["--folds", "five"], "--folds: 'five' is not a whole number from 0"),
        (["--seeds"], "--seeds: expected at least one argument"),
        (["--seeds", "1", "1"], "--seeds: give different numbers"),
        (["--seeds", "1.5"], "--seeds: '1.5' is not a whole number"),
        (["--split_seeds", "2", "2"], "--split_seeds: give different numbers"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(
    file: str, words: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        split_arguments([file, *words])


def test_the_help_page_shows_options_that_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert fit.main(["--help"]) == 0
    page = capsys.readouterr().out
    assert max(map(len, page.splitlines())) <= 80
    known = {"seed_everything", "test_last", "keep_freed_memory"}
    classes = (ClothingClassifier, PhotoDataModule, ImageFolder, Split)
    for cls in (*classes, Trainer, ModelCheckpoint, RunOptions):
        known |= set(inspect.signature(cls).parameters)
    for option in COMMON_OPTIONS:
        assert option in page
        assert option.split()[0].rpartition(".")[2].removeprefix("--") in known
