"""Whether `check` finds out what is not the same network."""

from copy import deepcopy
from pathlib import Path

import pandas as pd
import pytest
import torch

from clothing_lightning.compression.checking import check
from clothing_lightning.compression.graph_preprocessing import WithPreprocessing
from clothing_lightning.data.options import Preprocessing
from clothing_lightning.errors import ExportError, ImageError
from clothing_lightning.inference.evaluation import ImageSet
from tests.compression.networks import NAMES, random_network
from tests.trained_run import draw_folders

MODEL = random_network(Preprocessing(32))


@pytest.fixture
def images(tmp_path: Path) -> ImageSet:
    names = {name: name for name in ("Dress", "Hat", "Shirt")}
    root = draw_folders(tmp_path / "photos", names, each=12, seed=0)
    paths = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.jpg"))
    table = pd.DataFrame({"path": paths, "label": "Hat"})
    return ImageSet("photos", "test", root, table, pd.DataFrame())


def test_a_copy_is_the_same(images: ImageSet) -> None:
    checked = check(MODEL, deepcopy(MODEL.network), images, takes_photos=False)
    assert (checked.images, checked.other_class) == (36, 0)
    assert checked.largest_difference == 0
    assert checked.probabilities.shape == (36, len(NAMES))
    assert str(checked) == (
        "the same class for 36 of 36 test images, probabilities within 0.0e+00"
    )


def test_photos_go_to_a_graph_that_prepares_them(images: ImageSet) -> None:
    exported = WithPreprocessing(deepcopy(MODEL.network), MODEL.preprocessing).eval()
    assert check(MODEL, exported, images, takes_photos=True).images == 36


def test_one_changed_weight_is_refused(images: ImageSet) -> None:
    other = deepcopy(MODEL.network)
    *_, bias = other.parameters()
    with torch.no_grad():
        bias[0] += 0.01
    with pytest.raises(
        ExportError,
        match=r"^test_resnet: what was exported is not the same network: the same "
        r"class for \d+ of 36 .* 1e-04 was expected. Nothing was kept; choose another",
    ):
        check(MODEL, other, images, takes_photos=False)


def test_a_network_that_gives_no_numbers_is_refused(images: ImageSet) -> None:
    other = deepcopy(MODEL.network)
    for weight in other.parameters():
        weight.data.fill_(float("nan"))
    with pytest.raises(ExportError, match="within nan"):
        check(MODEL, other, images, takes_photos=False)


@pytest.mark.parametrize("takes_photos", [False, True])
def test_a_photo_that_has_become_unreadable_is_told(
    images: ImageSet, takes_photos: bool
) -> None:
    (images.root / images.table["path"][3]).write_bytes(b"no image")
    prepares = WithPreprocessing(MODEL.network, MODEL.preprocessing).eval()
    exported = prepares if takes_photos else MODEL.network
    with pytest.raises(ImageError, match=r"003\.jpg"):
        check(MODEL, exported, images, takes_photos=takes_photos)


def test_images_are_cut_to_their_boxes(images: ImageSet) -> None:
    """A network that is given whole photos would answer otherwise."""
    size = pd.DataFrame({"width": 30, "height": 30}, index=images.table["path"])
    images.table = images.table.assign(left=2, top=3, right=20, bottom=25)
    images.inspection = size
    images.crops_to_boxes = True
    exported = WithPreprocessing(deepcopy(MODEL.network), MODEL.preprocessing).eval()
    cut = check(MODEL, exported, images, takes_photos=True)
    prepared = check(MODEL, MODEL.network, images, takes_photos=False)
    assert abs(cut.probabilities - prepared.probabilities).max() < 5e-4
    images.crops_to_boxes = False
    whole = check(MODEL, MODEL.network, images, takes_photos=False)
    assert abs(whole.probabilities - prepared.probabilities).max() > 2e-3
