"""Draw the house from its imports: ``python docs/architecture.py``.

`tests/test_house.py` holds the house to its floors, and tells when the drawing in
docs/images/ is no longer the one that this file makes.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PACKAGE = "clothing_lightning"
DOORS = "front doors"
# From the top floor to the ground: a folder imports from its own floor or below.
FLOORS = (
    (DOORS,),
    ("cli",),
    ("training", "inference", "comparison"),
    ("reports", "tracking"),
    ("datamodules", "models"),
    ("data", "network_analysis", "metrics"),
    ("errors", "wording", "__init__"),
)

Arrow = tuple[str, str]


def import_graph() -> grimp.ImportGraph:
    """Every import between files, and of other packages.

    Imports inside functions and for type checkers alone count.
    """
    return grimp.build_graph(
        PACKAGE,
        include_external_packages=True,
        exclude_type_checking_imports=False,
        cache_dir=None,
    )


def own_imports(graph: grimp.ImportGraph) -> list[Arrow]:
    """Pairs of our modules, the first of which imports the second.

    Modules are named by their place in the package, such as ``data.splits``.
    """
    own = [module for module in graph.modules if _is_own(module)]
    return sorted(
        (_inside(importer), _inside(imported))
        for importer in own
        for imported in graph.find_modules_directly_imported_by(importer)
        if _is_own(imported)
    )


def _is_own(module: str) -> bool:
    return module.partition(".")[0] == PACKAGE


def _inside(module: str) -> str:
    return module.partition(".")[2] or "__init__"


def folder_of(module: str) -> str:
    """The folder of a module; one beside the folders stands for itself, or is a door.

    Args:
        module: Its place in the package, such as ``data.splits``.
    """
    first = module.partition(".")[0]
    if (ROOT / PACKAGE / first).is_dir() or first in FLOORS[-1]:
        return first
    return DOORS


def folder_imports(imports: Iterable[Arrow]) -> Counter[Arrow]:
    """How many imports run from each folder to each other one."""
    arrows = (
        (folder_of(importer), folder_of(imported)) for importer, imported in imports
    )
    return Counter(
        (importer, imported) for importer, imported in arrows if importer != imported
    )


def floor_of(folder: str) -> int:
    """The floor of a folder, counted from the top.

    Raises:
        ValueError: If the folder stands on none.
    """
    for number, folders in enumerate(FLOORS):
        if folder in folders:
            return number
    raise ValueError(f"{folder}: stands on no floor. Add it to FLOORS in {__file__}.")
