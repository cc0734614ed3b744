"""When the next round is due."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LONGEST_PAUSE_SECONDS = 1.0
_SHORTEST_PAUSE_SECONDS = 0.1
_MOST_OF_THE_TIME = 0.05
_MOMENT_SECONDS = 0.1
"""Time between two rounds in which what comes in a burst is gathered: each round has a cost of its own."""

LONGEST_ROUND_SECONDS = 60.0
"""Time between two rounds beyond which the machine slept or the process was stopped; what is waited for is put off."""


class Pacing:
    """The pauses between rounds: short where a round costs little, so that an end is soon known.

    Rounds take a twentieth of the time at most, unless a second passes between two.

    Args:
        clock: returns seconds of a monotonic clock.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._changed = threading.Event()
        self._at_once = threading.Event()
        self._closed = False
        self._pause = _SHORTEST_PAUSE_SECONDS
        self.ended = clock()

    @contextmanager
    def round(self) -> Iterator[float]:
        """Measure a round; gives the seconds that the machine slept before it."""
        begun = self._clock()
        yield max(0.0, begun - self.ended - LONGEST_ROUND_SECONDS)
        self.ended = self._clock()
        cost = (self.ended - begun) / _MOST_OF_THE_TIME
        self._pause = min(LONGEST_PAUSE_SECONDS, max(_SHORTEST_PAUSE_SECONDS, cost))

    def wake(self, *, at_once: bool = True) -> None:
        """End the present `wait`, or, where more of the same is to come, do so a moment after the last round."""
        if at_once:
            self._at_once.set()
        self._changed.set()

    def wait(self, *, idle: bool) -> None:
        """Wait until something has happened, or, unless the run is idle, for the pause."""
        if self._closed:
            return
        if self._changed.wait(None if idle else self._pause):
            self._at_once.wait(max(0.0, self.ended + _MOMENT_SECONDS - self._clock()))
        self._changed.clear()
        self._at_once.clear()

    def close(self) -> None:
        """End the present `wait` for good."""
        self._closed = True
        self.wake()
