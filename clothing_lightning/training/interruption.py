"""Interrupts: Ctrl-C, and SIGTERM as a scheduler or ``docker stop`` sends it."""

import signal
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher


def interrupt(signum: int, frame: Any) -> None:
    """Answer a signal as Ctrl-C is answered.

    Raises:
        KeyboardInterrupt: Always.
    """
    raise KeyboardInterrupt


class TermSignal(Callback):
    """Takes SIGTERM back from Lightning, whose handler never ends on several devices.

    It waits for the other devices, which wait for this one in a collective call.
    Nor does ours raise at once: it often runs within a destructor, as a batch is freed,
    where Python drops what is raised. So it waits for the next batch.
    """

    received = False

    def on_sanity_check_start(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> None:
        """Take the signal."""
        signal.signal(signal.SIGTERM, self._receive)

    on_train_start = on_test_start = on_sanity_check_start

    def on_train_batch_start(self, *args: Any, **kwargs: Any) -> None:
        """Interrupt if the signal came."""
        if self.received:
            raise KeyboardInterrupt

    on_validation_batch_start = on_test_batch_start = on_train_batch_start
    on_train_end = on_test_end = on_train_batch_start

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Hide the processes of the other devices from Lightning's observer.

        It looks every five seconds, and kills this process once one of them is gone.
        Lightning ends them after an interrupt, and on a busy machine to record that the
        run was stopped takes longer.
        """
        launcher = trainer.strategy.launcher
        interrupted = isinstance(exception, KeyboardInterrupt)
        if interrupted and isinstance(launcher, _SubprocessScriptLauncher):
            observed = launcher.procs
            launcher.procs = observed.copy()
            observed.clear()

    def _receive(self, signum: int, frame: Any) -> None:
        if self.received:  # who asks twice does not want to wait for a batch
            interrupt(signum, frame)
        self.received = True
