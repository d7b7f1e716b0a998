"""What all commands do with their words and their errors, without heavy imports."""

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from clothing_lightning.errors import (
    EXIT_INTERRUPTED,
    EXIT_USER_ERROR,
    ConfigError,
    StorageError,
    user_error_behind,
)
from clothing_lightning.wording import closest


class CommandParser(argparse.ArgumentParser):
    """Leaves the printing of errors to `run_command`."""

    def error(self, message: str) -> NoReturn:
        """Raise what the user reads.

        Raises:
            ConfigError: Always.
        """
        flags = re.findall("--[a-z-]+", self.format_usage())
        unknown = re.search("unrecognized arguments: ([^ =]+)", message)
        told = closest(unknown[1], flags, limit=2) if unknown else ""
        raise ConfigError(f"{message}.{told} --help shows how it is called.")


def run_command(
    argv: Sequence[str] | None, usage: str, command: Callable[[list[str]], int]
) -> int:
    """Run a command; a user's mistake ends in its message and exit code 2.

    Args:
        argv: Words after the command's name; by default those of the process.
        usage: What is shown if they ask for help, or there are none.
        command: What is done with them.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(usage)
        return 0 if words else EXIT_USER_ERROR
    try:
        return command(words)
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted.\n")
        return EXIT_INTERRUPTED
    except Exception as err:
        mistake = user_error_behind(err)
        if mistake is None:
            raise
        sys.stdout.flush()
        sys.stderr.write(f"\nerror: {mistake}\n")
        return EXIT_USER_ERROR


def claim_folder(folder: Path, marker: str, what: str, begins: str = "") -> None:
    """Refuse a folder for results (``--out``) before the work is done.

    Args:
        folder: Made later, if it is not there.
        marker: The file by which earlier results are known, which may be replaced.
        what: The results, such as ``an audit``.
        begins: How that file begins.

    Raises:
        StorageError: If it cannot be written, or holds something else.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise StorageError(
            f"--out: '{there}' is {'not to be written' if there.is_dir() else 'a file'}"
            ". Name another folder."
        )
    ours = False
    with suppress(OSError, UnicodeDecodeError):
        ours = (folder / marker).read_text(encoding="utf-8").startswith(begins)
    if folder.exists() and any(folder.iterdir()) and not ours:
        raise StorageError(
            f"--out: '{folder}' holds files that are not of {what}. Name another "
            "folder, or a new one below it."
        )
