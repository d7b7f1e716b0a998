"""What the network of a run sees and what it costs, in the run's reports."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clothing_lightning.data.dataset import PhotoDataset
from clothing_lightning.datamodules import PhotoDataModule
from clothing_lightning.models.classifier import ClothingClassifier
from clothing_lightning.network_analysis.complexity import NetworkReport, analyze
from clothing_lightning.network_analysis.effective_field import (
    EffectiveField,
    effective_field,
)
from clothing_lightning.reports.analysis_text import as_json, layer_table
from clothing_lightning.reports.console import warn
from clothing_lightning.reports.effective_field import effective_field_figure
from clothing_lightning.reports.receptive_field import window_figure
from clothing_lightning.reports.style import save
from clothing_lightning.tracking.run import RunWriter

MOST_IMAGES, FEWEST_IMAGES = 32, 4
MACS_TO_SPEND = 64 * 10**9  # on the effective field, so that it takes seconds on a CPU
START = "effective_field_start.npz"


def describe_network(
    run: RunWriter, model: ClothingClassifier, data: PhotoDataModule
) -> NetworkReport | None:
    """Log MACs, FLOPs and receptive field, and write them layer by layer.

    Returns:
        The report; None if it could not be made, of which the user is warned.
    """
    folder = run.folder / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    report = None
    with _run_goes_on("cost and receptive field"):
        report = report_of(model, data)
        costs = {"model/macs": report.macs, "model/flops": report.flops}
        if report.field.field is not None:
            costs["model/receptive_field_px"] = max(report.field.field.size_px)
        run.log_results(costs)
        (folder / "receptive_field.json").write_text(as_json(report) + "\n")
        layer_table([report]).to_csv(folder / "complexity.csv", index=False)
    return report


def report_of(model: ClothingClassifier, data: PhotoDataModule) -> NetworkReport:
    """Analyse the very network of a model at the size that it is tested at."""
    size = data.preprocessing.image_size
    return analyze(model.network, size, name=model.backbone)


def keep_first_field(
    run: RunWriter,
    model: ClothingClassifier,
    data: PhotoDataModule,
    report: NetworkReport,
) -> None:
    """Store the effective receptive field that the network has before its training."""
    with _run_goes_on("effective receptive field"):
        field = _field(model, data, report)
        np.savez_compressed(run.folder / "reports" / START, **asdict(field))


def draw_fields(
    run: RunWriter, model: ClothingClassifier, data: PhotoDataModule
) -> None:
    """Draw the window on a photo, and the effective field beside that of the start."""
    folder = run.folder / "reports"
    with _run_goes_on("receptive field"):
        report = report_of(model, data)
        photo = _photos(data, 1)[0].numpy()
        save(window_figure(photo, report), folder / "receptive_field.png")
        trained = _field(model, data, report)
        fields = {"trained": trained}
        if (folder / START).is_file():
            fields = {"at the start": _stored(folder / START), **fields}
        theory = report.field.field
        window = theory.window(trained.position) if theory else None
        save(effective_field_figure(fields, window), folder / "effective_field.png")


def _field(
    model: ClothingClassifier, data: PhotoDataModule, report: NetworkReport
) -> EffectiveField:
    affordable = MACS_TO_SPEND // max(report.macs, 1)
    count = min(max(affordable, FEWEST_IMAGES), MOST_IMAGES)
    images = data.preprocessing.normalise(_photos(data, count))
    return effective_field(model.network, images)


def _photos(data: PhotoDataModule, count: int) -> Tensor:
    """Validation images, uint8 ``[N, H, W, 3]``, taken evenly from all of them."""
    dataset: PhotoDataset = data.datasets["val"]
    places = np.linspace(0, len(dataset) - 1, min(count, len(dataset))).astype(int)
    return torch.stack([dataset[int(place)][0] for place in places])


def _stored(file: Path) -> EffectiveField:
    def pair(values: NDArray[np.int64]) -> tuple[int, int]:
        return int(values[0]), int(values[1])

    with np.load(file, allow_pickle=False) as stored:
        return EffectiveField(
            stored["heat"],
            int(stored["images"]),
            pair(stored["position"]),
            pair(stored["grid"]),
        )


@contextmanager
def _run_goes_on(what: str) -> Iterator[None]:
    """Warn of what could not be reported, but do not end a training for it."""
    try:
        yield
    except Exception as err:  # whatever an unusual network raises
        reason = " ".join(str(err).split()) or type(err).__name__
        warn(f"the report of its {what} could not be made ({reason[:300]}).")
