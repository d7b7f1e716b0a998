"""`fit` in a process of its own, so that no training inherits what another left."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

from clothing_lightning.errors import EXIT_INTERRUPTED


def fit_alone(
    words: Sequence[str], environment: Mapping[str, str] | None = None
) -> int:
    """Run ``fit`` in a process of its own, which answers to interrupts itself.

    Args:
        words: Words of its command line.
        environment: Variables that it has besides those of this process.

    Returns:
        The exit code; that of an interrupt where a signal has ended it.
    """
    command = [sys.executable, "-m", "clothing_lightning.fit", *words]
    process = subprocess.Popen(command, env={**os.environ, **(environment or {})})
    handlers = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
        signal.SIGTERM: signal.signal(
            signal.SIGTERM, lambda *_: process.send_signal(signal.SIGTERM)
        ),
    }
    try:
        code = process.wait()
        stopped = code in (-signal.SIGINT, -signal.SIGTERM)
        return EXIT_INTERRUPTED if stopped else code
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
