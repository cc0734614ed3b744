"""The signals that end a run."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType
from typing import Any

_STOP = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
_POKE = signal.SIGURG
"""Means nothing to Snakemake, and is ignored where nobody handles it."""

_POKES_AFTER_SECONDS = (0.1, 0.4, 1.5)


class StopSignals:
    """Makes SIGTERM and SIGHUP do what Ctrl-C does; Snakemake sets its own handler after it built the executor.

    A signal that is ignored stays so: that is what ``nohup`` is for.

    Python handles a signal in its main thread, and that waits in Snakemake's scheduler for the end of a job, however
    long that takes. A signal that comes just before the wait, or to another thread, does not end it; so the main thread
    is poked when one of these has come.
    """

    def __init__(self) -> None:
        self._former: dict[int, Any] = {}
        self._former_wakeup = -1
        self._wakeup = -1

    def follow(self) -> None:
        """Follow them from now on."""
        if not self._former and threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._former[number] = signal.signal(number, _exit)
            self._former[_POKE] = signal.signal(_POKE, _go_on)
            reader, self._wakeup = os.pipe()
            os.set_blocking(self._wakeup, False)
            self._former_wakeup = signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
            threading.Thread(target=_poke, args=(reader,), name="frceapi-signals", daemon=True).start()

    def restore(self) -> None:
        """Give them back to whoever followed them before."""
        if self._former and threading.current_thread() is threading.main_thread():
            signal.set_wakeup_fd(self._former_wakeup)
            os.close(self._wakeup)
            while self._former:
                signal.signal(*self._former.popitem())


def _poke(reader: int) -> None:
    """Wake the main thread after each signal that ends a run, until the other end of a pipe is closed."""
    main = threading.main_thread()
    with os.fdopen(reader, "rb", buffering=0) as numbers:
        while came := numbers.read(64):
            for pause in _POKES_AFTER_SECONDS if _STOP.intersection(came) else ():
                time.sleep(pause)
                if main.is_alive() and main.ident:
                    signal.pthread_kill(main.ident, _POKE)


def _go_on(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: the wait of the main thread is over, and it handles what has come."""


def _exit(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
