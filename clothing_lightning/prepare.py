"""Fetch a data set where that is possible, and look for what is odd about it."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

from clothing_lightning.cli.command import CommandParser, claim_folder, run_command
from clothing_lightning.errors import (
    EXIT_INTERRUPTED,
    ConfigError,
    DownloadError,
    UserError,
)

DESCRIPTION = """\
Fetches a data set if there is nothing yet and it can be fetched, and looks at
what would spoil a training: images that cannot be read, the same picture twice,
with another label or on both sides of the split, sparse classes, sizes. Says
what is to be done.

  ... prepare clothing_dataset               below $CLOTHING_DATA, else data/
  ... prepare clothing_dataset --root FOLDER --split.method grouped
  ... prepare image_folder --root FOLDER     your own photos
  ... prepare sample                         480 packaged photos, to try it out
  ... prepare experiments/resnet18.yaml      exactly what this one trains on
"""
EPILOG = """\
options of the data set; 'prepare DATASET --help' lists them:
  --root FOLDER         where the images are
  --download no         fetch nothing
  --corrections FILE    a CSV with path and label: right labels, or none to leave
                        it out
  --drop_duplicates     keep one of each set of identical files
  --split.method grouped|stratified|file|own
  --on_unreadable       is always 'drop' here: what cannot be read is listed

Results: index.html (the page), audit.json, duplicates.csv, near_duplicates.csv
and unreadable.csv, made anew by each audit; and corrections.csv for you to write
into, which is never overwritten.
Exit codes: 0 audited, whatever was found; 2 something to put right (one message
says what); 130 interrupted.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on these words, else the process's; return the exit code."""
    page = _parser().format_help()
    return run_command(argv, page, _prepare, help_anywhere=False)


def _prepare(words: list[str]) -> int:
    # Here, so that help is there at once.
    from clothing_lightning.cli.datasets import build_datamodule, print_options
    from clothing_lightning.cli.third_party_warnings import quiet_libraries
    from clothing_lightning.datamodules.auditing import audit_datamodule
    from clothing_lightning.reports.audit_page import REPORT, write_audit
    from clothing_lightning.reports.audit_text import json_text, show

    quiet_libraries()
    names, options, flags = _split(words)
    if options.help:
        print_options(names[0])
        return 0
    try:
        with _advice_reworded():
            data, command = build_datamodule(names, flags, fetch=True)
            folder = options.out or Path("audits") / data.name
            claim_folder(folder, REPORT, "an audit")
            audit = audit_datamodule(data)
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted; images checked so far are remembered.\n")
        return EXIT_INTERRUPTED
    if audit.source.split_error:
        command = ""
    elif len(audit.source.unreadable):
        command += " --data.init_args.on_unreadable drop"
    page = write_audit(audit, folder, command)
    if options.json:
        sys.stdout.write(json_text(audit))
    else:
        show(audit, str(page), command)
    return 0


def _split(words: list[str]) -> tuple[list[str], argparse.Namespace, list[str]]:
    """Names of data sets or files, the options of this command, and other flags."""
    names = list(takewhile(lambda word: not word.startswith("-"), words))
    if not names:
        raise ConfigError(
            f"{words[0]}: name the data set before the flags, such as prepare "
            "clothing_dataset. --help shows more."
        )
    return names, *_parser().parse_known_args(words[len(names) :])


def _parser() -> CommandParser:
    parser = CommandParser(
        "prepare",
        "DATASET [--KEY VALUE ...]\nEXPERIMENT.yaml ... [--KEY VALUE ...]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    add = parser.add_argument
    add(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="where the results go (default audits/<data set>/)",
    )
    add("--json", action="store_true", help="print the findings as JSON")
    add("-h", "--help", action="store_true", help="show this, or a data set's options")
    return parser


@contextmanager
def _advice_reworded() -> Iterator[None]:
    """Put advice, which is written for fit, into the words of this command."""
    try:
        yield
    except UserError as err:
        message = str(err).replace("data.init_args.", "")
        if isinstance(err, DownloadError):
            message += "\nOther ways to get the data are told by --download no."
        raise type(err)(message) from err


if __name__ == "__main__":
    sys.exit(main())
