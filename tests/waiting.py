"""Waiting for what other threads and processes do; a machine that is busy may take long."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_SECONDS = 60.0
_PAUSE_SECONDS = 0.01


def wait_until(true: Callable[[], object]) -> None:
    """Wait until something is true."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < until
        time.sleep(_PAUSE_SECONDS)
