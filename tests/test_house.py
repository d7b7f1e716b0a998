"""The rules of docs/architecture.md, held against every import of the package."""

import ast
import re
from collections.abc import Iterable, Iterator
from graphlib import TopologicalSorter

import pytest

from docs.architecture import (
    DOORS,
    DRAWING,
    FLOORS,
    PACKAGE,
    ROOT,
    Arrow,
    drawing,
    floor_of,
    folder_imports,
    folder_of,
    import_graph,
    own_imports,
)

MOST_LINES = 350

LATE_IMPORTS = {"datamodules/base.py"}
"""Besides the front doors: a misspelt key of an experiment is told before pandas and
albumentations are imported, which take seconds."""

GRAPH = import_graph()
IMPORTS = own_imports(GRAPH)


def sources(*suffixes: str) -> Iterator[tuple[str, str]]:
    """Path inside the package, and text, of each file that ends so."""
    for file in sorted((ROOT / PACKAGE).rglob("*")):
        if file.suffix in suffixes:
            path = file.relative_to(ROOT / PACKAGE).as_posix()
            yield path, file.read_text(encoding="utf-8")


def check_no_circle(arrows: Iterable[Arrow]) -> None:
    """Raise graphlib.CycleError, which names a circle."""
    sorter = TopologicalSorter[str]()
    for importer, imported in arrows:
        sorter.add(importer, imported)
    sorter.prepare()


def test_no_import_runs_to_a_floor_above() -> None:
    upward = [
        (importer, imported)
        for importer, imported in IMPORTS
        if floor_of(folder_of(importer)) > floor_of(folder_of(imported))
    ]
    assert upward == []


def test_there_is_no_circle_between_files() -> None:
    check_no_circle(IMPORTS)


def test_there_is_no_circle_between_folders() -> None:
    check_no_circle(folder_imports(IMPORTS))


@pytest.mark.parametrize("folder", ["metrics", "network_analysis"])
def test_the_ground_floor_needs_no_framework(folder: str) -> None:
    needed = GRAPH.find_upstream_modules(f"{PACKAGE}.{folder}", as_package=True)
    assert needed & {"lightning", "mlflow", "matplotlib"} == set()


def test_only_tracking_imports_mlflow() -> None:
    importers = GRAPH.find_modules_that_directly_import("mlflow")
    inside = {module.removeprefix(f"{PACKAGE}.") for module in importers}
    assert {folder_of(module) for module in inside} == {"tracking"}


def test_no_file_is_too_long() -> None:
    texts = sources(".py", ".html", ".css", ".js")
    long = {path for path, text in texts if text.count("\n") > MOST_LINES}
    assert long == set()


def test_our_own_modules_are_imported_inside_one_function_of_a_front_door() -> None:
    """That keeps ``--help`` quick; everything else is imported at the top of a file."""
    several = set()
    for path, text in sources(".py"):
        functions = list(importing_functions(ast.parse(text)))
        allowed = folder_of(path.removesuffix(".py").replace("/", ".")) == DOORS
        if len(functions) > allowed:
            several.add(path)
    assert several == LATE_IMPORTS


def test_the_drawing_is_the_latest() -> None:
    """``make architecture`` draws it again."""
    assert DRAWING.read_text(encoding="utf-8") == drawing(IMPORTS)


def test_the_page_names_every_folder_and_only_types_that_exist() -> None:
    page = DRAWING.parents[1].joinpath("architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)(?:/|\.py)`", page))
    folders = {name for floor in FLOORS for name in floor}
    assert named - {"templates"} == folders - {DOORS, "__init__"}
    types = set(re.findall(r"`([A-Z]\w+)`", page))
    code = "".join(text for _, text in sources(".py"))
    assert types == {name for name in types if f"\nclass {name}" in code}


def importing_functions(node: ast.AST) -> Iterator[str]:
    """Names of the outermost functions that import a module of ours."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            if any(_is_own_import(inner) for inner in ast.walk(child)):
                yield child.name
        else:
            yield from importing_functions(child)


def _is_own_import(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").partition(".")[0] == PACKAGE
    names = node.names if isinstance(node, ast.Import) else []
    return any(name.name.partition(".")[0] == PACKAGE for name in names)
