import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from clothing_lightning.errors import ConfigError
from clothing_lightning.training.averaging import WarmEMA


def averaged_over(steps: int, decay: float) -> float:
    """Average of a weight that is 0 after the first step and 1 after all others."""
    model = nn.Linear(1, 1, bias=False)
    average = AveragedModel(model, avg_fn=WarmEMA(decay).average)
    for step in range(steps):
        nn.init.constant_(model.weight, float(step > 0))
        average.update_parameters(model)
    (weight,) = average.module.parameters()
    return weight.item()


def test_short_training_is_not_held_back_by_its_first_step() -> None:
    assert averaged_over(20, 0.998) > 0.999
    # The first step's weight is the product of the decays.
    decays = torch.tensor([(1 + n) / (10 + n) for n in (1, 2, 3)])
    assert averaged_over(4, 0.998) == pytest.approx(1 - float(decays.prod()), abs=1e-5)


def test_decay_rises_to_its_value_and_no_further() -> None:
    assert averaged_over(3, 0.1) == pytest.approx(1 - 0.1**2)


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_decay_out_of_range_is_refused(decay: float) -> None:
    with pytest.raises(ConfigError, match=rf"WarmEMA: decay is {decay}\. It is from 0"):
        WarmEMA(decay)
