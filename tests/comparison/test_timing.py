"""Latencies of the networks of runs, from what a real run has left."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from clothing_lightning.comparison.timing import time_networks
from clothing_lightning.errors import RunError
from clothing_lightning.models.description import ARTIFACT
from clothing_lightning.tracking.read import StoredRun
from tests.trained_run import Trained, trained

__all__ = ["trained"]


class Moved(StoredRun):
    """A run whose artifacts lie elsewhere."""

    folder: Path

    def artifact(self, path: str) -> Path:
        if path == ARTIFACT and not (self.folder / path).exists():
            raise RunError(f"has no artifact '{path}'")
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
    times_ms, machine, remarks = time_networks([trained.run, again], budget_s=0.05)
    assert remarks == []
    assert set(times_ms) == {trained.run.run_id, again.run_id}
    assert len(set(times_ms.values())) == 1
    assert 0 < times_ms[again.run_id] < 5000
    assert machine


def without_description(trained: Trained, folder: Path) -> StoredRun:
    """The run as versions before 0.2 have stored it."""
    run = without_checkpoints(trained.run, trained.artifacts, folder)
    (folder / ARTIFACT).unlink()
    return run


def test_runs_from_before_0_2_are_timed(trained: Trained, tmp_path: Path) -> None:
    old = without_description(trained, tmp_path / "copy")
    times_ms, _, remarks = time_networks([trained.run, old], budget_s=0.05)
    assert remarks == []
    assert len(set(times_ms.values())) == 1


def test_what_cannot_be_built_is_remarked(trained: Trained, tmp_path: Path) -> None:
    spoilt = without_description(trained, tmp_path / "copy")
    (tmp_path / "copy" / "config" / "config.yaml").write_text("model: {}")
    times_ms, _, remarks = time_networks([spoilt, trained.run], budget_s=0.05)
    assert set(times_ms) == {trained.run.run_id}
    assert "No latency: run tiny (00000000): its network cannot be built" in remarks[0]
    assert time_networks([spoilt])[0] == {}


@pytest.mark.parametrize("name", ["config/config.yaml", "data/class_counts.csv"])
def test_what_is_missing_is_remarked(
    trained: Trained, tmp_path: Path, name: str
) -> None:
    spoilt = without_description(trained, tmp_path / "copy")
    (tmp_path / "copy" / name).unlink()
    assert "cannot be read" in time_networks([spoilt])[2][0]


def test_a_damaged_description_is_remarked(trained: Trained, tmp_path: Path) -> None:
    spoilt = without_checkpoints(trained.run, trained.artifacts, tmp_path / "copy")
    (tmp_path / "copy" / ARTIFACT).write_text("{}")
    assert "format_version is missing" in time_networks([spoilt])[2][0]
