import pytest
import torch

from clothing_lightning.data.options import Preprocessing
from clothing_lightning.errors import ConfigError


def test_one_mean_makes_the_luma_of_a_photo() -> None:
    images = torch.zeros(1, 1, 3, 3, dtype=torch.uint8)
    images[0, 0] = 255 * torch.eye(3, dtype=torch.uint8)  # red, green, blue
    made = Preprocessing(28, (0.0,), (1.0,)).normalise(images)
    assert made.shape == (1, 1, 1, 3)
    torch.testing.assert_close(made.flatten(), torch.tensor([0.299, 0.587, 0.114]))


def test_gray_photo_keeps_its_very_values() -> None:
    gray = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1)
    photos = gray.expand(-1, -1, -1, 3)
    one = Preprocessing(28, (0.286,), (0.353,)).normalise(photos)
    three = Preprocessing(28, (0.286,) * 3, (0.353,) * 3).normalise(photos)
    assert one.dtype == torch.float32
    assert all(one[:, 0].equal(three[:, channel]) for channel in range(3))


def test_mean_of_the_luma_follows_from_those_of_the_channels() -> None:
    gray = Preprocessing(64, (0.5, 0.4, 0.3), (0.2, 0.2, 0.3), 0.9).in_channels(1)
    assert gray.mean == pytest.approx((0.299 * 0.5 + 0.587 * 0.4 + 0.114 * 0.3,))
    assert gray.std == pytest.approx((0.2 + 0.114 * 0.1,))
    assert (gray.image_size, gray.crop_pct) == (64, 0.9)
    photos = torch.randint(0, 256, (2, 8, 8, 3), dtype=torch.uint8)
    centre = [
        Preprocessing(8, mean, (1.0,) * len(mean)).normalise(photos).mean((0, 2, 3))
        for mean in ((0.5, 0.4, 0.3), gray.mean)
    ]
    luma = centre[0] @ torch.tensor([0.299, 0.587, 0.114])
    torch.testing.assert_close(centre[1], luma[None])


def test_gray_mean_is_repeated_for_colours() -> None:
    gray = Preprocessing(28, (0.286,), (0.353,))
    assert gray.in_channels(3) == Preprocessing(28, (0.286,) * 3, (0.353,) * 3)
    assert gray.in_channels(1) == gray


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ((0.5,) * 4, (0.5,) * 4, "mean has 4 values and std 4. .* three or one"),
        ((0.5,), (0.5,) * 3, "mean has 1 values and std 3"),
        ((), (), "mean has 0 values"),
    ],
)
def test_other_numbers_of_channels_are_an_error(
    mean: tuple[float, ...], std: tuple[float, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Preprocessing(28, mean, std)


@pytest.mark.parametrize("count", [0, 2, 4])
def test_channels_that_photos_do_not_have_are_an_error(count: int) -> None:
    with pytest.raises(ConfigError, match=rf"in_chans is {count}\. Photos have 3"):
        Preprocessing().in_channels(count)
