"""The clothing dataset: photos of garments sent in by volunteers."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from clothing_lightning.data.locations import root_folder
from clothing_lightning.data.table import Annotations, read_columns
from clothing_lightning.datamodules import clothing_download
from clothing_lightning.datamodules.base import PhotoDataModule
from clothing_lightning.errors import DataError, DatasetNotFoundError

if TYPE_CHECKING:
    import pandas as pd

IMAGE_FOLDERS = ("images", "images_original", "images_compressed")


class ClothingDataset(PhotoDataModule):
    """The clothing dataset, full version.

    5,403 rows in ``images.csv`` (``image``, ``sender_id``, ``label``, ``kids``) and
    5,756 RGB JPEGs with a short side of 400 px in ``images/``. 20 labels, of which
    ``Skip`` (faulty images) and ``Not sure`` (undefined ones) are left out unless
    told otherwise; that leaves 5,163 images in 18 classes. No official split.
    Licence CC0. Source: A. Grigorev, "Clothing dataset (full, high resolution)", 2020,
    github.com/alexeygrigorev/clothing-dataset; the same data as Kaggle's
    ``agrigorev/clothing-dataset-full`` with ``images_original/`` and
    ``images_compressed/``.
    """

    name = "clothing-dataset"
    licence = "CC0 1.0"
    group_noun = "sender"

    def __init__(
        self,
        root: str | None = None,
        exclude_labels: tuple[str, ...] = ("Not sure", "Skip"),
        download: Literal["no", "archive", "kaggle"] = "no",
        **kwargs: Any,
    ) -> None:
        """Describe the data; nothing is read yet.

        Args:
            root: Folder with ``images.csv`` and the images; by default
                ``$CLOTHING_DATA/clothing-dataset``, else ``data/clothing-dataset``.
            exclude_labels: Labels to leave out.
            download: What to do if there is nothing at the root: fetch the public
                ``archive`` into it, or use ``kaggle``'s copy (which needs the extra
                ``kaggle``).
            **kwargs: The options of `PhotoDataModule`.
        """
        super().__init__(exclude_labels=exclude_labels, **kwargs)
        self.given_root = root
        self.download = download

    def annotations(self) -> Annotations:
        """Read ``images.csv``.

        Raises:
            DatasetNotFoundError: If there is no such file, or no folder of images.
            DataError: If a column is missing, or no row has an image.
        """
        root = self._find_root()
        folder = next(name for name in IMAGE_FOLDERS if (root / name).is_dir())
        table = read_images_csv(root / "images.csv", folder)
        photos = {f"{folder}/{path.name}" for path in (root / folder).glob("*.jpg")}
        return self.annotations_of_rows(root, table, photos, "images.csv")

    def _find_root(self) -> Path:
        root = root_folder(self.given_root, self.name)
        empty = root.is_dir() and not any(root.iterdir())
        if self.download != "no" and (empty or not root.exists()):
            if self.download == "kaggle":
                root = clothing_download.download_from_kaggle()
            else:
                clothing_download.download_archive(root)
        if not (root / "images.csv").is_file():
            raise DatasetNotFoundError(
                f"ClothingDataset: '{root / 'images.csv'}' is not there. {GET_IT}"
            )
        if not any((root / folder).is_dir() for folder in IMAGE_FOLDERS):
            raise DatasetNotFoundError(
                f"ClothingDataset: '{root}' has images.csv, but no folder "
                f"{', '.join(IMAGE_FOLDERS)}. {GET_IT}"
            )
        return root


GET_IT = """Get the data by one of
    --data.init_args.download=archive   fetches the public archive
    --data.init_args.download=kaggle    fetches Kaggle's copy
    kaggle datasets download agrigorev/clothing-dataset-full --unzip -p FOLDER
and name its folder: --data.init_args.root=FOLDER, or CLOTHING_DATA for the folder
above one called clothing-dataset. Or try it on 480 packaged photos: append
experiments/overlays/sample.yaml to the command."""


def read_images_csv(file: Path, folder: str = "images") -> "pd.DataFrame":
    """Read ``images.csv`` in the layout of the clothing dataset.

    Args:
        file: The path of ``images.csv``.
        folder: The folder of the images, beside the file.

    Returns:
        The columns ``path``, ``label``, ``group`` and ``kids`` (bool).

    Raises:
        DataError: If the file is no CSV, lacks a column, or names an image by more
            than letters, digits, ``.``, ``_`` and ``-``.
    """
    import pandas as pd

    table = read_columns(file, ["image", "sender_id", "label", "kids"])
    odd = table["image"][~table["image"].fillna("").str.fullmatch(r"[\w.-]*\w")]
    if not odd.empty:
        raise DataError(
            f"{file}: row {odd.index[0] + 2} names the image {odd.iloc[0]!r}. Names "
            "are those of files in the folder of images, without '.jpg'."
        )
    return pd.DataFrame(
        {
            "path": f"{folder}/" + table["image"] + ".jpg",
            "label": table["label"],
            "group": table["sender_id"],
            "kids": table["kids"].str.lower() == "true",
        }
    )
