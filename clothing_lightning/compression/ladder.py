"""The ladder of a run: smaller versions of its network, each tested as a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import torch

from clothing_lightning.compression.pruning import Pruning
from clothing_lightning.compression.quantization import Quantization
from clothing_lightning.compression.rungs import RUNGS, with_bases
from clothing_lightning.compression.source import SETTINGS, Source, Task
from clothing_lightning.compression.timing import BATCHES, BUDGET_S, time_files
from clothing_lightning.compression.winner import find_winner
from clothing_lightning.data.table import read_cells
from clothing_lightning.errors import ConfigError
from clothing_lightning.inference.checkpoint import BEST, read_checkpoint
from clothing_lightning.inference.trained_network import TrainedNetwork
from clothing_lightning.reports.console import say
from clothing_lightning.reports.ladder_text import TestedRung
from clothing_lightning.tracking.read import (
    CHECKPOINT,
    COMPRESSION_TAG,
    ONNX_FILE,
    StoredRun,
    children,
    find_run,
)
from clothing_lightning.tracking.run import RunWriter


@dataclass(frozen=True)
class LadderRequest:
    """What is to be compressed, and how.

    Attributes:
        run: Id, start of the id, or name of the run; or the path of a checkpoint.
        rungs: Names of the rungs, of `RUNGS`; float32, which the others are compared
            with, is always made, and so is what a rung is made of.
        quantization: How int8 is made.
        pruning: How channels are removed, and the network trained afterwards.
        root: Folder that the run's own images are in now; None: where they were.
        command: Words of the command line.
    """

    run: str
    rungs: Sequence[str]
    quantization: Quantization
    pruning: Pruning
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
        ConfigError: If a library is not installed, or another checkpoint than the best
            one of a run is named.
        ExportError: If the network cannot be exported or pruned.
        KeyboardInterrupt: If the training of a pruned network is interrupted.
        RunError: If there is no such run or checkpoint, its run is not in the store,
            or the training of a pruned network fails.
        UserError: If the images are not there, or cannot be read.
    """
    model, run = find_winner(request.run)
    _require_best(request.run, model, run)
    source = Source(
        model,
        run,
        request.root,
        request.quantization,
        request.pruning,
        request.command,
    )
    finished = _finished(source)
    rungs: dict[str, StoredRun] = {}
    for name in with_bases(list(request.rungs)):
        if name in finished:
            rungs[name] = finished[name]
            say(f"{name}: is there, {rungs[name].label}")
            continue
        say(f"{name}: is made and tested")
        rung = RUNGS[name]
        task = Task(
            name,
            name + rung.label(source),
            rung.settings(source),
            source,
            rungs[rung.base] if rung.base else None,
        )
        rungs[name] = rung.make(task)
    _time(rungs, model)
    return [tested_rung(name, run.run_id) for name, run in rungs.items()]


def _require_best(reference: str, model: TrainedNetwork, run: StoredRun) -> None:
    """Refuse another checkpoint than the one that the rungs of a run are made of.

    Raises:
        ConfigError: If it is another one.
    """
    best = read_checkpoint(run.artifact(BEST), run, "cpu").network.state_dict()
    state = model.network.state_dict()
    if any(not torch.equal(value, state[name]) for name, value in best.items()):
        raise ConfigError(
            f"{reference}: is not the best checkpoint of run {run.label}, which its "
            f"versions are made of. compress {run.run_id[:8]}, or export this one."
        )


def tested_rung(name: str, run_id: str) -> TestedRung:
    """Read what the run of a rung has measured.

    Args:
        name: Name of the rung.
        run_id: Id of its run.
    """
    run = find_run(run_id)
    predictions = pd.read_parquet(run.artifact("predictions/test.parquet"))
    manifest = read_cells(run.artifact("data/manifest.csv"))
    tested = manifest[manifest["split"] == "test"]
    groups = tested["group"].nunique() if "group" in tested else 0
    return TestedRung(name, predictions, run.metrics, groups)


def _finished(source: Source) -> dict[str, StoredRun]:
    """Return the rungs that have been made with these settings, by their names."""
    made = {}
    for child in reversed(children(source.run.run_id)):
        rung = RUNGS.get(name := child.tags.get(COMPRESSION_TAG, ""))
        if (
            rung is not None
            and child.status == "FINISHED"
            and CHECKPOINT in child.params
            and child.tags.get(SETTINGS) == rung.settings(source)
        ):
            made[name] = child
    return made


def _time(rungs: Mapping[str, StoredRun], model: TrainedNetwork) -> None:
    """Time the files of all rungs in turns, and log what each takes."""
    files = {name: run.artifact(ONNX_FILE) for name, run in rungs.items()}
    seconds = round(BUDGET_S * len(BATCHES) * len(files))
    say(f"all are timed in turns: about {seconds} s")
    for name, costs in time_files(files, model).items():
        run = rungs[name]
        with RunWriter(run.experiment, run.name, run.run_id) as writer:
            writer.log_results(costs)
