"""A learning-rate schedule that knows the length of the run without being told."""

import math
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from clothing_lightning.errors import ConfigError


class WarmupCosine(LambdaLR):
    """Linear warm-up, then half a cosine down, one step for each batch.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
    ICLR 2017, without restarts.
    """

    def __init__(
        self, optimizer: Optimizer, warmup: float = 0.05, final: float = 0.0
    ) -> None:
        """Describe the schedule.

        Args:
            optimizer: An optimizer with the highest learning rate of each group.
            warmup: Share of all steps in which the rate rises, 0 to 1.
            final: Factor of the learning rate at the end.

        Raises:
            ConfigError: If the warm-up is not from 0 to 1.
        """
        if not 0 <= warmup <= 1:
            raise ConfigError(
                f"model.init_args.scheduler.init_args.warmup is {warmup}. It is a "
                "share of all steps, 0 to 1: 0.05 warms up in a twentieth of the run."
            )
        self.warmup = warmup
        self.final = final
        self.total_steps = 1
        super().__init__(optimizer, self.factor)

    def run_for(self, total_steps: float) -> None:
        """Set the number of optimizer steps in the run, or in its phase.

        Raises:
            ConfigError: If the run has no end.
        """
        if not math.isfinite(total_steps):
            raise ConfigError(
                "trainer.max_epochs is -1: WarmupCosine has to know when the run ends. "
                "Give a number, or another model.init_args.scheduler."
            )
        self.total_steps = int(total_steps)
        for group, rate in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = rate * self.factor(0)

    def factor(self, step: int) -> float:
        """Return the factor of the learning rate at a step, from 0 to 1."""
        rising = round(self.warmup * self.total_steps)
        if step < rising:
            return (step + 1) / (rising + 1)
        done = min(1.0, (step - rising) / max(1, self.total_steps - rising))
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * done)) / 2

    def state_dict(self) -> dict[str, Any]:
        """Return the state without the length, so that a resumed run may be longer."""
        state = super().state_dict()
        for key in ("total_steps", "lr_lambdas"):
            state.pop(key)
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the place in the schedule."""
        vars(self).update(state_dict)
