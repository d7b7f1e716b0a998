"""Processes that serve something, started and stopped by tests."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

START_S = 180  # a few seconds, but many more on a machine that is busy
STOP_S = 20


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def start(words: list[str], log: Path, **options: Any) -> subprocess.Popen[bytes]:
    """Start a process in a group of its own; what it says goes to a file."""
    with log.open("wb") as output:
        return subprocess.Popen(
            words,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **options,
        )


def wait_until(
    ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path
) -> None:
    """Wait for a process to be ready; fail with what it said if it ends before."""
    deadline = time.monotonic() + START_S
    while not ready():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def answers(url: str) -> bool:
    """Whether a page can be had."""
    try:
        with urlopen(url, timeout=5):
            return True
    except (URLError, OSError):
        return False


def stop(process: subprocess.Popen[bytes], by: int = signal.SIGTERM) -> None:
    """End a process and its group, which bears its number."""
    process.send_signal(by)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    with contextlib.suppress(ProcessLookupError):  # all have ended
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
