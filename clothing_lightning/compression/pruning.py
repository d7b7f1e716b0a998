"""Structured pruning: channels are removed, and the network stays a plain one.

Torch-Pruning finds which channels of which layers go together (Fang et al., "DepGraph:
Towards Any Structural Pruning", CVPR 2023, arXiv:2301.12900).
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from clothing_lightning.compression.photo_sample import PhotoSample
from clothing_lightning.errors import ConfigError, ExportError, UserError
from clothing_lightning.inference.trained_network import TrainedNetwork, build_network
from clothing_lightning.models.backbones import heads
from clothing_lightning.models.pruned_shapes import changed_shapes
from clothing_lightning.network_analysis import analyze
from clothing_lightning.wording import one_line

IMPORTANCES = ("norm", "taylor", "random")
TOLERANCE = 1e-5
"""Largest difference of logits that the order of additions explains, of the largest."""

_UNIT = 8  # numbers of channels are multiples of it, which kernels are made for
_MOST = 0.95  # of the channels of a layer
_STEP = 0.01  # to which a share is found
_BATCH = 32


@dataclass(frozen=True)
class Pruning:
    """How a network is pruned, and trained afterwards.

    Attributes:
        share: Share of the channels of each layer that is removed; None: what
            ``target_macs`` asks for.
        target_macs: Share of the MACs that stays at most; None where a share is given.
        importance: How the least important channels are found: ``norm``, by the
            weights that they are made of and that use them; ``taylor``, by what the
            loss on photos of the training would change at first order; ``random``.
        steps: Number of steps in which the channels are removed; after each, the
            importance of those that are left is found anew.
        epochs: Epochs of training afterwards; None: those of the run's own recipe.
    """

    share: float | None = None
    target_macs: float | None = 0.5
    importance: str = "norm"
    steps: int = 1
    epochs: int | None = None

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: If one is out of its range.
        """
        if self.share is not None and not 0 < self.share <= _MOST:
            raise ConfigError(
                f"--pruning is {self.share}. It is the share of the channels of each "
                f"layer that is removed, above 0 and at most {_MOST}; 0.3 leaves about "
                "half of the MACs."
            )
        if self.target_macs is not None and not 0 < self.target_macs < 1:
            raise ConfigError(
                f"--target-macs is {self.target_macs}. It is the share of the MACs "
                "that stays, above 0 and below 1."
            )
        if (self.share is None) == (self.target_macs is None):
            raise ConfigError("--pruning and --target-macs: give one of the two.")
        if self.importance not in IMPORTANCES:
            raise ConfigError(
                f"--importance is {self.importance!r}. It is one of "
                f"{', '.join(IMPORTANCES)}."
            )
        for option in ("steps", "epochs"):
            value = getattr(self, option)
            if value is not None and value < 1:
                raise ConfigError(f"--{option} is {value}. The least is 1.")

    @property
    def label(self) -> str:
        """The settings in few words, as an addition to a name."""
        share, macs = self.share, self.target_macs
        amount = f"macs {macs}" if share is None else f"without {share} of channels"
        steps = f", steps {self.steps}" if self.steps > 1 else ""
        return f", {amount}, {self.importance}{steps}"


def prune(
    model: TrainedNetwork, settings: Pruning, photos: Callable[[], PhotoSample]
) -> TrainedNetwork:
    """Remove the least important channels of a network; its outputs stay.

    Args:
        model: The network, on the CPU, which is not changed.
        settings: How many channels, and which.
        photos: Function that reads photos of the training; called where the importance
            needs some.

    Returns:
        The pruned network, whose description has its shapes.

    Raises:
        ConfigError: If Torch-Pruning is not installed, or not so many MACs can go.
        ExportError: If the network cannot be pruned here.
    """
    with _pruning(model.description.backbone):
        share = settings.share or _share_for(model, settings.target_macs or 1)
        network = _trainable(model)
        channels = Channels(network, model.description.image_shape)
        for step in range(1, settings.steps + 1):
            if settings.importance == "taylor":
                _find_gradients(network, photos())
            channels.remove(share * step / settings.steps, settings.importance)
        return _rebuilt(model, network)


