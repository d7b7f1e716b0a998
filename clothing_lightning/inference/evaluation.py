"""Testing a trained network again: on its own images, or on others."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from clothing_lightning.data.inspection import inspect_images
from clothing_lightning.data.label_mapping import LabelMapping, map_labels
from clothing_lightning.data.locations import data_folder
from clothing_lightning.data.progress import with_progress
from clothing_lightning.data.selection import clipped_boxes
from clothing_lightning.data.table import SPLITS, read_cells
from clothing_lightning.errors import DataError, DatasetNotFoundError, ImageError
from clothing_lightning.inference.trained_network import TrainedNetwork

if TYPE_CHECKING:
    from clothing_lightning.datamodules import PhotoDataModule
    from clothing_lightning.tracking.read import StoredRun

_WORKERS = 4  # processes that look for changes


@dataclass
class ImageSet:
    """Images to evaluate on.

    Attributes:
        name: Of the data set.
        split: ``train``, ``val``, ``test`` or ``all``.
        root: The folder that paths are relative to.
        table: ``path``, ``label``, ``sha256``, ``split`` and further columns.
        inspected: What `inspect_images` found, by path.
        crops_to_boxes: Whether images are cut to the table's boxes.
        synthetic: Whether they are drawn.
        own: Whether they are the run's own.
        changed: Paths of images that are not what they were.
        refused: Paths of images that cannot be read, and why.
    """

    name: str
    split: str
    root: Path
    table: pd.DataFrame
    inspected: pd.DataFrame
    crops_to_boxes: bool = False
    synthetic: bool = False
    own: bool = False
    changed: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """What a network says of images.

    Attributes:
        images: Those that count; ``label`` is the network's class.
        predictions: The table of `analysis.classification`.
        labels: How labels became classes.
        trained: Paths of images that the run has learnt from or was chosen by.
        kept: Whether those count nevertheless.
        preprocessing: How the network got the images: the fields of `Preprocessing`,
            and whether they were cut to ``boxes``.
    """

    images: pd.DataFrame
    predictions: pd.DataFrame
    labels: LabelMapping
    trained: list[str]
    kept: bool
    preprocessing: dict[str, Any]


def read_manifest(run: "StoredRun") -> pd.DataFrame:
    """The images of a run's splits, as it has recorded them.

    Raises:
        RunError: If it has recorded none.
    """
    manifest = read_cells(run.artifact("data/manifest.csv"))
    return manifest[manifest["split"].isin(SPLITS)].reset_index(drop=True)


def own_images(
    run: "StoredRun", split: str, *, root: str | None, crops_to_boxes: bool
) -> ImageSet:
    """Images of a run's own split, from its manifest.

    Args:
        run: The run.
        split: ``train``, ``val``, ``test`` or ``all``.
        root: Where the images are now; by default where they were.
        crops_to_boxes: Whether the run cuts images to the manifest's boxes.

    Raises:
        DatasetNotFoundError: If the folder is not there.
        DataError: If none of the images is.
    """
    manifest = read_manifest(run)
    rows = manifest if split == "all" else manifest[manifest["split"] == split]
    folder = _root(run, root)
    inspected = inspect_images(folder, list(rows["path"]), workers=_WORKERS)
    inspected = inspected.set_index(rows["path"])
    refused = _refused(inspected)
    now = inspected["sha256"].to_numpy()
    changed = rows["path"][(now != rows["sha256"]) & ~rows["path"].isin(refused)]
    rows = rows.assign(sha256=now)[~rows["path"].isin(refused)]
    if rows.empty:
        raise DataError(
            f"run {run.name}: none of the {len(inspected):,} images of its split "
            f"'{split}' can be read in '{folder}' ({next(iter(refused.values()), '')})"
            ". Say where they are: --root FOLDER."
        )
    return ImageSet(
        run.experiment,
        split,
        folder,
        rows.reset_index(drop=True),
        inspected,
        crops_to_boxes,
        run.tags.get("synthetic") == "true",
        own=True,
        changed=list(changed),
        refused=refused,
    )


def _root(run: "StoredRun", given: str | None) -> Path:
    """Where the images are said to be, were, or are below the data's folder now."""
    data = data_folder()
    recorded = run.tags.get("image_root")
    before = [Path(recorded)] if recorded else []
    below = data / (before[0].name if before else run.experiment)
    places = [Path(given).expanduser()] if given else [*before, below]
    for folder in places:
        if folder.is_dir():
            return folder
    looked = " or ".join(f"'{folder}'" for folder in places)
    raise DatasetNotFoundError(
        f"run {run.name}: {looked} is not a folder, where its images would be. Say "
        "where they are: --root FOLDER."
    )


