"""A stand-in for the Hugging Face Hub: what its real client needs to push and fetch."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import yaml
from huggingface_hub import constants

TOKEN = "hf_right"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Repository:
    """What the stand-in keeps of a repository."""

    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)


@dataclass
class Hub:
    """The stand-in: its address, its repositories, and who may write where."""

    url: str
    repositories: dict[str, Repository] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    user: str = "anna"


class HubServer(ThreadingHTTPServer):
    """A server on a free port."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.hub = Hub(f"http://127.0.0.1:{self.server_port}")


class Handler(BaseHTTPRequestHandler):
    """Answers of the stand-in."""

    server: "HubServer"

    @property
    def hub(self) -> Hub:
        return self.server.hub

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_HEAD(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def do_PUT(self) -> None:
        body = self._body()
        oid = self.path.rpartition("/")[2]
        assert hashlib.sha256(body).hexdigest() == oid
        self.hub.uploads[oid] = body
        self._send(200, b"")

    def _answer(self, answer: Callable[[str], Any]) -> None:
        body = self._body()
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self._send(401, b'{"error": "Invalid credentials"}')
            return
        try:
            self._send(200, *answer(body))
        except KeyError:
            headers = {"X-Error-Code": "RepoNotFound"}
            self._send(404, b'{"error": "Repository not found"}', headers)
        except PermissionError:
            self._send(403, b'{"error": "Forbidden"}')

    def _get(self, _: str) -> tuple[Any, ...]:
        path = self.path.partition("?")[0]
        if path == "/api/whoami-v2":
            return (json.dumps({"name": self.hub.user, "orgs": []}).encode(),)
        if path.startswith("/api/models/"):
            name = "/".join(path.split("/")[3:5])
            return (json.dumps(self._about(name)).encode(),)
        user, model, *_between, file = path.strip("/").split("/")
        content = self.hub.repositories[f"{user}/{model}"].files[file]
        digest = hashlib.sha256(content).hexdigest()
        return content, {"ETag": f'"{digest}"', "X-Repo-Commit": COMMIT}

    def _about(self, name: str) -> dict[str, Any]:
        found = self.hub.repositories[name]
        card = found.files.get("README.md", b"").decode()
        head = yaml.safe_load(card.split("---\n")[1]) if card[:3] == "---" else {}
        return {
            "id": name,
            "sha": COMMIT,
            "private": found.private,
            "tags": head.get("tags", []),
            "siblings": [{"rfilename": file} for file in found.files],
        }

    def _post(self, body: str) -> tuple[bytes]:
        return (json.dumps(self._posted(body)).encode(),)

    def _posted(self, body: str) -> dict[str, Any]:
        path = self.path.partition("?")[0]
        if path.endswith("/repos/create"):
            return self._created(json.loads(body))
        if path.endswith("/validate-yaml"):
            content = json.loads(body)["content"]
            assert isinstance(yaml.safe_load(content.split("---\n")[1]), dict)
            return {"errors": [], "warnings": []}
        if "/preupload/" in path:
            return {"files": list(map(_upload_mode, json.loads(body)["files"]))}
        if path.endswith("/objects/batch"):
            return {
                "objects": [self._upload(each) for each in json.loads(body)["objects"]]
            }
        name = "/".join(path.split("/")[3:5])
        return self._committed(name, map(json.loads, body.splitlines()))

    def _created(self, wanted: dict[str, Any]) -> dict[str, Any]:
        if wanted["organization"] != self.hub.user:
            raise PermissionError
        name = f"{self.hub.user}/{wanted['name']}"
        private = wanted.get("visibility") == "private"
        self.hub.repositories.setdefault(name, Repository(private))
        return {"url": f"{self.hub.url}/{name}", "name": name, "id": name}

    def _committed(self, name: str, lines: Iterator[Any]) -> dict[str, Any]:
        found = self.hub.repositories[name]
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                found.commits.append(value["summary"])
            elif line["key"] == "file":
                content = base64.b64decode(value["content"])
                found.files[value["path"]] = content
            elif line["key"] == "deletedFile":
                del found.files[value["path"]]
            else:
                found.files[value["path"]] = self.hub.uploads[value["oid"]]
        return {
            "commitUrl": f"{self.hub.url}/{name}/commit/{COMMIT}",
            "commitOid": COMMIT,
        }

    def _body(self) -> Any:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        return body if self.command == "PUT" else body.decode()

    def _send(
        self, status: int, body: bytes, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _upload(self, file: dict[str, Any]) -> dict[str, Any]:
        href = f"{self.hub.url}/upload/{file['oid']}"
        return file | {"actions": {"upload": {"href": href}}}


def _upload_mode(file: dict[str, Any]) -> dict[str, Any]:
    mode = "lfs" if file["path"].startswith("model.") else "regular"
    return {"path": file["path"], "uploadMode": mode, "shouldIgnore": False}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A stand-in that the hub's client talks to, with the right token."""
    with HubServer() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(constants, "ENDPOINT", server.hub.url)
        files = f"{server.hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield server.hub
        server.shutdown()
