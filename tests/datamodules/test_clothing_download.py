import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from clothing_lightning.data.download import Archive
from clothing_lightning.datamodules import clothing_download
from clothing_lightning.datamodules.clothing_dataset import ClothingDataset
from clothing_lightning.datamodules.clothing_download import (
    download_archive,
    download_from_kaggle,
)
from clothing_lightning.errors import DatasetNotFoundError, DownloadError

MakeDataset = Callable[..., Path]


class Server(ThreadingHTTPServer):
    """Answers every request with the same content, without its length."""

    content = b""
    asked = 0


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        self.server.asked += 1
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{http.server_port}/master.zip"
        archive = Archive(url, None, "master.zip", max_bytes=10**6)
        monkeypatch.setattr(clothing_download, "PUBLIC_ARCHIVE", archive)
        yield http
        http.shutdown()
        thread.join()


@pytest.fixture
def packed(
    tiny_dataset: MakeDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., bytes]:
    """Packs a data set of 40 rows, of which one has no image, under a folder."""
    monkeypatch.setattr(clothing_download, "ROWS", 40)
    monkeypatch.setattr(clothing_download, "IMAGES", 39)
    root = tiny_dataset(name="packed")
    (root / "images" / "0000.jpg").unlink()

    def pack(*left_out: str, folder: str = "clothing-dataset-master/") -> bytes:
        with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
            for path in sorted(root.rglob("*.*")):
                if path.name not in left_out:
                    archive.write(path, folder + path.relative_to(root).as_posix())
        return (tmp_path / "packed.zip").read_bytes()

    return pack


@pytest.mark.parametrize("folder", ["clothing-dataset-master/", ""])
def test_archive_is_unpacked_into_the_root(
    server: Server, packed: Callable[..., bytes], tmp_path: Path, folder: str
) -> None:
    server.content = packed(folder=folder)
    root = tmp_path / "new" / "clothes"
    data = ClothingDataset(str(root), download="archive")
    assert len(data.table) == 39
    assert data.root == root
    assert sorted(path.name for path in root.iterdir()) == ["images", "images.csv"]
    assert [path.name for path in root.parent.iterdir()] == ["clothes"]


def test_data_that_are_there_are_not_fetched_again(
    server: Server, tiny_dataset: MakeDataset
) -> None:
    root = tiny_dataset()
    data = ClothingDataset(str(root), download="archive")
    assert len(data.annotations().table) == 40
    assert server.asked == 0


def test_nothing_is_fetched_unless_asked_for(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFoundError):
        ClothingDataset(str(tmp_path / "clothes")).annotations()
    assert server.asked == 0


def test_empty_folder_is_filled(
    server: Server, packed: Callable[..., bytes], tmp_path: Path
) -> None:
    server.content = packed()
    (tmp_path / "clothes").mkdir()
    data = ClothingDataset(str(tmp_path / "clothes"), download="archive")
    assert len(data.annotations().table) == 39


def test_folder_with_something_else_in_it_is_left_alone(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "clothes").mkdir()
    (tmp_path / "clothes" / "mine.txt").write_text("mine")
    with pytest.raises(DatasetNotFoundError, match=r"images\.csv' is not there"):
        ClothingDataset(str(tmp_path / "clothes"), download="archive").annotations()
    assert (tmp_path / "clothes" / "mine.txt").read_text() == "mine"
    assert server.asked == 0


@pytest.mark.parametrize(
    ("left_out", "message"),
    [
        (
            "0007.jpg",
            "has 40 rows and 38 images of them, expected 40 and 39. It was removed",
        ),
        ("images.csv", r"master\.zip: has no images\.csv.*from Kaggle instead"),
    ],
)
def test_incomplete_archive_is_refused_and_removed(
    server: Server,
    packed: Callable[..., bytes],
    tmp_path: Path,
    left_out: str,
    message: str,
) -> None:
    root = tmp_path / "new" / "clothes"
    server.content = packed(left_out)
    with pytest.raises(DownloadError, match=message):
        download_archive(root)
    assert list(root.parent.iterdir()) == []
    # So running again, as the message says, starts afresh.
    server.content = packed()
    download_archive(root)
    assert [path.name for path in root.parent.iterdir()] == ["clothes"]


