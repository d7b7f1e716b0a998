from typing import Any, get_args

import albumentations as A
import numpy as np
import numpy.typing as npt
import pytest
import torch

from clothing_lightning.data.augmentation import (
    Pipeline,
    build,
    centre_crop,
    policy_transforms,
)
from clothing_lightning.data.options import AugmentationPolicy, Preprocessing
from clothing_lightning.errors import ConfigError

POLICIES = get_args(AugmentationPolicy)
RANDOM = [name for name in POLICIES if name != "none"]

# Height and width: landscape, portrait, exactly the result's size, tiny, a thin strip.
SHAPES = [(60, 90), (90, 60), (32, 32), (3, 2), (1, 1), (5, 200), (37, 36)]


def photo(height: int, width: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    image.flags.writeable = False  # as decoded photos are
    return image


def pipeline(name: AugmentationPolicy, size: int = 32) -> Pipeline:
    return Pipeline(policy_transforms(name, size, 0.875), size, 0.875)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", POLICIES)
def test_policy_makes_squares_of_bytes(
    name: AugmentationPolicy, shape: tuple[int, int]
) -> None:
    transform = pipeline(name)
    image = photo(*shape)
    before = image.copy()
    for seed in range(4):
        made = transform(image, seed)
        assert made.shape == (32, 32, 3)
        assert made.dtype == np.uint8
    assert (image == before).all()


@pytest.mark.parametrize("size", [16, 31, 96, 224])
@pytest.mark.parametrize("crop_pct", [0.875, 0.9, 0.95, 1.0])
def test_centre_crop_has_the_size_whatever_the_photo(
    size: int, crop_pct: float
) -> None:
    transform = Pipeline([], size, crop_pct)
    for shape in ((401, 533), (400, 936), (size - 1, size + 1), (size, 3 * size)):
        assert transform(photo(*shape), 0).shape == (size, size, 3)


@pytest.mark.parametrize("name", POLICIES)
def test_same_seed_makes_the_same_image(name: AugmentationPolicy) -> None:
    image = photo(60, 90)
    first, other = pipeline(name), pipeline(name)
    for seed in (1, 2**32 - 1):
        expected = first(image, seed)
        first(photo(50, 50, seed=1), seed=99)  # what came between does not matter
        assert (first(image, seed) == expected).all()
        assert (other(image, seed) == expected).all()


@pytest.mark.parametrize("name", RANDOM)
def test_another_seed_makes_another_image(name: AugmentationPolicy) -> None:
    transform = pipeline(name)
    image = photo(60, 90)
    made = {transform(image, seed).tobytes() for seed in range(8)}
    assert len(made) >= 6


def test_global_random_state_plays_no_part() -> None:
    transform = pipeline("strong")
    np.random.seed(0)
    first = transform(photo(60, 90), 5)
    np.random.seed(1)
    assert (transform(photo(60, 90), 5) == first).all()


@pytest.mark.parametrize("shape", [(60, 90), (90, 60), (32, 32)])
def test_none_is_the_centre_crop(shape: tuple[int, int]) -> None:
    image = photo(*shape)
    expected = A.Compose(centre_crop(32, 0.875))(image=image)["image"]
    for seed in range(3):
        assert (pipeline("none")(image, seed) == expected).all()


def test_centre_crop_averages_areas() -> None:
    # 64 x 128 px in squares of 2 px: each becomes a pixel of 32 x 64, and the crop
    # keeps columns 16 to 47.
    values = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
    image = values.repeat(2, axis=0).repeat(2, axis=1)
    made = Pipeline([], 32, crop_pct=1.0)(image, 0)
    assert (made == values[:, 16:48]).all()


def test_enlarged_photo_is_smooth() -> None:
    # From black to white over two pixels: in between there are greys, not one step.
    image = np.zeros((2, 2, 3), np.uint8)
    image[:, 1] = 255
    row = Pipeline([], 32, crop_pct=1.0)(image, 0)[0, :, 0].astype(int)
    assert (row[0], row[-1]) == (0, 255)
    assert np.diff(row).min() >= 0
    assert np.diff(row).max() <= 255 / 16 + 1


def test_light_flips_about_half_of_the_images() -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    image[:, :20] = 255
    transform = pipeline("light")
    flipped = sum(
        int(made[:, :16].mean() < made[:, 16:].mean())
        for made in (transform(image, seed) for seed in range(100))
    )
    assert 35 <= flipped <= 65


def test_any_transforms_are_applied() -> None:
    transform = Pipeline([A.HorizontalFlip(p=1.0), A.InvertImg(p=1.0)], 32, 0.875)
    image = photo(32, 32)
    assert (transform(image, 0) == 255 - image[:, ::-1]).all()


def test_given_transforms_of_another_size_end_in_the_centre_crop() -> None:
    image = photo(60, 90)
    expected = Pipeline([], 32, 0.875)(image[:, ::-1].copy(), 0)
    made = Pipeline([A.HorizontalFlip(p=1.0)], 32, 0.875)(image, 0)
    assert (made == expected).all()


def test_nested_transforms_follow_the_seed() -> None:
    choice = A.OneOf([A.HorizontalFlip(p=1), A.VerticalFlip(p=1), A.InvertImg(p=1)])
    first, second = (Pipeline([choice], 32, 0.875) for _ in range(2))
    image = photo(32, 32)
    made = [first(image, seed).tobytes() for seed in range(20)]
    assert made == [second(image, seed).tobytes() for seed in range(20)]
    assert len(set(made)) > 1


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        (A.Normalize(), "type float32 and shape (32, 32, 3)"),
        (A.ToFloat(), "type float32"),
        (A.ToTensorV2(), "type torch.uint8 and shape (3, 32, 32)"),
    ],
)
def test_transforms_that_make_no_bytes_are_refused(wrong: Any, found: str) -> None:
    transform = Pipeline([wrong], 32, 0.875)
    with pytest.raises(ConfigError, match=r"Leave out Normalize, ToFloat") as error:
        transform(photo(32, 32).copy(), 0)
    assert found in str(error.value)


