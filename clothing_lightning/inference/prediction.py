"""What the command `predict` does with photos, and the files that it writes."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from clothing_lightning.data.progress import with_progress
from clothing_lightning.errors import ImageError, StorageError
from clothing_lightning.inference.grad_cam import grad_cam
from clothing_lightning.inference.predictor import Predictor
from clothing_lightning.inference.trained_network import TrainedNetwork
from clothing_lightning.reports.contact_sheet import (
    PHOTOS_PER_PAGE,
    sheet_files,
    write_sheet,
)
from clothing_lightning.reports.explanation import explanation_figure
from clothing_lightning.reports.predicted import Prediction, print_note, write_csv
from clothing_lightning.reports.style import save

_LONGEST_NAME = 80  # in bytes


def predict_photos(
    predictor: Predictor, paths: Sequence[Path], most_classes: int
) -> tuple[list[Prediction], dict[Path, str]]:
    """Predict photos, and print at once which of them cannot be read.

    Args:
        predictor: The network.
        paths: Paths of the photos.
        most_classes: Number of classes to keep of each photo, from the most probable.

    Returns:
        The predictions, and the reason by path for photos that cannot be read.
    """
    if predictor.model.description.crops_to_boxes:
        print_note(
            "note: this run was trained on garments cut out of their photos; here it "
            "looks at whole photos. Cut them out for predictions as good as its test's."
        )
    predictions: list[Prediction] = []
    unreadable: dict[Path, str] = {}
    names = predictor.class_names
    results = predictor.probabilities(paths)
    shown = with_progress(results, "Predicting", total=len(paths))
    for path, result in zip(paths, shown, strict=True):
        if isinstance(result, ImageError):
            unreadable[path] = str(result)
            print_note(str(result))
            continue
        values, order = (
            each[:most_classes].tolist()
            for each in result.sort(descending=True, stable=True)
        )
        classes = [(names[k], value) for k, value in zip(order, values, strict=True)]
        predictions.append(Prediction(path, classes, predictor.threshold))
    return predictions, unreadable


def json_source(predictor: Predictor) -> dict[str, Any]:
    """Where predictions come from, as the first keys of their JSON document."""
    source: dict[str, Any] = {
        "run": predictor.title,
        "checkpoint": str(predictor.checkpoint),
        "temperature": predictor.temperature,
    }
    if answers := predictor.answers:
        source["abstention"] = {
            "threshold": answers.threshold,
            "validation_accuracy": answers.accuracy,
            "validation_interval": answers.interval,
            "validation_share_answered": answers.share,
            "validation_images": answers.images,
        }
    return source


def write_files(
    predictor: Predictor,
    predictions: Sequence[Prediction],
    *,
    csv: Path | None,
    sheet: Path | None,
    explain: Path | None,
) -> None:
    """Write the files that are asked for, and print where they are.

    Args:
        predictor: The network.
        predictions: What it predicts of the photos.
        csv: File for a table of the classes.
        sheet: PNG file for the first page of contact sheets.
        explain: Folder for a picture of what spoke for the class of each photo.

    Raises:
        ConfigError: If a class is to be explained, and the features of the network
            have no places.
        ImageError: If a photo to explain cannot be read any more.
        StorageError: If one of them cannot be written.
    """
    try:
        if csv:
            write_csv(predictions, csv)
        if sheet:
            files = sheet_files(sheet, len(predictions))
            write_sheet(predictions, files, predictor.title)
            shown, count = len(files) * PHOTOS_PER_PAGE, len(predictions)
            if shown < count:
                print_note(
                    f"note: the sheet shows the first {shown:,} of {count:,} photos."
                )
        if explain:
            _write_explanations(predictor.model, predictions, explain)
    except OSError as err:
        raise StorageError(
            f"{err.filename or 'the results'}: cannot be written ({err.strerror}). "
            "Check the folder and its permissions."
        ) from err
    for option, target in (("csv", csv), ("sheet", sheet), ("explain", explain)):
        if target:
            print_note(f"{option:9} {target}")


def _write_explanations(
    model: TrainedNetwork, predictions: Sequence[Prediction], folder: Path
) -> None:
    """Draw one picture for each photo: ``0001_<name of the photo>.png``, ...

    It shows what spoke for the most probable class. The folder is empty or not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    digits = max(len(str(len(predictions))), 4)
    photos = model.read_photos([row.path for row in predictions])
    rows = with_progress(predictions, "Explaining", total=len(predictions))
    for index, row in enumerate(rows):
        file = folder / f"{index + 1:0{digits}}_{_plain_name(row.path)}.png"
        label, probability = row.classes[0]
        photo = photos[index]
        if isinstance(photo, ImageError):
            raise photo
        wanted = torch.tensor([model.class_names.index(label)], device=model.device)
        image = model.normalise(photo[None])
        (heat,) = grad_cam(model.network, image, wanted).cpu().numpy()
        figure = explanation_figure(
            photo.numpy(),
            heat,
            title=row.path.name,
            prediction=label,
            probability=probability,
        )
        save(figure, file)


def _plain_name(path: Path) -> str:
    """Return the name of a photo as a part of another file's name."""
    name = re.sub(r"[^\w-]+", "_", path.stem).encode(errors="ignore")
    return name[:_LONGEST_NAME].decode(errors="ignore")
