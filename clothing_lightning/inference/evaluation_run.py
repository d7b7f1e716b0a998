"""An evaluation as a run of its own, and what the terminal shows of it."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from rich.markup import escape

from clothing_lightning import __version__
from clothing_lightning.data.table import digest, split_digest
from clothing_lightning.datamodules import PhotoDataModule
from clothing_lightning.errors import RunError
from clothing_lightning.inference.checkpoint import (
    BEST,
    ONNX,
    find_checkpoint,
    read_checkpoint,
    run_of,
    trained_run,
)
from clothing_lightning.inference.evaluation import (
    Evaluation,
    ImageSet,
    evaluate_on,
    images_of_dataset,
    images_of_run,
)
from clothing_lightning.inference.trained_network import TrainedNetwork
from clothing_lightning.metrics.agreement import agreement
from clothing_lightning.metrics.classification_report import summary
from clothing_lightning.models.description import ARTIFACT
from clothing_lightning.models.devices import device_name
from clothing_lightning.reports.classification import write_classification_report
from clothing_lightning.reports.console import say, warn
from clothing_lightning.reports.evaluation_text import agreement_lines, show_results
from clothing_lightning.tracking.names import name_and_id
from clothing_lightning.tracking.read import CHECKPOINT, EVALUATES_TAG, StoredRun
from clothing_lightning.tracking.run import RunWriter
from clothing_lightning.tracking.settings import CONTENT
from clothing_lightning.tracking.store import shown_uri, where_to_browse
from clothing_lightning.wording import counted, listed

_NAMES_SHOWN = 5


@dataclass(frozen=True)
class Request:
    """What is to be evaluated, and how.

    Attributes:
        run: Id, start of the id, or name of the run; or the path of a checkpoint.
        split: ``test``, ``val`` or ``all``; None: ``test``, or all of a data set that
            comes with no split.
        root: Folder that the run's own images are in now; None: where they were.
        divided: Whether the user has said how the data set is divided.
        label_map: Class by label, for labels that are not the name of their class.
        keep_trained: Whether images that the run was trained on count as well.
        batch_size: Number of photos that go through the network at once.
        device: ``auto``, ``cpu`` or ``cuda``.
        name: Name of the new run; None: made of those of the run and the images.
        experiment: MLflow's experiment of the new run; None: the name of the data.
        command: Words of the command line.
    """

    run: str
    split: str | None
    root: str | None
    divided: bool
    label_map: Mapping[str, str]
    keep_trained: bool
    batch_size: int
    device: str
    name: str | None
    experiment: str | None
    command: Sequence[str]


def evaluate(request: Request, data: PhotoDataModule | None) -> None:
    """Evaluate a network, log that as a run of its own, and print the results.

    Args:
        request: What is to be evaluated.
        data: The data set to evaluate on; None for the run's own images.

    Raises:
        UserError: If something is for the user to put right.
    """
    checkpoint, owner = find_checkpoint(request.run)
    model = read_checkpoint(checkpoint, owner, request.device)
    run = trained_run(owner) if owner else run_of(model.description)
    owner = owner or run
    images = _images(request, data, run, model)
    evaluation = evaluate_on(
        model,
        run,
        images,
        label_map=request.label_map,
        keep_trained=request.keep_trained,
        batch_size=request.batch_size,
    )
    title = owner.name if owner else model.description.run_name
    title += f", {images.split} again" if images.from_run else f" on {images.name}"
    experiment = request.experiment or images.name
    tags = evaluation_tags(evaluation)
    with RunWriter(experiment, request.name or title, tags=tags) as writer:
        writer.log_params(_params(evaluation, owner, checkpoint))
        command = ["python", "-m", "clothing_lightning.evaluate", *request.command]
        record_evaluation(writer, evaluation, command, _costs(owner, checkpoint))
    _show(evaluation, owner)
    say(f"run       {writer.name}  {writer.run_id}")
    say(f"files     {writer.folder}")
    say(f"browse    {where_to_browse()}")
    words = shlex.join(["--experiment", experiment])
    say(f"compare   python -m clothing_lightning.compare {words}")


def _images(
    request: Request,
    data: PhotoDataModule | None,
    run: StoredRun | None,
    model: TrainedNetwork,
) -> ImageSet:
    """Return the images of the data set, or the run's own."""
    if data is not None:
        return images_of_dataset(data, request.split, divided=request.divided)
    if run is not None:
        return images_of_run(
            run,
            request.split or "test",
            root=request.root,
            crops_to_boxes=model.description.crops_to_boxes,
        )
    raise RunError(
        f"{request.run}: the run that trained it is not in {shown_uri()}, and only the "
        "run knows its own images. Name a data set after the checkpoint, such as "
        "image_folder --root FOLDER."
    )


