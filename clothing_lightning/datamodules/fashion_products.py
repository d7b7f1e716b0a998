"""Fashion products: catalogue photos of a shop."""

import csv
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from clothing_lightning.data.locations import root_folder
from clothing_lightning.data.table import Annotations
from clothing_lightning.datamodules.base import PhotoDataModule
from clothing_lightning.datamodules.clothing_download import fetch_from_kaggle
from clothing_lightning.errors import DataError, DatasetNotFoundError

if TYPE_CHECKING:
    import pandas as pd

KAGGLE_NAME = "paramaggarwal/fashion-product-images-small"
# The large set lies in a folder of its own; the small one has a second copy in one.
FOLDERS = ("", "fashion-dataset", "myntradataset")
COLUMNS = (
    "id",
    "gender",
    "masterCategory",
    "subCategory",
    "articleType",
    "baseColour",
    "season",
    "year",
    "usage",
    "productDisplayName",
)
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
    licence = "MIT, as Kaggle has it"
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
        table["path"] = "images/" + table["id"] + ".jpg"
        table["label"] = table[self.label_column]
        table["group"] = _products(table)
        table = table[["path", "label", "group", *SLICES]]
        photos = {f"images/{path.name}" for path in (root / "images").glob("*.jpg")}
        return self.annotations_of_rows(root, table, photos, "styles.csv")

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


def read_styles(file: Path) -> "pd.DataFrame":
    """Read ``styles.csv``, in which names hold commas without quotes.

    No field but the name, the last, holds a comma: so what follows the ninth one is the
    name. Each line is a row, whatever quotes it holds.

    Args:
        file: The path of ``styles.csv``, in UTF-8, or in Latin-1 if no column but that
            of names needs it.

    Returns:
        The columns of the file as text; ``NA`` and missing cells are empty.

    Raises:
        DataError: If the file is no such table, or an id is no number or listed twice.
    """
    import pandas as pd

    content = file.read_bytes()
    try:
        text, utf8 = content.decode("utf-8-sig"), True
    except UnicodeDecodeError:
        text, utf8 = content.decode("latin-1"), False
    lines = [line for row in text.split("\n") if (line := row.strip("\r"))]
    header = _fields(lines[0]) if lines else []
    if tuple(header[: len(COLUMNS)]) != COLUMNS:
        raise DataError(
            f"{file}: begins with {lines[0][:80] if lines else ''!r}, expected the "
            f"columns {', '.join(COLUMNS)}. Get the file again."
        )
    if len(lines) == 1:
        raise DataError(f"{file}: has no rows. Get the file again.")
    rows = [_row(file, line) for line in lines[1:]]
    table = pd.DataFrame(rows, columns=list(COLUMNS), dtype="str").replace("NA", "")
    if not utf8:
        _refuse_foreign_letters(file, table)
    _check_ids(file, table["id"])
    return table


def _fields(line: str) -> list[str]:
    # Line by line, so that a quote which nobody closes cannot swallow other rows.
    try:
        return next(csv.reader([line]))
    except csv.Error as err:  # longer than any field may be
        raise DataError(
            f"styles.csv: the row {line[:80]!r}... is no row of a table ({err}). Get "
            "the file again."
        ) from err


def _row(file: Path, line: str) -> list[str]:
    fields = _fields(line)
    last = len(COLUMNS) - 1
    if len(fields) < last:
        raise DataError(
            f"{file}: the row {line[:80]!r} has {len(fields)} columns, expected "
            f"{len(COLUMNS)}. Get the file again."
        )
    return [*(field.strip() for field in fields[:last]), ",".join(fields[last:])]


def _refuse_foreign_letters(file: Path, table: "pd.DataFrame") -> None:
    """Where the encoding had to be guessed, labels must not depend on it."""
    for column in COLUMNS[:-1]:
        odd = table[column][~table[column].map(str.isascii)]
        if not odd.empty:
            raise DataError(
                f"{file}: is no text in UTF-8, and read as Latin-1 it has "
                f"{odd.iloc[0]!r} as {column}. Save it in UTF-8."
            )


def _check_ids(file: Path, ids: "pd.Series[str]") -> None:
    odd = ids[~ids.str.fullmatch("[0-9]+")]
    if not odd.empty:
        raise DataError(
            f"{file}: {odd.iloc[0]!r} is no id ({len(odd)} such rows). An id is the "
            "number that an image is named by."
        )
    twice = ids[ids.duplicated()]
    if not twice.empty:
        raise DataError(
            f"{file}: the id {twice.iloc[0]} is listed more than once ({len(twice)} "
            "such rows). Keep one row for each image."
        )


def _products(table: "pd.DataFrame") -> list[str]:
    """Return names without colours, or the id where nothing else is left."""
    products = []
    for number, *texts in table[["id", "productDisplayName", "baseColour"]].to_numpy():
        words, colours = (re.findall(r"\w+", text.casefold()) for text in texts)
        name = " ".join(word for word in words if word not in colours)
        products.append(name or number)
    return products
