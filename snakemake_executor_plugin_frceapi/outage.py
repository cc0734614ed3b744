"""How long the service has been out of reach, and when to try it again.

Only what happens between two failures counts as an outage, and only where they are no further apart than calls can be:
a machine that was suspended, or a process that was stopped, has not asked, and so does not know. That is why an outage
grows with a failure and never with the clock alone.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from snakemake_executor_plugin_frceapi.errors import (
    ConfigurationFault,
    FrceapiError,
    ServiceError,
    TicketFault,
    TransientFault,
)
from snakemake_executor_plugin_frceapi.retry import wait_seconds

LONGEST_GAP_SECONDS = 900.0
"""Longer than the longest wait and the longest call together."""

_SHORT_SECONDS = 60.0
_QUIET_SECONDS = 600.0


class GaveUp(FrceapiError):
    """The service has been out of reach for longer than the user wants to wait."""


@dataclass(slots=True)
class _Trouble:
    """A call that has not been answered since its first failure.

    Attributes:
        last: when it failed last.
        resume: when it may be tried again.
        seconds: how long it has not been answered, times in which nobody asked left out.
        tries: failures in a row; calls that were under way at the same time count as one.
        fault: why it failed last.
    """

    last: float
    resume: float
    seconds: float = 0.0
    tries: int = 0
    fault: str = ""


class OutageMonitor:
    """Counts the failures of each call and says one line when an outage begins and one when it ends.

    A service that fails every now and then is told of once in ten minutes, unless it stays away for a minute. What only
    the user can mend is told at once.

    Args:
        say: receives the lines.
        clock: returns seconds of a monotonic clock.
        longest_gap_seconds: time between two failures beyond which nobody has asked.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        clock: Callable[[], float],
        longest_gap_seconds: float = LONGEST_GAP_SECONDS,
    ) -> None:
        self._say = say
        self._clock = clock
        self._longest_gap = longest_gap_seconds
        self._troubles: dict[str, _Trouble] = {}
        self._since = 0.0
        self._told: set[type[ServiceError]] = set()
        self._told_until = -inf
        self._lock = threading.Lock()

    def failed(self, call: str, fault: ServiceError) -> float:
        """Note that a call failed and return the seconds to wait before it is tried again."""
        return self._note(call, fault, is_lost=False)

    def lost(self, call: str, fault: TransientFault) -> float:
        """Note that nobody knows what became of a call, and return the seconds to wait before the next one.

        A single one is an accident, which is told elsewhere and slows nothing down.
        """
        return self._note(call, fault, is_lost=True)

    def _note(self, call: str, fault: ServiceError, *, is_lost: bool) -> float:
        with self._lock:
            now = self._clock()
            if not (self._troubles or self._told):
                self._since = now
            trouble = self._troubles.setdefault(call, _Trouble(now, now))
            wait = self._count(trouble, fault, now, is_lost=is_lost)
            is_news = self._is_news(fault, now, is_lost=is_lost)
            if is_news:
                self._told.add(type(fault))
        if is_news:
            self._say(f"{trouble.fault}. Jobs that were submitted go on; the call is tried again until it works.")
        return wait

    def succeeded(self, call: str) -> None:
        """Note that a call was answered."""
        with self._lock:
            self._troubles.pop(call, None)
            if self._troubles or not self._told:
                return
            self._told.clear()
            self._told_until = self._clock()
            lasted = self._told_until - self._since
        self._say(f"The API can be used again, after {duration(lasted)}.")

    def forget(self, call: str) -> None:
        """Note that nobody waits for a call any more: the time until the next one is no outage."""
        with self._lock:
            self._troubles.pop(call, None)

    def check(self, tolerance_seconds: float) -> None:
        """Check that no call has been unanswered for too long.

        Raises:
            GaveUp: one has.
        """
        for call in list(self._troubles):
            lasted = self.lasted(call)
            if lasted > tolerance_seconds:
                tolerance = f"--frceapi-outage-tolerance {tolerance_seconds / 3600:g}"
                raise GaveUp(
                    f"No {call} has worked for {lasted / 3600:.1f} h ({tolerance}): {self.last_fault(call)}; "
                    "Snakemake gives up and leaves the jobs alone."
                )

    def lasted(self, call: str) -> float:
        """Return for how many seconds a call had not been answered when it failed last, 0 once it is answered."""
        with self._lock:
            trouble = self._troubles.get(call)
            return trouble.seconds if trouble else 0.0

    def last_fault(self, call: str) -> str:
        """Return why a call failed last, nothing once it is answered."""
        with self._lock:
            trouble = self._troubles.get(call)
            return trouble.fault if trouble else ""

    def _count(self, trouble: _Trouble, fault: ServiceError, now: float, *, is_lost: bool) -> float:
        gap = now - trouble.last
        trouble.seconds += gap if gap <= self._longest_gap else 0.0
        trouble.last, trouble.fault = now, str(fault).rstrip(".")
        if now >= trouble.resume:
            trouble.tries += 1
        is_accident = is_lost and trouble.tries == 1 and _asked(fault) is None
        if not is_accident:
            jitter = random.random()  # noqa: S311 - spreads requests, guards nothing
            trouble.resume = max(trouble.resume, now + wait_seconds(fault, trouble.tries - is_lost, jitter=jitter))
        return max(0.0, trouble.resume - now)

    def _is_news(self, fault: ServiceError, now: float, *, is_lost: bool) -> bool:
        if isinstance(fault, (TicketFault, ConfigurationFault)):
            return type(fault) not in self._told
        is_quiet = is_lost or now - self._told_until < _QUIET_SECONDS
        return not self._told and (now - self._since >= _SHORT_SECONDS or not is_quiet)


def _asked(fault: ServiceError) -> float | None:
    return fault.retry_after_seconds if isinstance(fault, TransientFault) else None


def duration(seconds: float) -> str:
    """Return a time as people say it: in seconds, minutes or hours."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
