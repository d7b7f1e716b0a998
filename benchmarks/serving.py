"""What `mlflow models serve` adds to ONNX Runtime: start, photos a second, latency.

The reference is the served model's own code in this process, a photo at a time. It is
measured in turns with the server, so that the ratios hold on a busy machine as well.

    python -m clothing_lightning.export RUN --to mlflow --out model
    python -m benchmarks.serving model PHOTOS [--python .../bin/python]

``--python`` is that of an environment with ``model/requirements.txt``; by default this.
"""

import argparse
import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple
from urllib.request import Request, urlopen

import numpy as np

ROUNDS, REQUESTS = 3, 100
PROGRAMS = {
    "python alone": "pass",
    "importing mlflow's command line": "import mlflow.cli",
    "importing its server": "import mlflow.pyfunc.scoring_server",
    "and loading the model": (
        "import mlflow; mlflow.pyfunc.load_model({model!r})"
        "; import mlflow.pyfunc.scoring_server"
    ),
}

Call = Callable[[bytes], object]


class Way(NamedTuple):
    """A way to have photos classified: the call, by how many, with how many photos."""

    call: Call
    clients: int
    photos: int


def main() -> None:
    """Measure the start, then rounds of requests, and print both."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--python", type=Path, default=Path(sys.executable))
    options = parser.parse_args()
    model = options.model.resolve()
    for label, program in PROGRAMS.items():
        words = [str(options.python), "-c", program.format(model=str(model))]
        print(f"{label:32} {best(words):6.2f} s")
    files = sorted(options.photos.rglob("*.jpg"))
    photos = [file.read_bytes() for file in islice(files, 64)]
    with served(options.python, model, photos[0]) as (url, first):
        print(f"{'first answer of mlflow serve':32} {first:6.2f} s")
        ways = {
            "in process": Way(in_process(model), 1, 1),
            "1 client": Way(partial(ask, url, 1), 1, 1),
            "8 clients": Way(partial(ask, url, 1), 8, 1),
            "8 clients, 8 photos a request": Way(partial(ask, url, 8), 8, 8),
        }
        report(ways, photos)


def best(words: Sequence[str]) -> float:
    """Return the least time of three that a process takes, in seconds."""
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
        times.append(time.perf_counter() - begin)
    return min(times)


@contextmanager
def served(python: Path, model: Path, photo: bytes) -> Iterator[tuple[str, float]]:
    """Serve a model; gives the address, and the seconds to the first answer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    words = [str(python.absolute().parent / "mlflow"), "models", "serve"]
    words += ["--model-uri", str(model), "--env-manager", "local", "--port", port]
    path = f"{python.absolute().parent}{os.pathsep}{os.environ['PATH']}"
    begin = time.perf_counter()
    process = subprocess.Popen(
        words,
        env=os.environ | {"PATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        url = f"http://127.0.0.1:{port}/invocations"
        while process.poll() is None:
            try:
                ask(url, 1, photo)
                break
            except OSError:
                time.sleep(0.02)
        yield url, time.perf_counter() - begin
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def ask(url: str, count: int, photo: bytes) -> object:
    """Send a photo several times in one request."""
    text = base64.b64encode(photo).decode()
    body = json.dumps({"inputs": [text] * count}).encode()
    request = Request(url, body, {"Content-Type": "application/json"})
    with urlopen(request) as answer:
        predictions = json.load(answer)["predictions"]
    assert [each["error"] for each in predictions] == [None] * count
    return predictions


def in_process(model: Path) -> Call:
    """Return the served model's own decoding and network, without MLflow's server."""
    import onnxruntime

    from clothing_lightning.tracking.served_model import read_photo

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        model / "artifacts" / "model.onnx", options, ["CPUExecutionProvider"]
    )
    return lambda photo: session.run(None, {"images": read_photo(photo)[None]})


def report(ways: dict[str, Way], photos: Sequence[bytes]) -> None:
    """Measure the ways in turns, and print what each takes against the first."""
    times: dict[str, list[float]] = {label: [] for label in ways}
    speeds: dict[str, list[float]] = {label: [] for label in ways}
    for _ in range(ROUNDS):
        for label, way in ways.items():
            begin = time.perf_counter()
            with ThreadPoolExecutor(way.clients) as pool:
                chosen = islice(cycle(photos), REQUESTS)
                times[label] += pool.map(partial(timed, way.call), chosen)
            taken = time.perf_counter() - begin
            speeds[label].append(REQUESTS * way.photos / taken)
    reference = np.array(speeds["in process"])
    for label, each in times.items():
        p50, p95 = np.percentile(each, [50, 95]) * 1000
        speed = np.array(speeds[label])
        print(
            f"{label:32} {np.median(speed):6.1f} photos/s, "
            f"{np.median(speed / reference):4.2f} of in process; a request takes "
            f"p50 {p50:6.1f} ms, p95 {p95:6.1f} ms"
        )


def timed(call: Call, photo: bytes) -> float:
    """Return how long a call takes, in seconds."""
    begin = time.perf_counter()
    call(photo)
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
