"""Drawn garments, for trying things out where there is no data set."""

from typing import Any

from clothing_lightning.data.drawing import draw_sample
from clothing_lightning.data.locations import cache_folder
from clothing_lightning.data.table import Annotations
from clothing_lightning.datamodules.base import PhotoDataModule
from clothing_lightning.datamodules.clothing_dataset import read_images_csv
from clothing_lightning.errors import StorageError


class Sample(PhotoDataModule):
    """A synthetic stand-in for the clothing dataset.

    Garments in ten of its classes, drawn by our own code from a seed, as RGB JPEGs of
    128 px square in the layout of the clothing dataset: varied cut, colour, pattern,
    pose, background, lighting and noise, imbalanced, and from few senders. No official
    split. CC0. Results on it say that things work and nothing about real photos.
    """

    name = "sample-synthetic"
    licence = "CC0 1.0"
    synthetic = True
    group_noun = "sender"

    def __init__(self, images: int = 480, drawing_seed: int = 0, **kwargs: Any) -> None:
        """Describe the data; nothing is drawn yet.

        Args:
            images: How many to draw.
            drawing_seed: Another seed, other images.
            **kwargs: The options of `PhotoDataModule`.
        """
        super().__init__(**kwargs)
        self.images = images
        self.drawing_seed = drawing_seed

    def annotations(self) -> Annotations:
        """Draw the images where that has not been done, and read their table.

        Raises:
            StorageError: If they cannot be written.
        """
        root = cache_folder() / f"sample-{self.images}-{self.drawing_seed}"
        if not (root / "images.csv").is_file():
            try:
                draw_sample(root, images=self.images, seed=self.drawing_seed)
            except OSError as err:
                raise StorageError(
                    f"{root}: cannot be written ({err.strerror}). Make room, or set "
                    "CLOTHING_CACHE to another folder."
                ) from err
        return Annotations(root, read_images_csv(root / "images.csv"))
