"""The files of a comparison: its page, its text and its tables."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from clothing_lightning.comparison import text
from clothing_lightning.comparison.page import comparison_page
from clothing_lightning.comparison.photos import read_photo
from clothing_lightning.comparison.predictions import Comparison
from clothing_lightning.comparison.ranking import Ranking
from clothing_lightning.errors import StorageError

PAGE, TEXT = "index.html", "comparison.md"
RANKING, PAIRS = "comparison.csv", "pairs.csv"


def in_folder(folder: Path) -> list[Path]:
    """The files of a comparison that was written to a folder."""
    return [folder / name for name in (PAGE, TEXT, RANKING, PAIRS)]


def write_files(
    compared: Comparison,
    ranking: Ranking,
    folder: Path,
    *,
    title: str,
    command: str,
    links: Mapping[str, str],
    timed_on: str,
) -> Counter[bool]:
    """Write the page, the text and the tables of a comparison.

    Args:
        compared: The models, on the images that all of them were tested on.
        ranking: The models from the best to the worst.
        folder: Where the files are written; made if it is not there.
        title: The title of the page.
        command: The command that made the comparison.
        links: Where a browser finds runs, by their ids.
        timed_on: What latencies were measured on; empty if they were not.

    Returns:
        How many of the photos of the page were found, and how many were not.

    Raises:
        StorageError: If a file cannot be written.
    """
    runs = [run for model in compared.models for run in model.runs]
    paths = compared.images.set_index("sha256")["path"]
    photos: Counter[bool] = Counter()

    def photo(content: str) -> bytes | None:
        file = read_photo(runs, str(paths[content]), content)
        photos[file is not None] += 1
        return file

    page = comparison_page(
        compared,
        ranking,
        title=title,
        command=command,
        photo=photo,
        links=links,
        timed_on=timed_on,
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text.ranking_table(ranking).to_csv(folder / RANKING, index=False)
        text.pairs_table(ranking).to_csv(folder / PAIRS, index=False)
        written = text.markdown(compared, ranking, title=title)
        (folder / TEXT).write_text(written, encoding="utf-8")
        (folder / PAGE).write_text(page, encoding="utf-8")
    except OSError as err:
        raise StorageError(
            f"{err.filename or folder}: cannot be written ({err.strerror}). Make room, "
            "or name another folder with --out."
        ) from err
    return photos
