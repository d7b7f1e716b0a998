"""Which model is best, is the difference real, and what does it cost."""

import argparse
import math
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clothing_lightning.cli.command import WordsParser, answered, claim_folder
from clothing_lightning.errors import ConfigError, RunError, StorageError

if TYPE_CHECKING:
    from clothing_lightning.comparison.pooling import Comparison, RunPredictions
    from clothing_lightning.comparison.ranking import Ranking
    from clothing_lightning.tracking.read import StoredRun

HELP = """\
usage: python -m clothing_lightning.compare [RUN ...] [--experiment NAME ...] [options]

Ranks runs on the images that all of them were tested on, says which differences are
real, what each model costs, and where they differ. One page, which needs no server.

  ... compare --experiment clothing-dataset       all finished runs of an experiment
  ... compare resnet18 efficientnet_lite0         runs by name, id or the start of one;
                                                  without its seed a name means them all
  ... compare --experiment clothing-dataset --filter "metrics.`test/accuracy` > 0.8"

  --filter TEXT      take the runs of --experiment that meet it, in MLflow's own words
  --rank-by WHAT     accuracy (default) or macro_f1
  --latency          measure the time of one image in each network, here and now
  --out FOLDER       where the results go; by default reports/<experiments and runs>/
  --title TEXT       of the page
  --no-log           do not keep the comparison as a run in MLflow

Runs that differ by seed or fold alone are one model. Results: index.html (the page),
comparison.md, comparison.csv (the ranking), pairs.csv (the tests of each two models).
Exit codes: 0 compared; 2 something to put right (one message says what); 130
interrupted.
"""
PAGE = "index.html"
RANKING, PAIRS, TEXT = "comparison.csv", "pairs.csv", "comparison.md"
NAME_CHARACTERS = 100


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Words after the command's name; by default those of the process.

    Returns:
        The exit code.
    """
    return answered(argv, HELP, _compare)


def _compare(words: list[str]) -> int:
    if {"-h", "--help"} & set(words):
        sys.stdout.write(HELP)
        return 0
    options = _options(words)
    from clothing_lightning.cli.third_party_warnings import quiet_libraries

    quiet_libraries()
    folder = options.out or Path("reports") / _file_name(options)
    claim_folder(folder, RANKING, "a comparison", begins="model,repeats,accuracy,")
    past, runs, told = _read(options)
    timed_on = ""
    if options.latency:
        runs, timed_on, untimed = _timed(past, runs)
        told += untimed
    from dataclasses import replace

    from clothing_lightning.comparison.pooling import compared
    from clothing_lightning.comparison.ranking import rank
    from clothing_lightning.wording import listed

    found = compared(runs)
    found = replace(found, remarks=(*told, *found.remarks))
    ranking = rank(found, options.rank_by)
    what = ", ".join(options.experiment) or listed([m.title for m in found.models])
    title = options.title or f"Comparison: {what}"
    command = f"python -m clothing_lightning.compare {shlex.join(words)}"
    _write(found, ranking, past, folder, title, command, timed_on)
    from clothing_lightning.comparison.text import show

    show(found, ranking)
    if timed_on:
        sys.stdout.write(f"latency   one image at a time, {timed_on}\n")
    if not options.no_log:
        _log(past, found, folder, _file_name(options), command)
    sys.stdout.write(f"page      {folder / PAGE}\n")
    return 0


def _options(words: list[str]) -> argparse.Namespace:
    parser = WordsParser(allow_abbrev=False, add_help=False, prog="compare")
    parser.add_argument("runs", nargs="*")
    parser.add_argument("--experiment", nargs="+", default=[])
    parser.add_argument("--filter", default="")
    parser.add_argument(
        "--rank-by", choices=("accuracy", "macro_f1"), default="accuracy"
    )
    parser.add_argument("--latency", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--title", default="")
    parser.add_argument("--no-log", action="store_true")
    options = parser.parse_intermixed_args(words)
    if not (options.runs or options.experiment):
        raise ConfigError("no run is named. Give some, or --experiment NAME.")
    if "" in [*options.runs, *options.experiment]:
        raise ConfigError("the name of a run or experiment is empty. Write one.")
    if options.filter and not options.experiment:
        raise ConfigError("--filter: chooses among the runs of --experiment. Give it.")
    return options


def _file_name(options: argparse.Namespace) -> str:
    """What the comparison is called: by its experiments and runs."""
    name = " ".join([*options.experiment, *options.runs])
    plain = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
    return plain[:NAME_CHARACTERS].strip(".")


def _read(
    options: argparse.Namespace,
) -> "tuple[list[StoredRun], list[RunPredictions], list[str]]":
    """Find the runs and read what is compared of them."""
    from clothing_lightning.comparison.reading import chosen_runs, read_tested, usable

    chosen = chosen_runs(options.runs, options.experiment, options.filter)
    past, told = usable(chosen)
    runs, unread = read_tested(past)
    if not runs:
        why = " ".join(told + unread) or "Comparisons have no predictions of their own."
        raise RunError(
            f"{' '.join(options.experiment or options.runs)}: nothing that can be "
            f"compared. {why}"
        )
    return past, runs, told + unread


def _timed(
    past: "list[StoredRun]", runs: "list[RunPredictions]"
) -> "tuple[list[RunPredictions], str, list[str]]":
    """Measure latencies, and give them to the runs as a metric."""
    from dataclasses import replace

    from clothing_lightning.cli.malloc import keep_freed_memory
    from clothing_lightning.comparison.ranking import COSTS
    from clothing_lightning.comparison.timing import time_networks

    keep_freed_memory()
    read = {run.run_id for run in runs}
    sys.stderr.write("Measuring latency: about 5 s for each network.\n")
    found, machine, told = time_networks([run for run in past if run.run_id in read])
    timed = []
    for run in runs:
        took = {COSTS["latency_ms"]: found.get(run.run_id, math.nan)}
        timed.append(replace(run, metrics={**(run.metrics or {}), **took}))
    return timed, machine, told


def _write(
    found: "Comparison",
    ranking: "Ranking",
    past: "list[StoredRun]",
    folder: Path,
    title: str,
    command: str,
    timed_on: str,
) -> None:
    from clothing_lightning.comparison import text as text
    from clothing_lightning.comparison.page import comparison_page
    from clothing_lightning.comparison.storing import photo, run_links

    runs = [run for model in found.models for run in model.runs]
    paths = found.images.set_index("sha256")["path"]
    looked: Counter[bool] = Counter()

    def look(content: str) -> bytes | None:
        found = photo(runs, str(paths[content]), content)
        looked[found is not None] += 1
        return found

    page = comparison_page(
        found,
        ranking,
        title=title,
        command=command,
        photo=look,
        links=run_links(past),
        timed_on=timed_on,
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text.ranking_table(ranking).to_csv(folder / RANKING, index=False)
        text.pairs_table(ranking).to_csv(folder / PAIRS, index=False)
        written = text.markdown(found, ranking, title=title)
        (folder / TEXT).write_text(written, encoding="utf-8")
        (folder / PAGE).write_text(page, encoding="utf-8")
    except OSError as err:
        raise StorageError(
            f"{err.filename or folder}: cannot be written ({err.strerror}). Make room, "
            "or name another folder with --out."
        ) from err
    if looked[False]:
        sys.stderr.write(
            f"note: {looked[False]:,} of {looked.total():,} photos are not shown: they "
            "are not where the runs had them, or are others now. CLOTHING_DATA may "
            "name the folder above the data set's.\n"
        )


def _log(
    past: "list[StoredRun]", found: "Comparison", folder: Path, name: str, command: str
) -> None:
    from clothing_lightning.comparison.storing import log_comparison

    compared = {run.run_id for model in found.models for run in model.runs}
    files = [folder / file for file in (PAGE, TEXT, RANKING, PAIRS)]
    log_comparison([r for r in past if r.run_id in compared], files, name, command)


if __name__ == "__main__":
    sys.exit(main())
