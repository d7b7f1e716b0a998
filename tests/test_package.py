"""The package as it is installed: what every system must do, also macOS and Windows."""

import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib

import pytest
import yaml

import clothing_lightning
from clothing_lightning import __version__
from docs.architecture import PACKAGE, ROOT, front_doors

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(clothing_lightning.__path__, f"{PACKAGE}.")
)


@pytest.mark.parametrize("module", MODULES)
def test_every_module_is_imported(module: str) -> None:
    importlib.import_module(module)


@pytest.mark.parametrize("command", front_doors())
def test_every_command_shows_its_help(command: str) -> None:
    words = [sys.executable, "-m", f"{PACKAGE}.{command}", "--help"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert f"{PACKAGE}.{command}" in done.stdout


def test_the_version_stands_in_one_place() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text)["project"]["dynamic"] == ["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\n## [{__version__}] - " in changelog


def test_every_dependency_has_a_tested_version() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    extras = project["optional-dependencies"]
    needed = {_name(line) for line in [*project["dependencies"], *extras["dev"]]}
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    tested = {_name(line) for line in constraints.splitlines() if "==" in line}
    assert needed - {"clothing-lightning"} <= tested


def _name(requirement: str) -> str:
    name = re.split(r"[\[<>=;~! ]", requirement)[0]
    return re.sub("[-_.]+", "-", name).lower()


def test_hooks_run_the_commands_of_make_lint() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = makefile.partition("\nlint:")[2].partition("\n\n")[0].splitlines()[1:]
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    hooks = [hook["entry"] for repo in config["repos"] for hook in repo["hooks"]]
    assert hooks == [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe]
