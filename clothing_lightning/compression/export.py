"""Exporting a trained network: written, read back, checked, and described."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from clothing_lightning import datamodules
from clothing_lightning.compression.checking import Check, check
from clothing_lightning.compression.formats import (
    FORMATS,
    Format,
    licence_of_weights,
    onnx_format,
)
from clothing_lightning.compression.onnx_export import exporting
from clothing_lightning.compression.usage import usage
from clothing_lightning.compression.winner import find_winner
from clothing_lightning.data.table import SPLITS, read_cells
from clothing_lightning.errors import ConfigError, RunError, StorageError
from clothing_lightning.inference.evaluation import ImageSet, images_of_run
from clothing_lightning.inference.trained_network import TrainedNetwork
from clothing_lightning.reports.console import say, warn
from clothing_lightning.reports.model_card import CardFacts, model_card
from clothing_lightning.tracking.read import StoredRun
from clothing_lightning.wording import listed

CARD = "README.md"
FINDINGS = "data/findings.json"
_LEAK = "share of test images whose group is in train"


@dataclass(frozen=True)
class ExportRequest:
    """What is to be exported, and how.

    Attributes:
        run: Id, start of the id, or name of the run; or the path of a checkpoint.
        target: Name of the format, one of `FORMATS`.
        folder: Folder that is written; files of an earlier export are replaced.
        with_preprocessing: Whether the graph resizes, crops and normalises photos.
        root: Folder that the run's own images are in now; None: where they were.
    """

    run: str
    target: str
    folder: Path
    with_preprocessing: bool = False
    root: str | None = None


def export(request: ExportRequest) -> Path:
    """Export the network of a run.

    The files appear once the export has been checked on the run's test images: before
    that they lie in a hidden folder beside, which goes when something fails.

    Args:
        request: What is to be exported, and how.

    Returns:
        The path of the file with the weights.

    Raises:
        ConfigError: If the format cannot do what is asked, or a library is missing.
        ExportError: If the network cannot be exported, or is not the same afterwards.
        RunError: If there is no such run or checkpoint, or its run is not in the store.
        StorageError: If the folder cannot be written.
    """
    if request.with_preprocessing and request.target != "onnx":
        raise ConfigError(
            f"--with-preprocessing: stands in the graph of an ONNX file, and "
            f"--to {request.target} writes none. Leave it out, or use --to onnx."
        )
    model, run = find_winner(request.run)
    images = images_of_run(
        run,
        "test",
        root=request.root,
        crops_to_boxes=model.description.crops_to_boxes,
    )
    if images.unreadable_images:
        names = listed(list(images.unreadable_images.values()))
        warn(f"the export is checked without images that cannot be read: {names}.")
    target = FORMATS[request.target]
    if request.with_preprocessing:
        target = onnx_format(with_preprocessing=True)
    try:
        request.folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=request.folder.parent, prefix=".export-") as name:
            folder = Path(name)
            target.write(model, folder)
            with exporting(model.description.backbone, request.target):
                network = target.read(folder)
            checked = check(
                model, network, images, takes_photos=request.with_preprocessing
            )
            card = model_card(_facts(request, target, run, model, checked, images))
            (folder / CARD).write_text(card, encoding="utf-8")
            request.folder.mkdir(exist_ok=True)
            for file in folder.iterdir():
                # A copy has the permissions that new files have here.
                part = request.folder / f"{file.name}.part"
                shutil.copyfile(file, part)
                part.replace(request.folder / file.name)
    except OSError as err:
        if isinstance(err, StorageError):
            raise
        raise StorageError(
            f"'{request.folder}': cannot be written ({err}). Free space, or name "
            "another folder with --out."
        ) from err
    say(f"checked   {checked}")
    file = request.folder / target.file
    megabytes = file.stat().st_size / 1e6
    say(f"file      {file}  {megabytes:.1f} MB")
    say(f"card      {request.folder / CARD}")
    return file


def _facts(
    request: ExportRequest,
    target: Format,
    run: StoredRun,
    model: TrainedNetwork,
    checked: Check,
    images: ImageSet,
) -> CardFacts:
    """Gather what the card tells."""
    predictions = pd.read_parquet(run.artifact("predictions/test.parquet"))
    manifest = read_cells(run.artifact("data/manifest.csv"))
    counts = pd.crosstab(manifest["label"], manifest["split"])
    description = model.description
    return CardFacts(
        description=description,
        predictions=predictions,
        counts=counts.reindex(columns=list(SPLITS), fill_value=0),
        data=images.name,
        split_digest=run.split_digest or "",
        test_digest=run.tags.get("test_digest", ""),
        shared_groups=_shared_groups(run),
        library=target.library,
        check=str(checked),
        stored_check=_against_stored(checked, predictions, images),
        weights_licence=licence_of_weights(description.backbone),
        data_licence=_licence_of_data(run),
        usage=usage(
            request.target,
            description.backbone,
            description.preprocessing,
            with_preprocessing=request.with_preprocessing,
        ),
    )


def _shared_groups(run: StoredRun) -> float | None:
    try:
        findings = json.loads(run.artifact(FINDINGS).read_text(encoding="utf-8"))
        return float(findings[_LEAK])
    except (RunError, ValueError, KeyError, TypeError):
        return None


def _licence_of_data(run: StoredRun) -> str | None:
    name = run.hyperparameters.get("data", "").rpartition(".")[2]
    licence: str | None = getattr(getattr(datamodules, name, None), "licence", None)
    return licence


def _against_stored(checked: Check, predictions: pd.DataFrame, images: ImageSet) -> str:
    """Compare the export's answers with the test that the run has stored."""
    names = list(predictions.columns[2:])
    rows = predictions.set_index("path")[names].reindex(images.table["path"])
    stored = rows.to_numpy()
    same = int((stored.argmax(axis=1) == checked.probabilities.argmax(axis=1)).sum())
    return (
        f"In the test that the run has stored, {same:,} of these {len(stored):,} "
        "images have the same class."
    )
