"""Draw the house from its imports: ``python docs/architecture.py``.

`tests/test_house.py` holds the house to its floors, and fails when the drawing in
docs/images/ is no longer the one that this file makes.
"""

import ast
import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import NamedTuple

import grimp

ROOT = Path(__file__).parents[1]
PACKAGE = "clothing_lightning"
DOORS = "front doors"
# From the top floor to the ground: a folder imports from its own floor or below.
FLOORS = (
    (DOORS,),
    ("cli",),
    ("comparison", "inference", "compression", "training"),
    ("reports", "tracking"),
    ("datamodules", "models"),
    ("metrics", "network_analysis", "data"),
    ("errors", "wording", "__init__"),
)
DRAWING = ROOT / "docs" / "images" / "architecture.svg"

# Of the drawing, in pixels.
WIDTH, MARGIN = 880, 20
BOX_WIDTH, BOX_HEIGHT, BETWEEN = 236, 74, 48
LETTERS_PER_LINE = 36
STYLE = """
  text { font: 12px sans-serif; fill: #444; text-anchor: middle; }
  .name { font-weight: bold; font-size: 14px; fill: #111; }
  .box { fill: #eef3f8; stroke: #6b8cae; }
  .ground { fill: #f3eee4; stroke: #b5a581; }
  .arrow { fill: none; stroke: #777; stroke-width: 1.3; marker-end: url(#tip); }
"""
TIP = (
    '<marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
    'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="#777"/></marker>'
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


def front_doors() -> list[str]:
    """The commands: ``python -m clothing_lightning.<name>``."""
    names = [file.stem for file in (ROOT / PACKAGE).glob("[a-z]*.py")]
    return sorted(name for name in names if folder_of(name) == DOORS)


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


def shown_arrows(imports: Iterable[Arrow]) -> list[Arrow]:
    """The imports between folders that no chain of other imports implies.

    Those of the ground floor are left out: every folder stands on it.
    """
    reached: dict[str, set[str]] = defaultdict(set)
    for importer, imported in folder_imports(imports):
        if floor_of(imported) < len(FLOORS) - 1:
            reached[importer].add(imported)

    def beyond(folder: str) -> set[str]:
        return reached[folder].union(*(beyond(below) for below in reached[folder]))

    return sorted(
        (folder, below)
        for folder in list(reached)
        for below in reached[folder]
        if not any(below in beyond(other) for other in reached[folder])
    )


class Box(NamedTuple):
    """A place on a floor: a folder's, or a gap through which arrows pass."""

    left: float
    top: float
    width: float

    @property
    def centre(self) -> float:
        """The middle between left and right."""
        return self.left + self.width / 2


def boxes_and_gaps(floor: int) -> tuple[dict[str, Box], list[Box]]:
    """The folders of a floor with equal gaps between them and at both sides."""
    folders = FLOORS[floor]
    top = MARGIN + floor * (BOX_HEIGHT + BETWEEN)
    wide = floor in (0, len(FLOORS) - 1)
    fitting = (WIDTH - MARGIN * (len(folders) + 1)) // len(folders)
    width = WIDTH - 2 * MARGIN if wide else min(BOX_WIDTH, fitting)
    folders = folders[:1] if wide else folders
    gap = (WIDTH - width * len(folders)) / (len(folders) + 1)
    lefts = [place * (width + gap) for place in range(len(folders) + 1)]
    boxes = {f: Box(x + gap, top, width) for f, x in zip(folders, lefts, strict=False)}
    return boxes, [Box(left, top, gap) for left in lefts]


def stops(arrow: Arrow) -> list[Box]:
    """The box where an arrow begins, the gaps that it passes, the box where it ends."""
    above, below = arrow
    first, last = floor_of(above), floor_of(below)
    start, end = boxes_and_gaps(first)[0][above], boxes_and_gaps(last)[0][below]
    passed = []
    for floor in range(first + 1, last):
        share = (floor - first) / (last - first)
        straight = start.centre + share * (end.centre - start.centre)
        gaps = boxes_and_gaps(floor)[1]
        passed.append(min(gaps, key=lambda gap: abs(gap.centre - straight)))
    return [start, *passed, end]


def paths(arrows: list[Arrow]) -> Iterator[str]:
    """SVG paths of arrows, side by side where they share a box or a gap."""
    ways = {arrow: stops(arrow) for arrow in arrows}
    sharing: dict[tuple[Box, bool], list[tuple[list[float], Arrow, int]]]
    sharing = defaultdict(list)
    for arrow, way in ways.items():
        for number, box in enumerate(way):
            ends = number == len(way) - 1
            onward = way[:number][::-1] if ends else way[number + 1 :]
            towards = [stop.centre for stop in onward]
            sharing[box, ends].append((towards, arrow, number))
    x: dict[tuple[Arrow, int], float] = {}
    for (box, _), users in sharing.items():
        step = box.width / (len(users) + 1)
        for place, (_, arrow, number) in enumerate(sorted(users), 1):
            x[arrow, number] = box.left + place * step
    for arrow, way in ways.items():
        yield _path([(x[arrow, number], box.top) for number, box in enumerate(way)])


def _path(points: list[tuple[float, float]]) -> str:
    """One arrow, given where it stands on each floor that it touches."""
    x, y = points[0]
    bend = BETWEEN * 0.6
    steps = [f"M{x:.0f} {y + BOX_HEIGHT:.0f}"]
    for to_x, to_y in points[1:]:
        curve = f"{x:.0f} {to_y - BETWEEN + bend:.0f} {to_x:.0f} {to_y - bend:.0f}"
        steps.append(f"C{curve} {to_x:.0f} {to_y:.0f}V{to_y + BOX_HEIGHT:.0f}")
        x = to_x
    return f'<path class="arrow" d="{"".join(steps).rpartition("V")[0]}"/>'


def sideways(arrow: Arrow) -> str:
    """The SVG path of an arrow between two neighbours on one floor."""
    start, *_, end = stops(arrow)
    left_to_right = start.left < end.left
    x = start.left + start.width * left_to_right
    to_x = end.left + end.width * (not left_to_right)
    y = start.top + BOX_HEIGHT / 2
    return f'<path class="arrow" d="M{x:.0f} {y:.0f}H{to_x:.0f}"/>'


def drawn_box(folder: str, box: Box) -> Iterator[str]:
    """A folder's box, name and what its docstring says that it holds."""
    kind = "ground" if folder in FLOORS[-1] else "box"
    yield (
        f'<rect class="{kind}" x="{box.left:.0f}" y="{box.top:.0f}" rx="5" '
        f'width="{box.width:.0f}" height="{BOX_HEIGHT}"/>'
    )
    name, text = title_and_text(folder)
    lines = textwrap.wrap(text, round(LETTERS_PER_LINE * box.width / BOX_WIDTH))
    y = box.top + 25 - 7 * (len(lines) - 2)
    yield f'<text class="name" x="{box.centre:.0f}" y="{y:.0f}">{escape(name)}</text>'
    for number, line in enumerate(lines, 1):
        at = f'x="{box.centre:.0f}" y="{y + 3 + 15 * number:.0f}"'
        yield f"<text {at}>{escape(line)}</text>"


def title_and_text(folder: str) -> tuple[str, str]:
    """What stands in a folder's box."""
    if folder in FLOORS[-1]:
        return " · ".join(sorted(FLOORS[-1])), "Every folder stands on these files."
    if folder == DOORS:
        return DOORS, " · ".join(front_doors())
    module = ast.parse((ROOT / PACKAGE / folder / "__init__.py").read_text("utf-8"))
    first_line = (ast.get_docstring(module) or "").partition("\n")[0]
    return f"{folder}/", first_line.replace("`", "")


def drawing(imports: Iterable[Arrow]) -> str:
    """The house as SVG."""
    arrows = shown_arrows(imports)
    height = 2 * MARGIN + len(FLOORS) * (BOX_HEIGHT + BETWEEN) - BETWEEN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}">',
        f"<style>{STYLE}</style>",
        f"<defs>{TIP}</defs>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        *paths([a for a in arrows if floor_of(a[0]) < floor_of(a[1])]),
        *(sideways(a) for a in arrows if floor_of(a[0]) == floor_of(a[1])),
    ]
    for floor in range(len(FLOORS)):
        for folder, box in boxes_and_gaps(floor)[0].items():
            parts += drawn_box(folder, box)
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    DRAWING.write_text(drawing(own_imports(import_graph())), encoding="utf-8")
