"""The services of docker/compose.yaml without containers, and `fit` against them.

PostgreSQL and SeaweedFS are real ones; MLflow is started by docker/tracking.sh, from
the environment that ``make server`` makes, or that ``TRACKING_SERVER_BIN`` names.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from signal import SIGINT, SIGKILL
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pandas as pd
import psutil  # type: ignore[import-untyped]
import pytest
import yaml

from clothing_lightning import fit
from clothing_lightning.metrics.classification_report import summary
from clothing_lightning.tracking.read import find_run
from clothing_lightning.tracking.store import client
from tests.servers import answers, free_port, start, stop, wait_until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SERVICES = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]
SERVER_BIN = Path(os.environ.get("TRACKING_SERVER_BIN") or ROOT / ".venv/server/bin")
PASSWORD = "50% of a pass:w/rd@home"  # nothing that an address could hold as it is
FURTHER = [  # what is run on the run that `fit` has left on the server
    ["compare", "--experiment", "clothing-dataset"],
    ["predict", "tiny", "{image}"],
]


@pytest.fixture(scope="module")
def database() -> Iterator[dict[str, str]]:
    """A PostgreSQL server of our own; gives libpq's variables."""
    programs = postgresql()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    account: dict[str, Any] = {}
    if os.geteuid() == 0:  # which it refuses
        account = {"user": "postgres", "group": "postgres", "extra_groups": []}
    with tempfile.TemporaryDirectory() as name:  # pytest's are closed to other users
        folder, port = Path(name), str(free_port())
        (folder / "password").write_text(PASSWORD)
        if account:
            shutil.chown(folder, "postgres")
            shutil.chown(folder / "password", "postgres")
        words = "--pgdata=data --username=mlflow --pwfile=password --auth=scram-sha-256"
        subprocess.run(
            [programs / "initdb", *words.split(), "--no-sync"],
            check=True,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            **account,
        )
        words = f"-D data -F -h 127.0.0.1 -p {port} -c unix_socket_directories="
        process = start(
            [str(programs / "postgres"), *words.split()],
            folder / "log",
            cwd=folder,
            **account,
        )
        yield {
            "PGHOST": "127.0.0.1",
            "PGPORT": port,
            "PGUSER": "mlflow",
            "PGPASSWORD": PASSWORD,
            "PGDATABASE": "postgres",
        }
        stop(process, SIGINT)  # without waiting for those who are connected


