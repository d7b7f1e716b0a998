"""The files of a comparison, in a folder and as a run of MLflow's."""

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from clothing_lightning.comparison import text
from clothing_lightning.comparison.page import comparison_page
from clothing_lightning.comparison.photos import read_photo
from clothing_lightning.comparison.predictions import Comparison
from clothing_lightning.comparison.ranking import Ranking
from clothing_lightning.errors import StorageError
from clothing_lightning.tracking.read import COMPARES_TAG, StoredRun
from clothing_lightning.tracking.run import RunWriter

PAGE, TEXT = "index.html", "comparison.md"
RANKING, PAIRS = "comparison.csv", "pairs.csv"


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
        compared: The models; all but the folder is what `comparison_page` takes.
        ranking: The models from the best to the worst.
        folder: Where the files are written; made if it is not there.
        title: The title of the page.
        command: The command that made the comparison.
        links: The address of each run that has one, by the run's id.
        timed_on: The machine of the latencies; empty if they were not measured.

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


def log_comparison(
    compared: Comparison,
    stored: Sequence[StoredRun],
    folder: Path,
    name: str,
    command: str,
) -> None:
    """Keep a comparison as a run of the experiment that its newest run belongs to.

    Args:
        compared: The comparison.
        stored: The runs that were compared, and maybe others, the newest first.
        folder: Where `write_files` has written it.
        name: What the comparison is called.
        command: The command that made it.

    Raises:
        StorageError: If it cannot be written.
    """
    ids = {run.run_id for model in compared.models for run in model.runs}
    runs = [run for run in stored if run.run_id in ids]
    # A tag holds 8,000 characters: 240 ids.
    tags = {
        COMPARES_TAG: " ".join(run.run_id for run in runs)[:7900],
        "command": command[:7900],
    }
    with RunWriter(runs[0].experiment, f"comparison of {name}", tags=tags) as writer:
        kept = writer.folder / "comparison"
        kept.mkdir(parents=True, exist_ok=True)
        for file in (PAGE, TEXT, RANKING, PAIRS):
            shutil.copy(folder / file, kept)
        writer.publish(kept)
