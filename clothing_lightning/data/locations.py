"""Where data sets are looked for."""

import os
from pathlib import Path


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