def test_answer_that_is_no_archive_is_refused_and_removed(
    server: Server, tmp_path: Path
) -> None:
    server.content = b"<html>sign in</html>"
    with pytest.raises(DownloadError, match="is no zip archive"):
        download_archive(tmp_path / "new" / "clothes")
    assert list((tmp_path / "new").iterdir()) == []


def test_archive_that_leads_elsewhere_is_refused_and_removed(
    server: Server, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("master/images.csv", "image\n")
        archive.writestr("../../evil.txt", "evil")
    server.content = (tmp_path / "evil.zip").read_bytes()
    (tmp_path / "evil.zip").unlink()
    with pytest.raises(DownloadError, match=r"evil\.txt"):
        download_archive(tmp_path / "new" / "clothes")
    assert [path.name for path in tmp_path.rglob("*")] == ["new"]


def test_table_without_the_column_of_images_is_no_whole_data_set(
    server: Server, packed: Callable[..., bytes], tmp_path: Path
) -> None:
    (tmp_path / "packed" / "images.csv").write_text("name\na\n")
    server.content = packed()
    with pytest.raises(DownloadError, match="has 1 rows and 0 images of them"):
        download_archive(tmp_path / "new" / "clothes")


@pytest.mark.parametrize("sized", [True, False])
def test_archive_that_the_user_has_is_used_and_kept(
    server: Server, packed: Callable[..., bytes], tmp_path: Path, sized: bool
) -> None:
    own = tmp_path / "new" / "master.zip"
    own.parent.mkdir()
    content = packed()
    own.write_bytes(content)
    server.content = content

    class Sized(Handler):
        def end_headers(self) -> None:
            self.send_header("Content-Length", str(len(content)))
            super().end_headers()

    if sized:
        server.RequestHandlerClass = Sized
    download_archive(tmp_path / "new" / "clothes")
    assert sorted(path.name for path in own.parent.iterdir()) == [
        "clothes",
        "master.zip",
    ]
    assert own.read_bytes() == content


# Kaggle


@pytest.fixture
def kaggle(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A stand-in for kagglehub; set its ``dataset_download``."""
    module = SimpleNamespace()
    monkeypatch.setitem(sys.modules, "kagglehub", module)
    monkeypatch.setattr(clothing_download, "ROWS", 40)
    monkeypatch.setattr(clothing_download, "IMAGES", 40)
    return module


def test_kaggles_copy_is_used_where_kagglehub_keeps_it(
    kaggle: SimpleNamespace, tiny_dataset: MakeDataset, tmp_path: Path
) -> None:
    root = tiny_dataset(folder="images_original", name="kaggle")
    asked: list[str] = []

    def answer(name: str) -> str:
        asked.append(name)
        return str(root)

    kaggle.dataset_download = answer
    data = ClothingDataset(str(tmp_path / "none"), download="kaggle")
    assert data.annotations().root == root
    assert len(data.annotations().table) == 40
    assert set(asked) == {"agrigorev/clothing-dataset-full"}


def test_kaggle_without_kagglehub_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(
        DownloadError, match=r"not installed. Run: pip install 'clothing-lightning\[kag"
    ):
        download_from_kaggle()


@pytest.mark.parametrize(
    ("error", "reason"),
    [(ConnectionError("no route\nmore"), "no route"), (KeyError(), "KeyError")],
)
def test_failure_of_kagglehub_is_one_line(
    kaggle: SimpleNamespace, error: Exception, reason: str
) -> None:
    def fail(name: str) -> str:
        raise error

    kaggle.dataset_download = fail
    with pytest.raises(
        DownloadError, match=rf"could not be fetched \({reason}\)\. Try again, or use"
    ):
        download_from_kaggle()


def test_incomplete_copy_of_kaggle_is_told_with_its_folder(
    kaggle: SimpleNamespace, tiny_dataset: MakeDataset
) -> None:
    root = tiny_dataset(name="kaggle")
    (root / "images" / "0001.jpg").unlink()
    kaggle.dataset_download = lambda name: str(root)
    with pytest.raises(
        DownloadError, match=rf"39 images of them.* Remove '{root}' and run again"
    ):
        download_from_kaggle()
    (root / "images.csv").unlink()
    with pytest.raises(DownloadError, match=rf"has no images\.csv in '{root}'"):
        download_from_kaggle()
