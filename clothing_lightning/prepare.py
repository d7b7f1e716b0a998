"""Fetch a data set where that is possible, and look for what is odd about it."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from clothing_lightning.cli.command import EXIT_INTERRUPTED, answered, claim_folder
from clothing_lightning.errors import (
    ConfigError,
    DataError,
    DownloadError,
    StorageError,
    UserError,
)

if TYPE_CHECKING:
    from clothing_lightning.data.audit import Audit
    from clothing_lightning.datamodules import PhotoDataModule

HELP = """\
usage: python -m clothing_lightning.prepare DATASET [--KEY VALUE ...]
       python -m clothing_lightning.prepare EXPERIMENT.yaml [OVERLAY.yaml ...] [...]

Fetches a data set if there is nothing yet and it can be fetched, and looks at what
would spoil a training: images that cannot be read, the same picture twice, with another
label or on both sides of the split, sparse classes, sizes. Says what is to be done.

  ... prepare clothing_dataset                    below $CLOTHING_DATA, else data/
  ... prepare clothing_dataset --root FOLDER --split.method grouped
  ... prepare image_folder --root FOLDER          your own photos
  ... prepare sample                              drawn images, to try it out
  ... prepare experiments/resnet18.yaml           exactly what this one trains on

Of this command
  --out FOLDER       where the results go; by default audits/<data set>/
  --json             print the findings as JSON

Of the data set; 'prepare DATASET --help' lists them
  --root FOLDER      where the images are
  --download no      fetch nothing
  --corrections FILE a CSV with path and label: right labels, or none to leave it out
  --drop_duplicates  keep one of each set of identical files
  --split.method grouped|stratified|file|own
  --on_unreadable    is always 'drop' here: what cannot be read is listed

Results: index.html (the page), audit.json, duplicates.csv, near_duplicates.csv and
unreadable.csv, made anew by each audit; and corrections.csv for you to write into,
which is never overwritten.
Exit codes: 0 audited, whatever was found; 2 something to put right (one message says
what); 130 interrupted.
"""
REPORT, CORRECTIONS = "audit.json", "corrections.csv"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Words after the command's name; by default those of the process.

    Returns:
        The exit code.
    """
    return answered(argv, HELP, _prepare)


def _prepare(words: list[str]) -> int:
    from clothing_lightning.cli.third_party_warnings import quiet_libraries

    quiet_libraries()
    names = list(takewhile(lambda word: not word.startswith("-"), words))
    if not names:
        raise ConfigError(
            f"{words[0]}: name the data set before the flags, such as prepare "
            "clothing_dataset. --help shows more."
        )
    try:
        return _audited(names, words[len(names) :])
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted; images checked so far are remembered.\n")
        return EXIT_INTERRUPTED
    except UserError as err:
        # Advice is written for fit; here the options of the data stand by themselves.
        message = str(err).replace("data.init_args.", "")
        if isinstance(err, DownloadError):
            message += "\nOther ways to get the data are told by --download no."
        raise type(err)(message) from err


def _audited(names: list[str], flags: list[str]) -> int:
    own = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    own.add_argument("--out", type=Path)
    own.add_argument("--json", action="store_true")
    own.add_argument("-h", "--help", action="store_true")
    asked, flags = own.parse_known_args(flags)
    from clothing_lightning.cli.datasets import choose, print_options

    if asked.help:
        print_options(names[0])
        return 0
    data, command = choose(names, flags, fetch=True)
    folder = asked.out or Path("audits") / data.name
    claim_folder(folder, REPORT, "an audit")
    found = _audit(data)
    if found.source.split_error:
        command = ""
    elif len(found.source.unreadable):
        command += " --data.init_args.on_unreadable drop"
    _write(found, folder, command)
    from clothing_lightning.reports import audit_text

    if asked.json:
        sys.stdout.write(audit_text.json_text(found))
    else:
        audit_text.show(found, str(folder / "index.html"), command)
    return 0


def _audit(data: "PhotoDataModule") -> "Audit":
    from clothing_lightning.data import audit
    from clothing_lightning.data.audit_issues import Issue
    from clothing_lightning.data.near_duplicates import near_duplicates

    table, split_error = data.source.table, ""
    try:
        table = data.table
    except DataError as err:
        split_error = str(err)
    refused = data.selected.inspected["refusal"].dropna()
    dropped = data.selected.dropped
    unreadable = dropped[dropped["path"].isin(refused.index)]
    once = table.drop_duplicates("sha256")["path"]
    return audit.audit(
        audit.Source(
            name=data.name,
            root=str(data.root),
            table=table,
            inspected=data.selected.inspected,
            unreadable=unreadable[["path", "label", "reason"]],
            findings=data.source.findings,
            near=near_duplicates(
                data.root,
                data.selected.inspected.loc[once, "phash"],
                workers=max(data.num_workers, 1),
            ),
            size_px=data.preprocessing.image_size,
            group_noun=data.group_noun,
            split_error=split_error,
            remarks=tuple(Issue("know", *remark) for remark in data.remarks()),
        )
    )


def _write(found: "Audit", folder: Path, command: str) -> None:
    from clothing_lightning.reports.audit_page import audit_page
    from clothing_lightning.reports.audit_text import json_text

    page = audit_page(found, command)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / REPORT).write_text(json_text(found), encoding="utf-8")
        (folder / "index.html").write_text(page, encoding="utf-8")
        tables = {
            "duplicates": found.duplicates,
            "near_duplicates": found.near_table,
            "unreadable": found.source.unreadable,
        }
        for name, table in tables.items():
            table.to_csv(folder / f"{name}.csv", index=False)
        with suppress(FileExistsError), (folder / CORRECTIONS).open("x") as file:
            file.write("path,label\n")
    except OSError as err:
        raise StorageError(
            f"{err.filename or folder}: cannot be written ({err.strerror}). Make room, "
            "or name another folder with --out."
        ) from err


if __name__ == "__main__":
    sys.exit(main())
