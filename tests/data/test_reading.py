import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clothing_lightning.data.augmentation import Pipeline
from clothing_lightning.data.decoding import read_image
from clothing_lightning.data.reading import Photo, PhotoReader, read_batches
from clothing_lightning.errors import ImageError


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Eleven photos of several sizes; the fourth is none."""
    files = [tmp_path / f"{number}.png" for number in range(11)]
    for number, file in enumerate(files):
        rng = np.random.default_rng(number)
        size = (30 + number, 50 - number, 3)
        Image.fromarray(rng.integers(0, 256, size, np.uint8)).save(file)
    files[3].write_bytes(b"no image")
    return files


def test_photos_are_those_of_a_test(paths: list[Path]) -> None:
    reader, pipeline = PhotoReader(24, 0.9), Pipeline([], 24, 0.9)
    batches = list(read_batches(reader, paths, 4))
    assert [len(batch) for batch in batches] == [4, 4, 3]
    found = [photo for batch in batches for photo in batch]
    for number, (path, photo) in enumerate(zip(paths, found, strict=True)):
        if number == 3:
            assert isinstance(photo, ImageError)
            assert str(path) in str(photo)
        else:
            assert not isinstance(photo, ImageError)
            assert np.array_equal(photo, pipeline(read_image(path), seed=0))


def test_boxes_are_cut_out_before(paths: list[Path]) -> None:
    boxes = np.array([[2, 3, 20, 30]] * len(paths))
    (first, *_), *_ = read_batches(PhotoReader(16, 1.0), paths, 4, boxes)
    part = read_image(paths[0])[3:30, 2:20]
    assert not isinstance(first, ImageError)
    assert np.array_equal(first, Pipeline([], 16, 1.0)(part, seed=0))


def test_threads_end_with_a_reader_that_stops_early(paths: list[Path]) -> None:
    before = threading.active_count()
    batches = read_batches(PhotoReader(16, 1.0), paths * 20, 2)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_no_more_than_three_batches_are_read_ahead(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, read = PhotoReader(16, 1.0), []

    class Counting:
        def __call__(self, path: Path, box: None) -> Photo:
            read.append(path)
            return reader(path, box)

    batches = read_batches(Counting(), paths * 20, 5)  # type: ignore[arg-type]
    next(batches)
    assert len(read) <= 15
    batches.close()  # type: ignore[attr-defined]
