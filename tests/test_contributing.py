"""The examples of CONTRIBUTING.md, put into a copy of the project and tested there."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_readme import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(
    r"^`([\w/]+\.\w+)`\n\n```(python|yaml|diff)\n(.*?)```",
    TEXT,
    re.DOTALL | re.MULTILINE,
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, with the examples where CONTRIBUTING.md puts them."""
    root = tmp_path_factory.mktemp("project")
    (root / "tests").mkdir()
    for name in ("pyproject.toml", "tests/conftest.py", "tests/figures.py"):
        shutil.copy(ROOT / name, root / name)
    for name in ("clothing_lightning", "experiments"):
        shutil.copytree(ROOT / name, root / name)
    for path, language, text in EXAMPLES:
        file = root / path
        if language == "diff":
            text = patched(file.read_text(encoding="utf-8"), text)
        else:
            assert not file.exists()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return root


def patched(text: str, diff: str) -> str:
    """Apply hunks, which ``@@`` divides, each of which fits in one place."""
    for hunk in diff.split("@@\n"):
        lines = hunk.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] != "+")
        after = "".join(line[1:] for line in lines if line[0] != "-")
        assert text.count(before) == 1, f"{text.count(before)} places for:\n{before}"
        text = text.replace(before, after)
    return text


@pytest.mark.slow
def test_examples_pass_their_own_tests(project: Path) -> None:
    tests = [path for path, *_ in EXAMPLES if path.startswith("tests/")]
    assert len(tests) == len(re.findall(r"^`tests/\S+`$", TEXT, re.MULTILINE))
    run([sys.executable, "-m", "pytest", "-q", *tests], project)


@pytest.mark.parametrize("words", [["check"], ["format", "--check"]])
def test_examples_keep_the_style(project: Path, words: list[str]) -> None:
    files = [path for path, *_ in EXAMPLES if path.endswith(".py")]
    run([sys.executable, "-m", "ruff", *words, *files], project)


def run(words: list[str], folder: Path) -> None:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", re.findall(r"\]\(([^)h][^)]*)\)", TEXT))
def test_every_link_leads_somewhere(path: str) -> None:
    assert (ROOT / path).is_file()
