"""Anyone's own photos: a folder for each class, or a table of labels."""

import os
from pathlib import Path
from typing import Any

from clothing_lightning.data.table import Annotations
from clothing_lightning.datamodules.base import PhotoDataModule
from clothing_lightning.datamodules.image_folder_table import read_table
from clothing_lightning.datamodules.image_folder_tree import read_tree
from clothing_lightning.errors import ConfigError, DataError, DatasetNotFoundError


class ImageFolder(PhotoDataModule):
    """Photos in folders that are named by their classes, or listed in a CSV.

    Folders: ``root/<class>/...``, or ``root/{train,validation,test}/<class>/...``,
    where ``validation`` may also be called ``val`` or ``valid`` and may be missing, as
    may ``test``: a missing part is taken from train. Images in folders inside a class
    folder belong to the class. An image is told by its suffix: jpg, jpeg, png, webp,
    bmp, gif, tif or tiff. Hidden files and links to folders are left out.

    Table: a CSV in UTF-8 with a path and a label in each row. A group, where there is
    one, is kept on one side of a split; an image without is a group of its own. A split
    is one of train, validation (or val or valid) and test. Further columns are kept in
    the manifest.

    Nothing outside of the root is read.
    """

    def __init__(
        self,
        root: str | None = None,
        table: str | None = None,
        path_column: str = "path",
        label_column: str = "label",
        group_column: str | None = "group",
        split_column: str | None = "split",
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Describe the data; nothing is read yet.

        Args:
            root: The folder of the photos; by default the folder of the table.
            table: A CSV that names the photos, instead of folders named by classes.
            path_column: The table's column of paths, relative to the root.
            label_column: The table's column of labels.
            group_column: The table's column of groups: who or what must not straddle a
                split. ``null`` if there is none, even where a column is called so.
            split_column: The table's column of splits; ``null`` if there is none, even
                where a column is called so.
            name: The name of the data set, and of experiments in MLflow; by default
                the name of the root.
            **kwargs: The options of `PhotoDataModule`.

        Raises:
            ConfigError: If neither root nor table is given.
        """
        super().__init__(**kwargs)
        if not (root or table):
            raise ConfigError(f"data.init_args.root is not given. {LAYOUTS}")
        self.file = Path(table).expanduser() if table else None
        self.folder = Path(root or Path(table or "").parent).expanduser()
        # What Path makes absolute may still end in "..".
        self.name = name or Path(os.path.abspath(self.folder)).name or "image-folder"  # noqa: PTH100
        self.columns = {
            "path": path_column,
            "label": label_column,
            "group": group_column,
            "split": split_column,
        }

    def annotations(self) -> Annotations:
        """List the folders, or read the table.

        Raises:
            DatasetNotFoundError: If folder or table is not there.
            DataError: If the folders are laid out in another way, the table is
                malformed, or an image lies outside of the root.
        """
        if self.file is not None:
            self._require(self.file.is_file(), self.file)
        self._require(self.folder.is_dir(), self.folder)
        if self.file is None:
            return read_tree(self.folder)
        annotations = read_table(self.file, self.folder, self.columns)
        # An instance's own: splits ask for it once the table is read.
        self.groups_bind = "group" in annotations.table
        return annotations

    def _require(self, there: bool, path: Path) -> None:
        if there:
            return
        if path.suffix.lower() == ".csv" and path.is_file():
            raise DataError(
                f"data.init_args.root: '{path}' is a file. Pass "
                f"--data.init_args.table={path} to train by its labels."
            )
        fact = "is not what was expected" if path.exists() else "is not there"
        raise DatasetNotFoundError(f"ImageFolder: '{path}' {fact}. {LAYOUTS}")


LAYOUTS = """Name your photos by one of
    --data.init_args.root=FOLDER        with FOLDER/<class>/..., or with
                                        FOLDER/{train,validation,test}/<class>/...
    --data.init_args.table=FILE.csv     with a path and a label in each row"""
