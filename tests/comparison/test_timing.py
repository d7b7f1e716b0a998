"""Latencies of the networks of runs, from what a real run has left."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from clothing_lightning.comparison.timing import time_networks
from clothing_lightning.tracking.read import StoredRun
from tests.trained_run import Trained, trained

__all__ = ["trained"]


class Moved(StoredRun):
    """A run whose artifacts lie elsewhere."""

    folder: Path

    def artifact(self, path: str) -> Path:
        return self.folder / path

    @property
    def config(self) -> Path:
        return self.folder / "config" / "config.yaml"


def without_checkpoints(run: StoredRun, artifacts: Path, folder: Path) -> StoredRun:
    shutil.copytree(artifacts, folder, ignore=shutil.ignore_patterns("checkpoints"))
    moved = Moved(**vars(replace(run, run_id="0" * 32)))
    object.__setattr__(moved, "folder", folder)
    return moved


def test_runs_of_one_network_are_timed_together_and_need_no_checkpoint(
    trained: Trained, tmp_path: Path
) -> None:
    again = without_checkpoints(trained.run, trained.artifacts, tmp_path / "copy")
    found, machine, told = time_networks([trained.run, again], budget_s=0.05)
    assert told == []
    assert set(found) == {trained.run.run_id, again.run_id}
    assert len(set(found.values())) == 1
    assert 0 < found[again.run_id] < 5000
    assert machine


def test_what_cannot_be_built_is_told(trained: Trained, tmp_path: Path) -> None:
    spoilt = without_checkpoints(trained.run, trained.artifacts, tmp_path / "copy")
    (tmp_path / "copy" / "config" / "config.yaml").write_text("model: {}")
    found, _, told = time_networks([spoilt, trained.run], budget_s=0.05)
    assert set(found) == {trained.run.run_id}
    assert "No latency: run tiny (00000000): its network cannot be built" in told[0]
    assert time_networks([spoilt])[0] == {}


@pytest.mark.parametrize("name", ["config/config.yaml", "data/class_counts.csv"])
def test_what_is_missing_is_told(trained: Trained, tmp_path: Path, name: str) -> None:
    spoilt = without_checkpoints(trained.run, trained.artifacts, tmp_path / "copy")
    (tmp_path / "copy" / name).unlink()
    assert "cannot be read" in time_networks([spoilt])[2][0]
