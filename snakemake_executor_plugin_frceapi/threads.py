"""The threads of a run: each repeats one step, and a test that has a clock of its own makes the steps without them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Loop(Protocol):
    """Work that goes on beside a run."""

    def run(self) -> None:
        """Make a step whenever one is due, until the loop is stopped."""

    def step(self) -> None:
        """Do what is due now, once; nothing if nothing is."""


def start_thread(loop: Loop, name: str) -> None:
    """Run a loop in a thread of its own, which does not keep the process alive."""
    threading.Thread(target=loop.run, name=name, daemon=True).start()


@dataclass(frozen=True, slots=True)
class Threads:
    """What runs the loops, and the clock they wait by.

    Attributes:
        clock: returns seconds of a monotonic clock.
        start: begins to run a loop; it is given a name for it.
    """

    clock: Callable[[], float] = time.monotonic
    start: Callable[[Loop, str], None] = start_thread


REAL_THREADS = Threads()
