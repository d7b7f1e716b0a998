"""Fashion products: catalogue photos of a shop."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from clothing_lightning.data.locations import root_folder
from clothing_lightning.data.table import Annotations
from clothing_lightning.datamodules.base import PhotoDataModule
from clothing_lightning.datamodules.clothing_download import fetch_from_kaggle
from clothing_lightning.datamodules.fashion_products_styles import read_styles
from clothing_lightning.errors import DataError, DatasetNotFoundError

if TYPE_CHECKING:
    import pandas as pd

KAGGLE_NAME = "paramaggarwal/fashion-product-images-small"
# The large set lies in a folder of its own; the small one has a second copy in one.
FOLDERS = ("", "fashion-dataset", "myntradataset")
SLICES = ["gender", "season", "usage"]


class FashionProducts(PhotoDataModule):
    """Fashion Product Images, the small set or the large one.

    About 44,400 products with one JPEG each, 60 x 80 px in the small set and up to
    1800 x 2400 px in the large one: ``images/<id>.jpg``, described by ``styles.csv``. A
    class is an article type, a subcategory or a master category; those with fewer than
    900 images are left out unless told otherwise. No official split. A group is a
    product's name without its colour, so that a shirt in red is not tested by a network
    that has learned it in blue; names that differ in nothing else are taken for one
    product. ``gender``, ``season`` and ``usage`` are slices, empty where not known. A
    few products have no image. Licence MIT, as Kaggle has it. Source: P. Aggarwal,
    "Fashion Product Images", Kaggle, 2019, from the catalogue of Myntra.
    """

    name = "fashion-products"
    group_noun = "product"
    groups_bind = True

    def __init__(
        self,
        root: str | None = None,
        label_column: Literal[
            "articleType", "subCategory", "masterCategory"
        ] = "articleType",
        min_images_per_class: int = 900,
        download: Literal["no", "kaggle"] = "no",
        **kwargs: Any,
    ) -> None:
        """Describe the data; nothing is read yet.

        Args:
            root: Folder with ``styles.csv`` and ``images``; by default
                ``$CLOTHING_DATA/fashion-products``, else ``data/fashion-products``.
            label_column: The column of ``styles.csv`` that holds the labels.
            min_images_per_class: Leave out classes with fewer images than this; a
                class with as many stays.
            download: ``kaggle`` uses Kaggle's small set (which needs the extra
                ``kaggle``) if there is nothing at the root.
            **kwargs: The options of `PhotoDataModule`.
        """
        super().__init__(min_images_per_class=min_images_per_class, **kwargs)
        self.given_root = root
        self.label_column = label_column
        self.download = download

    def annotations(self) -> Annotations:
        """Read ``styles.csv``.

        Raises:
            DatasetNotFoundError: If there is no such file, or no folder of images.
            DownloadError: If the data set is to be fetched and cannot be.
            DataError: If the file is malformed, or no row has an image.
        """
        root = self._find_root()
        table = read_styles(root / "styles.csv")
        with os.scandir(root / "images") as entries:
            photos = {entry.name for entry in entries if entry.name.endswith(".jpg")}
        names = table["id"] + ".jpg"
        there = names.isin(photos)
        if not there.any():
            raise DataError(
                f"FashionProducts: none of the {len(table):,} rows of styles.csv has "
                f"an image: '{root / 'images' / names.iloc[0]}' and the others are "
                "not there."
            )
        table["path"] = "images/" + names
        table["label"] = table[self.label_column]
        table["group"] = _products(table)
        findings = {
            "rows": len(table),
            "rows without an image": int((~there).sum()),
            "images without a row": len(photos.difference(names)),
        }
        columns = ["path", "label", "group", *SLICES]
        return Annotations(
            root, table.loc[there, columns].reset_index(drop=True), findings
        )

    def _find_root(self) -> Path:
        root = root_folder(self.given_root, self.name)
        empty = root.is_dir() and not any(root.iterdir())
        if self.download == "kaggle" and (empty or not root.exists()):
            otherwise = "download it by hand and pass --data.init_args.root=FOLDER"
            root = fetch_from_kaggle(KAGGLE_NAME, "FashionProducts", otherwise)
        for folder in (root / name for name in FOLDERS):
            if (folder / "styles.csv").is_file() and (folder / "images").is_dir():
                return folder
        lacking = "images" if (root / "styles.csv").is_file() else "styles.csv"
        raise DatasetNotFoundError(
            f"FashionProducts: '{root / lacking}' is not there. {GET_IT}"
        )


LARGE_SET = "paramaggarwal/fashion-product-images-dataset"
GET_IT = f"""Get the data by one of
    --data.init_args.download=kaggle    fetches the small set from Kaggle
    kaggle datasets download {KAGGLE_NAME} --unzip -p FOLDER
    kaggle datasets download {LARGE_SET} --unzip -p FOLDER
(the last one is the large set) and name the folder with styles.csv and images/:
--data.init_args.root=FOLDER, or CLOTHING_DATA for the folder above one called
fashion-products."""


def _products(table: "pd.DataFrame") -> list[str]:
    """Return names without colours, or the id where nothing else is left."""
    names = zip(
        table["productDisplayName"], table["baseColour"], table["id"], strict=True
    )
    return [_without_colour(name, colour) or number for name, colour, number in names]


def _without_colour(name: str, colour: str) -> str:
    colours = set(_words(colour))
    return " ".join(word for word in _words(name) if word not in colours)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