def postgresql() -> Path | None:
    """The folder of its programs, which Debian leaves out of the path."""
    if on_path := shutil.which("initdb"):
        return Path(on_path).resolve().parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """SeaweedFS with the words of the compose file; gives boto3's variables."""
    weed = SERVER_BIN / "weed"
    if not weed.is_file():
        pytest.skip("SeaweedFS is not installed (make server)")
    folder = tmp_path_factory.mktemp("objects")
    s3 = free_port()
    keys = {"AWS_ACCESS_KEY_ID": "clothes", "AWS_SECRET_ACCESS_KEY": PASSWORD}
    ports = [f"-{part}={free_port()}" for part in PORTS]
    places = [f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.port={s3}"]
    process = start(
        [str(weed), *SERVICES["objects"]["command"], *places, *ports],
        folder.with_suffix(".log"),
        cwd=folder,
        env=os.environ | keys,
    )
    yield keys | {
        "MLFLOW_S3_ENDPOINT_URL": f"http://127.0.0.1:{s3}",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    stop(process, SIGKILL)  # it would take 20 s, for objects that nobody needs


PORTS = ["master.port", "volume.port", "filer.port", "s3.port.grpc"]
PORTS += ["master.port.grpc", "volume.port.grpc", "filer.port.grpc"]


class Server:
    """The tracking server, as docker/tracking.sh starts it."""

    def __init__(self, stores: dict[str, str], folder: Path) -> None:
        """Choose where it listens; nothing runs yet."""
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        self.log = folder / "server.log"
        self.environment = stores | {
            "MLFLOW_ARTIFACTS_DESTINATION": "s3://mlflow",
            "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
            "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "any long text will do",
            "MLFLOW_SERVER_ALLOWED_HOSTS": "127.0.0.1:*",
            "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": "",
            "MLFLOW_PORT": str(port),
            "MLFLOW_WORKERS": "1",
        }

    def start(self) -> None:
        """Start it and wait until it answers."""
        path = f"{SERVER_BIN}:{os.environ['PATH']}"
        self.process = start(
            [str(ROOT / "docker" / "tracking.sh")],
            self.log,
            cwd=self.log.parent,
            env=os.environ | self.environment | {"PATH": path},
        )
        wait_until(lambda: answers(f"{self.url}/health"), self.process, self.log)


@pytest.fixture(scope="module")
def server(
    database: dict[str, str],
    objects: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """The tracking server on both."""
    if not (SERVER_BIN / "mlflow").is_file():
        pytest.skip("MLflow's server is not installed (make server)")
    running = Server(database | objects, tmp_path_factory.mktemp("server"))
    running.start()
    yield running
    stop(running.process)


@pytest.fixture
def user(server: Server, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One who has an account there, in an empty folder."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def test_a_run_is_kept_continued_and_looked_at_on_the_server(
    server: Server, user: None, experiment: Path, workplace: Path
) -> None:
    words = ["-m", "clothing_lightning.fit", str(experiment), "--trainer.max_epochs=1"]
    subprocess.run([sys.executable, *words], check=True)
    stop(server.process)
    server.start()

    run = find_run("tiny")
    assert run.status == "FINISHED"
    address = client(server.url).get_run(run.run_id).info.artifact_uri
    assert address.startswith("mlflow-artifacts:")  # the server's, not the bucket's
    assert not (workplace / "mlruns" / "artifacts").exists()
    predictions = pd.read_parquet(run.artifact("predictions/test.parquet"))
    for name, value in summary(predictions).items():
        assert run.metrics[f"test/{name}"] == pytest.approx(value, abs=1e-6)

    shutil.rmtree(workplace / "mlruns" / "staging")  # as on another machine
    assert fit.main(["--resume", "tiny", "--trainer.max_epochs=2"]) == 0
    history = client(server.url).get_metric_history(run.run_id, "val/loss")
    assert [point.step for point in history] == [0, 1]

    image = str(next(experiment.parent.rglob("*.jpg")))
    for name, *words in FURTHER:
        if find_spec(f"clothing_lightning.{name}"):
            main = import_module(f"clothing_lightning.{name}").main
            assert main([word.format(image=image) for word in words]) == 0, name


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("MLFLOW_TRACKING_PASSWORD", "a guess", "let 'admin' in with this password"),
        ("MLFLOW_TRACKING_USERNAME", "nobody", "let 'nobody' in with this password"),
        ("MLFLOW_TRACKING_USERNAME", "", "let anyone in without a name"),
    ],
)
def test_who_is_not_known_is_told_so_in_one_message(
    variable: str,
    value: str,
    message: str,
    server: Server,
    user: None,
    experiment: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, value)
    assert fit.main([str(experiment)]) == 2
    assert capsys.readouterr().err.strip() == (
        f"error: MLflow: the server '{server.url}' does not {message}. Set "
        "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to a user it knows."
    )


def test_neither_runs_nor_artifacts_are_open(server: Server) -> None:
    bucket = f"{server.environment['MLFLOW_S3_ENDPOINT_URL']}/mlflow"
    for page, status in {
        server.url: 401,
        f"{server.url}/api/2.0/mlflow/experiments/search?max_results=1": 401,
        f"{server.url}/api/2.0/mlflow-artifacts/artifacts": 401,
        bucket: 403,
    }.items():
        with pytest.raises(HTTPError) as caught:
            urlopen(page)
        assert caught.value.code == status, page


def test_no_password_is_in_a_command_line(server: Server) -> None:
    root = psutil.Process(server.process.pid)
    lines = [each.cmdline() for each in [root, *root.children(recursive=True)]]
    assert "basic-auth" in lines[0]
    assert not [line for line in lines if PASSWORD in " ".join(line)]


def test_the_compose_file_sets_the_same_variables(server: Server) -> None:
    ours = set(server.environment) - {"PGPORT", "MLFLOW_PORT", "MLFLOW_WORKERS"}
    assert ours == set(SERVICES["tracking"]["environment"])
