"""Photos of what is compared."""

import hashlib
from pathlib import Path

import pytest

from clothing_lightning.comparison.photos import read_photo
from clothing_lightning.comparison.predictions import RunPredictions
from clothing_lightning.comparison.reading import read_runs
from clothing_lightning.tracking.read import find_run
from tests.stored_runs import store_run

pytestmark = pytest.mark.usefixtures("workplace")


def read_from(root: Path) -> RunPredictions:
    (run,), _ = read_runs([find_run(store_run("net", root=root))])
    return run


def test_a_photo_is_found_where_it_lies_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    (data / "clothes").mkdir(parents=True)
    (data / "clothes" / "1.jpg").write_bytes(b"photo")
    content = hashlib.sha256(b"photo").hexdigest()
    run = read_from(tmp_path / "elsewhere" / "clothes")
    assert read_photo([run], "1.jpg", content) is None
    monkeypatch.setenv("CLOTHING_DATA", str(data))
    assert read_photo([run], "1.jpg", content) == b"photo"
    assert read_photo([run], "1.jpg", "0" * 64) is None  # another photo of this name
    assert read_photo([run], "2.jpg", content) is None


def test_no_photo_outside_of_the_data_is_read(tmp_path: Path) -> None:
    (tmp_path / "clothes").mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    content = hashlib.sha256(b"secret").hexdigest()
    run = read_from(tmp_path / "clothes")
    assert read_photo([run], "../secret", content) is None
    assert read_photo([run], str(tmp_path / "secret"), content) is None


def test_links_are_followed_to_photos_of_the_same_content(tmp_path: Path) -> None:
    """As DVC makes them, and data sets on clusters."""
    (tmp_path / "clothes").mkdir()
    (tmp_path / "elsewhere.jpg").write_bytes(b"photo")
    (tmp_path / "clothes" / "1.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    run = read_from(tmp_path / "clothes")
    assert read_photo([run], "1.jpg", hashlib.sha256(b"photo").hexdigest()) == b"photo"
    assert read_photo([run], "1.jpg", hashlib.sha256(b"other").hexdigest()) is None
