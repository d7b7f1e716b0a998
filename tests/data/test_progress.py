from collections.abc import Iterator

import pytest

from clothing_lightning.data import progress
from clothing_lightning.data.progress import with_progress


def test_quick_work_leaves_no_trace(capfd: pytest.CaptureFixture[str]) -> None:
    assert list(with_progress("abc", "Reading", total=3)) == ["a", "b", "c"]
    assert capfd.readouterr() == ("", "")


def test_bar_shows_share_and_description(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_APPEARS_AFTER_S", -1.0)
    monkeypatch.setenv("FORCE_COLOR", "1")  # Rich takes the output for a terminal
    assert list(with_progress("ab", "Reading [x]", total=8, size=lambda _: 2)) == [
        "a",
        "b",
    ]
    out, err = capfd.readouterr()
    assert out == ""
    assert "Reading [x]" in err
    assert "50%" in err


def test_nothing_is_shown_outside_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_APPEARS_AFTER_S", -1.0)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    assert list(with_progress("ab", "Reading", total=None)) == ["a", "b"]
    assert capfd.readouterr() == ("", "")


def test_items_are_read_lazily_and_errors_pass() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    shown = with_progress(items(), "Reading", total=2)
    assert next(shown) == 1
    with pytest.raises(ValueError, match="broken"):
        next(shown)
