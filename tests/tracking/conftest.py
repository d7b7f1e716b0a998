"""MLflow servers, started as users start them."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers import answers, free_port, start, stop, wait_until


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Starts ``mlflow <words>`` in a folder and gives its address.

    Whatever was started is stopped at the end, with all its children.
    """
    started: list[subprocess.Popen[bytes]] = []

    def serve(*words: str, cwd: Path) -> str:
        # One worker, no job runners: the same pages from a tenth of the processes.
        environment = os.environ | {
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            # Where `mlflow models serve` finds uvicorn.
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        port = free_port()
        log = tmp_path_factory.mktemp("log") / "server.log"
        options = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        command = [sys.executable, "-m", "mlflow", *words, *options]
        process = start(command, log, cwd=cwd, env=environment)
        started.append(process)
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/health"), process, log)
        return f"http://127.0.0.1:{port}"

    yield serve
    for process in started:
        stop(process)
