"""Averaged weights that short trainings can be averaged with as well."""

import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

from clothing_lightning.errors import ConfigError


class WarmEMA(WeightAveraging):
    """Exponential moving average of the weights, with a decay that rises to its value.

    After n steps the decay is min(``decay``, (1 + n) / (10 + n)), as in TensorFlow's
    ``ExponentialMovingAverage``. With a constant one, as in Lightning's
    ``EMAWeightAveraging``, the first step keeps the weight decay^n: of 0.998, after 100
    steps four fifths, so that a training on few images seems to have learnt nothing.
    The averaged weights are those that are validated, tested and kept.
    """

    def __init__(self, decay: float = 0.998) -> None:
        """Describe the average.

        Args:
            decay: Weight of the past in each step, 0 to below 1.

        Raises:
            ConfigError: If it is out of range.
        """
        if not 0 <= decay < 1:
            raise ConfigError(
                f"WarmEMA: decay is {decay}. It is from 0 to below 1, such as 0.998."
            )
        self.decay = decay
        super().__init__(avg_fn=self.average)

    def average(self, averaged: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
        """Average of one parameter after a step.

        Args:
            averaged: The averaged parameter before this step.
            current: The parameter now, of the same shape.
            count: Number of steps averaged so far, 0-dimensional.
        """
        # A tensor, since reading the number would wait for the GPU.
        decay = torch.as_tensor((1 + count) / (10 + count)).clamp(max=self.decay)
        return decay * averaged + (1 - decay) * current
