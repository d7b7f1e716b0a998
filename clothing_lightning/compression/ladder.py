"""The ladder of a run: smaller versions of its network, each tested as a run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from clothing_lightning.compression.quantization import Quantization
from clothing_lightning.compression.rungs import RUNGS, Source
from clothing_lightning.compression.timing import BATCHES, BUDGET_S, time_files
from clothing_lightning.compression.winner import find_winner
from clothing_lightning.inference.evaluation import (
    ImageSet,
    evaluate_on,
    images_of_run,
)
from clothing_lightning.inference.evaluation_run import (
    evaluation_tags,
    record_evaluation,
)
from clothing_lightning.inference.onnx_network import read_onnx
from clothing_lightning.inference.trained_network import TrainedNetwork
from clothing_lightning.reports.console import say
from clothing_lightning.reports.ladder_text import TestedRung
from clothing_lightning.tracking.read import (
    CHECKPOINT,
    COMPRESSION_TAG,
    ONNX_FILE,
    PARENT_TAG,
    StoredRun,
    children,
    find_run,
)
from clothing_lightning.tracking.run import RunWriter

OF, SETTINGS = "compression.of", "compression.settings"


@dataclass(frozen=True)
class LadderRequest:
    """What is to be compressed, and how.

    Attributes:
        run: Id, start of the id, or name of the run; or the path of a checkpoint.
        rungs: Names of the rungs, of `RUNGS`; float32, which the others are compared
            with, is always made.
        quantization: How int8 is made.
        root: Folder that the run's own images are in now; None: where they were.
        command: Words of the command line.
    """

    run: str
    rungs: Sequence[str]
    quantization: Quantization
    root: str | None
    command: Sequence[str]


def climb(request: LadderRequest) -> list[TestedRung]:
    """Make each rung, test it on the run's test images, and time all of them in turns.

    A rung that an earlier call has finished, with the same settings, is not made again.

    Args:
        request: What is to be compressed, and how.

    Returns:
        The rungs, float32 first.

    Raises:
        ConfigError: If a library is not installed.
        ExportError: If the network cannot be exported.
        RunError: If there is no such run or checkpoint, or its run is not in the store.
        UserError: If the images are not there, or cannot be read.
    """
    model, run = find_winner(request.run)
    names = [name for name in RUNGS if name == "float32" or name in request.rungs]
    finished = _finished(run, request.quantization)
    images: ImageSet | None = None
    for name in names:
        if name in finished:
            say(f"{name}: is there, {finished[name].label}")
            continue
        images = images or images_of_run(
            run,
            "test",
            root=request.root,
            crops_to_boxes=model.description.crops_to_boxes,
        )
        made = finished.get("float32")
        float32 = made.artifact(ONNX_FILE) if made else Path()
        with TemporaryDirectory() as folder:
            source = Source(
                model, run, request.root, request.quantization, float32, Path(folder)
            )
            finished[name] = _make(name, source, images, request.command)
    _time({name: finished[name] for name in names}, model)
    return [_tested(name, finished[name].run_id) for name in names]


def _tested(name: str, run_id: str) -> TestedRung:
    run = find_run(run_id)  # with what has been logged since
    predictions = pd.read_parquet(run.artifact("predictions/test.parquet"))
    return TestedRung(name, predictions, run.metrics)


def _settings(name: str, quantization: Quantization) -> str:
    return json.dumps(asdict(quantization)) if name == "int8" else "{}"


def _finished(run: StoredRun, quantization: Quantization) -> dict[str, StoredRun]:
    """Return the rungs that have been made with these settings, by their names."""
    made = {}
    for child in reversed(children(run.run_id)):
        name = child.tags.get(COMPRESSION_TAG, "")
        if (
            name in RUNGS
            and child.status == "FINISHED"
            and child.tags.get(SETTINGS) == _settings(name, quantization)
        ):
            made[name] = child
    return made


def _make(
    name: str, source: Source, images: ImageSet, command: Sequence[str]
) -> StoredRun:
    """Make a rung and test it, as a child of the run."""
    run = source.run
    tags = {
        COMPRESSION_TAG: name,
        OF: run.run_id,
        SETTINGS: _settings(name, source.quantization),
        PARENT_TAG: run.run_id,
    }
    title = f"{run.name} {name}"
    say(f"{name}: is made and tested")
    with RunWriter(run.experiment, title, tags=tags) as writer:
        for below in ("export", "reports", "config"):
            (writer.folder / below).mkdir(parents=True, exist_ok=True)
        RUNGS[name](source, writer.folder)
        file = writer.folder / ONNX_FILE
        evaluation = evaluate_on(
            read_onnx(file), run, images, label_map={}, keep_trained=True, batch_size=32
        )
        writer.set_tags(evaluation_tags(evaluation))
        version = f"{name}{source.quantization.label if name == 'int8' else ''}"
        writer.log_params(run.hyperparameters | {CHECKPOINT: version})
        size = {"model/size_mb": file.stat().st_size / 1e6}
        record_evaluation(writer, evaluation, command, size)
        writer.publish(writer.folder / "export")
    return find_run(writer.run_id)


def _time(rungs: Mapping[str, StoredRun], model: TrainedNetwork) -> None:
    """Time the files of all rungs in turns, and log what each takes."""
    files = {name: run.artifact(ONNX_FILE) for name, run in rungs.items()}
    seconds = round(BUDGET_S * len(BATCHES) * len(files))
    say(f"all are timed in turns: about {seconds} s")
    for name, costs in time_files(files, model).items():
        run = rungs[name]
        with RunWriter(run.experiment, run.name, run.run_id) as writer:
            writer.log_results(costs)
