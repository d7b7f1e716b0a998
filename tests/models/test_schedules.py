import math
from typing import Any

import pytest
import torch
from torch.optim import SGD

from clothing_lightning.errors import ConfigError
from clothing_lightning.models.schedules import WarmupCosine


def described(total_steps: int, **options: Any) -> WarmupCosine:
    parameters = [torch.zeros(1, requires_grad=True) for _ in range(2)]
    groups: list[dict[str, Any]] = [
        {"params": parameters[:1]},
        {"params": parameters[1:], "lr": 0.2},
    ]
    schedule = WarmupCosine(SGD(groups, lr=1.0), **options)
    schedule.run_for(total_steps)
    return schedule


def rates(schedule: WarmupCosine, steps: int) -> list[float]:
    """Learning rates of the first group in the next steps."""
    found = []
    for _ in range(steps):
        found.append(schedule.optimizer.param_groups[0]["lr"])
        schedule.optimizer.step()
        schedule.step()
    return found


def test_rates_are_those_computed_by_hand() -> None:
    schedule = described(12, warmup=0.25)
    # Three steps up, from a quarter; then half a cosine over nine.
    down = [(1 + math.cos(math.pi * step / 9)) / 2 for step in range(9)]
    assert rates(schedule, 12) == pytest.approx([0.25, 0.5, 0.75, *down])
    assert schedule.get_last_lr() == pytest.approx([0, 0])


def test_groups_keep_their_proportions() -> None:
    schedule = described(10)
    rates(schedule, 4)
    first, second = schedule.get_last_lr()
    assert 0 < first < 1
    assert second == pytest.approx(0.2 * first)


def test_final_is_the_factor_at_the_end_and_after_it() -> None:
    schedule = described(10, warmup=0.0, final=0.1)
    assert rates(schedule, 11)[-1] == pytest.approx(0.1)
    assert rates(schedule, 3) == pytest.approx([0.1] * 3)


def test_default_warms_up_in_a_twentieth() -> None:
    found = rates(described(100), 100)
    assert found[:6] == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1])
    assert max(found) == 1


@pytest.mark.parametrize("total", [1, 2, 3])
@pytest.mark.parametrize("warmup", [0.0, 0.5, 1.0])
def test_shortest_runs_have_rates_above_zero(total: int, warmup: float) -> None:
    found = rates(described(total, warmup=warmup), total)
    assert all(0 < rate <= 1 for rate in found)


@pytest.mark.parametrize("stop", [2, 9])
def test_resumed_schedule_goes_on_where_it_stopped(stop: int) -> None:
    whole = rates(described(20, warmup=0.2), 20)
    before = described(20, warmup=0.2)
    rates(before, stop)
    after = described(20, warmup=0.2)
    after.optimizer.load_state_dict(before.optimizer.state_dict())
    after.load_state_dict(before.state_dict())
    assert rates(after, 20 - stop) == whole[stop:]


def test_resumed_run_may_be_longer() -> None:
    before = described(10, warmup=0.0)
    rates(before, 5)
    after = described(20, warmup=0.0)
    after.load_state_dict(before.state_dict())
    after.optimizer.step()
    after.step()
    expected = (1 + math.cos(math.pi * 6 / 20)) / 2
    assert after.get_last_lr()[0] == pytest.approx(expected)


def test_state_holds_plain_values_alone() -> None:
    state = described(10).state_dict()
    assert "total_steps" not in state
    flat = [v for x in state.values() for v in (x if isinstance(x, list) else [x])]
    assert all(isinstance(value, int | float | None) for value in flat)


def test_run_without_end_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"trainer\.max_epochs is -1: WarmupCosine"):
        described(10).run_for(math.inf)


@pytest.mark.parametrize("warmup", [-0.1, 5])
def test_warmup_that_is_no_share_is_an_error(warmup: float) -> None:
    with pytest.raises(ConfigError, match=rf"init_args\.warmup is {warmup}\. .*0 to 1"):
        described(10, warmup=warmup)
