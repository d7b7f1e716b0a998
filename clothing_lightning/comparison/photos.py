"""Photos of a comparison."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from clothing_lightning.comparison.predictions import RunPredictions
from clothing_lightning.data.locations import data_folder


def read_photo(runs: Sequence[RunPredictions], path: str, content: str) -> bytes | None:
    """Read the file of a photo, if it lies where it did, or below the data's folder.

    Links are followed, since only the file with this content is taken.

    Args:
        runs: The runs that tested the photo.
        path: The path of the photo in their predictions.
        content: SHA-256 of the file; another file is not returned.
    """
    if Path(path).is_absolute() or ".." in Path(path).parts:
        return None
    for root in dict.fromkeys(run.root for run in runs if run.root):
        for folder in (Path(root), data_folder() / Path(root).name):
            with suppress(OSError, ValueError):  # not there, or no name of a file
                file = folder / path
                photo = file.read_bytes() if file.is_file() else b""
                if hashlib.sha256(photo).hexdigest() == content:
                    return photo
    return None
