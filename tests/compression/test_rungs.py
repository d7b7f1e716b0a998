from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch

from clothing_lightning.compression.pruning import Pruning
from clothing_lightning.compression.quantization import Quantization
from clothing_lightning.compression.rungs import RUNGS
from clothing_lightning.compression.source import Source
from clothing_lightning.data.options import Preprocessing
from tests.compression.networks import random_network


def test_what_was_made_of_other_weights_is_not_there() -> None:
    """A run that is resumed has another best checkpoint."""
    model = random_network(Preprocessing(32))
    run: Any = None
    source = Source(model, run, None, Quantization(), Pruning(), ())
    as_before = replace(source, model=replace(model, network=deepcopy(model.network)))
    other = deepcopy(model.network)
    with torch.no_grad():
        next(other.parameters())[0] += 1e-3
    resumed = replace(source, model=replace(model, network=other))
    for rung in RUNGS.values():
        assert rung.settings(source) == rung.settings(as_before)
        assert rung.settings(source) != rung.settings(resumed)
