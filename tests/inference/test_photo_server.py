"""The server of the page that tries a network, asked over a real socket."""

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from clothing_lightning.compression.formats import FORMATS
from clothing_lightning.errors import ConfigError
from clothing_lightning.inference import photo_server
from clothing_lightning.inference.photo_answer import answering
from clothing_lightning.inference.photo_server import (
    MEDIA_TYPE,
    listen,
    photo_app,
    serve,
    url_of,
)
from clothing_lightning.inference.predictor import Predictor
from tests.trained_run import Trained, trained

__all__ = ["trained"]

Reply = tuple[int, dict[str, str], bytes]


@pytest.fixture(scope="module")
def url(trained: Trained) -> str:
    opened = listen("127.0.0.1", 0)
    app = photo_app(Predictor("tiny", device="cpu"), "127.0.0.1")
    Thread(target=serve, args=(app, opened), daemon=True).start()
    return url_of("127.0.0.1", opened)


def ask(url: str, method: str, path: str, body: bytes = b"", **headers: str) -> Reply:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=60)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, named)
    response = connection.getresponse()
    return response.status, dict(response.getheaders()), response.read()


def send(url: str, photo: bytes) -> tuple[int, Any]:
    status, _, body = ask(url, "POST", "/photos", photo, Content_Type=MEDIA_TYPE)
    return status, json.loads(body)


def test_answers_are_those_of_the_predictor(trained: Trained, url: str) -> None:
    photo = trained.photo("Shirt")
    status, answer = send(url, Path(photo).read_bytes())
    row = Predictor("tiny", device="cpu")(photo).iloc[0]
    assert status == 200
    assert answer["classes"][0][0] == row["prediction"]
    for name, probability in answer["classes"]:
        assert probability == pytest.approx(row[name], abs=1e-6)
    for picture in ("photo", "heat"):
        assert answer[picture].startswith("data:image/jpeg;base64,")


def test_what_the_network_sees_is_what_it_reads_from_a_file(trained: Trained) -> None:
    model = Predictor("tiny", device="cpu").model
    path = Path(trained.photo())
    with Image.open(path) as image:
        prepared = model.prepare(np.asarray(image))
    assert prepared.equal(model.read_photos([path])[0])  # type: ignore[arg-type]


def test_large_photos_are_shown_small(trained: Trained, url: str) -> None:
    file = BytesIO()
    Image.effect_noise((4000, 3000), 30).convert("RGB").save(file, "JPEG")
    status, answer = send(url, file.getvalue())
    assert status == 200
    assert len(answer["photo"]) < 300_000


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        (slice(0, 0), "is empty (0 bytes)"),
        (slice(0, 300), "is damaged or cut short"),
        (slice(9, None), "is no image that can be read (JPEG,"),
    ],
)
def test_broken_photos_are_told_without_a_path(
    cut: slice, message: str, trained: Trained, url: str
) -> None:
    photo = Path(trained.photo()).read_bytes()
    status, answer = send(url, photo[cut])
    assert status == 422
    assert answer["error"].startswith(message)
    assert "/" not in answer["error"]
    assert send(url, photo)[0] == 200


def test_too_large_files_are_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_server, "MOST_BYTES", 1_000_000)
    assert send(url, bytes(1_000_001)) == (413, {"error": "is larger than 1 MB"})


def test_what_fails_is_told_without_a_traceback(
    trained: Trained, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("clothing_lightning.inference.photo_answer.read_image", fail)
    status, _, body = ask(url, "POST", "/photos", b"x", Content_Type=MEDIA_TYPE)
    assert (status, body) == (500, b"Internal Server Error")


def test_only_its_own_name_and_its_own_page_are_answered(url: str) -> None:
    port = urlsplit(url).port
    for host, expected in (
        (f"127.0.0.1:{port}", 200),
        (f"localhost:{port}", 200),
        (f"evil.example:{port}", 400),
        ("", 400),
    ):
        assert ask(url, "GET", "/", Host=host)[0] == expected
    # Content types that another site's page may send without being asked.
    for media_type in ("text/plain", "multipart/form-data", "image/jpeg"):
        assert ask(url, "POST", "/photos", Content_Type=media_type)[0] == 415
    for path in ("/photos", "/../etc/passwd", "/static/page.css"):
        assert ask(url, "GET", path)[0] in (404, 405)


def test_pages_are_kept_by_nobody_and_framed_by_nobody(url: str) -> None:
    for path in ("/", "/nothing"):
        _, headers, _ = ask(url, "GET", path)
        assert headers["content-security-policy"] == "frame-ancestors 'none'"
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers


def test_an_onnx_file_has_no_grad_cam(trained: Trained, tmp_path: Path) -> None:
    FORMATS["onnx"].write(Predictor("tiny", device="cpu").model, tmp_path)
    predictor = Predictor(str(tmp_path / "model.onnx"))
    answer = answering(predictor)(Path(trained.photo()))
    assert answer["heat"] is None
    expected = Predictor("tiny", device="cpu")(trained.photo())["probability"][0]
    assert answer["classes"][0][1] == pytest.approx(expected, abs=1e-4)
    assert "An ONNX file has no gradients" in _page(predictor)
    assert "has no gradients" not in _page(Predictor("tiny"))


def _page(predictor: Predictor) -> str:
    (route, _) = photo_app(predictor, "127.0.0.1").routes
    response = route.endpoint(None)  # type: ignore[attr-defined]
    return bytes(response.body).decode()


@pytest.fixture
def taken() -> Iterator[int]:
    with listen("127.0.0.1", 0) as opened:
        yield opened.getsockname()[1]


def test_a_port_that_is_taken_is_told(taken: int) -> None:
    message = rf"--port {taken}: cannot be .* Name another port, such as {taken + 1}"
    with pytest.raises(ConfigError, match=message):
        listen("127.0.0.1", taken)
    with pytest.raises(ConfigError, match=r"--host nowhere\.invalid"):
        listen("nowhere.invalid", 0)
