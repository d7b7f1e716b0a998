"""Where the files of DeepFashion lie, in any spelling of its folders."""

import os
from pathlib import Path

from clothing_lightning.errors import DataError, DatasetNotFoundError

# In lower case. The fine annotations are of a part of the images, and come last.
LIST_FOLDERS = ("anno_coarse", "anno", "anno_fine", "eval")
IMAGE_FOLDERS = {"low": "img", "high": "img_highres"}
GET_IT = """The images are given to those who sign an agreement; ask at
    https://mmlab.ie.cuhk.edu.hk/projects/DeepFashion/AttributePrediction.html
for the Category and Attribute Prediction benchmark, and put into one folder
    Anno/   (or Anno_coarse/) with list_category_cloth.txt, list_category_img.txt and
            list_bbox.txt
    Eval/   with list_eval_partition.txt
    img/    (or img_highres/) with the unpacked images, one folder for each garment
Name that folder: --data.init_args.root=FOLDER, or CLOTHING_DATA for the folder above
one called deepfashion."""


def find_list(root: Path, name: str, *, first: Path | None = None) -> Path:
    """Find a list file: in ``first``, else in any spelling of the folders of lists.

    Raises:
        DatasetNotFoundError: If there is no such file in any of the folders.
    """
    named = [folder for spelling in LIST_FOLDERS for folder in _inside(root, spelling)]
    for folder in (*([first] if first else []), *named, root):
        if (folder / name).is_file():
            return folder / name
    usual = "Eval" if "eval" in name else "Anno"
    raise DatasetNotFoundError(
        f"DeepFashion: '{root / usual / name}' is not there. {GET_IT}"
    )


def image_folders(root: Path) -> dict[str, Path]:
    """Find ``img`` and ``img_highres``, in any case, at the root or in ``Img``.

    Returns:
        The folders of garments by resolution, ``low`` or ``high``.
    """
    folders: dict[str, Path] = {}
    for top in (root, *_inside(root, "img")):
        for resolution, name in IMAGE_FOLDERS.items():
            for folder in _inside(top, name):
                if _has_garments(folder):
                    folders.setdefault(resolution, folder)
    return folders


def _inside(folder: Path, name: str) -> list[Path]:
    """List the folders of this name in lower or upper case."""
    named = (path for path in folder.glob("*") if path.name.lower() == name)
    return sorted(path for path in named if path.is_dir())


def _has_garments(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(
            entry.is_dir() and entry.name.lower() not in IMAGE_FOLDERS.values()
            for entry in entries
        )


def photos_below(folder: Path, prefix: str) -> set[str]:
    """List photos as ``<prefix>/<garment>/<photo>``, quickly where there are many.

    Raises:
        DataError: If a folder cannot be listed.
    """
    listed: set[str] = set()
    try:
        with os.scandir(folder) as garments:
            for garment in garments:
                if garment.is_dir():
                    with os.scandir(garment.path) as photos:
                        names = [photo.name for photo in photos]
                    jpegs = (name for name in names if name.endswith(".jpg"))
                    listed.update(f"{prefix}/{garment.name}/{name}" for name in jpegs)
    except OSError as err:
        raise DataError(f"{err.filename}: cannot be listed ({err.strerror}).") from err
    return listed
