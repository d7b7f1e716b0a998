"""Folders of images that are named by their classes; never beyond the root."""

import os
import unicodedata
from collections import Counter
from pathlib import Path
from typing import NamedTuple, TypeAlias

from clothing_lightning.data.table import Annotations
from clothing_lightning.errors import DataError

SUFFIXES = frozenset({"jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff"})
_OTHER_SUFFIXES = frozenset(
    {"heic", "heif", "avif", "jxl", "jp2", "psd", "dng", "cr2", "cr3", "nef", "arw"}
)
# What systems leave behind, in lower case; and hidden files.
IGNORED = frozenset({"thumbs.db", "desktop.ini", "__macosx", "@eadir"})
SPLIT_NAMES = {
    "train": "train",
    "validation": "val",
    "valid": "val",
    "val": "val",
    "test": "test",
}
IN_FOLDERS = (
    "Put each image into a folder named by its class, or give a table of labels "
    "(--data.init_args.table=FILE.csv)."
)
# Paths of the images of each class, by split; the split is empty where there is none.
Classes: TypeAlias = dict[tuple[str, str], list[str]]


class Listing(NamedTuple):
    """The content of a folder.

    Attributes:
        images: Paths of images, relative to the root.
        folders: Paths of folders, relative to the root, in order.
    """

    images: list[str]
    folders: list[str]


class Tree:
    """Lists folders below a root, and counts what it leaves out.

    Attributes:
        findings: How many files and links were left out, by the reason.
    """

    def __init__(self, root: Path) -> None:
        """Refer to a folder; nothing is read yet."""
        self.root = root
        self.findings: Counter[str] = Counter({"files that are no images": 0})
        self._listed: dict[str, Listing] = {}

    def entries(self, folder: str) -> Listing:
        """List the images and the folders directly in a folder.

        Args:
            folder: Path relative to the root; empty for the root itself.

        Raises:
            DataError: If the folder cannot be listed, a name is not UTF-8, or an image
                is a link that leads out of the root.
        """
        if folder not in self._listed:
            self._listed[folder] = self._list(folder)
        return self._listed[folder]

    def _list(self, folder: str) -> Listing:
        images, folders = [], []
        try:
            with os.scandir(self.root / folder) as entries:
                for entry in entries:
                    name = entry.name
                    if name[0] == "." or name.lower() in IGNORED:
                        continue
                    path = f"{folder}/{name}" if folder else name
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(path)
                    elif self._is_image(entry, path):
                        images.append(path)
        except OSError as err:
            raise DataError(
                f"'{self.root / folder}': cannot be listed ({err.strerror}). Change "
                "its permissions, or move it away."
            ) from err
        return Listing(images, sorted(folders))

    def images_below(self, folder: str) -> list[str]:
        """List the images in a folder and in all folders inside it."""
        direct, waiting = self.entries(folder)
        nested: list[str] = []
        while waiting:
            images, folders = self.entries(waiting[-1])
            nested += images
            waiting = waiting[:-1] + folders
        if nested:
            self.findings["images in folders inside a class folder"] += len(nested)
        return direct + nested

    def _is_image(self, entry: "os.DirEntry[str]", path: str) -> bool:
        """Tell whether an entry is an image to take, and count it if not."""
        link = entry.is_symlink()
        # Not the entry's own test, which fails on a link to itself.
        if link and os.path.isdir(entry.path):  # noqa: PTH112
            self.findings["links to folders, not followed"] += 1
            return False
        suffix = entry.name.rpartition(".")[2].lower()
        if suffix not in SUFFIXES:
            photo = suffix in _OTHER_SUFFIXES
            what = "photos in formats that are not read"
            self.findings[what if photo else "files that are no images"] += 1
            return False
        if not path.isascii():
            require_utf8(self.root, path)
        if link:
            require_inside(self.root, path)
        return True


def require_utf8(root: Path, path: str) -> None:
    """Refuse a name that no table could store.

    Raises:
        DataError: If the path is not UTF-8.
    """
    try:
        path.encode()
    except UnicodeEncodeError as err:
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise DataError(
            f"'{root}': the name '{shown}' is not UTF-8. Rename it (convmv does this "
            "for whole folders)."
        ) from err


def require_inside(root: Path, path: str) -> None:
    """Refuse a path, relative to a root, that leads out of it by links.

    Raises:
        DataError: If the path leads out.
    """
    real = os.path.realpath(root)
    target = os.path.realpath(os.path.join(real, path))  # noqa: PTH118  many
    if os.path.commonpath([real, target]) != real:
        raise DataError(
            f"'{path}': is a link that leads out of '{root}', to '{target}'. Copy the "
            "image into the folder."
        )


