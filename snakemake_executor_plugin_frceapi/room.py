"""The places that ``--jobs`` gives in the queue: who has one, and who waits for one."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from math import inf
from typing import Any

_KEPT_SECONDS = 2.0
"""Time for which the place of a job that has ended is kept for the one that Snakemake usually hands over next."""


class Room:
    """Holds jobs back that Snakemake has asked for, while the queue is full of those that it has not come to.

    Args:
        jobs: the most jobs that the queue may hold, None: any number.
        others: returns how many jobs it holds that Snakemake has not asked for, or not any more.
        lock: guards what `others` counts; no job is let in while it is held, because Snakemake has a lock of its own.
    """

    def __init__(self, jobs: int | None, others: Callable[[], int], lock: AbstractContextManager[Any]) -> None:
        self._jobs = inf if jobs is None else jobs
        self._others = others
        self._lock = lock
        self._held: deque[Callable[[], None]] = deque()
        self._awaited = 0
        self._ended: deque[float] = deque()

    @property
    def held(self) -> int:
        """How many jobs wait for a place."""
        return len(self._held)

    def send(self, action: Callable[[], None]) -> None:
        """Let a job that Snakemake has asked for into the run, as soon as the queue has room for it.

        Args:
            action: lets it in.
        """
        with self._lock:
            self._awaited += 1
            if self._excess() > 0:
                self._held.append(action)
                return
        action()

    def note_attached(self) -> None:
        """Note that Snakemake has come to a job that the queue holds already."""
        with self._lock:
            self._awaited += 1

    def note_ended(self) -> None:
        """Note that a job that Snakemake has asked for has ended."""
        with self._lock:
            self._awaited -= 1
            self._ended.append(time.monotonic())

    def has_place(self) -> bool:
        """Return whether the queue may hold one more job that Snakemake has not asked for."""
        while self._ended and self._ended[0] < time.monotonic() - _KEPT_SECONDS:
            self._ended.popleft()
        return self._excess() + len(self._ended) < 0

    def fill(self) -> None:
        """Let in what was held back, as far as there are places now."""
        while action := self._next():
            action()

    def _next(self) -> Callable[[], None] | None:
        with self._lock:
            return self._held.popleft() if self._held and self._excess() < len(self._held) else None

    def _excess(self) -> float:
        """How many jobs too many the queue would hold if nothing were held back."""
        return self._awaited + self._others() - self._jobs
