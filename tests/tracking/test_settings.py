import hashlib
from pathlib import Path

import pytest

from clothing_lightning.tracking.read import find_run
from clothing_lightning.tracking.run import RunWriter
from clothing_lightning.tracking.settings import content_tags, resumed_tags


def test_files_that_settings_name_are_known_by_their_content(tmp_path: Path) -> None:
    (tmp_path / "split.csv").write_bytes(b"path,split\n")
    params = {
        "data.split.file": str(tmp_path / "split.csv"),
        "data.table": str(tmp_path / "missing.csv"),
        "model.backbone": str(tmp_path / "split.csv"),
    }
    content = hashlib.sha256(b"path,split\n").hexdigest()[:16]
    assert content_tags(params) == {"content.data.split.file": content}
    assert content_tags({}) == {}


def test_settings_that_change_are_tagged_and_those_that_change_back() -> None:
    before = {"lr": "0.1", "epochs": "3", "long": "x" * 6000}
    now = {"lr": "0.2", "epochs": "3", "long": "x" * 7000, "new": "1"}
    # A setting that is new may be one that an earlier resume has unset.
    assert resumed_tags(before, now) == {"resumed.lr": "0.2", "resumed.new": "1"}
    assert resumed_tags({"lr": "0.2"}, {"lr": "0.1"}) == {"resumed.lr": "0.1"}


@pytest.mark.usefixtures("workplace")
def test_the_settings_of_a_run_are_those_that_it_ended_with() -> None:
    begun = {"lr": "0.1", "epochs": "3", "scheduler": "cosine"}
    run = RunWriter("clothes", "net")
    run.log_params(begun)
    run.set_tags(resumed_tags(begun, {"lr": "0.2", "epochs": "3"}))
    run.finish("FINISHED")
    stored = find_run("net")
    assert stored.params == begun
    assert stored.hyperparameters == {"lr": "0.2", "epochs": "3"}
