"""DeepFashion: photos of garments from shops and search engines."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

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
from clothing_lightning.errors import ConfigError, DataError, DatasetNotFoundError

if TYPE_CHECKING:
    import pandas as pd

LONG_SIDE = 300  # of low-resolution images, in pixels


class Disagreement(NamedTuple):
    """How often labels from names of folders differ from the benchmark's.

    Attributes:
        share: The share of images whose two labels differ, from 0 to 1.
        pairs: Pairs of differing labels, ``benchmark`` and ``folder_name``, with their
            number of ``images``, the most frequent first.
    """

    share: float
    pairs: "pd.DataFrame"


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
        prefix = folder.relative_to(root).as_posix()
        photos = photos_below(folder)
        names = table["path"].str.removeprefix("img/")
        listed = names.to_list()
        there = [name in photos for name in listed]  # `isin` takes ten times as long
        if not any(there):
            raise DataError(
                f"DeepFashion: none of the {len(table):,} rows of "
                f"list_category_img.txt has an image: '{folder / names.iloc[0]}' and "
                "the others are not there."
            )
        findings = {
            "rows": len(table),
            "rows without an image": there.count(False),
            "images without a row": len(photos.difference(listed)),
            "rows whose folder names another category": int(_differ(table).sum()),
        }
        table = table.assign(path=prefix + "/" + names, label=table[self.labels])
        table = table[there]
        if self.crop_to_boxes:
            highres = folder.name.lower() == IMAGE_FOLDERS["high"]
            table = self._scaled(root, table, highres=highres)
        table = table.drop(columns=["benchmark", "folder_name"])
        return Annotations(root, table.reset_index(drop=True), findings)

    def remarks(self) -> list[tuple[str, str]]:
        """State how often the two kinds of labels disagree."""
        share, pairs = self.label_disagreement()
        if pairs.empty:
            return []
        most = pairs.iloc[0]
        what = (
            f"The names of folders give {share:.1%} of the images another label than "
            f"the benchmark, most often {most['folder_name']} for {most['benchmark']} "
            f"({most['images']:,})."
        )
        return [(what, "--data.init_args.labels says which are learned.")]

    def label_disagreement(self) -> Disagreement:
        """Compare the labels of all rows, with or without an image.

        Letter case does not count.

        Raises:
            DatasetNotFoundError: If a list is not there.
            DataError: If a list is malformed.
        """
        table = self._rows(root_folder(self.given_root, self.name))
        differ = _differ(table)
        pairs = table[differ].groupby(["benchmark", "folder_name"]).size()
        pairs = pairs.sort_values(ascending=False, kind="stable")
        return Disagreement(float(differ.mean()), pairs.reset_index(name="images"))

    def _rows(self, root: Path) -> "pd.DataFrame":
        """Path as listed, group, both labels, split and, where needed, the box."""
        images = find_list(root, "list_category_img.txt")
        cloth = find_list(root, "list_category_cloth.txt", first=images.parent)
        table = read_categories(cloth, images).rename(columns={"label": "benchmark"})
        garments = table["group"].unique()
        words = {
            garment: garment.rstrip("_").rpartition("_")[2] for garment in garments
        }
        table["folder_name"] = table["group"].map(words)
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


def _differ(table: "pd.DataFrame") -> "pd.Series[bool]":
    return table["benchmark"].str.casefold() != table["folder_name"].str.casefold()
