"""Write docs/results.md, and tables in other pages, from the runs in mlruns/.

python docs/results.py            # after dvc pull
python docs/results.py --check    # exit code 1 if they are not what this writes
"""

import contextlib
import io
import os
import sys
import tempfile
from itertools import dropwhile, takewhile
from pathlib import Path
from textwrap import fill

ROOT = Path(__file__).resolve().parents[1]
FROZEN = "efficientnet_lite0_frozen"
PARTS = {
    "Fine-tuning on the clothing dataset": (
        ["efficientnet_lite0", "efficientnet_lite0_two_phase", FROZEN],
        "EfficientNet-Lite0 with ImageNet weights: everything trains, the head and "
        "then the last third, or the head alone. Three seeds, each with weights and a "
        "random 81/9/10 split of its own.",
    ),
    "Class weights": (
        [FROZEN, f"{FROZEN}_balanced"],
        "The frozen recipe again, and with a loss in which all classes weigh the same. "
        "More of the rare classes' images are found (balanced accuracy), and more of "
        "others are taken for theirs, which macro F1 counts as well.",
    ),
    "Random or grouped splits": (
        [f"{FROZEN}_stratified", f"{FROZEN}_grouped"],
        "The frozen recipe, five folds each, so that every image is tested once: folds "
        "by chance, or with all photos of a sender in the same one. Chance puts photos "
        "of one sender's things in one room on both sides, and rewards a network for "
        "knowing them again. The lower figures are what to expect of photos from new "
        "people; the difference is what random splits flatter by. (Intervals count "
        "images as independent, which those of one sender are not: they are too "
        "narrow.)",
    ),
    "Fashion-MNIST": (
        ["small_cnn"],
        "The network of six convolution blocks, from random weights, tested on the "
        "data set's own 10,000 images. Three seeds.",
    ),
}
HEAD = """\
# Results

Written by `python docs/results.py` from the reference runs (`dvc pull`), which
`make reference` makes again. Values are means over repeats ± their standard deviation,
with 95 % intervals over test images in brackets; training is the median over runs (of a
cross-validation: over folds), each on one CPU core beside other work: upper bounds.
"""
COMPRESSED = ("efficientnet_lite0-ladder", "small_cnn-ladder")
WIDTH = 95
COLUMNS = ("model", "accuracy", "macro F1", "balanced acc.", "MACs", "training")
START = "<!-- results: python docs/results.py -->"
LADDERS = "<!-- ladders: python docs/results.py -->"
END = "<!-- end of results -->"


def main() -> None:
    """Write or check."""
    os.chdir(ROOT)
    pages = {title: _compared(runs) for title, (runs, _) in PARTS.items()}
    results = HEAD + "".join(
        f"\n## {title}\n\n{fill(PARTS[title][1], WIDTH)}\n\n{page}"
        for title, page in pages.items()
    )
    tables = "\n\n".join(
        f"{fill(f'**{title}.** {PARTS[title][1]}', WIDTH)}\n\n{_table(page)}"
        for title, page in pages.items()
    )
    ladders = "\n\n".join(map(_ladder, COMPRESSED))
    readme = _between(Path("README.md").read_text(encoding="utf-8"), START, tables)
    compression = Path("docs/compression.md").read_text(encoding="utf-8")
    files = {
        "docs/results.md": results,
        "README.md": _between(readme, LADDERS, ladders),
        "docs/compression.md": _between(compression, LADDERS, ladders),
    }
    for name, text in files.items():
        if "--check" not in sys.argv:
            Path(name).write_text(text, encoding="utf-8")
        elif Path(name).read_text(encoding="utf-8") != text:
            sys.exit(f"{name} is not what docs/results.py writes of these runs.")


def _between(page: str, start: str, content: str) -> str:
    """The page with other content behind the marker."""
    before, rest = page.split(start)
    after = rest.split(END, 1)[1]
    return f"{before}{start}\n\n{content}\n\n{END}{after}"


def _ladder(name: str) -> str:
    """The versions of a network, as `compress` shows them."""
    from clothing_lightning.compression.ladder import tested_rung
    from clothing_lightning.compression.rungs import RUNGS
    from clothing_lightning.reports.ladder_text import HEADS, ladder_rows, verdict
    from clothing_lightning.tracking.read import COMPRESSION_TAG, children, find_run

    run = find_run(name)
    ids = {each.tags[COMPRESSION_TAG]: each.run_id for each in children(run.run_id)}
    rungs = [tested_rung(rung, ids[rung]) for rung in RUNGS]
    threads = int(rungs[0].metrics["model/latency_threads"])
    title = (
        f"**{run.hyperparameters['model.backbone']}**, "
        f"{len(rungs[0].predictions):,} test images; times with {threads} threads."
    )
    rows = [[head.replace("\n", " ") for head in HEADS], ["---"] * len(HEADS)]
    for cells in ladder_rows(rungs):
        lines = (cell.split("\n") for cell in cells)
        rows.append([f"{a} ({b[0]})" if b else a for a, *b in lines])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    said = verdict(rungs).replace("\n", " ")
    return f"{fill(title, WIDTH)}\n\n{table}\n\n{fill(said, WIDTH)}"


def _compared(runs: list[str]) -> str:
    """The comparison of some runs, without its heading."""
    from clothing_lightning import compare

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "comparison"
        words = [*runs, "--out", str(out), "--no-log"]
        with contextlib.redirect_stdout(io.StringIO()) as said:
            if compare.main(words):
                sys.exit(said.getvalue())
        return (out / "comparison.md").read_text(encoding="utf-8").split("\n", 2)[2]


def _table(page: str) -> str:
    """The first table of a page, with the columns that the README has room for."""
    rows = takewhile(
        lambda line: line.startswith("|"),
        dropwhile(lambda line: not line.startswith("|"), page.splitlines()),
    )
    cells = [[cell.strip() for cell in row.split("|")] for row in rows]
    places = [cells[0].index(column) for column in COLUMNS]
    return "\n".join(
        f"| {' | '.join(row[place] for place in places)} |" for row in cells
    )


if __name__ == "__main__":
    main()
