"""The network that is exported or compressed, with the run whose images test it."""

from clothing_lightning.errors import ConfigError, RunError
from clothing_lightning.inference.checkpoint import (
    ONNX,
    find_checkpoint,
    read_checkpoint,
    run_of,
)
from clothing_lightning.inference.trained_network import TrainedNetwork
from clothing_lightning.tracking.read import StoredRun
from clothing_lightning.tracking.store import shown_uri


def find_winner(reference: str) -> tuple[TrainedNetwork, StoredRun]:
    """Find a network and the run that trained it.

    Args:
        reference: Id, start of the id, or name of the run; or the path of a checkpoint.

    Returns:
        The network, on the CPU, and its run.

    Raises:
        ConfigError: If the reference is an ONNX file.
        RunError: If there is no such run or checkpoint, or its run is not in the store.
    """
    checkpoint, run = find_checkpoint(reference)
    if checkpoint.suffix == ONNX:
        raise ConfigError(
            f"{reference}: is an ONNX file already, '{checkpoint}'. Name the run that "
            "trained it, or its checkpoint."
        )
    model = read_checkpoint(checkpoint, run, "cpu")
    run = run or run_of(model.description)
    if run is None:
        raise RunError(
            f"{reference}: the run that trained it is not in {shown_uri()}, and only "
            "the run knows the images to test it on. Set MLFLOW_TRACKING_URI to the "
            "store that has the run."
        )
    return model, run
