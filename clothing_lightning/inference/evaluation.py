"""Testing a trained network again: on its run's own images, or on others."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from clothing_lightning.data.dataset import usable_cores
from clothing_lightning.data.inspection import inspect_images
from clothing_lightning.data.label_mapping import LabelMapping, map_labels
from clothing_lightning.data.locations import data_folder
from clothing_lightning.data.progress import with_progress
from clothing_lightning.data.selection import clipped_boxes
from clothing_lightning.data.table import SPLITS, read_cells
from clothing_lightning.datamodules import PhotoDataModule
from clothing_lightning.errors import DataError, DatasetNotFoundError, ImageError
from clothing_lightning.inference.trained_network import TrainedNetwork
from clothing_lightning.tracking.read import StoredRun


@dataclass
class ImageSet:
    """Images to evaluate on.

    Attributes:
        name: Name of the data set.
        split: ``train``, ``val``, ``test`` or ``all``.
        root: The folder that paths are relative to.
        table: ``path``, ``label``, ``sha256``, ``split`` and further columns.
        inspection: What `inspect_images` reports of each image, by path.
        crops_to_boxes: Whether images are cut to the table's boxes.
        from_run: Whether the images are a split of the evaluated run itself.
        changed_images: Paths of images whose content is not what the run has recorded.
    """

    name: str
    split: str
    root: Path
    table: pd.DataFrame
    inspection: pd.DataFrame
    crops_to_boxes: bool = False
    from_run: bool = False
    changed_images: list[str] = field(default_factory=list)

    @property
    def unreadable_images(self) -> dict[str, str]:
        """Reason by path of images that cannot be read."""
        reasons = self.inspection["refusal"].dropna()
        return {str(path): str(reason) for path, reason in reasons.items()}

    def boxes_of(self, rows: pd.DataFrame) -> "np.ndarray[Any, Any] | None":
        """Return the boxes that some of its images are cut to, or None.

        Raises:
            DataError: If a box lies outside of its image.
        """
        if not self.crops_to_boxes:
            return None
        return clipped_boxes(rows, self.inspection, self.name)


@dataclass(frozen=True)
class Evaluation:
    """Predictions of a network for a set of images.

    Attributes:
        model: The network.
        run: The run that trained it; None if it is not known.
        image_set: The set of images, with those that were left out.
        table: The images that count; ``label`` is the network's class.
        predictions: Path, label and class probabilities of each image that counts.
        labels: How labels of the images became classes of the network.
        trained_images: Paths of images that the run was trained on or chosen by.
        keeps_trained: Whether those count nevertheless.
    """

    model: TrainedNetwork
    run: StoredRun | None
    image_set: ImageSet
    table: pd.DataFrame
    predictions: pd.DataFrame
    labels: LabelMapping
    trained_images: list[str]
    keeps_trained: bool


def _read_manifest(run: StoredRun) -> pd.DataFrame:
    """Read the images of a run's splits, as the run has recorded them."""
    manifest = read_cells(run.artifact("data/manifest.csv"))
    return manifest[manifest["split"].isin(SPLITS)].reset_index(drop=True)


def images_of_run(
    run: StoredRun,
    split: str,
    *,
    root: str | None,
    crops_to_boxes: bool,
    most: int | None = None,
) -> ImageSet:
    """Find the images of one of a run's own splits.

    Args:
        run: The run, whose manifest lists the images.
        split: ``train``, ``val``, ``test`` or ``all``.
        root: Folder that the images are in now; by default where they were.
        crops_to_boxes: Whether the run cuts images to the manifest's boxes.
        most: How many to draw at random, always the same; by default all.

    Raises:
        DatasetNotFoundError: If the folder is not there.
        DataError: If none of the images can be read.
        RunError: If the run has recorded no images.
    """
    manifest = _read_manifest(run)
    rows = manifest if split == "all" else manifest[manifest["split"] == split]
    if most is not None:
        rows = rows.sample(min(most, len(rows)), random_state=0)
    folder = image_root(run, root)
    inspection = inspect_images(folder, list(rows["path"]), workers=usable_cores())
    inspection = inspection.set_index(rows["path"])
    hashes = inspection["sha256"].to_numpy()
    readable = inspection["refusal"].isna().to_numpy()
    changed = rows["path"][(hashes != rows["sha256"]) & readable]
    images = ImageSet(
        run.experiment,
        split,
        folder,
        rows.assign(sha256=hashes)[readable].reset_index(drop=True),
        inspection,
        crops_to_boxes,
        from_run=True,
        changed_images=list(changed),
    )
    if images.table.empty:
        reason = next(iter(images.unreadable_images.values()), "")
        raise DataError(
            f"run {run.name}: none of the {len(inspection):,} images of its split "
            f"'{split}' can be read in '{folder}' ({reason}). Say where they are: "
            "--root FOLDER."
        )
    return images


