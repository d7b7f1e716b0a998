import signal
import subprocess
from collections.abc import Iterator
from unittest.mock import Mock

import pytest
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.strategies.launchers import subprocess_script
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher

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


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt(), None), (ValueError(), -signal.SIGKILL)]
)
def test_the_end_of_other_devices_after_an_interrupt_ends_nothing_else(
    error: BaseException, status: int | None
) -> None:
    with (
        subprocess.Popen(["sleep", "60"]) as first,
        subprocess.Popen(["sleep", "60"]) as other,
    ):
        launcher = _SubprocessScriptLauncher(LightningEnvironment(), 2, 1)
        launcher.procs = [other]
        observer = subprocess_script._ChildProcessObserver(first.pid, launcher.procs)
        trainer = Mock(strategy=Mock(launcher=launcher))
        TermSignal().on_exception(trainer, Mock(), error)
        for process in launcher.procs:
            process.kill()
            process.wait()
        assert observer._run()
        try:
            ended = first.wait(timeout=1)
        except subprocess.TimeoutExpired:
            ended = None
        first.kill()
    assert ended == status
