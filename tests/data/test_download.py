import hashlib
import io
import socket
import threading
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from clothing_lightning.data.download import Archive
from clothing_lightning.errors import DownloadError, StorageError


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("photo.jpg"), content)  # the same each time
    return file.getvalue()


CONTENT = zipped(bytes(range(256)) * 4096)
SIZE = len(CONTENT)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def download(url: str, file: Path, sha256: str | None, max_bytes: int = SIZE) -> Path:
    return Archive(url, sha256, file.name, max_bytes).fetch(file.parent)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/good")
            self.end_headers()
        elif self.path == "/to-ftp":
            self.send_response(302)
            self.send_header("Location", "ftp://127.0.0.1/good")
            self.end_headers()
        elif self.path == "/silent":
            threading.Event().wait(1)
        elif self.path in ("/good", "/broken"):
            self.send_response(200)
            self.send_header("Content-Length", str(SIZE))
            self.send(CONTENT[:1000] if self.path == "/broken" else CONTENT)
        elif self.path in ("/unsized", "/unsized-broken"):
            # The end of the connection is the end of the file.
            self.send_response(200)
            self.send(CONTENT[:1000] if self.path == "/unsized-broken" else CONTENT)
        elif self.path in ("/chunked", "/chunked-broken"):
            self.protocol_version = "HTTP/1.1"
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.send_header("Connection", "close")
            end = b"" if self.path == "/chunked-broken" else b"0\r\n\r\n"
            self.send(b"%x\r\n%s\r\n" % (SIZE, CONTENT) + end)
        elif self.path == "/page":
            self.send_response(200)
            self.send_header("Content-Length", "6")
            self.send(b"<html>")
        elif self.path == "/partial":
            self.send_response(206)
            self.send_header("Content-Length", "6")
            self.send(CONTENT[:6])
        elif self.path == "/packed":
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip")
            self.send(CONTENT)
        else:
            self.send_error(404)

    def send(self, body: bytes) -> None:
        self.end_headers()
        with suppress(ConnectionError):  # the client may have gone
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


@pytest.mark.parametrize("sha256", [SHA256, SHA256.upper(), None])
@pytest.mark.parametrize("page", ["good", "moved", "unsized", "chunked"])
def test_downloads_the_whole_file_under_its_name(
    server: str, tmp_path: Path, page: str, sha256: str | None
) -> None:
    file = download(f"{server}/{page}", tmp_path / "new" / "a.zip", sha256=sha256)
    assert file == tmp_path / "new" / "a.zip"
    assert file.read_bytes() == CONTENT
    assert files(tmp_path) == ["a.zip", "new"]


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("broken", rf"the transfer broke off after 1,000 of {SIZE:,} bytes"),
        ("chunked-broken", r"the transfer failed \(it broke off\)"),
        ("unsized-broken", r"is no zip archive, or was cut short\. The file was rem"),
    ],
)
def test_broken_transfer_leaves_nothing(
    server: str, tmp_path: Path, page: str, message: str
) -> None:
    with pytest.raises(DownloadError, match=f"/{page}: {message}"):
        download(f"{server}/{page}", tmp_path / "a.zip", sha256=None)
    assert files(tmp_path) == []


def test_checksum_tells_where_an_unsized_transfer_was_cut(
    server: str, tmp_path: Path
) -> None:
    with pytest.raises(DownloadError, match=rf"SHA-256 is .*, expected {SHA256}\."):
        download(f"{server}/unsized-broken", tmp_path / "a.zip", SHA256)
    assert files(tmp_path) == []


@pytest.mark.parametrize("page", ["good", "unsized", "chunked"])
def test_file_larger_than_expected_is_not_kept(
    server: str, tmp_path: Path, page: str
) -> None:
    message = rf"/{page}: is larger than the 1,000 bytes that were expected at most"
    with pytest.raises(DownloadError, match=message):
        download(f"{server}/{page}", tmp_path / "a.zip", SHA256, max_bytes=1000)
    assert files(tmp_path) == []


def test_file_with_another_checksum_is_removed(server: str, tmp_path: Path) -> None:
    with pytest.raises(
        DownloadError,
        match=rf"/good: SHA-256 is {SHA256}, expected 00ff\. .*removed; run again",
    ):
        download(f"{server}/good", tmp_path / "a.zip", sha256="00ff")
    assert files(tmp_path) == []


