"""Rungs that are another file of the same network, tested as they are."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from clothing_lightning.compression.onnx_export import export_onnx, exporting
from clothing_lightning.compression.quantization import quantize
from clothing_lightning.compression.source import Task
from clothing_lightning.inference.evaluation import evaluate_on
from clothing_lightning.inference.evaluation_run import (
    evaluation_tags,
    record_evaluation,
)
from clothing_lightning.inference.onnx_network import read_onnx
from clothing_lightning.tracking.read import (
    CHECKPOINT,
    ONNX_FILE,
    StoredRun,
    find_run,
)
from clothing_lightning.tracking.run import RunWriter

LAYERS = "reports/layers.csv"


def convert(task: Task, write: Callable[[Task, Path], None]) -> StoredRun:
    """Write a rung's file and test it, as a child of the run.

    Args:
        task: The rung.
        write: Function that writes its files into the folder of its run.
    """
    source, run = task.source, task.trained
    with RunWriter(source.run.experiment, task.title, tags=task.tags) as writer:
        for below in ("export", "reports", "config"):
            (writer.folder / below).mkdir(parents=True, exist_ok=True)
        write(task, writer.folder)
        file = writer.folder / ONNX_FILE
        evaluation = evaluate_on(
            read_onnx(file),
            run,
            source.test,
            label_map={},
            keep_trained=True,
            batch_size=32,
        )
        writer.set_tags(evaluation_tags(evaluation))
        writer.log_params(run.hyperparameters | {CHECKPOINT: task.version})
        size = {"model/size_mb": file.stat().st_size / 1e6}
        record_evaluation(writer, evaluation, source.command, size)
        writer.publish(writer.folder / "export")
    return find_run(writer.run_id)


def write_float32(task: Task, folder: Path) -> None:
    """Write the network as it was trained."""
    export_onnx(task.source.model, folder / ONNX_FILE)


def write_float16(task: Task, folder: Path) -> None:
    """Store and compute in half precision; images and logits stay float32."""
    with exporting(task.source.model.description.backbone, "float16"):
        import onnx
        from onnxruntime.transformers.float16 import convert_float_to_float16

        half = convert_float_to_float16(onnx.load(_base(task)), keep_io_types=True)
        onnx.save(half, folder / ONNX_FILE)


def write_int8(task: Task, folder: Path) -> None:
    """Make weights and activations int8, with a table of what each layer is."""
    source = task.source
    with (
        TemporaryDirectory() as scratch,
        exporting(source.model.description.backbone, "int8"),
    ):
        made = quantize(
            _base(task),
            folder / ONNX_FILE,
            Path(scratch),
            source.quantization,
            source.train,
            source.val,
        )
    table = pd.DataFrame([asdict(layer) for layer in made.layers])
    table.to_csv(folder / LAYERS, index=False)
    summary = {
        "validation_photos": len(source.val.labels),
        "validation_accuracy_float32": made.accuracy_before,
        "validation_accuracy_int8": made.accuracy,
        **asdict(source.quantization),
    }
    text = json.dumps(summary, indent=2) + "\n"
    (folder / "config/quantization.json").write_text(text, encoding="utf-8")


def _base(task: Task) -> Path:
    """Return the float32 file that a rung is made of."""
    assert task.base is not None  # `RUNGS` says so
    return task.base.artifact(ONNX_FILE)
