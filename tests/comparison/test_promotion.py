"""When a new version takes the place of the one before."""

from pathlib import Path

import pytest

from clothing_lightning.comparison.promotion import compare_accuracy, promote
from clothing_lightning.tracking.read import StoredRun, find_run
from clothing_lightning.tracking.registry import Registration, log_model, version_behind
from clothing_lightning.tracking.store import client, tracking_uri
from tests.stored_runs import store_run

Captured = pytest.CaptureFixture[str]
PLACE = Registration("clothes", "champion", if_better=True)


def stored(name: str, **traits: object) -> StoredRun:
    return find_run(store_run(name, **traits))  # type: ignore[arg-type]


@pytest.fixture
def weak(workplace: Path) -> StoredRun:
    return stored("weak", skill=0.5)


def a_model(run: StoredRun, folder: Path) -> str:
    """A model of which MLflow's own file alone is there."""
    folder.mkdir(exist_ok=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    return log_model(run, folder)


def registered(run: StoredRun, folder: Path) -> tuple[int, str | None] | None:
    promote(run, a_model(run, folder), PLACE)
    return version_behind("clothes", "champion")


def test_better_is_what_mcnemar_says_is(weak: StoredRun) -> None:
    verdict = compare_accuracy(stored("strong", skill=4.0), weak)
    assert verdict.better
    assert "better beyond chance" in verdict.reason
    assert f"of {weak.label}" in verdict.reason


def test_worse_is_not_better(weak: StoredRun) -> None:
    verdict = compare_accuracy(weak, stored("strong", skill=4.0))
    assert not verdict.better
    assert "worse beyond chance" in verdict.reason


def test_the_order_of_images_does_not_matter(weak: StoredRun) -> None:
    other = stored("weak", skill=0.5, test=list(range(60))[::-1])
    assert other.tags["test_digest"] == weak.tags["test_digest"]
    assert "(p = " in compare_accuracy(other, weak).reason


def test_the_better_one_takes_the_alias_and_the_others_do_not(
    weak: StoredRun, tmp_path: Path, capsys: Captured
) -> None:
    folder = tmp_path / "model"
    assert registered(weak, folder) == (1, weak.run_id)
    strong = stored("strong", skill=4.0)
    assert registered(strong, folder) == (2, strong.run_id)
    assert "better than version 1: on the same 60 images" in capsys.readouterr().out
    assert registered(stored("alike", skill=4.0), folder) == (2, strong.run_id)
    assert "champion stays with version 2: " in capsys.readouterr().out
    others = stored("others", skill=9.0, test=range(200, 260))
    assert registered(others, folder) == (2, strong.run_id)
    shown = capsys.readouterr().out
    assert f"{strong.label} was tested on other images" in shown


def test_what_cannot_be_compared_keeps_its_alias(
    weak: StoredRun, tmp_path: Path, capsys: Captured
) -> None:
    folder = tmp_path / "model"
    registered(weak, folder)
    store = client(tracking_uri())
    (weak_predictions := weak.artifact("predictions/test.parquet")).unlink()
    strong = stored("strong", skill=4.0)
    assert registered(strong, folder) == (1, weak.run_id)
    assert "has no artifact 'predictions/test.parquet'" in capsys.readouterr().out
    assert not weak_predictions.exists()
    store.delete_run(weak.run_id)
    assert registered(strong, folder) == (1, weak.run_id)
    assert "stays with version 1: its run is not in the store" in (
        capsys.readouterr().out
    )
    store.create_model_version("clothes", folder.as_uri())
    store.set_registered_model_alias("clothes", "champion", "4")
    assert registered(strong, folder) == (4, None)
    assert "its run is not in the store" in capsys.readouterr().out
