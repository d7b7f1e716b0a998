"""An evaluation as a run of its own."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from clothing_lightning import __version__
from clothing_lightning.data.table import digest
from clothing_lightning.inference.checkpoint import BEST
from clothing_lightning.inference.trained_network import TrainedNetwork
from clothing_lightning.metrics.classification_report import summary
from clothing_lightning.reports.classification import write_classification_report
from clothing_lightning.tracking.read import CHECKPOINT, EVALUATES_TAG
from clothing_lightning.tracking.run import RunWriter

if TYPE_CHECKING:
    from clothing_lightning.inference.evaluation import Evaluation, ImageSet
    from clothing_lightning.tracking.read import StoredRun


def record_evaluation(
    run: "StoredRun",
    model: TrainedNetwork,
    images: "ImageSet",
    evaluation: "Evaluation",
    *,
    checkpoint: Path,
    experiment: str,
    name: str,
    command: Sequence[str],
) -> RunWriter:
    """Log an evaluation: settings and cost of the run, results on these images.

    Args:
        run: That was evaluated.
        model: Its network.
        images: What it was evaluated on.
        evaluation: What came of it.
        checkpoint: That the network's weights are of. Another than the best makes
            another model of the same run.
        experiment: MLflow's, that the new run belongs to.
        name: Of the new run.
        command: Words of the command line.

    Raises:
        StorageError: If it cannot be written.
    """
    tags = _tags(run, model, images, evaluation)
    kept = RunWriter(experiment, name, tags=tags)
    other = checkpoint.name != Path(BEST).name
    try:
        kept.log_params(run.params | ({CHECKPOINT: checkpoint.name} if other else {}))
        cost = {k: v for k, v in run.metrics.items() if k.startswith("model/")}
        scores = summary(evaluation.predictions)
        kept.log_results(cost | {f"test/{key}": v for key, v in scores.items()})
        _write(kept, run, images, evaluation, command)
        shown = evaluation.images[["path", "label", "split", "sha256"]]
        kept.log_dataset(images.name, shown, _digest(evaluation))
    except BaseException as err:
        kept.finish("KILLED" if isinstance(err, KeyboardInterrupt) else "FAILED")
        raise
    kept.finish("FINISHED")
    return kept


def _tags(
    run: "StoredRun",
    model: TrainedNetwork,
    images: "ImageSet",
    evaluation: "Evaluation",
) -> dict[str, str]:
    on_gpu = model.device.type == "cuda"
    return {
        EVALUATES_TAG: run.run_id,
        "stage": images.split,
        "split_digest": _digest(evaluation),
        "test_digest": digest(evaluation.images, ("sha256", "label")),
        "preprocessing": json.dumps(evaluation.preprocessing),
        "image_root": str(images.root.resolve()),
        "synthetic": str(images.synthetic).lower(),
        "device": torch.cuda.get_device_name(model.device) if on_gpu else "cpu",
        "version.clothing_lightning": __version__,
        "version.torch": torch.__version__,
    }


def _digest(evaluation: "Evaluation") -> str:
    return digest(evaluation.images, ("path", "sha256", "label", "split"))


def _write(
    kept: RunWriter,
    run: "StoredRun",
    images: "ImageSet",
    evaluation: "Evaluation",
    command: Sequence[str],
) -> None:
    """Write the artifacts, in the folders where runs that train have them."""
    for folder in ("predictions", "data", "config"):
        (kept.folder / folder).mkdir(parents=True, exist_ok=True)
    evaluation.predictions.to_parquet(kept.folder / "predictions/test.parquet")
    evaluation.images.to_csv(kept.folder / "data/manifest.csv", index=False)
    told = json.dumps(_told(evaluation, images, run), indent=2, ensure_ascii=False)
    _write_text(kept.folder / "data/mapping.json", told + "\n")
    config = run.config.read_text(encoding="utf-8")
    _write_text(kept.folder / "config/config.yaml", config)
    words = ["python", "-m", "clothing_lightning.evaluate", *command]
    _write_text(kept.folder / "config/command.txt", shlex.join(words) + "\n")
    write_classification_report(
        evaluation.predictions,
        kept.folder / "reports",
        stage="test",
        image_root=images.root,
    )
    for folder in ("predictions", "data", "config", "reports"):
        kept.publish(kept.folder / folder)


def _write_text(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")


def _told(
    evaluation: "Evaluation", images: "ImageSet", run: "StoredRun"
) -> Mapping[str, Any]:
    """What was evaluated and what was left out, for ``data/mapping.json``."""
    return {
        "evaluates": run.run_id,
        "data": images.name,
        "split": images.split,
        "classes_of_labels": evaluation.labels.classes,
        "images_of_labels_without_class": evaluation.labels.unmatched,
        "classes_without_label": evaluation.labels.absent,
        "trained_images": {
            "kept": evaluation.kept,
            "count": len(evaluation.trained),
            "paths": evaluation.trained,
        },
        "changed_images": images.changed,
        "unreadable_images": images.refused,
    }
