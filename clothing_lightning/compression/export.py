"""Exporting a trained network: written, read back, checked, and described."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import pandas as pd

from clothing_lightning import datamodules
from clothing_lightning.compression.checking import Check, check
from clothing_lightning.compression.formats import (
    FORMATS,
    Format,
    licence_of_weights,
    onnx_format,
)
from clothing_lightning.compression.hub import CARD, HubRepository
from clothing_lightning.compression.onnx_export import exporting
from clothing_lightning.compression.usage import usage
from clothing_lightning.compression.winner import find_winner
from clothing_lightning.data.table import SPLITS, read_cells
from clothing_lightning.errors import ConfigError, RunError, StorageError, UserError
from clothing_lightning.inference.evaluation import ImageSet, images_of_run
from clothing_lightning.inference.trained_network import TrainedNetwork
from clothing_lightning.reports.console import say, warn
from clothing_lightning.reports.model_card import CardFacts, model_card
from clothing_lightning.tracking.read import StoredRun
from clothing_lightning.tracking.registry import MODEL, log_model
from clothing_lightning.tracking.store import how_to_serve
from clothing_lightning.wording import listed

FINDINGS = "data/findings.json"
_LEAK = "share of test images whose group is in train"


@dataclass(frozen=True)
class ExportRequest:
    """What is to be exported, and how.

    Attributes:
        run: Id, start of the id, or name of the run; or the path of a checkpoint.
        target: Name of the format, one of `FORMATS`.
        folder: Folder that is written; files of an earlier export are replaced. None
            leaves an MLflow model to its run.
        with_preprocessing: Whether the graph resizes, crops and normalises photos.
        root: Folder that the run's own images are in now; None: where they were.
        hub: Repository that the files are pushed to as well; None: to none.
    """

    run: str
    target: str
    folder: Path | None = None
    with_preprocessing: bool = False
    root: str | None = None
    hub: HubRepository | None = None

    def __post_init__(self) -> None:
        """Refuse what the format cannot do.

        Raises:
            ConfigError: If it cannot.
        """
        if self.with_preprocessing and self.target != "onnx":
            raise ConfigError(
                f"--with-preprocessing: stands in the graph of an ONNX file, and "
                f"--to {self.target} is no such. Leave it out, or use --to onnx."
            )
        if self.hub and self.target == "mlflow":
            raise ConfigError(
                "--push-to-hub: takes files, and --to mlflow makes a model of a run. "
                "Use --to safetensors or --to onnx."
            )


def export(request: ExportRequest) -> tuple[StoredRun, str]:
    """Export the network of a run.

    The files appear once the export has been checked on the run's test images: before
    that they lie in a hidden folder beside, which goes when something fails.

    Args:
        request: What is to be exported, and how.

    Returns:
        The run, and the id of the MLflow model that it has now, which is empty for
        other formats.

    Raises:
        ConfigError: If a library is missing, or the hub refuses the repository.
        ExportError: If the network cannot be exported, or is not the same afterwards.
        RunError: If there is no such run or checkpoint, or its run is not in the store.
        StorageError: If the folder, the store or the hub cannot be written.
    """
    if request.hub:
        request.hub.require()
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
    with _new_folder(request.folder) as folder:
        target.write(model, folder)
        with exporting(model.description.backbone, request.target):
            network = target.read(folder)
        checked = check(model, network, images, takes_photos=target.takes_photos)
        say(f"checked   {checked}")
        card = model_card(_facts(request, target, run, model, checked, images))
        (folder / CARD).write_text(card, encoding="utf-8")
        if request.folder:
            _publish(folder, request.folder)
            file = request.folder / target.file
            say(f"file      {file}  {file.stat().st_size / 1e6:.1f} MB")
            say(f"card      {request.folder / CARD}")
        if request.hub:
            url = request.hub.push(sorted(folder.iterdir()), f"Export {run.label}")
            say(f"pushed    {url}")
        if request.target != "mlflow":
            return run, ""
        model_id = log_model(run, folder)
        say(f"model     models:/{model_id}")
        say(f"serve     {how_to_serve(f'runs:/{run.run_id}/{MODEL}')}")
        return run, model_id


@contextmanager
def _new_folder(wanted: Path | None) -> Iterator[Path]:
    """Make a hidden folder on the disk of another, which is gone afterwards."""
    above = wanted and next(p for p in wanted.absolute().parents if p.exists())
    try:
        with TemporaryDirectory(dir=above, prefix=".export-") as name:
            yield Path(name)
    except OSError as err:
        if isinstance(err, UserError):
            raise
        raise StorageError(
            f"'{wanted or gettempdir()}': cannot be written ({err}). Free space, or "
            "name another folder with --out."
        ) from err


def _publish(made: Path, folder: Path) -> None:
    """Put what was made in the place of an earlier export; files of others stay."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = {file: folder / f"{file.name}.part" for file in made.iterdir()}
    try:
        for file, part in parts.items():
            _remove(part)  # which may be a link to a file elsewhere
            # Copies have the permissions that new files have here.
            if file.is_dir():
                shutil.copytree(file, part, copy_function=shutil.copyfile)
            else:
                shutil.copyfile(file, part)
    except BaseException:
        for part in parts.values():
            _remove(part)
        with suppress(OSError):  # it is not empty
            folder.rmdir()
        raise
    for name in _earlier(folder) - {file.name for file in parts}:
        _remove(folder / name)
    for file, part in parts.items():
        if file.is_dir():
            _remove(folder / file.name)
        part.replace(folder / file.name)


def _earlier(folder: Path) -> set[str]:
    """Return what the export wrote whose card is in a folder."""
    try:
        _, line, *_ = (folder / CARD).read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, ValueError):
        return set()
    library = line.removeprefix("library_name: ")
    formats = [each for each in FORMATS.values() if each.library == library]
    return {name for each in formats for name in each.names}


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


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
        weights_licence=_licence_of_weights(run, description.backbone),
        data_licence=_licence_of_data(run),
        usage=usage(
            request.target,
            description.backbone,
            description.preprocessing,
            with_preprocessing=request.with_preprocessing,
            temperature=description.temperature,
        ),
    )


def _shared_groups(run: StoredRun) -> float | None:
    try:
        findings = json.loads(run.artifact(FINDINGS).read_text(encoding="utf-8"))
        return float(findings[_LEAK])
    except (RunError, ValueError, KeyError, TypeError):
        return None


def _licence_of_weights(run: StoredRun, backbone: str) -> str | None:
    weights = run.hyperparameters.get("model.weights", "")
    if weights == "none":
        return "none; the training began with random numbers."
    return licence_of_weights(backbone) if weights in ("hub", "package") else None


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
