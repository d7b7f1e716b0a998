import signal
from collections.abc import Iterator
from unittest.mock import Mock

import pytest

from clothing_lightning.training.interruption import TermSignal


@pytest.fixture
def callback() -> Iterator[TermSignal]:
    before = signal.getsignal(signal.SIGTERM)
    callback = TermSignal()
    callback.on_train_start(Mock(), Mock())
    yield callback
    signal.signal(signal.SIGTERM, before)


class TerminatedAsItGoes:
    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize(
    "hook", ["train_batch_start", "validation_batch_start", "test_batch_start"]
)
def test_sigterm_within_a_destructor_interrupts_the_next_batch(
    hook: str, callback: TermSignal
) -> None:
    next_batch = getattr(callback, f"on_{hook}")
    next_batch(Mock(), Mock(), None, 0)
    TerminatedAsItGoes()
    with pytest.raises(KeyboardInterrupt):
        next_batch(Mock(), Mock(), None, 0)


def test_sigterm_after_the_last_batch_interrupts_at_the_end(
    callback: TermSignal,
) -> None:
    signal.raise_signal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        callback.on_test_end(Mock(), Mock())


def test_second_sigterm_does_not_wait(callback: TermSignal) -> None:
    signal.raise_signal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
