from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clothing_lightning.data.augmentation import Pipeline, policy_transforms
from clothing_lightning.data.dataset import (
    EpochSampler,
    PhotoDataset,
    PhotoLoader,
    Place,
    UnlabelledPhotos,
)
from clothing_lightning.data.decoding import read_image
from clothing_lightning.errors import ImageError

few = settings(max_examples=50, deadline=None, derandomize=True, database=None)


def numbers(sampler: EpochSampler) -> list[int]:
    return [place.number for place in sampler]


def made(
    paths: list[Path], labels: list[int], pipeline: Pipeline, seed: int
) -> PhotoDataset:
    names = [path.name for path in paths]
    return PhotoDataset(paths[0].parent, names, labels, pipeline, seed)


@pytest.fixture
def photos_of_one_colour(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{i}.png" for i in range(4)]
    for i, path in enumerate(paths):
        Image.new("RGB", (40, 50), (60 * i, 10, 200)).save(path)
    return paths


def test_image_comes_with_its_label_and_number(
    photos_of_one_colour: list[Path],
) -> None:
    data = made(photos_of_one_colour, [2, 0, 1, 2], Pipeline([], 32, 1.0), 0)
    assert len(data) == 4
    for index, label in enumerate([2, 0, 1, 2]):
        image, found, number = data[Place(epoch=3, number=index)]
        assert (found, number) == (label, index)
        assert (image.shape, image.dtype) == ((32, 32, 3), torch.uint8)
        assert image.eq(torch.tensor([60 * index, 10, 200])).all()


def test_image_of_the_right_size_can_be_written_to(tmp_path: Path) -> None:
    # A decoded photo is read-only; torch warns of such arrays.
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    data = made([tmp_path / "a.png"], [0], Pipeline([], 32, 1.0), 0)
    image, *_ = data[Place(0, 0)]
    image += 1
    assert image.eq(1).all()


def test_augmentation_depends_on_seed_epoch_and_number_alone(
    tiny_dataset: Callable[..., Path],
) -> None:
    paths = sorted((tiny_dataset() / "images").iterdir())[:2]
    paths[1] = paths[0]
    strong = Pipeline(policy_transforms("strong", 32, 0.875), 32, 0.875)

    def pixels(seed: int, epoch: int, number: int, copy: int = 0) -> bytes:
        data = made(paths, [0, 0], strong, seed)
        return data[Place(epoch, number, copy)][0].numpy().tobytes()

    assert pixels(0, 0, 0) == pixels(0, 0, 0)
    places = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0, 1), (0, 0, 0, 2)]
    assert len({pixels(*place) for place in places}) == 6


def test_number_alone_is_read_as_in_the_first_epoch(
    photos_of_one_colour: list[Path],
) -> None:
    data = made(photos_of_one_colour, [0] * 4, Pipeline([], 32, 1.0), 0)
    assert torch.equal(data[2][0], data[Place(0, 2)][0])


def test_image_that_went_missing_is_told_with_its_path(tmp_path: Path) -> None:
    data = made([tmp_path / "a.jpg"], [0], Pipeline([], 32, 1.0), 0)
    with pytest.raises(ImageError, match=r"a\.jpg: there is no such file"):
        data[Place(0, 0)]


def test_training_order_is_a_permutation() -> None:
    sampler = EpochSampler(np.zeros(50, int), seed=0, shuffle=True)
    assert len(sampler) == 50
    assert sorted(numbers(sampler)) == list(range(50))
    assert numbers(sampler) != list(range(50))
    assert numbers(sampler) == numbers(sampler)


def test_order_depends_on_seed_and_epoch() -> None:
    orders = []
    for seed, epoch in ((0, 0), (0, 1), (1, 0)):
        sampler = EpochSampler(np.zeros(50, int), seed=seed, shuffle=True)
        sampler.set_epoch(epoch)
        assert {place.epoch for place in sampler} == {epoch}
        orders.append(tuple(numbers(sampler)))
    assert len(set(orders)) == 3


def test_order_is_the_same_on_every_machine() -> None:
    sampler = EpochSampler(np.zeros(8, int), seed=3, shuffle=True)
    sampler.set_epoch(2)
    expected = np.arange(8)
    np.random.default_rng((3, 2)).shuffle(expected)
    assert numbers(sampler) == expected.tolist() == [1, 7, 4, 0, 2, 6, 3, 5]


