"""The pruned rung: channels are removed, and ``fit`` trains what is left.

The training is a run as any other. It begins from a checkpoint among the artifacts of
the run that is compressed, with that run's recipe.
"""

import json
import re
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from clothing_lightning.compression.onnx_export import export_onnx
from clothing_lightning.compression.pruning import prune
from clothing_lightning.compression.source import Source, Task
from clothing_lightning.errors import EXIT_INTERRUPTED, RunError
from clothing_lightning.inference.checkpoint import BEST, read_checkpoint
from clothing_lightning.inference.evaluation import image_root
from clothing_lightning.inference.trained_network import TrainedNetwork
from clothing_lightning.models.description import KEY
from clothing_lightning.models.weight_files import NETWORK
from clothing_lightning.reports.console import say, warn
from clothing_lightning.tracking.read import (
    CHECKPOINT,
    ONNX_FILE,
    StoredRun,
    children,
    find_run,
)
from clothing_lightning.tracking.run import RunWriter
from clothing_lightning.tracking.store import add_artifact, client, tracking_uri
from clothing_lightning.training.fit_process import fit_alone

FOLDER = "compression"  # of checkpoints that trainings begin from
_PHOTOS = 128  # whose gradients tell the importance of channels


def fine_tune(task: Task) -> StoredRun:
    """Prune the network and train it with the run's recipe, as a child of the run.

    A training that was stopped goes on from its last checkpoint.

    Raises:
        ConfigError: If Torch-Pruning is not installed, or not so many MACs can go.
        ExportError: If the network cannot be pruned here.
        KeyboardInterrupt: If the training is interrupted.
        RunError: If the training fails, and has said why.
    """
    attempt = _attempt(task)
    if attempt is None or attempt.status != "FINISHED":
        attempt = _train(task, attempt)
    return _complete(task, attempt)


def _attempt(task: Task) -> StoredRun | None:
    """Return the newest training of this rung that can go on; None if there is none.

    Those that were killed before they had a checkpoint are marked as what they are.
    """
    for run in children(task.source.run.run_id):
        if not task.tags.items() <= run.tags.items():
            continue
        if run.status == "FINISHED" or run.can_be_resumed:
            return run
        if run.status == "RUNNING":
            client(tracking_uri()).set_terminated(run.run_id, "KILLED")
    return None


def _train(task: Task, attempt: StoredRun | None) -> StoredRun:
    source = task.source
    if trains_the_head_alone(source.run):
        warn(
            f"the recipe of {source.run.name} trains the head alone, so that training "
            "cannot repair what is pruned of the backbone. Compress a run that has "
            "trained all of it."
        )
    weights = ["--model.init_args.weights", str(_start(source))]
    words = [*(_resumed(attempt) if attempt else _begun(task)), *weights]
    code = fit_alone([*words, *_root(source)])
    if code == EXIT_INTERRUPTED:
        raise KeyboardInterrupt
    attempt = _attempt(task)
    if code or attempt is None:
        raise RunError(
            f"{task.title}: its training has ended before its time (exit code {code}); "
            "what it says above is to be put right. Called again, compress goes on."
        )
    return attempt


def _resumed(attempt: StoredRun) -> list[str]:
    say(f"{attempt.name}: its training goes on")
    return ["--resume", attempt.run_id]


def _begun(task: Task) -> list[str]:
    run, epochs = task.source.run, task.source.pruning.epochs
    length = [] if epochs is None else ["--trainer.max_epochs", str(epochs)]
    names = ["--run.name", task.title, "--run.experiment", run.experiment]
    return [str(run.config), *names, "--run.tags", json.dumps(task.tags), *length]


def _root(source: Source) -> Sequence[str]:
    """Return the option that says where the images are, if the recipe has it."""
    if not (source.root or "data.root" in source.run.hyperparameters):
        return ()
    return ("--data.init_args.root", str(image_root(source.run, source.root)))


def trains_the_head_alone(run: StoredRun) -> bool:
    """Whether the recipe of a run leaves the backbone as it is."""
    settings = run.hyperparameters
    if settings.get("model.freeze_backbone") == "True":
        return True
    phases = json.loads(settings.get("model.phases", "[]"))
    parts = [phase.get("train") for phase in phases]
    return bool(parts) and all(part in ("head", ["head"]) for part in parts)


def _start(source: Source) -> Path:
    """Return the checkpoint of the pruned network, which is made where it is not."""
    version = f"pruned{source.pruning.label}, {source.weights[:8]}"
    name = re.sub(r"[^a-z\d.]+", "-", version)
    artifact = f"{FOLDER}/{name}.ckpt"
    try:
        file = source.run.artifact(artifact)
        read_checkpoint(file, device="cpu")
        return file
    except RunError:  # it is not there, or not whole
        say("channels are removed")
    photos = partial(source.photos, "train", _PHOTOS)
    pruned = prune(source.model, source.pruning, photos)
    with TemporaryDirectory() as folder:
        made = Path(folder) / f"{name}.ckpt"
        save_checkpoint(pruned, made)
        add_artifact(source.run.run_id, made, FOLDER)
    return source.run.artifact(artifact)


def save_checkpoint(model: TrainedNetwork, file: Path) -> None:
    """Write a network as a checkpoint that describes itself."""
    state = model.network.state_dict()
    network = {f"{NETWORK}{name}": value for name, value in state.items()}
    torch.save({"state_dict": network, KEY: model.description.to_values()}, file)


def _complete(task: Task, run: StoredRun) -> StoredRun:
    """Add what other rungs have: the file, its size, and the version's name."""
    model = read_checkpoint(run.artifact(BEST), run, "cpu")
    with TemporaryDirectory() as folder:
        made = Path(folder) / "model.onnx"
        export_onnx(model, made)
        with RunWriter(run.experiment, run.name, run.run_id) as writer:
            file = writer.folder / ONNX_FILE
            file.parent.mkdir(exist_ok=True)
            shutil.copyfile(made, file)
            writer.publish(file.parent)
            writer.log_results({"model/size_mb": file.stat().st_size / 1e6})
            writer.flush()
            writer.log_params({CHECKPOINT: task.version})
    return find_run(run.run_id)