def _refused(inspected: pd.DataFrame) -> dict[str, str]:
    """Why images cannot be read, by path."""
    return {str(path): str(why) for path, why in inspected["refusal"].dropna().items()}


def images_of(data: "PhotoDataModule", split: str | None, *, divided: bool) -> ImageSet:
    """Images of a data set.

    Args:
        data: The data set.
        split: ``train``, ``val``, ``test`` or ``all``; by default ``test`` where the
            data set is divided, else ``all``.
        divided: Whether the user has said how it is; it may also come with a split.

    Raises:
        DataError: If it has no image of that split.
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
        data.synthetic,
        refused=_refused(data.selected.inspected),
    )


def evaluate_on(
    model: TrainedNetwork,
    images: ImageSet,
    manifest: pd.DataFrame,
    *,
    label_map: Mapping[str, str] | None = None,
    keep_trained: bool = False,
    batch_size: int = 32,
) -> Evaluation:
    """Predict the images whose labels are classes of the network.

    Images that the run was trained on, or whose scores chose its checkpoint, are left
    out, wherever they lie and whatever they are called. Of the run's own test and
    validation split only copies of training images can be such; those of the test
    stay, since the run's own numbers hold them as well.

    Args:
        model: The network of the run.
        images: To evaluate on.
        manifest: Images of the run's splits.
        label_map: Classes of labels that are called otherwise.
        keep_trained: Leave none of them out.
        batch_size: Photos that go through the network at once.

    Raises:
        ConfigError: If ``label_map`` names a label or class that there is not.
        DataError: If nothing is left to evaluate on.
    """
    counts = {str(k): int(n) for k, n in images.table["label"].value_counts().items()}
    labels = map_labels(counts, model.class_names, label_map or {})
    table = images.table[images.table["label"].isin(labels.classes)]
    learnt = _trained(images, manifest)
    trained = table["sha256"].isin(learnt)
    keep = keep_trained or (images.own and images.split == "test")
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
        images.inspected[["width", "height"]], on="path"
    )
    predictions = _predictions(model, images, table, batch_size)
    seen = asdict(model.preprocessing) | {"boxes": images.crops_to_boxes}
    return Evaluation(table, predictions, labels, paths, keep, seen)


def _trained(images: ImageSet, manifest: pd.DataFrame) -> set[str]:
    """Hashes of images that the run has learnt from, or was chosen by."""
    own_val = images.own and images.split == "val"
    splits = ["train"] if own_val else ["train", "val"]
    return set(manifest.loc[manifest["split"].isin(splits), "sha256"].dropna())


def _predictions(
    model: TrainedNetwork, images: ImageSet, table: pd.DataFrame, batch_size: int
) -> pd.DataFrame:
    boxes = None
    if images.crops_to_boxes:
        boxes = clipped_boxes(table, images.inspected, images.name)
    paths = [images.root / path for path in table["path"]]
    results = model.predict(paths, batch_size, boxes)
    rows = []
    for found in with_progress(results, "Evaluating", total=len(paths)):
        if isinstance(found, ImageError):  # it was sound a moment ago
            raise found
        rows.append(found.numpy())
    scores = pd.DataFrame(np.stack(rows), columns=model.class_names)
    return pd.concat([table[["path", "label"]], scores], axis=1)
