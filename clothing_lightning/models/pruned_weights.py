"""A pruned checkpoint as the start of a training."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from clothing_lightning.errors import WeightsError
from clothing_lightning.models.backbones import head_names
from clothing_lightning.models.description import KEY, NetworkDescription
from clothing_lightning.models.pruned_shapes import reshape
from clothing_lightning.models.weight_files import read_state


@dataclass(frozen=True)
class PrunedWeights:
    """A pruned network in a checkpoint.

    Attributes:
        file: The checkpoint.
        description: What it says of the network, with its shapes.
    """

    file: Path
    description: NetworkDescription

    def load_into(
        self, network: nn.Module, backbone: str, class_names: Sequence[str]
    ) -> dict[str, list[int]]:
        """Give a network the shapes and the weights; the head if its classes are these.

        Args:
            network: The network as the backbone has it, with its new head.
            backbone: Name of the backbone.
            class_names: Names of its classes.

        Returns:
            The shapes that are not those of the backbone.

        Raises:
            WeightsError: If it is of another backbone, or does not fit.
        """
        own = self.description.backbone
        if own.partition(".")[0] != backbone.partition(".")[0]:
            raise WeightsError(
                f"model.init_args.weights: '{self.file}' is a pruned {own[:80]!r}, not "
                f"{backbone!r}. Set model.init_args.backbone to it, or use other "
                "weights."
            )
        state, shapes = read_state(self.file), dict(self.description.shapes or {})
        if self.description.class_names != list(class_names):
            for name in head_names(network):
                state.pop(name, None)
                if name in shapes:
                    shapes[name] = [len(class_names), *shapes[name][1:]]
        try:
            reshape(network, shapes, self.description.image_shape)
            left = network.load_state_dict(state, strict=False)
        except (ValueError, RuntimeError) as err:
            raise self._does_not_fit(" ".join(str(err).split())[:300]) from err
        missing = set(left.missing_keys) - head_names(network)
        if odd := [*sorted(missing), *left.unexpected_keys]:
            raise self._does_not_fit(f"{odd[0][:80]} is missing or left over")
        return shapes

    def _does_not_fit(self, reason: str) -> WeightsError:
        return WeightsError(
            f"model.init_args.weights: '{self.file}' does not fit ({reason}). Use the "
            "checkpoint as compress has written it, with images of its size."
        )


def find_pruned_weights(weights: str) -> PrunedWeights | None:
    """Return the pruned network that a file holds; None for all other weights.

    Args:
        weights: ``hub``, ``package``, ``none``, or the path of a file.
    """
    file = Path(weights)
    if file.suffix != ".ckpt" or not file.is_file():
        return None
    try:
        content = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        description = NetworkDescription.from_values(content[KEY])
    except Exception:  # whatever it is, `read_state` has the words for it
        return None
    return PrunedWeights(file, description) if description.shapes else None
