"""Where data sets are looked for, and results kept that can be made again."""

import os
from pathlib import Path

from clothing_lightning.errors import StorageError


def data_folder() -> Path:
    """Return the folder that data sets lie in: ``$CLOTHING_DATA``, else ``data``.

    An empty variable counts as unset.
    """
    return Path(os.environ.get("CLOTHING_DATA") or "data")


def root_folder(given: str | None, name: str) -> Path:
    """Return the folder of one data set; it need not exist.

    Args:
        given: The folder that the user named, or None.
        name: The data set, whose folder of this name in `data_folder` is the default.
    """
    return Path(given).expanduser() if given else data_folder() / name


def cache_folder() -> Path:
    """Return the folder of all caches; it need not exist.

    ``$CLOTHING_CACHE``, else ``$XDG_CACHE_HOME/clothing_lightning``, else
    ``~/.cache/clothing_lightning``. An empty variable counts as unset.

    Raises:
        StorageError: If neither variable is set and there is no home folder.
    """
    try:
        if own := os.environ.get("CLOTHING_CACHE"):
            return Path(own).expanduser()
        caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        return Path(caches).expanduser() / "clothing_lightning"
    except RuntimeError as err:
        raise StorageError(
            "The home folder of this user is not known. Set CLOTHING_CACHE to a "
            "folder that can be written."
        ) from err
