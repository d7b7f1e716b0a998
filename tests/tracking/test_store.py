import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from clothing_lightning.errors import StorageError
from clothing_lightning.tracking import store
from clothing_lightning.tracking.store import (
    client,
    ensure_writable,
    first_line,
    is_default_store,
    tracking_uri,
    where_to_browse,
)

pytestmark = pytest.mark.usefixtures("workplace")
CLOSED = "http://127.0.0.1:9"  # the port of the discard service, which nobody runs


def test_runs_go_to_the_working_folder_by_default(workplace: Path) -> None:
    assert tracking_uri() == f"sqlite:///{workplace}/mlruns/mlflow.db"
    assert is_default_store()


def test_the_working_folder_is_read_at_run_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tracking_uri()
    monkeypatch.chdir(tmp_path)
    assert tracking_uri() != before


def test_the_environment_is_read_at_run_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = f"sqlite:///{tmp_path}/elsewhere.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", elsewhere)
    assert tracking_uri() == elsewhere
    assert not is_default_store()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    assert is_default_store()


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("", "make ui, or: mlflow ui --backend-store-uri sqlite:///mlruns/mlflow.db"),
        ("sqlite:///x.db", "mlflow ui --backend-store-uri sqlite:///x.db"),
        ("https://runs.example.org", "https://runs.example.org"),
        ("https://me:secret@runs.example.org", "https://runs.example.org"),
        (
            "postgresql://me:secret@db/runs",
            'mlflow ui --backend-store-uri "$MLFLOW_TRACKING_URI"',
        ),
    ],
)
def test_says_where_to_browse_and_no_password(
    uri: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert where_to_browse() == expected


def test_a_server_that_is_down_is_told_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", CLOSED)
    monkeypatch.delenv(store.RETRIES, raising=False)
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    with pytest.raises(StorageError, match=rf"'{CLOSED}' cannot be opened \(.*refused"):
        client(CLOSED)
    assert sum(pauses) < 10
    assert store.RETRIES not in os.environ


def test_messages_hold_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = CLOSED.replace("//", "//me:secret@")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(StorageError, match=rf"'{CLOSED}' cannot be opened") as told:
        client(uri)
    assert "secret" not in str(told.value)
    assert first_line(OSError(f"{uri}/api is gone")) == f"{CLOSED}/api is gone"


def test_a_file_that_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("Buy milk. " * 100)
    uri = f"sqlite:///{tmp_path}/notes.db"
    with pytest.raises(StorageError, match=r"notes\.db' cannot be opened \(file is"):
        client(uri)
    assert (tmp_path / "notes.db").read_text().startswith("Buy milk.")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "in the way").write_text("")
    with pytest.raises(StorageError, match=r"x': results cannot be written there \("):
        ensure_writable(tmp_path / "in the way" / "x")


def test_a_writable_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    ensure_writable(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_the_reason_is_the_innermost_one() -> None:
    outer = ValueError("wrapped\nin lines")
    outer.__cause__ = OSError("disk full\nsecond line")
    assert first_line(outer) == "disk full"
    assert first_line(KeyboardInterrupt()) == "KeyboardInterrupt"


def test_processes_that_start_at_once_make_the_store_together(workplace: Path) -> None:
    (workplace / "mlruns" / "mlflow.db").unlink()
    words = "from clothing_lightning.tracking.store import *; client(tracking_uri())"
    started = [
        subprocess.Popen([sys.executable, "-c", words], stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    ended = [process.communicate()[1].decode() for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], ended


def test_mlflow_itself_still_makes_relative_locations_absolute() -> None:
    """Once it keeps them, `store._keep_artifacts_beside` can go."""
    mlflow = client(tracking_uri())
    made = mlflow.create_experiment("clothes", artifact_location="mlruns/artifacts")
    assert Path(mlflow.get_experiment(made).artifact_location).is_absolute()


def test_artifacts_of_the_default_store_lie_beside_it() -> None:
    run = store.create_run("clothes", "net", {})
    assert run.info.artifact_uri == f"mlruns/artifacts/{run.info.run_id}/artifacts"


class Closed(BaseHTTPRequestHandler):
    """Knows nobody, as MLflow's server says it."""

    def do_POST(self) -> None:
        self.send_response(401)
        self.end_headers()
        self.wfile.write(b"You are not authenticated.")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


class OneRun(Closed):
    """Has one run, as MLflow's server says it."""

    def do_GET(self) -> None:
        run = {"run_id": "0", "run_name": "net", "experiment_id": "1"}
        self.send_response(200)
        self.end_headers()
        answer = {"run": {"info": run, "data": {}}, "run_info": run}
        self.wfile.write(json.dumps(answer).encode())

    def do_POST(self) -> None:
        self.do_GET()


@contextmanager
def answering(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Run a server, and yield its address."""
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def closed() -> Iterator[str]:
    """The address of a server that lets nobody in."""
    with answering(Closed) as address:
        yield address


@pytest.mark.parametrize(
    ("user", "whom"), [("me", "'me' in with this password"), ("", "anyone in without")]
)
def test_who_is_not_let_in_is_told_what_to_set(
    closed: str, user: str, whom: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", closed)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", user)
    with pytest.raises(StorageError, match=f"not let {whom}.*MLFLOW_TRACKING_PASSWORD"):
        client(closed)


def test_mlflow_prints_no_password_at_the_end_of_a_run(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with answering(OneRun) as address:
        client(address.replace("//", "//me:secret@")).set_terminated("0")
    assert capfd.readouterr().out == ""
