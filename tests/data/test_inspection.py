import hashlib
import multiprocessing
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from clothing_lightning.data import inspection
from clothing_lightning.data.decoding import read_image
from clothing_lightning.data.inspection import inspect_images, perceptual_hash
from clothing_lightning.errors import DataError


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Six images, the second of them text and the fifth cut short."""
    paths = [tmp_path / f"{i}.png" for i in range(6)]
    for i, path in enumerate(paths):
        values = np.random.default_rng(i).integers(0, 256, (20, 20, 3), np.uint8)
        Image.fromarray(values).save(path)
    paths[1].write_text("<html>")
    paths[4].write_bytes(paths[4].read_bytes()[:500])
    return paths


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The paths that this process decodes, in order."""
    seen: list[Path] = []

    def record(path: Path) -> object:
        seen.append(path)
        return read_image(path)

    monkeypatch.setattr(inspection, "read_image", record)
    return seen


@pytest.fixture(params=["fork", "spawn"])
def start_method(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot {request.param} processes")
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method(request.param, force=True)
    yield request.param
    multiprocessing.set_start_method(before, force=True)


def check(paths: list[Path], cache: Path, workers: int = 1) -> pd.DataFrame:
    names = [path.name for path in paths]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLOTHING_CACHE", str(cache))
        return inspect_images(paths[0].parent, names, workers=workers)


def refused(found: pd.DataFrame) -> dict[int, str]:
    return dict(found["refusal"].dropna())


def test_findings_are_those_of_the_files(paths: list[Path], tmp_path: Path) -> None:
    Image.new("RGB", (7, 5)).save(paths[2])
    found = check([*paths, paths[0]], tmp_path / "cache")
    expected = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    assert list(found["sha256"]) == [*expected, expected[0]]
    assert list(found["width"]) == [20, 0, 7, 20, 0, 20, 20]
    assert list(found["height"]) == [20, 0, 5, 20, 0, 20, 20]
    assert found["phash"].isna().tolist() == [
        False,
        True,
        False,
        False,
        True,
        *[False] * 2,
    ]
    assert len(check(paths[:1], tmp_path / "cache").drop(0)) == 0


def test_unreadable_images_are_told_with_their_messages(
    paths: list[Path], tmp_path: Path
) -> None:
    unreadable = refused(check(paths, tmp_path / "cache"))
    assert list(unreadable) == [1, 4]
    assert unreadable[1].startswith(f"{paths[1]}: is no image")
    assert unreadable[4].startswith(f"{paths[4]}: is damaged or cut short")


def test_missing_file_and_pipe_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    found = check([tmp_path / "pipe.jpg", tmp_path / "none.jpg"], tmp_path / "cache")
    assert "is a device or pipe" in found["refusal"][0]
    assert "there is no such file" in found["refusal"][1]
    assert found["sha256"].isna().all()


def test_processes_find_the_same(
    paths: list[Path], tmp_path: Path, start_method: str
) -> None:
    many = paths * 12
    found = check(many, tmp_path / "a", workers=2)
    assert list(refused(found)) == [i for i in range(72) if i % 6 in (1, 4)]
    alone = check(many, tmp_path / "b")
    assert found.fillna("").to_dict() == alone.fillna("").to_dict()


def test_second_run_decodes_only_what_was_not_good(
    paths: list[Path], tmp_path: Path, decoded: list[Path]
) -> None:
    cache = tmp_path / "new" / "folder"
    first = check(paths, cache)
    assert decoded == paths
    decoded.clear()
    assert check(paths, cache).fillna("").to_dict() == first.fillna("").to_dict()
    assert decoded == [paths[1], paths[4]]


def test_changed_and_further_files_are_decoded(
    paths: list[Path], tmp_path: Path, decoded: list[Path]
) -> None:
    cache = tmp_path / "cache"
    check(paths[:1], cache)
    stamp = paths[0].stat()
    content = bytearray(paths[0].read_bytes())
    content[-20] ^= 1  # as long as before
    paths[0].write_bytes(content)
    os.utime(paths[0], ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    Image.new("RGB", (4, 4)).save(paths[1])
    decoded.clear()
    check(paths[:4], cache)
    assert decoded == paths[:4]
    decoded.clear()
    check(paths[1:4], cache)
    assert decoded == []


def test_equal_names_below_another_root_are_other_files(
    paths: list[Path], tmp_path: Path, decoded: list[Path]
) -> None:
    check(paths[:1], tmp_path / "cache")
    (tmp_path / "other").mkdir()
    moved = Path(shutil.copy2(paths[0], tmp_path / "other"))
    check([moved], tmp_path / "cache")
    assert decoded == [paths[0], moved]


@pytest.mark.parametrize("content", [b"\xff\xfe\0\0", b"", b"PAR1 and no more PAR1"])
def test_damaged_cache_is_ignored(
    paths: list[Path], tmp_path: Path, decoded: list[Path], content: bytes
) -> None:
    cache = tmp_path / "cache"
    check(paths, cache)
    (file,) = (cache / "inspected").iterdir()
    file.write_bytes(content)
    decoded.clear()
    assert list(refused(check(paths, cache))) == [1, 4]
    assert decoded == paths
    check(paths[:1], cache)
    assert decoded == paths


def test_cache_of_another_version_is_ignored(
    paths: list[Path], tmp_path: Path, decoded: list[Path]
) -> None:
    cache = tmp_path / "cache"
    check(paths, cache)
    (file,) = (cache / "inspected").iterdir()
    pd.read_parquet(file).drop(columns="phash").to_parquet(file)
    check(paths, cache)
    assert decoded == paths * 2


def test_unwritable_cache_is_ignored(paths: list[Path], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert list(refused(check(paths, tmp_path / "file"))) == [1, 4]


def test_interrupted_run_keeps_what_it_found(
    paths: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    decoded: list[Path],
) -> None:
    def interrupt(path: Path) -> object:
        if path == paths[3]:
            raise KeyboardInterrupt
        return read_image(path)

    with monkeypatch.context() as patched:
        patched.setattr(inspection, "read_image", interrupt)
        with pytest.raises(KeyboardInterrupt):
            check(paths, tmp_path / "cache")
    check(paths, tmp_path / "cache")
    assert decoded == [paths[1], *paths[3:]]


def test_killed_process_is_told(
    paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if multiprocessing.get_start_method() != "fork":
        pytest.skip("only a forked process has what this test changes")
    monkeypatch.setattr(inspection, "read_image", lambda path: os._exit(1))
    with pytest.raises(
        DataError, match=r"Checking 72 images: one of 2 .* was killed.* fewer workers"
    ):
        check(paths * 12, tmp_path / "cache", workers=2)


def bits_apart(a: str, b: str) -> int:
    return (int(a, 16) ^ int(b, 16)).bit_count()


def test_hashes_of_alike_pictures_are_near_and_of_others_far(tmp_path: Path) -> None:
    coarse = np.random.default_rng(1).integers(0, 256, (9, 6, 3), np.uint8)
    picture = Image.fromarray(coarse).resize((200, 300), Image.Resampling.BICUBIC)
    picture.resize((120, 180)).save(tmp_path / "a.jpg", quality=60)
    photo = np.asarray(picture)
    again = perceptual_hash(read_image(tmp_path / "a.jpg"))
    other = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    assert len(again) == 16
    assert bits_apart(perceptual_hash(photo), again) <= 6
    assert bits_apart(perceptual_hash(photo), perceptual_hash(other)) > 16