def _params(
    evaluation: Evaluation, owner: StoredRun | None, checkpoint: Path
) -> dict[str, str]:
    about = evaluation.model.description
    if owner is None:
        name = f"{checkpoint.name} of {about.run_name} {about.run_id}".strip()
        return {"model.backbone": about.backbone, CHECKPOINT: name}
    if checkpoint.name != Path(BEST).name:
        return {CHECKPOINT: checkpoint.name} | owner.hyperparameters
    return owner.hyperparameters


def _costs(owner: StoredRun | None, checkpoint: Path) -> dict[str, float]:
    """Return the costs of a network; an ONNX file has a size of its own."""
    metrics = owner.metrics.items() if owner else ()
    costs = {key: value for key, value in metrics if key.startswith("model/")}
    if checkpoint.suffix == ONNX:
        costs["model/size_mb"] = checkpoint.stat().st_size / 1e6
    return costs


def evaluation_tags(evaluation: Evaluation) -> dict[str, str]:
    """Return tags that say what was tested, on which images, and where."""
    run, model, images = evaluation.run, evaluation.model, evaluation.image_set
    preprocessing = asdict(model.preprocessing) | {"boxes": images.crops_to_boxes}
    of_run = {}
    if run is not None:
        of_run = {k: v for k, v in run.tags.items() if k.startswith(CONTENT)}
        of_run[EVALUATES_TAG] = run.run_id
    return of_run | {
        "stage": images.split,
        "split_digest": split_digest(evaluation.table),
        "test_digest": digest(evaluation.table, ("sha256", "label")),
        "preprocessing": json.dumps(preprocessing),
        "image_root": str(images.root.resolve()),
        "device": device_name(model.device),
        "version.clothing_lightning": __version__,
        "version.torch": torch.__version__,
    }