def test_resumed_run_sees_the_order_of_an_uninterrupted_one() -> None:
    through, resumed = (
        EpochSampler(np.zeros(20, int), seed=0, shuffle=True) for _ in range(2)
    )
    for epoch in range(4):
        through.set_epoch(epoch)
        expected = numbers(through)
    resumed.set_epoch(3)
    assert numbers(resumed) == expected


def test_evaluation_is_in_the_order_of_the_table() -> None:
    sampler = EpochSampler(np.zeros(7, int), seed=0, shuffle=False)
    assert numbers(sampler) == list(range(7))


@few
@given(st.integers(0, 40), st.integers(1, 8), st.integers(0, 5))
def test_devices_train_on_equally_many_different_images(
    size: int, devices: int, epoch: int
) -> None:
    seen: list[int] = []
    for rank in range(devices):
        sampler = EpochSampler(
            np.zeros(size, int), seed=0, shuffle=True, rank=rank, devices=devices
        )
        sampler.set_epoch(epoch)
        mine = numbers(sampler)
        assert len(mine) == len(sampler) == size // devices
        seen += mine
    assert len(seen) == len(set(seen)) == size - size % devices
    assert set(seen) <= set(range(size))


@few
@given(st.integers(0, 40), st.integers(1, 8))
def test_devices_together_evaluate_every_image_once(size: int, devices: int) -> None:
    seen: list[int] = []
    for rank in range(devices):
        sampler = EpochSampler(
            np.zeros(size, int), seed=0, shuffle=False, rank=rank, devices=devices
        )
        mine = numbers(sampler)
        assert len(mine) == len(sampler)
        seen += mine
    assert sorted(seen) == list(range(size))


@pytest.mark.parametrize("workers", [0, 2])
def test_epoch_may_be_set_after_the_loader_is_iterated(
    workers: int, photos_of_one_colour: list[Path]
) -> None:
    data = made(photos_of_one_colour, [0, 1, 2, 3], Pipeline([], 32, 1.0), 0)
    sampler = EpochSampler(data.labels, seed=1, shuffle=True)
    loader = PhotoLoader(data, 2, sampler=sampler, num_workers=workers)
    batches = iter(loader)
    sampler.set_epoch(3)
    read = [int(index) for _, _, indices in batches for index in indices]
    assert read == numbers(sampler)
    sampler.set_epoch(0)
    assert read != numbers(sampler)


@pytest.fixture
def photos_of_several_sizes(tmp_path: Path) -> list[Path]:
    """Eleven photos; the fourth is none."""
    files = [tmp_path / f"{number}.png" for number in range(11)]
    for number, file in enumerate(files):
        rng = np.random.default_rng(number)
        size = (30 + number, 50 - number, 3)
        Image.fromarray(rng.integers(0, 256, size, np.uint8)).save(file)
    files[3].write_bytes(b"no image")
    return files


@pytest.mark.parametrize("workers", [0, 2])
def test_photos_to_predict_come_in_order_with_their_errors(
    workers: int, photos_of_several_sizes: list[Path]
) -> None:
    pipeline = Pipeline([], 24, 0.9)
    photos = UnlabelledPhotos(photos_of_several_sizes, pipeline)
    batches = list(photos.batches(4, workers))
    assert [len(errors) for _, errors in batches] == [4, 4, 3]
    for start, (images, errors) in zip((0, 4, 8), batches, strict=True):
        assert images is not None
        rows = iter(images)
        for path, error in zip(photos_of_several_sizes[start:], errors, strict=False):
            if path == photos_of_several_sizes[3]:
                assert isinstance(error, ImageError)
                assert str(path) in str(error)
            else:
                expected = pipeline(read_image(path), seed=0)
                assert np.array_equal(next(rows).numpy(), expected)


def test_a_batch_without_a_readable_photo_has_errors_alone(tmp_path: Path) -> None:
    photos = UnlabelledPhotos([tmp_path / "none.png"] * 2, Pipeline([], 16, 1.0))
    ((images, errors),) = photos.batches(4, 0)
    assert images is None
    assert all(isinstance(error, ImageError) for error in errors)


def test_boxes_are_cut_out_before(photos_of_several_sizes: list[Path]) -> None:
    pipeline = Pipeline([], 16, 1.0)
    boxes = np.array([[2, 3, 20, 30]] * 11)
    photo = UnlabelledPhotos(photos_of_several_sizes, pipeline, boxes)[0]
    assert isinstance(photo, torch.Tensor)
    part = read_image(photos_of_several_sizes[0])[3:30, 2:20]
    assert np.array_equal(photo.numpy(), pipeline(part, seed=0))
