"""Waiting for what other threads and processes do; a machine that is busy may take long."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_SECONDS = 60.0
_LONGEST_PAUSE_SECONDS = 0.1


def wait_until(true: Callable[[], object], what: str = "it", timeout: float = PATIENCE_SECONDS) -> None:
    """Wait until something is true.

    Args:
        true: returns it.
        what: names it.
        timeout: seconds after which it is not waited for any more.

    Raises:
        TimeoutError: it is not true by then.
    """
    until, pause = time.monotonic() + timeout, 0.005
    while not true():
        if time.monotonic() > until:
            raise TimeoutError(f"{what}: not seen in {timeout:g} s")
        time.sleep(pause)
        pause = min(1.5 * pause, _LONGEST_PAUSE_SECONDS)