def record_evaluation(
    writer: RunWriter,
    evaluation: Evaluation,
    command: Sequence[str],
    costs: Mapping[str, float] | None = None,
) -> None:
    """Log results and artifacts, in the folders where runs that train have them.

    Args:
        writer: The run that is written.
        evaluation: What it found.
        command: Words of the command line that made it.
        costs: Costs of the network as metrics, which differ from those of the run that
            trained it.
    """
    run = evaluation.run
    metrics = run.metrics.items() if run else ()
    cost = {key: value for key, value in metrics if key.startswith("model/")}
    cost |= costs or {}
    scores = summary(evaluation.predictions)
    writer.log_results(cost | {f"test/{key}": value for key, value in scores.items()})
    folder = writer.folder
    for name in ("predictions", "data", "config"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    evaluation.predictions.to_parquet(folder / "predictions/test.parquet")
    evaluation.table.to_csv(folder / "data/manifest.csv", index=False)
    mapping = json.dumps(_mapping(evaluation), indent=2, ensure_ascii=False)
    texts = {
        "data/mapping.json": mapping + "\n",
        "config/command.txt": shlex.join(command) + "\n",
        ARTIFACT: evaluation.model.description.to_json(),
    }
    if run is not None:
        texts["config/config.yaml"] = run.config.read_text(encoding="utf-8")
    for file, text in texts.items():
        (folder / file).write_text(text, encoding="utf-8")
    write_classification_report(
        evaluation.predictions,
        folder / "reports",
        stage="test",
        image_root=evaluation.image_set.root,
    )
    for name in ("predictions", "data", "config", "reports"):
        writer.publish(folder / name)
    columns = evaluation.table[["path", "label", "split", "sha256"]]
    name = evaluation.image_set.name
    writer.log_dataset(name, columns, split_digest(evaluation.table))


def _mapping(evaluation: Evaluation) -> dict[str, Any]:
    """Return what was evaluated and what was left out, for ``data/mapping.json``."""
    images = evaluation.image_set
    return {
        "evaluates": evaluation.model.description.run_id,
        "data": images.name,
        "split": images.split,
        "classes_of_labels": evaluation.labels.classes,
        "images_of_labels_without_class": evaluation.labels.unmatched,
        "classes_without_label": evaluation.labels.absent,
        "trained_images": {
            "kept": evaluation.keeps_trained,
            "count": len(evaluation.trained_images),
            "paths": evaluation.trained_images,
        },
        "changed_images": images.changed_images,
        "unreadable_images": images.unreadable_images,
    }


def _show(evaluation: Evaluation, owner: StoredRun | None) -> None:
    """Print what was evaluated, and the results."""
    run, images = evaluation.run, evaluation.image_set
    about = evaluation.model.description
    name = owner.label if owner else name_and_id(about.run_name, about.run_id)
    say(f"{name} on {images.name}, {images.split}")
    if run is None:
        warn(
            f"the run that trained it is not in {escape(shown_uri())}, so which of "
            "these images it has learnt from is unknown; none is left out."
        )
    for remark in _remarks(evaluation):
        warn(remark)
    show_results(evaluation.predictions, images.split)
    if owner is not None and images.from_run:
        for line in _agreement_with_stored(owner, evaluation):
            say(line)


def _remarks(evaluation: Evaluation) -> Iterator[str]:
    """Say what was left out or is odd about the images."""
    images, labels = evaluation.image_set, evaluation.labels
    if unreadable := images.unreadable_images:
        reasons = listed(list(unreadable.values()), _NAMES_SHOWN)
        number = counted(len(unreadable), "image")
        yield f"{number} cannot be read and left out: {reasons}."
    if images.changed_images:
        yield (
            f"{len(images.changed_images):,} images are not what they were when the "
            f"run tested them: {listed(images.changed_images, _NAMES_SHOWN)}."
        )
    if labels.unmatched:
        counts = ", ".join(f"{name} ({n:,})" for name, n in labels.unmatched.items())
        yield (
            f"no class of the run is called {counts}: left out. "
            "--map LABEL=CLASS says what they are."
        )
    if labels.absent:
        absent = listed(labels.absent, _NAMES_SHOWN)
        yield f"classes of the run without an image here: {absent}."
    if trained := evaluation.trained_images:
        done = "count nevertheless" if evaluation.keeps_trained else "are left out"
        yield (
            f"{len(trained):,} images have the content of some that the run has learnt "
            f"from or was chosen by, and {done}: {listed(trained, _NAMES_SHOWN)}."
        )


def _agreement_with_stored(run: StoredRun, evaluation: Evaluation) -> Iterator[str]:
    """Say whether the predictions are those that the run has stored."""
    split = evaluation.image_set.split
    try:
        stored = pd.read_parquet(run.artifact(f"predictions/{split}.parquet"))
    except RunError:
        return
    except (OSError, ValueError) as err:  # pyarrow's own are of these
        yield f"the stored predictions cannot be read: {type(err).__name__}."
        return
    result = agreement(stored, evaluation.predictions)
    if result is None:
        return
    now = {"torch": torch.__version__, "device": device_name(evaluation.model.device)}
    before = {
        "torch": run.tags.get("version.torch", ""),
        "device": run.tags.get("device", ""),
    }
    yield from agreement_lines(result, before, now)