def read_tree(root: Path) -> Annotations:
    """List ``root/<class>/...`` or ``root/{train,validation,test}/<class>/...``.

    Class names are put into Unicode's composed form, so that what macOS wrote is the
    same class as what others wrote.

    Args:
        root: The folder that holds the folders of classes or of splits.

    Raises:
        DataError: If the folders are laid out in another way, one cannot be listed, a
            class has no image, a name is not UTF-8, or a link leads out.
    """
    import pandas as pd

    tree = Tree(root)
    parts = _parts(tree)
    classes: Classes = {}
    for split, folder in parts.items():
        for path in _class_folders(tree, folder):
            label = unicodedata.normalize("NFC", _name(path))
            classes.setdefault((split, label), []).extend(tree.images_below(path))
    _refuse_empty(root, classes)
    rows = [
        (path, label, split)
        for (split, label), paths in classes.items()
        for path in paths
    ]
    table = pd.DataFrame(rows, columns=["path", "label", "split"], dtype="str")
    if "" in parts:
        table = table.drop(columns="split")
    labels = {label for _, label in classes}
    for split in parts:
        if missing := sum(not classes.get((split, label)) for label in labels):
            tree.findings[f"classes without an image in {split}"] = missing
    return Annotations(root, table, dict(tree.findings))


def _parts(tree: Tree) -> dict[str, str]:
    """Return the folders of classes by split; the root alone without splits."""
    folders = tree.entries("").folders
    named = [name for name in folders if name.lower() in SPLIT_NAMES]
    others = [name for name in folders if name not in named]
    # A class may have such a name: in the folder of a split there are no images.
    if not named or (others and any(tree.entries(name).images for name in named)):
        return {"": ""}
    if others:
        raise DataError(
            f"'{tree.root}': has {others[0]!r} beside {named[0]!r}. Beside the folders "
            "of splits (train, validation, test) nothing else is expected: move it "
            "away, or all classes into one of them."
        )
    parts: dict[str, str] = {}
    for name in named:
        split = SPLIT_NAMES[name.lower()]
        if split in parts:
            raise DataError(
                f"'{tree.root}': has both {parts[split]!r} and {name!r}. Which are the "
                f"images of {split}? Keep one."
            )
        parts[split] = name
    if "train" not in parts:
        raise DataError(
            f"'{tree.root}': has {named[0]!r}, but no 'train'. Add it, or move the "
            "classes up to have splits made."
        )
    return parts


def _class_folders(tree: Tree, folder: str) -> list[str]:
    """Return the folders of classes in the folder of a split, or in the root."""
    images, folders = tree.entries(folder)
    where = tree.root / folder
    if not folders:
        held = "images, but" if images else "no image and"
        remedy = IN_FOLDERS
        if folder and folder.lower() != "train":
            remedy += f" Or move {folder!r} away: the split is then taken from train."
        raise DataError(f"'{where}': holds {held} no folder of a class. {remedy}")
    if images:
        tree.findings["images outside of a class folder"] += len(images)
    for path in folders:
        inner_images, inner = tree.entries(path)
        holds_only_folders = inner and not inner_images
        if holds_only_folders and folders == [path] and not images:
            raise DataError(
                f"'{where}': the only folder is {_name(path)!r}, which holds folders "
                f"itself. Did you mean --data.init_args.root={tree.root / path}?"
            )
        if holds_only_folders and "train" in {_name(each).lower() for each in inner}:
            raise DataError(
                f"'{tree.root / path}': holds 'train'. Splits come before classes: "
                "train/<class>, validation/<class>, test/<class>."
            )
        require_utf8(tree.root, path)
    return folders


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _refuse_empty(root: Path, classes: Classes) -> None:
    filled = {label for (_, label), paths in classes.items() if paths}
    if empty := sorted({label for _, label in classes} - filled):
        raise DataError(
            f"'{root}': the folder of class {empty[0]!r} holds no image ({len(empty)} "
            f"such classes). Add some ({', '.join(sorted(SUFFIXES))}), or remove it."
        )
    for split in {split for split, _ in classes}:
        if not any(classes[key] for key in classes if key[0] == split):
            raise DataError(
                f"'{root}': no folder of {split} holds an image. Add some, or remove "
                "the folders to have them taken from train."
            )