class Channels:
    """The channels of a network, by the layers that have to lose the same ones.

    Classifiers keep their outputs, and attention stays as it is.
    """

    def __init__(self, network: nn.Module, image_shape: tuple[int, int, int]) -> None:
        """Find out which layers depend on which.

        Args:
            network: The network in eval mode, whose parameters need gradients.
            image_shape: Channels, height and width of its images.
        """
        import torch_pruning

        device = next(network.parameters()).device
        images = torch.zeros(2, *image_shape, device=device)
        self._importances = {
            "norm": torch_pruning.importance.GroupMagnitudeImportance(),
            "taylor": torch_pruning.importance.GroupTaylorImportance(),
            "random": torch_pruning.importance.RandomImportance(),
        }
        self._graph = torch_pruning.DependencyGraph()
        self._graph.build_dependency(network, images, verbose=False)
        attentions = [m for m in network.modules() if hasattr(m, "num_heads")]
        self._kept = [
            layer for whole in heads(network) + attentions for layer in whole.modules()
        ]
        self._at_first: dict[nn.Module, int] = {}

    @torch.no_grad()
    def remove(self, share: float, importance: str) -> None:
        """Remove channels, the least important of each layer.

        Args:
            share: Share of the channels that the layers had at first that is gone
                afterwards, 0 to 1.
            importance: One of `IMPORTANCES`.
        """
        groups = self._graph.get_all_groups(self._kept, (nn.Conv2d, nn.Linear))
        score = self._importances[importance]
        # All scores first, since what is removed of one layer changes others.
        scored = [(group[0].dep, _parts(group), score(group)) for group in groups]
        for root, parts, scores in scored:
            layer = root.target.module
            size = len(scores) // parts
            size_at_first = self._at_first.setdefault(layer, size)
            least = scores.reshape(parts, size).mean(dim=0).argsort()
            gone = least[: max(0, size - _kept_of(size_at_first, share))].tolist()
            if not gone:
                continue
            every = [part * size + channel for part in range(parts) for channel in gone]
            self._graph.get_pruning_group(layer, root.handler, every).prune()


def _parts(group: Any) -> int:
    """Return in how many parts channels lie that have to stay of the same size."""
    parts = [1]
    for dependency, _ in group:
        layer = dependency.target.module
        if isinstance(layer, nn.GroupNorm):
            parts.append(layer.num_groups)
        # Where each channel has a filter of its own, the number of groups follows.
        if isinstance(layer, nn.Conv2d) and layer.groups < layer.out_channels:
            parts.append(layer.groups)
    return max(parts)


def _kept_of(channels: int, share: float) -> int:
    """Return how many channels stay, rounded where there are many."""
    unit = _UNIT if channels >= 2 * _UNIT else 1
    return max(unit, round(channels * (1 - share) / unit) * unit)


def _share_for(model: TrainedNetwork, target: float) -> float:
    """Find the smallest share of channels without which few enough MACs are left.

    How many are left does not depend on which channels go, so this needs no weights.

    Raises:
        ConfigError: If no share does.
    """
    shape = model.description.image_shape

    def left(share: float) -> float:
        network = _trainable(model).to("meta")
        if share:
            Channels(network, shape).remove(share, "random")
        return float(analyze(network, shape[-1]).macs)

    whole, low, high = left(0), 0.0, _MOST
    if (least := left(high) / whole) > target:
        raise ConfigError(
            f"--target-macs is {target}, but {model.description.backbone} keeps at "
            f"least {least:.2f} of its MACs here: not all layers can be pruned. Let "
            "more of them stay."
        )
    while high - low > _STEP:
        middle = (low + high) / 2
        if left(middle) / whole > target:
            low = middle
        else:
            high = middle
    return high


def _trainable(model: TrainedNetwork) -> nn.Module:
    """Return a copy of a network, in eval mode, whose parameters need gradients."""
    network: nn.Module = deepcopy(model.network).requires_grad_(True)
    return network.to(memory_format=torch.contiguous_format)


def _find_gradients(network: nn.Module, photos: PhotoSample) -> None:
    """Leave the gradients of the loss on photos in the parameters."""
    network.zero_grad()
    labels = torch.from_numpy(photos.labels)
    for number, images in enumerate(photos.batches(_BATCH)):
        targets = labels[number * _BATCH :][: len(images)]
        loss: Any = functional.cross_entropy(network(images), targets)
        loss.backward()


def _rebuilt(model: TrainedNetwork, network: nn.Module) -> TrainedNetwork:
    """Build the pruned network from its shapes alone, and hold it against itself.

    Raises:
        ValueError: If it is not the same.
    """
    original = build_network(
        replace(model.description, shapes=None), None, model.device
    )
    shapes = changed_shapes(network, original.network)
    # What was said of its confidence is no longer so.
    description = replace(model.description, shapes=shapes, calibration=None)
    rebuilt = build_network(description, network.state_dict(), model.device)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(4, *description.image_shape, generator=generator)
    with torch.inference_mode():
        expected: Tensor = network(images)
        difference = (rebuilt.network(images) - expected).abs().max()
    if not difference <= TOLERANCE * expected.abs().max().clamp(min=1):
        raise ValueError(f"built again it differs by {difference:.1e}")
    return rebuilt


@contextmanager
def _pruning(backbone: str) -> Iterator[None]:
    """Explain what cannot be pruned.

    Raises:
        ConfigError: If Torch-Pruning is not installed.
        ExportError: If the network cannot be pruned.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImportError as err:
        raise ConfigError(
            f"--rungs pruned: {(err.name or 'a library').partition('.')[0]} is not "
            "installed. pip install 'clothing-lightning[export]'"
        ) from err
    except UserError:
        raise
    except Exception as err:  # whatever the library trips over
        raise ExportError(
            f"{backbone}: cannot be pruned here ({one_line(err)[:200]}). Leave out the "
            "rungs pruned and pruned-int8, or compress another network."
        ) from err
