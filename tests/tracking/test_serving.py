"""``mlflow models serve`` and real clients."""

import base64
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest
from packaging.utils import canonicalize_name
from PIL import Image

from clothing_lightning import export, fit
from clothing_lightning.inference.predictor import Predictor
from tests.trained_run import COLOURS, Trained, trained

__all__ = ["trained"]

pytestmark = pytest.mark.slow

DOCS = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
PYTHON = sys.executable
Ask = Callable[..., Any]
SERVE = ["models", "serve", "--env-manager", "local", "--model-uri"]


def modules_beyond(constraints: Path) -> list[str]:
    """Modules of packages that are installed here and not named in a file."""
    lines = constraints.read_text().splitlines()
    named = {canonicalize_name(line.partition("==")[0]) for line in lines}
    return sorted(
        module
        for module, packages in packages_distributions().items()
        if not module.startswith("_")
        and named.isdisjoint(canonicalize_name(name) for name in packages)
    )


@pytest.fixture(scope="module")
def address(
    trained: Trained,
    serve: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """A server of a folder that finds the packages that the folder asks for alone."""
    folder = tmp_path_factory.mktemp("served")
    model, path = folder / "model", folder / "path"
    assert export.main(["tiny", "--to", "mlflow", "--out", str(model)]) == 0
    hidden = ["clothing_lightning", *modules_beyond(model / "constraints.txt")]
    assert {"torch", "timm", "lightning", "scipy"} <= {*hidden}
    path.mkdir()
    (path / "sitecustomize.py").write_text(
        f"import pathlib, sys\nsys.modules.update(dict.fromkeys({hidden}))\n"
        f"pathlib.Path({str(path / 'ran')!r}).touch()\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(path))
        url = serve(*SERVE, str(model), cwd=folder)
    assert (path / "ran").exists()
    return url


@pytest.fixture
def ask(address: str) -> Ask:
    """Function that sends a document and returns the answers."""
    return partial(send, address)


def send(address: str, document: Any) -> Any:
    head = {"Content-Type": "application/json"}
    content = json.dumps(document).encode()
    with urlopen(Request(f"{address}/invocations", content, head)) as answer:
        return json.load(answer)["predictions"]


def text_of(path: str) -> str:
    return base64.b64encode(Path(path).read_bytes()).decode()


@pytest.fixture(scope="module")
def expected(trained: Trained) -> dict[str, tuple[str, float]]:
    """Class and probability that `predict` gives to each photo, by its path."""
    table = Predictor("tiny", device="cpu")(trained.photos)
    rows = zip(table["path"], table["prediction"], table["probability"], strict=True)
    return {str(path): (label, probability) for path, label, probability in rows}


def check(answers: Any, expected: list[tuple[str, float]]) -> None:
    assert [answer["label"] for answer in answers] == [label for label, _ in expected]
    found = [answer["probability"] for answer in answers]
    assert found == pytest.approx([p for _, p in expected], abs=0.01)
    assert {answer["error"] for answer in answers} == {None}


def test_one_photo_and_64(ask: Ask, expected: dict[str, tuple[str, float]]) -> None:
    paths = list(expected)
    check(ask({"inputs": [text_of(paths[0])]}), [expected[paths[0]]])
    many = (paths * 2)[:64]
    assert len(many) == 64
    answers = ask({"dataframe_records": [{"image": text_of(path)} for path in many]})
    check(answers, [expected[path] for path in many])
    for answer in answers:
        assert len(answer["top_k"]) == 3
        assert answer["top_k"][0]["label"] == answer["label"]


@pytest.mark.parametrize(
    "form",
    [
        lambda texts: {"inputs": texts},
        lambda texts: {"instances": texts},
        lambda texts: {"inputs": {"image": texts}},
        lambda texts: {"instances": [{"image": text} for text in texts]},
        lambda texts: {"dataframe_records": [{"image": text} for text in texts]},
        lambda texts: {
            "dataframe_split": {"columns": ["image"], "data": [[t] for t in texts]}
        },
    ],
)
def test_every_form_of_mlflow_is_understood(
    form: Callable[[list[str]], Any], ask: Ask, expected: dict[str, tuple[str, float]]
) -> None:
    paths = list(expected)[:2]
    document = form([text_of(path) for path in paths]) | {"params": {"top": 1}}
    answers = ask(document)
    check(answers, [expected[path] for path in paths])
    assert {len(answer["top_k"]) for answer in answers} == {1}


def test_a_broken_one_is_told_and_the_others_are_answered(
    ask: Ask, trained: Trained, expected: dict[str, tuple[str, float]]
) -> None:
    first, *_, last = expected
    broken = [text_of(first)[:400], first, "/etc/hostname", "", None, 7, [1, [2]]]
    given = [text_of(first), *broken, text_of(last)]
    answers = ask({"dataframe_records": [{"image": photo} for photo in given]})
    check([answers[0], answers[-1]], [expected[first], expected[last]])
    for answer in answers[1:-1]:
        assert answer["error"]
        assert answer["label"] is answer["probability"] is answer["top_k"] is None
        assert "root:" not in answer["error"]


def test_arrays_are_photos_too(ask: Ask, trained: Trained) -> None:
    with Image.open(trained.photo()) as photo:
        pixels = np.asarray(photo)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    text = base64.b64encode(content.getvalue()).decode()
    assert ask({"inputs": [pixels.tolist()]}) == ask({"inputs": [text]})


@pytest.mark.parametrize(
    "document", [{"inputs": 5}, {"params": {}}, [], {"inputs": {}}]
)
def test_what_is_no_request_is_refused_and_the_server_goes_on(
    document: Any, ask: Ask, address: str
) -> None:
    with pytest.raises(HTTPError) as caught:
        ask(document)
    assert caught.value.code == 400
    assert urlopen(f"{address}/ping").status == 200


def test_a_thousand_requests_of_eight_clients(
    ask: Ask, expected: dict[str, tuple[str, float]]
) -> None:
    paths = list(expected)
    texts = {path: text_of(path) for path in paths}

    def client(number: int) -> int:
        for request in range(125):
            path = paths[(number + request) % len(paths)]
            check(ask({"inputs": [texts[path]]}), [expected[path]])
        return 125

    with ThreadPoolExecutor(8) as clients:
        assert sum(clients.map(client, range(8))) == 1000


@pytest.mark.parametrize(("kind", "program"), [("sh", "bash"), ("python", PYTHON)])
def test_the_clients_of_the_docs(
    kind: str, program: str, address: str, trained: Trained, tmp_path: Path
) -> None:
    if shutil.which("curl") is None and kind == "sh":
        pytest.skip("curl is not installed")
    (script,) = re.findall(rf"```{kind}\n(.*?)```", DOCS, re.DOTALL)
    assert "http://127.0.0.1:5001/" in script
    shutil.copy(trained.photo("Hat"), tmp_path / "photo.jpg")
    (tmp_path / "other.jpg").write_bytes(b"no photo")
    done = subprocess.run(
        [program, "-c", script.replace("http://127.0.0.1:5001", address)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert any(name in done.stdout for name in COLOURS)
    assert ("is no image that can be read" in done.stdout) == (kind == "python")


def test_a_registered_model_is_served_from_sqlite(
    trained: Trained,
    serve: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    expected: dict[str, tuple[str, float]],
) -> None:
    words = ["tiny", "--to", "mlflow", "--register", "clothes", "--alias", "champion"]
    assert export.main(words) == 0
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlruns/mlflow.db")
    path = next(iter(expected))
    for model in ("models:/clothes@champion", f"runs:/{trained.run.run_id}/model"):
        url = serve(*SERVE, model, cwd=Path.cwd())
        check(send(url, {"inputs": [text_of(path)]}), [expected[path]])


def test_a_registered_model_is_served_from_a_server(
    trained: Trained,
    workplace: Path,
    serve: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = [
        "--backend-store-uri",
        "sqlite:///store.db",
        "--artifacts-destination",
        "a",
    ]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", serve("server", *store, cwd=workplace))
    words = [str(trained.experiment), "--trainer.max_epochs", "1", "--register", "here"]
    assert fit.main([*words, "--alias", "champion", "--if-better"]) == 0
    url = serve(*SERVE, "models:/here@champion", cwd=workplace)
    (answer,) = send(url, {"inputs": [text_of(trained.photo())]})
    assert answer["label"] in COLOURS
