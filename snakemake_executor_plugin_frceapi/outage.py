"""How long the service has been out of reach, and when to try it again."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

from snakemake_executor_plugin_frceapi.errors import ServiceError
from snakemake_executor_plugin_frceapi.retry import wait_seconds


@dataclass(slots=True)
class _Trouble:
    since: float
    tries: int = 0


class OutageMonitor:
    """Counts the failures of each call and says one line when an outage begins and one when it ends.

    Args:
        say: receives the lines.
        clock: returns seconds of a monotonic clock.
    """

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._say = say
        self._clock = clock
        self._troubles: dict[str, _Trouble] = {}
        self._since = 0.0
        self._told = False
        self._lock = threading.Lock()

    def failed(self, call: str, fault: ServiceError) -> float:
        """Note that a call failed and return the seconds to wait before it is tried again."""
        with self._lock:
            begins = not self._troubles
            trouble = self._troubles.setdefault(call, _Trouble(self._clock()))
            trouble.tries += 1
            if begins:
                self._since = trouble.since
            told, self._told = self._told, True
        if not told:
            self._say(
                f"{str(fault).rstrip('.')}. Jobs that were submitted go on; the call is tried again until it works."
            )
        return wait_seconds(fault, trouble.tries, jitter=random.random())  # noqa: S311 - spreads requests, guards nothing

    def succeeded(self, call: str) -> None:
        """Note that a call was answered."""
        with self._lock:
            self._troubles.pop(call, None)
            if self._troubles or not self._told:
                return
            lasted = self._clock() - self._since
            self._told = False
        self._say(f"The API answers again, after {lasted:.0f} s.")

    def forget(self, call: str) -> None:
        """Note that nobody waits for a call any more: the time until the next one is no outage."""
        with self._lock:
            self._troubles.pop(call, None)

    def lasted(self, call: str) -> float:
        """Return for how many seconds a call has not been answered, 0 where the last one was."""
        with self._lock:
            trouble = self._troubles.get(call)
            return self._clock() - trouble.since if trouble else 0.0
