import hashlib
import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clothing_lightning.data import verification
from clothing_lightning.data.decoding import read_image
from clothing_lightning.data.verification import (
    cache_folder,
    file_digests,
    find_unreadable,
)
from clothing_lightning.errors import DataError, StorageError


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

    monkeypatch.setattr(verification, "read_image", record)
    return seen


@pytest.fixture(params=["fork", "spawn"])
def start_method(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot {request.param} processes")
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method(request.param, force=True)
    yield request.param
    multiprocessing.set_start_method(before, force=True)


def check(paths: list[Path], cache: Path | None, workers: int = 1) -> dict[int, str]:
    return find_unreadable(
        paths, file_digests(paths, workers), cache=cache, workers=workers
    )


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_digests_are_those_of_the_content(paths: list[Path], workers: int) -> None:
    paths = [*paths, paths[0]]
    expected = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    assert file_digests(paths, workers) == expected
    assert file_digests([], workers) == []


def test_digest_of_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"a\.jpg: cannot be read \(No such file.*Put the file there"
    ):
        file_digests([tmp_path / "a.jpg"], 2)


def test_unreadable_images_are_told_with_their_messages(paths: list[Path]) -> None:
    unreadable = check(paths, None)
    assert list(unreadable) == [1, 4]
    assert unreadable[1].startswith(f"{paths[1]}: is no image")
    assert unreadable[4].startswith(f"{paths[4]}: is damaged or cut short")


def test_processes_find_the_same(
    paths: list[Path], tmp_path: Path, start_method: str
) -> None:
    many = paths * 12
    cache = tmp_path / "good.txt"
    unreadable = check(many, cache, workers=2)
    assert list(unreadable) == [i for i in range(72) if i % 6 in (1, 4)]
    assert unreadable == check(many, None)
    assert len(cache.read_text().splitlines()) == 4


def test_second_run_decodes_only_what_was_not_good(
    paths: list[Path], tmp_path: Path, decoded: list[Path]
) -> None:
    cache = tmp_path / "new" / "folder" / "good.txt"
    first = check(paths, cache)
    assert decoded == paths
    decoded.clear()
    assert check(paths, cache) == first
    assert decoded == [paths[1], paths[4]]


def test_only_new_content_is_decoded(
    paths: list[Path], tmp_path: Path, decoded: list[Path]
) -> None:
    cache = tmp_path / "good.txt"
    check(paths[:1], cache)
    Image.new("RGB", (4, 4)).save(paths[1])
    decoded.clear()
    assert check(paths[:4], cache) == {}
    assert decoded == paths[1:4]
    lines = cache.read_text().splitlines()
    assert sorted(file_digests(paths[:4], 1)) == lines
    assert sorted(tmp_path.iterdir()) == sorted([*paths, cache])


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\0\0", b"", b"half a li", b"a" * 63 + b"\n" + b"g" * 64]
)
def test_damaged_cache_is_ignored(
    paths: list[Path], tmp_path: Path, decoded: list[Path], content: bytes
) -> None:
    cache = tmp_path / "good.txt"
    cache.write_bytes(content)
    assert list(check(paths, cache)) == [1, 4]
    assert decoded == paths
    check(paths[:1], cache)
    assert decoded == paths


def test_sound_lines_of_a_damaged_cache_are_used(
    paths: list[Path], tmp_path: Path, decoded: list[Path]
) -> None:
    cache = tmp_path / "good.txt"
    check(paths, cache)
    cache.write_bytes(b"\xff\xfe\n" + cache.read_bytes() + b"0123")
    decoded.clear()
    check(paths, cache)
    assert decoded == [paths[1], paths[4]]


def test_unwritable_cache_is_ignored(paths: list[Path], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for cache in (tmp_path / "file" / "good.txt", tmp_path / "folder"):
        assert list(check(paths, cache)) == [1, 4]
    assert list((tmp_path / "folder").iterdir()) == []
    assert not list(tmp_path.glob("folder.*"))


def test_interrupted_run_keeps_what_it_found(
    paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(path: Path) -> object:
        if path == paths[3]:
            raise KeyboardInterrupt
        return None

    monkeypatch.setattr(verification, "read_image", interrupt)
    cache = tmp_path / "good.txt"
    with pytest.raises(KeyboardInterrupt):
        check(paths, cache)
    assert cache.read_text().splitlines() == sorted(file_digests(paths[:3], 1))


def test_killed_process_is_told(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    if multiprocessing.get_start_method() != "fork":
        pytest.skip("only a forked process has what this test changes")
    monkeypatch.setattr(verification, "read_image", lambda path: os._exit(1))
    with pytest.raises(
        DataError, match=r"Checking 72 images: one of 2 .* was killed.* fewer workers"
    ):
        check(paths * 12, None, workers=2)


def test_lists_of_unequal_length_are_a_fault(paths: list[Path]) -> None:
    with pytest.raises(ValueError, match="shorter"):
        find_unreadable(paths, [], cache=None, workers=1)


@pytest.mark.parametrize(
    ("own", "xdg", "expected"),
    [
        ("/own", "/xdg", "/own"),
        ("~/own", None, "/home/me/own"),
        (None, "/xdg", "/xdg/clothing_lightning"),
        ("", "", "/home/me/.cache/clothing_lightning"),
        (None, None, "/home/me/.cache/clothing_lightning"),
    ],
)
def test_cache_folder_follows_the_environment(
    monkeypatch: pytest.MonkeyPatch, own: str | None, xdg: str | None, expected: str
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in (("CLOTHING_CACHE", own), ("XDG_CACHE_HOME", xdg)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert cache_folder() == Path(expected)


def test_cache_folder_without_a_home_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("CLOTHING_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def fail(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", fail)
    with pytest.raises(StorageError, match="Set CLOTHING_CACHE"):
        cache_folder()
