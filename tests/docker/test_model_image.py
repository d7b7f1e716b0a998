"""docker/serve.Dockerfile without Docker: its packages, command and health check."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from clothing_lightning import export
from tests.servers import free_port, start, stop, wait_until
from tests.trained_run import COLOURS, Trained, trained

__all__ = ["trained"]

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "docker" / "serve.Dockerfile").read_text()
PORT = "5001"
MOST_MB = 350  # python:slim has 130 MB more


def words(instruction: str) -> list[str]:
    """The words of an instruction, which is written as a list."""
    found = re.search(rf"{instruction}[^\[]*(\[.*\])$", DOCKERFILE, re.M)
    assert found is not None
    return list(json.loads(found[1]))


def here() -> Path:
    return Path(sys.executable).parent


def fresh(folder: Path) -> Path:
    """The image's own packages in an environment of their own."""
    uv = [str(here() / "uv")]
    subprocess.run([*uv, "venv", "--python", sys.executable, folder], check=True)
    (line,) = re.findall(r"uv (pip install --constraint.*)", DOCKERFILE)
    python = folder / "bin" / "python"
    subprocess.run([*uv, *line.split(), "--python", python], cwd=ROOT, check=True)
    sizes = [file.stat().st_size for file in folder.rglob("*") if file.is_file()]
    assert sum(sizes) < MOST_MB * 1e6
    found = "import importlib.util as u; print(bool(u.find_spec('torch')))"
    printed = subprocess.run(
        [python, "-I", "-c", found], capture_output=True, text=True
    )
    assert printed.stdout.strip() == "False"
    return python.parent


@pytest.fixture(params=["here", pytest.param("fresh", marks=pytest.mark.network)])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The folder of programs of this environment, or of a fresh one."""
    return here() if request.param == "here" else fresh(tmp_path / "venv")


def test_its_command_serves_the_model_and_is_found_healthy(
    environment: Path, trained: Trained, tmp_path: Path
) -> None:
    model = tmp_path / "a model"
    assert export.main(["tiny", "--to", "mlflow", "--out", str(model)]) == 0
    port = str(free_port())
    variables = {
        "PATH": f"{environment}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "MODEL_URI": str(model),
        "MLFLOW_HOST": "127.0.0.1",
        "MLFLOW_PORT": port,
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    check = [word.replace(PORT, port) for word in words("HEALTHCHECK")]

    def healthy() -> bool:
        done = subprocess.run(check, env=variables, capture_output=True, check=False)
        return done.returncode == 0

    assert not healthy()
    log = tmp_path / "log"
    process = start(words("ENTRYPOINT"), log, env=variables, cwd=tmp_path)
    try:
        wait_until(healthy, process, log)
        example = (model / "serving_input_example.json").read_bytes()
        head = {"Content-Type": "application/json"}
        url = f"http://127.0.0.1:{port}/invocations"
        with urlopen(Request(url, example, head)) as answer:
            (row,) = json.load(answer)["predictions"]
        assert row["label"] in COLOURS
        process.terminate()
        assert process.wait(20) != 0  # at once, and its server with it
        assert not healthy()
    finally:
        stop(process)
