"""Fetching the clothing dataset: its public archive, or Kaggle's copy."""

import csv
import shutil
from pathlib import Path

from clothing_lightning.data.download import Archive
from clothing_lightning.data.unpacking import extract
from clothing_lightning.errors import DownloadError

MAX_BYTES = 8 << 30  # Kaggle's originals take about 6 GB
MAX_FILES = 20_000
# Its publisher's repository as an archive, which is packed anew now and then: so no
# checksum, and what is in it is counted instead.
PUBLIC_ARCHIVE = Archive(
    url="https://github.com/alexeygrigorev/clothing-dataset/archive/refs/heads/master.zip",
    sha256=None,
    filename="clothing-dataset-master.zip",
    max_bytes=MAX_BYTES,
)
KAGGLE_NAME = "agrigorev/clothing-dataset-full"
ROWS = 5403
IMAGES = 5398  # named in the rows; others lie beside them


def download_archive(root: Path) -> None:
    """Fetch, unpack and count the public archive.

    Args:
        root: The folder to make; nothing is there yet, or an empty folder.

    Raises:
        DownloadError: If it cannot be fetched, is not safe to unpack, or is not whole.
    """
    archive = PUBLIC_ARCHIVE
    had_it = (root.parent / archive.filename).exists()
    packed = archive.fetch(root.parent)
    unpacked = root.with_name(root.name + ".unpacked")
    shutil.rmtree(unpacked, ignore_errors=True)
    try:
        extract(packed, unpacked, max_bytes=MAX_BYTES, max_files=MAX_FILES)
        tables = [*unpacked.glob("images.csv"), *unpacked.glob("*/images.csv")]
        if not tables:
            raise DownloadError(
                f"{archive.url}: has no images.csv. The archive is not the clothing "
                "dataset, or its layout has changed; get it from Kaggle instead "
                "(--data.init_args.download=kaggle)."
            )
        _count_images(tables[0].parent, "It was removed; run again to download it.")
        if root.exists():
            root.rmdir()
        tables[0].parent.rename(root)
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
        if not had_it:
            packed.unlink()


def download_from_kaggle() -> Path:
    """Fetch Kaggle's copy into its own cache, and return its folder.

    Raises:
        DownloadError: If ``kagglehub`` is not installed, or the data set cannot be
            fetched or is not whole.
    """
    folder = fetch_from_kaggle(
        KAGGLE_NAME,
        "ClothingDataset",
        "use the public archive (--data.init_args.download=archive)",
    )
    if not (folder / "images.csv").is_file():
        raise DownloadError(
            f"Kaggle: {KAGGLE_NAME} has no images.csv in '{folder}'. Use the public "
            "archive instead (--data.init_args.download=archive)."
        )
    _count_images(folder, f"Remove '{folder}' and run again to download it.")
    return folder


def fetch_from_kaggle(dataset: str, who: str, otherwise: str) -> Path:
    """Fetch a data set into kagglehub's own cache, and return its folder.

    Args:
        dataset: The data set as Kaggle names it, ``owner/name``.
        who: The name of the data module in messages.
        otherwise: What else the user can do if the download fails.

    Raises:
        DownloadError: If ``kagglehub`` is not installed, or the data set cannot be
            fetched.
    """
    try:
        import kagglehub
    except ImportError as err:
        raise DownloadError(
            f"{who}: download=kaggle needs kagglehub, which is not installed. "
            "Run: pip install 'clothing-lightning[kaggle]'"
        ) from err
    try:
        return Path(kagglehub.dataset_download(dataset))
    except Exception as err:  # kagglehub's, requests' and the operating system's
        reason = (str(err).strip() or type(err).__name__).splitlines()[0]
        raise DownloadError(
            f"Kaggle: {dataset} could not be fetched ({reason[:200]}). Try again, "
            f"or {otherwise}."
        ) from err


def _count_images(root: Path, remedy: str) -> None:
    """Refuse a data set of which rows or images are missing."""
    with (root / "images.csv").open(encoding="utf-8-sig", newline="") as file:
        names = {row.get("image") for row in csv.DictReader(file)}
    there = {path.stem for path in root.glob("images*/*.jpg")}
    images = len(names & there)
    if len(names) != ROWS or images != IMAGES:
        raise DownloadError(
            f"ClothingDataset: what was downloaded has {len(names):,} rows and "
            f"{images:,} images of them, expected {ROWS:,} and {IMAGES:,}. "
            f"{remedy}"
        )
