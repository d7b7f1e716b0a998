"""Listing folders of images, fast where there are many, and never beyond the root."""

import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from clothing_lightning.errors import DataError

SUFFIXES = frozenset({"jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff"})
_OTHER_SUFFIXES = frozenset(
    {"heic", "heif", "avif", "jxl", "jp2", "psd", "dng", "cr2", "cr3", "nef", "arw"}
)
# What systems leave behind, in lower case; and hidden files.
IGNORED = frozenset({"thumbs.db", "desktop.ini", "__macosx", "@eadir"})


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
    """Refuse a path that leads out of a folder.

    Args:
        root: The folder that must hold the path.
        path: The path, relative to the folder.

    Raises:
        DataError: If the path leads out of the folder by links.
    """
    real = os.path.realpath(root)
    target = os.path.realpath(os.path.join(real, path))  # noqa: PTH118  many
    if os.path.commonpath([real, target]) != real:
        raise DataError(
            f"'{path}': is a link that leads out of '{root}', to '{target}'. Copy the "
            "image into the folder."
        )
