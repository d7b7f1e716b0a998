"""Checkpoints that are whole or not there."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from clothing_lightning.errors import RunError


class WholeCheckpointIO(TorchCheckpointIO):
    """Writes beside the old checkpoint and then takes its place.

    Lightning writes to the system's temporary folder first; where that is another file
    system and the disk fills up, half of the new file replaces all of the old one.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Save a checkpoint; the old one stays if that fails."""
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f"{file.name}.part")
        try:
            torch.save(checkpoint, part)
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)


def require_readable(checkpoint: Path) -> None:
    """Refuse a damaged checkpoint before anything is changed for its sake.

    Raises:
        RunError: If the file cannot be read, or holds more than tensors and plain
            values.
    """
    try:
        torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
    except Exception as err:  # unpickling garbage raises whatever it trips over
        raise RunError(
            f"'{checkpoint}': is damaged, so that the run cannot go on from it. "
            "Restore the file, or start a new run."
        ) from err
