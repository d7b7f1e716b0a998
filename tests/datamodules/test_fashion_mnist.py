import gzip
import hashlib
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clothing_lightning.data.decoding import read_image
from clothing_lightning.data.locations import cache_folder
from clothing_lightning.data.options import Split
from clothing_lightning.data.table import counts
from clothing_lightning.datamodules import fashion_mnist, fashion_mnist_files
from clothing_lightning.datamodules.fashion_mnist import CLASSES, FashionMNIST
from clothing_lightning.datamodules.fashion_mnist_files import (
    FILES,
    IdxFile,
    png,
    read_idx,
)
from clothing_lightning.errors import (
    DataError,
    DatasetNotFoundError,
    DownloadError,
    StorageError,
)

IMAGES = "train-images-idx3-ubyte.gz"
SIZES = {"train": 40, "test": 20}


def idx(array: "np.ndarray[Any, np.dtype[np.uint8]]") -> bytes:
    dimensions = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return dimensions + array.tobytes()


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of four such files with few images, which are now the right ones."""
    root = tmp_path / "small"
    root.mkdir()
    for split, part in list(FILES.items()):
        size = SIZES[split]
        noise = np.random.default_rng(size).integers(0, 256, (size, 28, 28), np.uint8)
        known = []
        for file, array in zip(
            part, (noise, np.arange(size, dtype=np.uint8) % 10), strict=True
        ):
            content, packed = idx(array), gzip.compress(idx(array), 1, mtime=0)
            (root / file.name).write_bytes(packed)
            digests = (hashlib.sha256(data).hexdigest() for data in (content, packed))
            known.append(IdxFile(file.name, array.shape, *digests))
        monkeypatch.setitem(FILES, split, tuple(known))
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "debian")
    monkeypatch.setenv("CLOTHING_DATA", str(tmp_path / "data"))
    return root


def module(root: Path | None = None, **kwargs: Any) -> FashionMNIST:
    defaults: dict[str, Any] = {
        "image_size": 28,
        "split": Split(val=0.2),
    }
    return FashionMNIST(str(root) if root else None, **(defaults | kwargs))


# Images


def test_official_test_images_stay_the_test_images(small: Path) -> None:
    data = module(small)
    assert data.class_names == sorted(CLASSES)
    per_class = counts(data.table)
    # 0.2 of 60 images for validation, taken from the 40 of train.
    assert per_class.sum().to_list() == [28, 12, 20]
    assert (per_class["test"] == 2).all()
    in_test = data.table["path"].str.startswith("test/")
    assert (in_test == (data.table["split"] == "test")).all()


def test_pixels_and_labels_are_those_of_the_files(small: Path) -> None:
    annotations = module(small).annotations()
    for split, size in SIZES.items():
        images = read_idx(small, FILES[split][0])
        for number in range(size):
            label = CLASSES[number % 10]
            name = f"{split}/{label.partition('/')[0]}/{number:05}.png"
            row = annotations.table[annotations.table["path"] == name]
            assert row["label"].to_list() == [label]
            pixels = read_image(annotations.root / name)
            assert (pixels == images[number][:, :, None]).all()


def test_batches_are_images_of_28_px(small: Path) -> None:
    data = module(small, batch_size=4, augmentation="light")
    data.setup("fit")
    images, labels, _ = next(iter(data.train_dataloader()))
    assert images.shape == (4, 28, 28, 3)
    assert set(labels.tolist()) <= set(range(10))


def test_files_of_images_are_the_same_on_every_machine(tmp_path: Path) -> None:
    gray = np.arange(28 * 28, dtype=np.uint16).reshape(28, 28).astype(np.uint8)
    (tmp_path / "gray.png").write_bytes(png(gray))
    with Image.open(tmp_path / "gray.png") as image:
        assert image.mode == "L"
        assert (np.asarray(image) == gray).all()
    found = hashlib.sha256(png(gray)).hexdigest()
    assert found.startswith("ca77f8f0a4e21520")


def test_images_are_unpacked_once(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = module(small).annotations()
    assert first.root == cache_folder() / "fashion-mnist"
    assert [path.name for path in cache_folder().iterdir()] == ["fashion-mnist"]
    monkeypatch.setattr(fashion_mnist, "unpack", None)
    again = module(small).annotations()
    assert again.table.equals(first.table)
    # Nor are the files needed any more, unless they are asked for by name.
    assert len(module().annotations().table) == 60
    with pytest.raises(DatasetNotFoundError):
        module(small / "none").annotations()


def test_lost_images_are_told(small: Path) -> None:
    root = module(small).annotations().root
    next(root.rglob("*.png")).unlink()
    message = rf"of 60 unpacked images 59 are there\. Remove '{root}' to have it"
    with pytest.raises(DataError, match=message):
        module(small).annotations()
    for split in ("train", "test"):
        (root / split).rename(root.parent / split)
    with pytest.raises(DataError, match=r"FashionMNIST: .*holds no image.*to have it"):
        module(small).annotations()


def test_nothing_is_left_of_an_interrupted_start(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(pixels: Any) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fashion_mnist_files, "png", interrupted)
        with pytest.raises(KeyboardInterrupt):
            module(small).annotations()
    assert list(cache_folder().iterdir()) == []
    assert len(module(small).annotations().table) == 60


def test_cache_that_cannot_be_written_is_told(small: Path, own_cache: Path) -> None:
    own_cache.write_text("in the way")
    with pytest.raises(StorageError, match=r"cannot be written .*CLOTHING_CACHE"):
        module(small).annotations()


# Where the files are


@pytest.mark.parametrize("place", ["data/fashion-mnist", "debian"])
def test_files_are_found_without_a_root(
    small: Path, tmp_path: Path, place: str
) -> None:
    (tmp_path / place).parent.mkdir(exist_ok=True)
    small.rename(tmp_path / place)
    assert len(module().annotations().table) == 60


def test_missing_files_are_told_with_ways_to_get_them(
    small: Path, tmp_path: Path
) -> None:
    (small / IMAGES).unlink()
    message = rf"'{small}/{IMAGES}' is not there\. Get the data by one of[\s\S]*apt"
    with pytest.raises(DatasetNotFoundError, match=message):
        module(small).annotations()
    message = rf"'{tmp_path}/data/fashion-mnist/{IMAGES}' is not there"
    with pytest.raises(DatasetNotFoundError, match=message):
        module().annotations()


# Files that are not as they have to be


BROKEN: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("no gzip", lambda sound: b"<html>", "is no gzip file, or damaged"),
    ("truncated", lambda sound: sound[:-1000], "is no gzip file, or damaged"),
    ("garbage", lambda sound: sound[:400] + b"x" * 99 + sound[499:], "damaged"),
    ("empty", lambda sound: b"", "begins with , expected 00000803"),
    (
        "other magic",
        lambda sound: changed(sound, 3, b"\x04"),
        r"begins with 00000804.*expected 00000803.*40 x 28 x 28 bytes in IDX",
    ),
    (
        "other count",
        lambda sound: changed(sound, 4, b"\xff\xff\xff\xff"),
        "begins with 00000803ffffffff",
    ),
    (
        "too short",
        lambda sound: gzip.compress(gzip.decompress(sound)[:-5]),
        "unpacks to 31,371 bytes, expected 31,376",
    ),
    (
        "bomb",
        lambda sound: gzip.compress(gzip.decompress(sound) + bytes(50_000_000), 1),
        "unpacks to more than 31,376 bytes",
    ),
    (
        "other images",
        lambda sound: changed(sound, 500, b"12345"),
        "the SHA-256 of what it unpacks to is [0-9a-f]{64}, expected .*of digits",
    ),
]


def changed(packed: bytes, place: int, new: bytes) -> bytes:
    content = bytearray(gzip.decompress(packed))
    content[place : place + len(new)] = new
    return gzip.compress(content)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [case[1:] for case in BROKEN],
    ids=[case[0] for case in BROKEN],
)
def test_file_that_is_not_the_published_one_is_refused(
    small: Path, spoil: Callable[[bytes], bytes], message: str
) -> None:
    file = small / IMAGES
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(DataError, match=rf"{IMAGES}: .*{message}") as error:
        module(small).annotations()
    assert "Move it away and get it again" in str(error.value)
    assert not (cache_folder() / "fashion-mnist").exists()


# Download


class Server(ThreadingHTTPServer):
    folder: Path
    asked: list[str]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        self.server.asked.append(self.path)
        file = self.server.folder / self.path.removeprefix("/")
        self.send_response(200 if file.is_file() else 404)
        self.end_headers()
        self.wfile.write(file.read_bytes() if file.is_file() else b"")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(small: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server(("127.0.0.1", 0), Handler) as http:
        http.folder, http.asked = small, []
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{http.server_port}"
        monkeypatch.setattr(fashion_mnist, "SERVER", url)
        yield http
        http.shutdown()
        thread.join()


@pytest.mark.parametrize("given", [True, False])
def test_files_are_fetched_into_the_root(
    server: Server, tmp_path: Path, given: bool
) -> None:
    root = tmp_path / "data" / "fashion-mnist"
    data = module(root if given else None, download=True)
    assert len(data.annotations().table) == 60
    names = sorted(path.name for path in server.folder.iterdir())
    assert sorted(path.name for path in root.iterdir()) == names
    module(root, download=True).annotations()
    assert len(server.asked) == 4


def test_only_what_is_missing_is_fetched(server: Server, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    # Packed anew, as Debian does it: the content counts.
    content = gzip.decompress((server.folder / IMAGES).read_bytes())
    (root / IMAGES).write_bytes(gzip.compress(content, 9))
    assert len(module(root, download=True).annotations().table) == 60
    assert len(server.asked) == 3


def test_nothing_is_fetched_unless_asked_for(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFoundError):
        module(tmp_path / "root").annotations()
    assert server.asked == []


def test_fetched_file_is_checked(server: Server, tmp_path: Path) -> None:
    (server.folder / IMAGES).write_bytes(b"<html>")
    with pytest.raises(DownloadError, match=rf"{IMAGES}: SHA-256 is .*expected"):
        module(tmp_path / "root", download=True).annotations()
    assert list((tmp_path / "root").iterdir()) == []
    (server.folder / IMAGES).unlink()
    with pytest.raises(DownloadError, match="the server answers 404"):
        module(tmp_path / "root", download=True).annotations()


# The published files


def test_files_are_those_that_torchvision_names() -> None:
    from torchvision.datasets import FashionMNIST as Theirs

    names = [file.name for part in FILES.values() for file in part]
    assert names == [name for name, _ in Theirs.resources]
    assert list(CLASSES) == Theirs.classes
    assert Theirs.mirrors == [fashion_mnist.SERVER + "/"]


@pytest.mark.photos
def test_published_labels_and_means_are_those_of_the_docstring(photos: Path) -> None:
    folder = photos.parent / "fashion-mnist"
    for split, each in (("train", 6000), ("test", 1000)):
        labels = read_idx(folder, FILES[split][1])
        assert np.bincount(labels).tolist() == [each] * 10
    images = read_idx(folder, FILES["train"][0]) / 255
    assert f"{images.mean():.4f} {images.std():.4f}" == "0.2860 0.3530"


@pytest.mark.photos
@pytest.mark.slow
def test_published_images_make_a_data_set(photos: Path) -> None:
    data = module(photos.parent / "fashion-mnist", num_workers=2, split=Split())
    assert counts(data.table).drop_duplicates().to_numpy().tolist() == [
        [5370, 630, 1000]
    ]
