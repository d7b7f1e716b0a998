"""The reference runs: packed without what is large or private, and pulled again."""

import os
import shutil
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from clothing_lightning import compare
from clothing_lightning.tracking.read import all_runs, find_run
from clothing_lightning.tracking.store import client
from docs.reference_runs import REFERENCES, pack
from tests.browser import chromium
from tests.stored_runs import store_run

ROOT = Path(__file__).parents[1]


@pytest.fixture
def trained(workplace: Path) -> Path:
    """A folder with a store that has all of the reference runs, and others."""
    clothes = Path("/home/me/clothes")
    for reference in REFERENCES:
        for name in reference.runs():
            parent = store_run(name, root=clothes, skill=len(name) / 9)
            for fold in range(1, reference.folds + 1):
                store_run(
                    f"{name}, fold {fold} of {reference.folds}",
                    tags={"mlflow.parentRunId": parent},
                    params={"data.fold": f"{fold} of {reference.folds}"},
                    test=range(fold * 9, fold * 9 + 9),
                    train=range(100, 130),
                    root=clothes,
                )
    store_run("something else")
    run = find_run("efficientnet_lite0-seed0")
    folder = run.artifact("data").parent
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "best.ckpt").write_bytes(b"weights")
    return workplace


def test_packed_runs_are_whole_but_for_checkpoints_and_the_machine(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "packed" / "mlruns"
    target.parent.mkdir()
    pack(trained, target)
    assert not [file for file in target.rglob("*") if file.suffix == ".ckpt"]
    text = (target / "mlflow.db").read_bytes()
    for private in (b"/home/me", str(trained).encode()):
        assert private not in text
    with sqlite3.connect(target / "mlflow.db") as store:
        keys = store.execute("SELECT DISTINCT key FROM metrics").fetchall()
        tags = dict(store.execute("SELECT key, value FROM tags").fetchall())
    assert keys
    assert not [key for (key,) in keys if key.startswith("system/")]
    assert tags["image_root"] == "data/clothes"

    monkeypatch.chdir(target.parent)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    client.cache_clear()
    names = {run.name for run in all_runs()}
    wanted = {name for reference in REFERENCES for name in reference.runs()}
    assert wanted <= names
    assert "something else" not in names
    assert compare.main(["efficientnet_lite0_frozen", "efficientnet_lite0"]) == 0


def test_nothing_that_is_there_is_packed_over(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "mlruns").mkdir()
    with pytest.raises(SystemExit, match=r"is there\. Move it away"):
        pack(trained, tmp_path / "mlruns")


def test_all_runs_must_have_been_trained(workplace: Path, tmp_path: Path) -> None:
    store_run("efficientnet_lite0-seed0")
    with pytest.raises(SystemExit, match="efficientnet_lite0-seed1 has not been tr"):
        pack(workplace, tmp_path / "mlruns")


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is needed of a fresh clone, and the runs that DVC brings it."""
    clone = tmp_path_factory.mktemp("clone")
    for name in ("docs", "reference_runs", ".dvc"):
        ignore = shutil.ignore_patterns("tmp", "cache")
        shutil.copytree(ROOT / name, clone / name, ignore=ignore)
    for name in ("mlruns.dvc", "README.md"):
        shutil.copy(ROOT / name, clone)
    in_clone(clone, "-m", "dvc", "config", "--local", "core.no_scm", "true")
    in_clone(clone, "-m", "dvc", "pull")
    return clone


def in_clone(clone: Path, *words: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": ""}
    command = [sys.executable, *words]
    subprocess.run(command, cwd=clone, env=environment, check=True)


@pytest.mark.slow
def test_pulled_runs_give_the_results_that_are_told(pulled: Path) -> None:
    in_clone(pulled, "docs/results.py", "--check")
    in_clone(pulled, "docs/calibration.py", "--check")


@pytest.mark.slow
def test_page_of_the_pulled_runs(
    pulled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pulled)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    client.cache_clear()
    words = ["--experiment", "clothing-dataset", "--no-log", "--out", str(tmp_path)]
    assert compare.main(words) == 0
    with chromium(tmp_path / "browser") as browser:
        browser.get((tmp_path / "index.html").as_uri())
        find = partial(browser.find_elements, By.CSS_SELECTOR)
        names = {reference.experiment for reference in REFERENCES}

        shown = [name.text for name in find(".ranking .name")]
        assert {"efficientnet_lite0", "efficientnet_lite0_frozen"} <= names & set(shown)
        find(".ranking th:last-of-type [role=button]")[0].click()
        assert find(".ranking th:last-of-type")[0].get_attribute("aria-sort")
        assert {name.text for name in find(".ranking .name")} == set(shown)
        Select(find("#pick-a")[0]).select_by_value("2")
        Select(find("#pick-b")[0]).select_by_value("0")
        photos = find("#only-a figure button")
        if "CLOTHING_DATA" in os.environ:
            photos[0].click()
            large = find("#large img")[0]
            assert large.is_displayed()
            assert int(large.get_attribute("naturalWidth") or 0) > 50
        assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]
