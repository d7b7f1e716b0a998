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
from clothing_lightning.wording import closest, printable_lines


class CommandParser(argparse.ArgumentParser):
    """The options of one command, and the help page that is made from them.

    `run_command` prints the page and the messages of errors.
    """

    def __init__(
        self, command: str, usage: str, *, description: str = "", epilog: str = ""
    ) -> None:
        """Describe a command by its name and a line of usage for each way to call it.

        The description stands at the head of the help page, the epilog at its end.
        """
        program = f"python -m clothing_lightning.{command}"
        indent = "\n" + " " * len("usage: ")
        super().__init__(
            prog=command,
            usage=indent.join(f"{program} {line}" for line in usage.splitlines()),
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            add_help=False,
        )

    def error(self, message: str) -> NoReturn:
        """Raise what the user reads.

        Raises:
            ConfigError: Always.
        """
        flags = {*re.findall("--[a-z_-]+", self.format_help())}
        unknown = re.search("unrecognized arguments: ([^ =]+)", message)
        hint = closest(unknown[1], flags, limit=2) if unknown else ""
        message = message.removeprefix("argument ")
        raise ConfigError(f"{message}.{hint} --help shows how it is called.")


def run_command(
    argv: Sequence[str] | None,
    help_page: str,
    command: Callable[[list[str]], int],
    *,
    help_anywhere: bool = True,
) -> int:
    """Run a command; a user's mistake ends in its message and exit code 2.

    Args:
        argv: Words after the command's name; by default those of the process.
        help_page: The page that is shown on request, or if there are no words.
        command: Function that does the work with the words and gives the exit code.
        help_anywhere: Whether ``--help`` behind other words asks for that page as well.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or {"-h", "--help"} & set(words if help_anywhere else words[:1]):
        sys.stdout.write(help_page)
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
        sys.stderr.write(f"\nerror: {printable_lines(str(mistake))}\n")
        return EXIT_USER_ERROR


def require_run_first(words: Sequence[str]) -> None:
    """Refuse a flag in the place of the run.

    Raises:
        ConfigError: If the first word is one.
    """
    if words[0].startswith("-"):
        raise ConfigError(f"{words[0]}: name the run before the flags.")


def claim_folder(folder: Path, marker: str, what: str, begins: str = "") -> None:
    """Refuse a folder for results (``--out``) before the work is done.

    Args:
        folder: The folder, which is made later if it is not there.
        marker: The name of a file that earlier results have, which may be replaced.
        what: What the results are, such as ``an audit``.
        begins: The first characters of that file.

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