def test_error_gives_the_answer_of_the_server(server: str, tmp_path: Path) -> None:
    with pytest.raises(
        DownloadError, match=r"/gone: the server answers 404 Not Found\. Check the"
    ):
        download(f"{server}/gone", tmp_path / "a.zip", sha256=None)
    assert files(tmp_path) == []


def test_refused_connection_is_named(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/a.zip"
        with pytest.raises(
            DownloadError, match=rf"{url}: the transfer failed \(.*refused.*run again"
        ):
            download(url, tmp_path / "a.zip", sha256=None)
    assert files(tmp_path) == []


def test_silent_server_is_given_up(server: str, tmp_path: Path) -> None:
    archive = Archive(f"{server}/silent", None, "a.zip", SIZE)
    with pytest.raises(DownloadError, match=r"the transfer failed \(timed out\)"):
        archive.fetch(tmp_path, timeout_s=0.05)


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://a.org/b", "a.zip", ""])
def test_other_protocols_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(DownloadError, match="has to start with http:// or https://"):
        download(url, tmp_path / "a.zip", sha256=None)


@pytest.mark.parametrize("url", ["http://", "http://[::1", "http://127.0.0.1:x/a"])
def test_malformed_address_is_named(tmp_path: Path, url: str) -> None:
    with pytest.raises(DownloadError, match=r"the transfer failed .*Check the address"):
        download(url, tmp_path / "a.zip", sha256=None)


def test_redirection_to_another_protocol_is_refused(
    server: str, tmp_path: Path
) -> None:
    with pytest.raises(DownloadError, match="ftp"):
        download(f"{server}/to-ftp", tmp_path / "a.zip", sha256=None)


def test_good_file_on_disk_is_not_fetched_again(tmp_path: Path) -> None:
    file = tmp_path / "a.zip"
    file.write_bytes(CONTENT)
    assert download("http://127.0.0.1:1/a", file, sha256=SHA256.upper()) == file


@pytest.mark.parametrize(
    ("sha256", "message"),
    [
        (SHA256, rf"a\.zip: SHA-256 is [0-9a-f]{{64}}, expected {SHA256}\. Move"),
        (None, rf"a\.zip: size in bytes is 4, expected {SIZE}\. Move the file away"),
    ],
)
def test_bad_file_on_disk_is_an_error_and_kept(
    server: str, tmp_path: Path, sha256: str | None, message: str
) -> None:
    file = tmp_path / "a.zip"
    file.write_bytes(b"mine")
    with pytest.raises(DownloadError, match=message):
        download(f"{server}/good", file, sha256=sha256)
    assert file.read_bytes() == b"mine"


@pytest.mark.parametrize("page", ["good", "unsized", "chunked"])
def test_file_that_was_fetched_without_checksum_is_used_again(
    server: str, tmp_path: Path, page: str
) -> None:
    file = download(f"{server}/{page}", tmp_path / "a.zip", sha256=None)
    assert download(f"{server}/{page}", file, sha256=None) == file
    file.write_bytes(CONTENT[:1000])
    with pytest.raises(DownloadError, match=r"a\.zip: .* Move the file away"):
        download(f"{server}/{page}", file, sha256=None)
    assert file.stat().st_size == 1000


def test_folder_in_the_way_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="is no file"):
        download("http://127.0.0.1:1/a", tmp_path, sha256=None)


def test_unwritable_place_is_an_error_of_storage(server: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"a\.zip: cannot be read or written"):
        download(f"{server}/good", tmp_path / "file" / "a.zip", sha256=None)


def test_full_disk_is_an_error_of_storage(server: str, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    (tmp_path / "a.zip.part").symlink_to("/dev/full")
    with pytest.raises(StorageError, match=r"a\.zip.*No space left"):
        download(f"{server}/good", tmp_path / "a.zip", sha256=None)
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("page", "is no zip archive, or was cut short"),
        ("partial", "the server answers with 206 and not with the file itself"),
        ("packed", "the server answers with 200 and not with the file itself"),
    ],
)
def test_what_is_not_the_file_itself_is_not_kept(
    page: str, message: str, server: str, tmp_path: Path
) -> None:
    with pytest.raises(DownloadError, match=message):
        download(f"{server}/{page}", tmp_path / "a.zip", sha256=None)
    assert files(tmp_path) == []