def image_root(run: StoredRun, given: str | None) -> Path:
    """Return the folder given, the recorded one, or that of its name in the data."""
    recorded = run.tags.get("image_root")
    before = [Path(recorded)] if recorded else []
    below = data_folder() / (before[0].name if before else run.experiment)
    places = [Path(given).expanduser()] if given else [*before, below]
    for folder in places:
        if folder.is_dir():
            return folder
    searched = " or ".join(f"'{folder}'" for folder in places)
    raise DatasetNotFoundError(
        f"run {run.name}: {searched} is not a folder, where its images would be. Say "
        "where they are: --root FOLDER."
    )


def images_of_dataset(
    data: PhotoDataModule, split: str | None, *, divided: bool
) -> ImageSet:
    """Select images of a data set.

    Args:
        data: The data set.
        split: ``train``, ``val``, ``test`` or ``all``; by default ``test`` where the
            data set is divided, else ``all``.
        divided: Whether the user has said how the data set is divided; it may also
            come with a split of its own.

    Raises:
        DataError: If the data set has no image of that split.
    """
    source = data.source.table
    split = split or ("test" if divided or "split" in source else "all")
    table = source.assign(split="test") if split == "all" else data.part(split)
    if table.empty:
        raise DataError(f"{data.name}: there is no image in the split '{split}'.")
    return ImageSet(
        data.name,
        split,
        data.root,
        table,
        data.selected.inspected,
        data.crop_to_boxes,
    )


def evaluate_on(
    model: TrainedNetwork,
    run: StoredRun | None,
    images: ImageSet,
    *,
    label_map: Mapping[str, str],
    keep_trained: bool,
    batch_size: int,
) -> Evaluation:
    """Predict the images whose labels are classes of the network.

    Images that the run was trained on, or whose scores chose its checkpoint, are left
    out, wherever they lie and whatever they are called. In the run's own test and
    validation split only copies of training images can be such; those of the test
    stay, since the run's own numbers hold them as well.

    Args:
        model: The network of the run.
        run: The run; None if it is not known, and what it was trained on neither.
        images: The images to evaluate on.
        label_map: Class by label, for labels that are not the name of their class.
        keep_trained: Whether images that the run was trained on count as well.
        batch_size: Number of photos that go through the network at once.

    Raises:
        ConfigError: If ``label_map`` names a label or class that does not exist.
        DataError: If no image is left to evaluate on.
        RunError: If the run has not recorded what it was trained on.
    """
    counts = {str(k): int(n) for k, n in images.table["label"].value_counts().items()}
    labels = map_labels(counts, model.class_names, label_map)
    table = images.table[images.table["label"].isin(labels.classes)]
    trained = table["sha256"].isin(_trained_hashes(images, run))
    keep = keep_trained or (images.from_run and images.split == "test")
    paths = list(table["path"][trained])
    table = table if keep else table[~trained]
    if table.empty:
        raise DataError(
            f"{images.name}: all {len(paths):,} images are among those that the run "
            "has learnt from or was chosen by, so they say nothing of others. "
            "--keep-trained evaluates on them nevertheless."
        )
    table = table.assign(label=table["label"].map(labels.classes))
    table = table.assign(split="test").reset_index(drop=True)
    table = table.drop(columns=["width", "height"], errors="ignore").join(
        images.inspection[["width", "height"]], on="path"
    )
    predictions = _predictions(model, images, table, batch_size)
    return Evaluation(model, run, images, table, predictions, labels, paths, keep)


def _trained_hashes(images: ImageSet, run: StoredRun | None) -> set[str]:
    """Return hashes of the images that the run was trained on or chosen by."""
    if run is None:
        return set()
    manifest = _read_manifest(run)
    own_val = images.from_run and images.split == "val"
    splits = ["train"] if own_val else ["train", "val"]
    return set(manifest.loc[manifest["split"].isin(splits), "sha256"].dropna())


def _predictions(
    model: TrainedNetwork, images: ImageSet, table: pd.DataFrame, batch_size: int
) -> pd.DataFrame:
    boxes = images.boxes_of(table)
    paths = [images.root / path for path in table["path"]]
    results = model.predict(paths, batch_size, boxes)
    rows = []
    for result in with_progress(results, "Evaluating", total=len(paths)):
        if isinstance(result, ImageError):  # it was readable a moment ago
            raise result
        rows.append(result.numpy())
    scores = pd.DataFrame(np.stack(rows), columns=model.class_names)
    return pd.concat([table[["path", "label"]], scores], axis=1)
