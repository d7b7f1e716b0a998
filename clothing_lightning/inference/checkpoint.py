"""From a run, or a checkpoint alone, to its trained network.

Nothing is downloaded, the data set need not be there, and no file can run code:
checkpoints are read as tensors and plain values.
"""

import json
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clothing_lightning.errors import RunError, UserError
from clothing_lightning.inference.onnx_network import read_onnx
from clothing_lightning.inference.stored_before_0_2 import (
    describe_old_artifacts,
    describe_old_run,
)
from clothing_lightning.inference.trained_network import TrainedNetwork, build_network
from clothing_lightning.models.description import ARTIFACT, KEY, NetworkDescription
from clothing_lightning.models.devices import select_device
from clothing_lightning.models.weight_files import NETWORK
from clothing_lightning.tracking.read import (
    COMPRESSION_TAG,
    EVALUATES_TAG,
    ONNX_FILE,
    StoredRun,
    children,
    find_run,
)

BEST = "checkpoints/best.ckpt"
ONNX = ".onnx"


def find_checkpoint(reference: str) -> tuple[Path, StoredRun | None]:
    """Find a checkpoint.

    Args:
        reference: The id, the start of it, or the name of a run, whose best checkpoint
            is found, or the ONNX file that `compress` made of one; or the path of a
            checkpoint, or of an ONNX file that was exported, for which no store is
            asked.

    Returns:
        The checkpoint, and the run that it is of: that which trained it, or that of
        the ONNX file; None where a path was given.

    Raises:
        RunError: If there is no such run or checkpoint.
    """
    if reference.endswith((".ckpt", ONNX)):
        file = Path(reference).expanduser()
        if not file.is_file():
            raise RunError(f"{reference}: there is no such checkpoint.")
        return file, None
    run = find_run(reference)
    is_file = {COMPRESSION_TAG, EVALUATES_TAG} <= run.tags.keys()
    run = run if is_file else trained_run(run)
    try:
        return run.artifact(ONNX_FILE if is_file else BEST), run
    except RunError as err:
        raise RunError(
            f"{err} Without it there is no network to restore: name another run, or "
            "train this one again from its config/config.yaml."
        ) from err


def trained_run(run: StoredRun) -> StoredRun:
    """Return the run that trained a network: this one, or the one that it evaluates.

    Raises:
        RunError: If the run stands for several, or the other one has been removed.
    """
    if run.group is not None:
        each = ", ".join(f"{c.run_id[:8]} ({c.name})" for c in children(run.run_id))
        raise RunError(
            f"run {run.name} ({run.run_id[:8]}): stands for several, each with a "
            f"network of its own. Name one of them: {each or 'none is left'}."
        )
    other = run.tags.get(EVALUATES_TAG)
    return find_run(other) if other else run


def run_of(description: NetworkDescription) -> StoredRun | None:
    """Return the run that trained a network; None if the store does not have it."""
    if not re.fullmatch("[0-9a-f]{32}", description.run_id):
        return None
    try:
        return find_run(description.run_id)
    except RunError:
        return None


def read_checkpoint(
    file: Path, run: StoredRun | None = None, device: str = "auto"
) -> TrainedNetwork:
    """Build the network of a checkpoint.

    Args:
        file: The checkpoint, or an ONNX file that was exported.
        run: The run that trained it. It is asked only for checkpoints from before
            version 0.2; by default it is found by the path of such a checkpoint.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        ConfigError: If there is no such device, or an ONNX file cannot be run on it.
        RunError: If the file is damaged, of another format or of a newer version, or
            its values do not make a network.
    """
    if file.suffix == ONNX:
        return read_onnx(file, device)
    place = select_device(device)
    content = _load(file)
    description = _described(content[KEY], file) if KEY in content else _old(file, run)
    state = {
        key.removeprefix(NETWORK): value
        for key, value in content["state_dict"].items()
        if key.startswith(NETWORK)
    }
    try:
        return build_network(description, state, place)
    except (
        UserError,
        ArithmeticError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
        AttributeError,
        AssertionError,
    ) as err:
        raise RunError(
            f"'{file}': its weights do not fit the network that it describes, "
            f"{description.backbone[:80]!r} ({_line(err)}). Use the checkpoint as this "
            "software has written it."
        ) from err


def describe_run(run: StoredRun) -> NetworkDescription:
    """Describe the network of a run, which needs no checkpoint for that.

    Raises:
        ConfigError: If the installed timm has no such network.
        RunError: If what the run has left is damaged.
    """
    try:
        file = run.artifact(ARTIFACT)
    except RunError:
        return describe_old_run(run)
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, RecursionError, ValueError) as err:
        raise RunError(f"'{file}': cannot be read ({_line(err)}).") from err
    return _described(values, file)


def _described(values: Any, file: Path) -> NetworkDescription:
    try:
        return NetworkDescription.from_values(values)
    except ValueError as err:
        raise RunError(f"'{file}': cannot be used ({_line(err)}).") from err


def _old(file: Path, run: StoredRun | None) -> NetworkDescription:
    """Describe the network of a checkpoint from before version 0.2."""
    try:
        return describe_old_run(run or trained_run(find_run(str(file))))
    except RunError as err:
        artifacts = file.resolve().parent.parent
        if run is None and (artifacts / "config" / "config.yaml").is_file():
            return describe_old_artifacts(artifacts)
        raise RunError(
            f"'{file}': was written before version 0.2 and does not say what network "
            f"it is of. {err} Name the run instead of the file."
        ) from err


def _load(file: Path) -> dict[str, Any]:
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


def _line(err: BaseException) -> str:
    return " ".join(str(err).split())[:200] or type(err).__name__
