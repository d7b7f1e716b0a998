"""From a run, or a checkpoint alone, to its trained network.

Nothing is downloaded, the data set need not be there, and no file can run code:
checkpoints are read as tensors and plain values, configurations as plain YAML.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import yaml
from torch import Tensor

from clothing_lightning.data.table import read_cells
from clothing_lightning.errors import RunError
from clothing_lightning.inference.trained_network import (
    TrainedNetwork,
    build_trained,
    device_called,
)

if TYPE_CHECKING:
    from clothing_lightning.tracking.read import StoredRun

BEST = "checkpoints/best.ckpt"
_NETWORK = "network."  # where our classifier keeps its network
_RUN_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class RunFiles:
    """What a network is restored from.

    Attributes:
        title: Name of the run.
        checkpoint: Holds the weights.
        config: The resolved experiment.
        class_counts: A table whose first column is the classes, in order.
        preprocessing: As the run has recorded it; older ones have not.
    """

    title: str
    checkpoint: Path
    config: Path
    class_counts: Path
    preprocessing: dict[str, Any] | None = None


def find_files(reference: str) -> RunFiles:
    """Find what a network is restored from.

    Args:
        reference: A run's id, a unique prefix of it, its name, or the path of a
            checkpoint: in the store; in a copy of a run's folder of artifacts; or
            alone, of a run in the store, which it names.

    Raises:
        RunError: If there is no such run or checkpoint.
    """
    from clothing_lightning.tracking.read import find_run

    if not reference.endswith(".ckpt"):
        return files_of(find_run(reference))
    file = Path(reference).expanduser()
    if not file.is_file():
        raise RunError(f"{reference}: there is no such checkpoint.")
    beside = file.resolve().parent.parent
    if (beside / "config" / "config.yaml").is_file():
        return _files_in(beside, file)
    try:
        return files_of(find_run(_run_named_in(file) or reference), file)
    except RunError as err:
        raise RunError(
            f"{reference}: {err} A checkpoint alone does not say what network it is "
            "of: name its run, or keep it in the run's folder of artifacts, beside "
            "config/ and data/."
        ) from err


def files_of(run: "StoredRun", checkpoint: Path | None = None) -> RunFiles:
    """Where a run keeps what its network is restored from.

    Args:
        run: The run; of an evaluation, the one whose network it has tested.
        checkpoint: By default the best.

    Raises:
        RunError: If it stands for several, has no checkpoint, or ended too early.
    """
    run = trained_run(run)
    return RunFiles(
        run.name,
        checkpoint or best_checkpoint(run),
        run.config,
        run.artifact("data/class_counts.csv"),
        json.loads(run.tags.get("preprocessing", "null")),
    )


def trained_run(run: "StoredRun") -> "StoredRun":
    """The run that has trained the network: itself, or that which it evaluates.

    Raises:
        RunError: If it stands for several, or the other one has been removed.
    """
    from clothing_lightning.tracking.read import EVALUATES_TAG, children, find_run

    if run.group is not None:
        each = ", ".join(f"{c.run_id[:8]} ({c.name})" for c in children(run.run_id))
        raise RunError(
            f"run {run.name} ({run.run_id[:8]}): stands for several, each with a "
            f"network of its own. Name one of them: {each or 'none is left'}."
        )
    other = run.tags.get(EVALUATES_TAG)
    return find_run(other) if other else run


def run_called(reference: str) -> "StoredRun":
    """The run that has trained the network that is meant; as `find_files` finds it.

    Raises:
        RunError: If there is none in the store.
    """
    from clothing_lightning.tracking.read import find_run

    file = Path(reference).expanduser()
    if reference.endswith(".ckpt") and file.is_file():
        reference = _run_named_in(file) or reference
    return trained_run(find_run(reference))


def best_checkpoint(run: "StoredRun") -> Path:
    """The checkpoint that a run has tested.

    Raises:
        RunError: If it has none.
    """
    try:
        return run.artifact(BEST)
    except RunError as err:
        raise RunError(
            f"{err} Without it there is no network to restore: name another run, or "
            "train this one again from its config/config.yaml."
        ) from err


def restore(files: RunFiles, device: str = "auto") -> TrainedNetwork:
    """Build the network of a run with the weights of its checkpoint.

    Args:
        files: Of the run.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        ConfigError: If there is no such device, or timm here has no such network.
        RunError: If a file is damaged, or they do not belong together.
    """
    place = device_called(device)
    config = _read_config(files.config)
    state = {
        key.removeprefix(_NETWORK): value
        for key, value in _read_checkpoint(files.checkpoint)["state_dict"].items()
        if key.startswith(_NETWORK)
    }
    try:
        names = _class_names(files.class_counts)
        return build_trained(config, names, state, place, files.preprocessing)
    except (KeyError, TypeError, AttributeError, RuntimeError) as err:
        reason = " ".join(str(err).split())[:200]
        raise RunError(
            f"'{files.checkpoint}': its weights do not fit the network of "
            f"'{files.config}' ({reason}). Use both as one run of this software has "
            "left them."
        ) from err


def untrained(run: "StoredRun", device: str = "auto") -> tuple[TrainedNetwork, str]:
    """Build the network of a run with random weights; it needs no checkpoint.

    Args:
        run: One that has trained a network, or an evaluation of it.
        device: ``auto``, ``cpu`` or ``cuda``.

    Returns:
        The network, and what it is: the same text for networks of the same structure.

    Raises:
        ConfigError: If there is no such device, or timm here has no such network.
        RunError: If what the run has left is damaged.
    """
    run = trained_run(run)
    config = _read_config(run.config)
    names = _class_names(run.artifact("data/class_counts.csv"))
    recorded = json.loads(run.tags.get("preprocessing", "null"))
    try:
        model = build_trained(config, names, None, device_called(device), recorded)
        options = config["model"]["init_args"]
        structure = [options["backbone"], options.get("in_chans"), len(names)]
    except (KeyError, TypeError, AttributeError, RuntimeError) as err:
        raise RunError(
            f"run {run.name} ({run.run_id[:8]}): its network cannot be built "
            f"({_line(err)}). Train it again with this software."
        ) from err
    return model, json.dumps([*structure, model.preprocessing.image_size])


def _files_in(artifacts: Path, checkpoint: Path) -> RunFiles:
    """Files beside a checkpoint; the configuration is that of the last start."""
    resumed = sorted(
        (artifacts / "config").glob("resumed-*.yaml"),
        key=lambda file: (len(file.name), file.name),
    )
    config = resumed[-1] if resumed else artifacts / "config" / "config.yaml"
    named = (_read_config(config).get("run") or {}).get("name")
    run_ids = _RUN_ID.findall(str(artifacts))
    title = str(named or (run_ids or [checkpoint.stem])[-1])
    counts = artifacts / "data" / "class_counts.csv"
    return RunFiles(title, checkpoint, config, counts)


def _read_config(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as err:
        raise RunError(f"'{file}': cannot be read ({_line(err)}).") from err
    if not isinstance(content, dict):
        raise RunError(f"'{file}': is no experiment.")
    return content


def _class_names(file: Path) -> list[str]:
    try:
        return [str(name) for name in read_cells(file).iloc[:, 0]]
    except (OSError, ValueError, IndexError) as err:
        raise RunError(f"'{file}': cannot be read ({_line(err)}).") from err


def _read_checkpoint(file: Path) -> dict[str, Any]:
    try:
        content = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        state = content["state_dict"]
    except Exception as err:  # unpickling garbage raises whatever it trips over
        raise RunError(
            f"'{file}': is no checkpoint that can be read safely: it is damaged, of "
            "another format, or holds more than tensors and plain values."
        ) from err
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor)
        for key, value in state.items()
    ):
        raise RunError(f"'{file}': its state_dict holds more than tensors.")
    return dict(content)


def _run_named_in(checkpoint: Path) -> str | None:
    """Id of the run that has written a checkpoint: Lightning notes its folder."""
    callbacks = _read_checkpoint(checkpoint).get("callbacks")
    for state in callbacks.values() if isinstance(callbacks, dict) else ():
        folder = state.get("dirpath") if isinstance(state, dict) else None
        if found := _RUN_ID.findall(str(folder)):
            return str(found[-1])
    return None


def _line(err: BaseException) -> str:
    return " ".join(str(err).split())[:200] or type(err).__name__