def test_normalise_is_the_plain_formula() -> None:
    preprocessing = Preprocessing(mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.5))
    images = torch.tensor([[[[255, 0, 51], [0, 102, 255]]]], dtype=torch.uint8)
    made = preprocessing.normalise(images)
    # (255/255 - 0.5) / 0.2 = 2.5 and so on: red, green, blue of the two pixels.
    expected = [[[[2.5, -2.5]], [[-1.6, 0.0]], [[-0.2, 1.4]]]]
    torch.testing.assert_close(made, torch.tensor(expected))


def test_normalised_batch_is_channels_last_without_a_copy() -> None:
    images = torch.randint(0, 256, (4, 6, 5, 3), dtype=torch.uint8)
    made = Preprocessing().normalise(images)
    assert (made.shape, made.dtype) == ((4, 3, 6, 5), torch.float32)
    assert made.is_contiguous(memory_format=torch.channels_last)


def test_mean_and_deviation_are_taken_out() -> None:
    preprocessing = Preprocessing()
    pixels = np.array(
        [preprocessing.mean, np.add(preprocessing.mean, preprocessing.std)]
    )
    images = torch.from_numpy((pixels * 255).round().astype(np.uint8))[None, None]
    made = preprocessing.normalise(images)
    assert made[0, :, 0, 0].abs().max() < 0.01
    assert (made[0, :, 0, 1] - 1).abs().max() < 0.02


def test_transforms_are_built_by_name_and_nested() -> None:
    flip = {"class_path": "albumentations.HorizontalFlip", "init_args": {"p": 1}}
    invert = {"class_path": "albumentations.InvertImg"}
    arguments = {"transforms": [flip, invert], "p": 0.7}
    built = build({"class_path": "albumentations.OneOf", "init_args": arguments})
    assert isinstance(built, A.OneOf)
    assert [type(inner) for inner in built.transforms] == [
        A.HorizontalFlip,
        A.InvertImg,
    ]
    assert (built.p, built.transforms[0].p) == (0.7, 1)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("albumentations.HorizontalFlop", {}, "Closest names: HorizontalFlip"),
        ("os.system", {"command": "exit"}, "'os.system' is not the name of a trans"),
        ("no.such.module", {}, "is not the name of a transform. See albumentations"),
        ("albumentations.HorizontalFlip", {"q": 1}, "no argument 'q'. It takes p"),
        ("albumentations.HorizontalFlip", {"p": "x"}, "does not take .*valid number"),
        ("albumentations.OneOf", {"transforms": [{"class": 1}]}, "is no transform. W"),
        ("albumentations.OneOf", {"transforms": ["InvertImg"]}, "InvertImg is no tran"),
        ("albumentations.OneOf", {"transforms": 3}, "does not take .*iterable"),
    ],
)
def test_what_is_no_transform_is_named(
    name: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        build({"class_path": name, "init_args": arguments})
