"""``fit --register``: what is trained becomes a version of a registered model."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.entities import Run

from clothing_lightning import fit
from clothing_lightning.cli.arguments import split_arguments
from clothing_lightning.comparison import promotion
from clothing_lightning.errors import ConfigError, StorageError
from clothing_lightning.tracking.registry import version_behind

Captured = pytest.CaptureFixture[str]
FLAGS = ["--register", "clothes", "--alias", "champion", "--if-better"]


def test_a_registration_that_fails_is_made_up_for(
    experiment: Path,
    recorded: Callable[[], list[Run]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    def refuse(*_: object) -> int:
        raise StorageError("MLflow: model 'clothes' cannot be written.")

    words = [str(experiment), "--trainer.max_epochs", "1", *FLAGS]
    with monkeypatch.context() as patch:
        patch.setattr(promotion, "register", refuse)
        assert fit.main(words) == 2
    (run,) = recorded()
    assert run.info.status == "FINISHED"
    message = capsys.readouterr().err
    assert "model 'clothes' cannot be written. The run is finished and kept" in message
    assert (
        f"export {run.info.run_id[:8]} --to mlflow --register clothes --alias champion "
        "--if-better"
    ) in message

    # A run that is resumed is registered as it was to be when it began.
    assert fit.main(["--resume", "tiny", "--trainer.max_epochs", "2"]) == 0
    assert version_behind("clothes", "champion") == (1, run.info.run_id)
    assert "models:/clothes@champion --env-manager local" in capsys.readouterr().out


def test_a_missing_library_is_told_before_the_training(
    experiment: Path,
    recorded: Callable[[], list[Run]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert fit.main([str(experiment), *FLAGS]) == 2
    assert recorded() == []
    assert capsys.readouterr().err.strip() == (
        "error: --register: onnxscript is not installed, and the model needs it. pip "
        "install 'clothing-lightning[export]'"
    )


@pytest.mark.parametrize("several", [["--folds", "2"], ["--seeds", "0", "1"]])
def test_several_runs_are_not_registered(experiment: Path, several: list[str]) -> None:
    message = r"of several runs none is the one.* --register clothes --alias champion"
    with pytest.raises(ConfigError, match=message):
        split_arguments([str(experiment), *several, *FLAGS])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--alias", "champion"], "--alias: is of a registered model"),
        (["--register", "a:b"], "'a:b' is no name of a model"),
        (["--register", "a", "--alias", "latest"], "'latest' is no alias"),
    ],
)
def test_names_are_checked_at_once(
    experiment: Path, flags: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        split_arguments([str(experiment), *flags])
