"""MLflow servers, started as users start them."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

START_S = 180  # a few seconds, but many more on a machine that is busy
STOP_S = 20


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Starts ``mlflow <words>`` in a folder and gives its address.

    Whatever was started is stopped at the end, with all its children.
    """
    started: list[subprocess.Popen[bytes]] = []
    # One worker, no job runners: the same pages from a tenth of the processes.
    environment = os.environ | {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }

    def start(*words: str, cwd: Path) -> str:
        port = _free_port()
        log = tmp_path_factory.mktemp("log") / "server.log"
        options = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", *words, *options],
                cwd=cwd,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started.append(process)
        _wait_until_healthy(f"http://127.0.0.1:{port}", process, log)
        return f"http://127.0.0.1:{port}"

    yield start
    for process in started:
        _stop(process)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            with urlopen(f"{url}/health", timeout=5):
                return
        except (URLError, OSError):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and its group, which bears its number."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    with contextlib.suppress(ProcessLookupError):  # all have ended
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
