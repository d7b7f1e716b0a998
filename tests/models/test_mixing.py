import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from clothing_lightning.errors import ConfigError
from clothing_lightning.models.mixing import Mixing


def batch() -> tuple[Tensor, Tensor]:
    """Images that are all the number of their place, channels last, and labels."""
    places = torch.arange(6.0).view(6, 1, 1, 1)
    images = places.expand(6, 8, 8, 3).contiguous().permute(0, 3, 1, 2)
    return images, torch.tensor([0, 1, 2, 0, 1, 2])


def mixed(mixup: float, cutmix: float, seed: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    return Mixing(mixup, cutmix, 3)(*batch())


def test_without_a_way_the_batch_is_as_it_was() -> None:
    images, labels = batch()
    same = Mixing(0.0, 0.0, 3)(images, labels)
    assert same[0] is images
    assert same[1] is labels


def test_mixup_adds_images_and_labels_in_the_same_shares() -> None:
    images, labels = batch()
    blended, shares = mixed(0.5, 0.0, seed=1)
    whole = F.one_hot(labels, 3).float()
    share = shares[0, 0]  # of the first image in itself; its partner is of class 2
    assert 0 < share < 1
    for found, given in ((blended, images), (shares, whole)):
        torch.testing.assert_close(
            found, share * given + (1 - share) * given.roll(1, 0)
        )


def test_cutmix_takes_a_box_and_its_area_of_the_label() -> None:
    images, labels = batch()
    for seed in range(5):
        cut, shares = mixed(0.0, 1.0, seed)
        own = (cut == images).all(dim=1)
        assert (own | (cut == images.roll(1, 0)).all(dim=1)).all()
        places = torch.arange(6)
        torch.testing.assert_close(shares[places, labels], own.float().mean((1, 2)))
        torch.testing.assert_close(shares.sum(1), torch.ones(6))
        rows, columns = (~own[0]).nonzero(as_tuple=True)
        if len(rows):
            height, width = (
                rows.max() - rows.min() + 1,
                columns.max() - columns.min() + 1,
            )
            assert height * width == len(rows)


def test_with_both_each_batch_has_one_of_them() -> None:
    blended = [
        bool((images != images.round()).any())
        for images, _ in (mixed(1.0, 1.0, seed) for seed in range(20))
    ]
    assert 4 < sum(blended) < 16


def test_mixing_is_a_function_of_torchs_chance() -> None:
    first, again, other = (mixed(1.0, 1.0, seed) for seed in (3, 3, 4))
    assert first[0].equal(again[0])
    assert first[1].equal(again[1])
    assert not first[1].equal(other[1])


@pytest.mark.parametrize("alphas", [(0.4, 0.0), (0.0, 0.4)])
def test_images_keep_their_memory_format(alphas: tuple[float, float]) -> None:
    images, _ = mixed(*alphas, seed=0)
    assert images.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("option", ["mixup", "cutmix"])
@pytest.mark.parametrize("alpha", [-0.2, math.inf, math.nan])
def test_alpha_out_of_range_is_an_error(option: str, alpha: float) -> None:
    alphas = {"mixup": 0.0, "cutmix": 0.0} | {option: alpha}
    with pytest.raises(ConfigError, match=rf"init_args\.{option} is {alpha}\. It is 0"):
        Mixing(**alphas, num_classes=3)
