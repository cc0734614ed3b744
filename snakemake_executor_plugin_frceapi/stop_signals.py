"""The signals that end a run."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class StopSignals:
    """Makes SIGTERM and SIGHUP do what Ctrl-C does; Snakemake sets its own handler after it built the executor.

    A signal that is ignored stays so: that is what ``nohup`` is for.
    """

    def __init__(self) -> None:
        self._former: dict[int, Any] = {}

    def follow(self) -> None:
        """Follow them from now on."""
        if not self._former and threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._former[number] = signal.signal(number, _exit)

    def restore(self) -> None:
        """Give them back to whoever followed them before."""
        for number, handler in self._former.items():
            signal.signal(number, handler)


def _exit(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
