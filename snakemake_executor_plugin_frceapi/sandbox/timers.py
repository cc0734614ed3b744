"""Things to do later. Pure: the caller says what time it is."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable


class Timers:
    """Actions ordered by the moment at which they are due, on any one clock in seconds."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def add(self, due: float, action: Callable[[], None]) -> None:
        """Remember `action` for the moment `due`."""
        heapq.heappush(self._heap, (due, next(self._order), action))

    def next_due(self) -> float | None:
        """When the next action is due; None: there is none."""
        return self._heap[0][0] if self._heap else None

    def run_due(self, now: float) -> None:
        """Do everything that is due."""
        while self._heap and self._heap[0][0] <= now:
            heapq.heappop(self._heap)[2]()
