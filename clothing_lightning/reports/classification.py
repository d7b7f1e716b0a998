"""All classification reports of one evaluation, from its stored predictions."""

import math
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from clothing_lightning.errors import StorageError
from clothing_lightning.metrics import classification_report as numbers
from clothing_lightning.metrics.intervals import wilson_interval
from clothing_lightning.metrics.registry import METRICS
from clothing_lightning.reports import style
from clothing_lightning.reports.confusion import confusion_figure
from clothing_lightning.reports.thumbnails import confused_pairs_figure, mistakes_figure
from clothing_lightning.wording import counted, markdown_cell

_MISTAKES = 24


def write_classification_report(
    predictions: pd.DataFrame, folder: Path, *, stage: str, image_root: Path | None
) -> None:
    """Write the tables and figures of one evaluation; earlier ones are replaced.

    The files are ``<stage>_per_class.csv`` and ``.md``,
    ``<stage>_confusion_matrix.csv`` and ``.png`` (counts),
    ``<stage>_confusion_matrix_normalised.png``, ``<stage>_confused_pairs.csv`` and,
    where there is an ``image_root``, ``<stage>_confused_pairs.jpg`` and
    ``<stage>_confident_mistakes.jpg``.

    Args:
        predictions: The table, as `classification_report` describes it.
        folder: Where the files go; made if it is missing.
        stage: ``val`` or ``test``, the beginning of every file name.
        image_root: Folder that ``path`` is relative to; None leaves the photos out.

    Raises:
        DataError: If the table breaks its contract.
        StorageError: If a file cannot be written.
    """
    scores = numbers.per_class(predictions)
    matrix = numbers.confusion_matrix(predictions)
    pairs = numbers.confused_pairs(predictions)
    page = _per_class_page(predictions, scores, matrix, stage)
    start = folder / stage
    try:
        folder.mkdir(parents=True, exist_ok=True)
        scores.to_csv(f"{start}_per_class.csv")
        Path(f"{start}_per_class.md").write_text(page, encoding="utf-8")
        matrix.to_csv(f"{start}_confusion_matrix.csv")
        pairs.to_csv(f"{start}_confused_pairs.csv", index=False)
        for ending, figure in _figures(predictions, matrix, pairs, stage, image_root):
            style.save(figure, Path(f"{start}_{ending}"))
    except OSError as err:
        raise StorageError(
            f"{folder}: the reports of stage '{stage}' cannot be written ({err}). "
            "Free space or choose a folder that you may write to."
        ) from err


def _figures(
    predictions: pd.DataFrame,
    matrix: pd.DataFrame,
    pairs: pd.DataFrame,
    stage: str,
    image_root: Path | None,
) -> Iterator[tuple[str, Figure]]:
    """Draw each figure, with the end of its file's name."""
    title = f"Confusion matrix, {stage}: {counted(len(predictions), 'image')}"
    for normalise, ending in ((False, ""), (True, "_normalised")):
        figure = confusion_figure(matrix, normalise=normalise, title=title)
        yield f"confusion_matrix{ending}.png", figure
    if image_root is not None:
        figure = confused_pairs_figure(pairs, predictions, image_root)
        yield "confused_pairs.jpg", figure
        mistakes = numbers.confident_mistakes(predictions, _MISTAKES)
        yield "confident_mistakes.jpg", mistakes_figure(mistakes, image_root)


def _per_class_page(
    predictions: pd.DataFrame, scores: pd.DataFrame, matrix: pd.DataFrame, stage: str
) -> str:
    """Markdown page: one row per class, the averages below."""
    lines = [
        f"# Classification report: {stage}",
        "",
        "| class | precision | recall | F1 | images |",
        "|:---|---:|---:|---:|---:|",
    ]
    for row in scores.itertuples():
        cells = [_number(value) for value in (row.precision, row.recall, row.f1)]
        lines.append(
            f"| {markdown_cell(str(row.Index))} | {' | '.join(cells)} | {row.support} |"
        )
    if scores.isna().to_numpy().any():
        lines += [
            "",
            "A dash stands for what is undefined: the precision of a class that was "
            "never predicted, the recall of a class without images, the F1 of a class "
            "that is both.",
        ]
    lines += ["", "| over all classes | value |", "|:---|---:|"]
    lines += [
        f"| {METRICS[name].definition} | {_number(value)} |"
        for name, value in numbers.summary(predictions).items()
    ]
    lines += ["", _accuracy_sentence(matrix)]
    return "\n".join(lines) + "\n"


def _accuracy_sentence(matrix: pd.DataFrame) -> str:
    """Accuracy with the number of images and its uncertainty."""
    counts = matrix.to_numpy()
    hits, n = int(counts.trace()), int(counts.sum())
    if n == 0:
        return "Accuracy: n = 0, no images."
    lower, upper = wilson_interval(hits, n)
    return (
        f"Accuracy: {hits} of {counted(n, 'image')} are right, {100 * hits / n:.1f} % "
        f"(95 % Wilson interval {100 * lower:.1f} % to {100 * upper:.1f} %, "
        f"n = {n:,}). The interval takes the images as independent of each other."
    )


def _number(value: object) -> str:
    number = float(str(value))
    return "-" if math.isnan(number) else f"{number:.3f}"
