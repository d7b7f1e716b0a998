"""Which model is best, is the difference real, and what does it cost."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from clothing_lightning.cli.command import CommandParser, claim_folder, run_command
from clothing_lightning.errors import ConfigError, RunError
from clothing_lightning.metrics.registry import METRICS

DESCRIPTION = """\
Ranks runs on the images that all of them were tested on, says which
differences are real, what each model costs, and where they differ. One page,
which needs no server.

  ... compare --experiment clothing-dataset       all finished runs of it
  ... compare resnet18 efficientnet_lite0         runs by name, id or the start
                                                  of one; without its seed a
                                                  name means them all
  ... compare --experiment photos --filter "metrics.`test/accuracy` > 0.8"
"""
EPILOG = """\
Runs that differ by seed or fold alone are one model. Results: index.html (the
page), comparison.md, comparison.csv (the ranking), pairs.csv (the tests of each
two models).
Exit codes: 0 compared; 2 something to put right (one message says what), or no
model keeps to the budget; 130 interrupted.
"""
MISSING_PHOTOS = """\
note: {:,} of {:,} photos are not shown: they are not where the runs had them, or are \
others now. CLOTHING_DATA may name the folder above the data set's.
"""
NAME_CHARACTERS = 100


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on these words, else the process's; return the exit code."""
    return run_command(argv, _parser().format_help(), _compare)


def _compare(words: list[str]) -> int:
    options = _options(words)
    from clothing_lightning.cli.third_party_warnings import quiet_libraries

    quiet_libraries()
    from clothing_lightning.comparison import (
        budget,
        files,
        pooling,
        ranking,
        reading,
        selection,
        text,
    )
    from clothing_lightning.wording import listed

    asked = None if options.budget is None else budget.Budget.parse(options.budget)
    name = _file_name(options)
    folder = options.out or Path("reports") / name
    claim_folder(
        folder, files.RANKING, "a comparison", begins="model,repeats,accuracy,"
    )
    chosen = selection.chosen_runs(options.runs, options.experiment, options.filter)
    stored, left_out = selection.comparable_runs(chosen)
    runs, unread = reading.read_runs(stored)
    remarks = left_out + unread
    if not runs:
        why = " ".join(remarks) or "Comparisons have no predictions of their own."
        raise RunError(
            f"{' '.join(options.experiment or options.runs)}: nothing that can be "
            f"compared. {why}"
        )
    timed_on = ""
    if options.latency:
        from clothing_lightning.cli.malloc import keep_freed_memory
        from clothing_lightning.comparison.timing import with_latencies

        keep_freed_memory()
        runs, timed_on, untimed = with_latencies(runs, stored)
        remarks += untimed
    compared = pooling.pool(runs)
    compared = replace(compared, remarks=(*remarks, *compared.remarks))
    ranked = ranking.rank(compared, options.rank_by, asked)
    models = listed([model.title for model in compared.models])
    what = ", ".join(options.experiment) or models
    command = f"python -m clothing_lightning.compare {shlex.join(words)}"
    photos = files.write_files(
        compared,
        ranked,
        folder,
        title=options.title or f"Comparison: {what}",
        command=command,
        links={run.run_id: run.url for run in stored if run.url},
        timed_on=timed_on,
    )
    if photos[False]:
        sys.stderr.write(MISSING_PHOTOS.format(photos[False], photos.total()))
    text.show(compared, ranked)
    if timed_on:
        sys.stdout.write(f"latency   one image at a time, {timed_on}\n")
    if not options.no_log:
        files.log_comparison(compared, stored, folder, name, command)
    sys.stdout.write(f"page      {folder / files.PAGE}\n")
    budget.require_best(ranked.answer)
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(
        "compare",
        "[RUN ...] [--experiment NAME ...] [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    tested = [name for name, metric in METRICS.items() if metric.paired_test]
    add = parser.add_argument
    add("runs", nargs="*", metavar="RUN", help="a run's id, its start, or its name")
    add(
        "--experiment",
        nargs="+",
        default=[],
        metavar="NAME",
        help="all finished runs of MLflow's experiments",
    )
    add(
        "--filter",
        default="",
        metavar="TEXT",
        help="the runs of --experiment that meet it, in MLflow's own words",
    )
    add(
        "--rank-by",
        choices=tested,
        default=tested[0],
        help=f"{' or '.join(tested)} (default {tested[0]})",
    )
    add(
        "--budget",
        metavar="COST",
        help="name the best model that keeps to '10 ms', '5 MB' or '100 M MACs'",
    )
    add("--latency", action="store_true", help="time one image in each network, here")
    add(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="where the results go (default reports/<experiments and runs>/)",
    )
    add("--title", default="", metavar="TEXT", help="title of the page")
    add("--no-log", action="store_true", help="keep no run of the comparison in MLflow")
    return parser


def _options(words: list[str]) -> argparse.Namespace:
    options = _parser().parse_intermixed_args(words)
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


if __name__ == "__main__":
    sys.exit(main())
