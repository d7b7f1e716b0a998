"""A few photos of the clothing dataset that come with the package."""

from pathlib import Path

from clothing_lightning.data.table import Annotations
from clothing_lightning.datamodules.base import PhotoDataModule
from clothing_lightning.datamodules.clothing_dataset import read_images_csv

PHOTOS = Path(__file__).with_name("sample_photos")


class Sample(PhotoDataModule):
    """480 small photos of the clothing dataset, for trying things out.

    48 RGB JPEGs with a short side of 160 px of each of its ten largest classes (Dress,
    Hat, Longsleeve, Outwear, Pants, Shirt, Shoes, Shorts, Skirt, T-Shirt), from as many
    senders as possible, chosen by ``docs/sample_photos.py``. No official split; all
    photos of a sender are on one side. Licence CC0. Source: A. Grigorev, see
    `ClothingDataset`. So few photos hardly tell models apart.
    """

    name = "clothing-sample"
    licence = "CC0 1.0"
    group_noun = "sender"
    groups_bind = True

    def annotations(self) -> Annotations:
        """Read the packaged ``images.csv``."""
        return Annotations(PHOTOS, read_images_csv(PHOTOS / "images.csv"))
