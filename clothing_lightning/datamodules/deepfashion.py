"""DeepFashion: photos of garments from shops and search engines."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from clothing_lightning.data.inspection import inspect_images
from clothing_lightning.data.locations import root_folder
from clothing_lightning.data.table import Annotations
from clothing_lightning.datamodules.base import PhotoDataModule
from clothing_lightning.datamodules.deepfashion_lists import (
    BOX,
    grown,
    read_boxes,
    read_categories,
    read_partition,
)
from clothing_lightning.datamodules.deepfashion_tree import (
    GET_IT,
    IMAGE_FOLDERS,
    find_list,
    image_folders,
    photos_below,
)
from clothing_lightning.errors import ConfigError, DatasetNotFoundError

if TYPE_CHECKING:
    import pandas as pd

LONG_SIDE = 300  # of low-resolution images, in pixels


class DeepFashion(PhotoDataModule):
    """DeepFashion, Category and Attribute Prediction benchmark.

    289,222 JPEGs, the long side resized to 300 px, or the same images in their original
    size; 50 categories, of which 46 occur. Official split: 209,222 for training,
    40,000 for validation, 40,000 for the test. A group is a folder of images, which is
    one garment in a shop. Given for non-commercial research to those who sign an
    agreement.

    A box is a pair of corners in pixels of the low-resolution image; the benchmark
    does not say whether they count from 0 or 1 nor whether the last pixel is within.
    They are taken as counting from 0 with the last one outside, which is wrong by one
    pixel at most. For high-resolution images no other boxes are known: there they are
    scaled by the image's long side over 300, which takes an inspection of all images.

    Source: Z. Liu, P. Luo, S. Qiu, X. Wang and X. Tang, "DeepFashion: Powering Robust
    Clothes Recognition and Retrieval with Rich Annotations", CVPR 2016.
    """

    name = "deepfashion"
    licence = "non-commercial research only, by a signed agreement"
    group_noun = "garment"
    groups_bind = True

    def __init__(
        self,
        root: str | None = None,
        resolution: Literal["auto", "low", "high"] = "auto",
        labels: Literal["benchmark", "folder_name"] = "benchmark",
        crop: Literal["none", "bbox"] = "none",
        margin: float = 0.0,
        **kwargs: Any,
    ) -> None:
        """Describe the data; nothing is read yet.

        Args:
            root: Folder with the annotations and the images; by default
                ``$CLOTHING_DATA/deepfashion``, else ``data/deepfashion``.
            resolution: The folder of images: ``low`` is ``img``, ``high`` is
                ``img_highres``, and ``auto`` whichever is there.
            labels: What the label is: ``benchmark`` takes the category;
                ``folder_name`` the last word of the name of the garment's folder
                (``Reindeer_Pattern_Sweater`` is a Sweater), as some have used it,
                though it is not always the category.
            crop: ``bbox`` cuts each image to the garment's box.
            margin: The share of the box's width (height) that is added on the left
                and right (at the top and bottom) of it.
            **kwargs: The options of `PhotoDataModule`.

        Raises:
            ConfigError: If the margin is negative or not finite.
        """
        super().__init__(**kwargs)
        if not 0 <= margin < math.inf:
            raise ConfigError(
                f"data.init_args.margin is {margin}. It is a share of the box's sides: "
                "0 or more, such as 0.1."
            )
        self.given_root = root
        self.resolution = resolution
        self.labels = labels
        self.crop_to_boxes = crop == "bbox"
        self.margin = margin

    def annotations(self) -> Annotations:
        """Read the lists of images, categories, splits and, where needed, boxes.

        Raises:
            DatasetNotFoundError: If a list or the images are not there.
            ConfigError: If there are images of both resolutions, and none is chosen.
            DataError: If a list is malformed, or no row has an image.
        """
        root = root_folder(self.given_root, self.name)
        table = self._rows(root)
        folder = self._image_folder(root)
        differ = _labels_differ(table)
        prefix = folder.relative_to(root).as_posix()
        table["path"] = prefix + table["path"].str.removeprefix("img")
        table["label"] = table[self.labels]
        table = table.drop(columns=["benchmark", "folder_name"])
        listing, photos = "list_category_img.txt", photos_below(folder, prefix)
        annotations = self.annotations_of_rows(root, table, photos, listing)
        what = "rows whose folder names another category"
        annotations.findings[what] = int(differ.sum())
        if self.crop_to_boxes:
            highres = folder.name.lower() == IMAGE_FOLDERS["high"]
            annotations.table = self._scaled(root, annotations.table, highres=highres)
        return annotations

    def remarks(self) -> list[tuple[str, str]]:
        """State how often the two kinds of labels disagree, with or without an image.

        Raises:
            DatasetNotFoundError: If a list is not there.
            DataError: If a list is malformed.
        """
        table = self._rows(root_folder(self.given_root, self.name))
        differ = _labels_differ(table)
        if not differ.any():
            return []
        pairs = table[differ].groupby(["benchmark", "folder_name"]).size()
        most = pairs.reset_index(name="images").nlargest(1, "images").iloc[0]
        what = (
            f"The names of folders give {differ.mean():.1%} of the images another "
            f"label than the benchmark, most often {most['folder_name']} for "
            f"{most['benchmark']} ({most['images']:,})."
        )
        return [(what, "--data.init_args.labels says which are learned.")]

    def _rows(self, root: Path) -> "pd.DataFrame":
        """Path as listed, group, both labels, split and, where needed, the box."""
        images = find_list(root, "list_category_img.txt")
        cloth = find_list(root, "list_category_cloth.txt", first=images.parent)
        table = read_categories(cloth, images).rename(columns={"label": "benchmark"})
        names = table["group"].str.rstrip("_")
        table["folder_name"] = names.str.replace("^.*_", "", regex=True)
        partition = find_list(root, "list_eval_partition.txt")
        table["split"] = read_partition(partition, table["path"])
        if self.crop_to_boxes:
            file = find_list(root, "list_bbox.txt", first=images.parent)
            table[BOX] = read_boxes(file, table["path"])
        return table

    def _image_folder(self, root: Path) -> Path:
        folders = image_folders(root)
        if self.resolution == "auto" and len(folders) == 2:
            raise ConfigError(
                f"DeepFashion: '{root}' has images of both resolutions. Choose by "
                "--data.init_args.resolution=low or =high."
            )
        automatic = self.resolution == "auto"
        chosen = next(iter(folders), "low") if automatic else self.resolution
        if chosen not in folders:
            raise DatasetNotFoundError(
                f"DeepFashion: '{root / IMAGE_FOLDERS[chosen]}' is not there, or has "
                f"no folders of images. {GET_IT}"
            )
        return folders[chosen]

    def _scaled(
        self, root: Path, table: "pd.DataFrame", *, highres: bool
    ) -> "pd.DataFrame":
        if not highres:
            return grown(table, self.margin, 1.0)
        seen = inspect_images(root, list(table["path"]), workers=self.num_workers)
        long_side = seen[["width", "height"]].max(axis=1).to_numpy(dtype=float)
        return grown(table, self.margin, long_side.clip(1) / LONG_SIDE)


def _labels_differ(table: "pd.DataFrame") -> "pd.Series[bool]":
    """Compare the two labels of each row; letter case does not count."""
    return table["benchmark"].str.casefold() != table["folder_name"].str.casefold()
