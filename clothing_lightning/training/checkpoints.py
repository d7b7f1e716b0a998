"""Checkpoints that are whole or not there."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO


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
