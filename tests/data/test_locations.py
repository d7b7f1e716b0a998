from pathlib import Path

import pytest

from clothing_lightning.data.locations import cache_folder
from clothing_lightning.errors import StorageError


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
