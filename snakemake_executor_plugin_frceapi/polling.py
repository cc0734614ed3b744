"""The thread that asks for the listing: one request an interval, whatever the number of jobs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection

from snakemake_executor_plugin_frceapi.errors import ServiceError, TransientFault
from snakemake_executor_plugin_frceapi.job import Listing
from snakemake_executor_plugin_frceapi.outage import OutageMonitor
from snakemake_executor_plugin_frceapi.threads import REAL_THREADS, Threads

CALL = "query_status"

LONGEST_AGE_SECONDS = 120.0
"""Twice what a request may take: an older listing was held up with the whole machine, and tells of another time."""


class StatusPoller:
    """Asks for the listing while there are jobs to ask about, and keeps the newest valid one.

    Args:
        query: asks once, for the jobs with these external jobids.
        wanted: returns the external jobids to ask for, or None while there is nothing to ask about.
        interval_seconds: time between two requests.
        first_delay_seconds: time between the first submission after an idle spell and the request that follows it.
        outages: is told about failures and decides when to try again.
        notify: called when a new listing can be taken.
        threads: what asks.
    """

    def __init__(
        self,
        query: Callable[[Collection[str]], Listing],
        wanted: Callable[[], Collection[str] | None],
        interval_seconds: float,
        first_delay_seconds: float,
        outages: OutageMonitor,
        notify: Callable[[], None],
        threads: Threads = REAL_THREADS,
    ) -> None:
        self._query = query
        self._wanted = wanted
        self._interval = interval_seconds
        self._first_delay = first_delay_seconds
        self._outages = outages
        self._notify = notify
        self._newest: Listing | None = None
        self._asked = 0.0
        self._changed = threading.Condition()
        self._threads = threads
        self._started = False
        self._stopped = False
        self._due: float | None = None

    def wake(self) -> None:
        """Begin to ask, if it does not already: there are active jobs."""
        with self._changed:
            if not (self._started or self._stopped):
                self._started = True
                self._due = self._threads.clock() + self._first_delay
                self._threads.start(self, "frceapi-status")
            self._changed.notify()

    def take(self) -> Listing | None:
        """Return the newest valid listing that was not taken before, or None.

        A machine that was suspended, or a process that was stopped, can hold one that was true hours ago: that is none.
        """
        with self._changed:
            listing, self._newest = self._newest, None
            is_old = self._threads.clock() - self._asked > LONGEST_AGE_SECONDS
        return None if is_old else listing

    def stop(self) -> None:
        """Ask no more."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def run(self) -> None:
        """Ask whenever it is time to, until the poller is stopped."""
        while self._wait():
            self.step()

    def step(self) -> None:
        """Ask if it is time to; without jobs do not ask until there are some, and then after a delay."""
        wanted = self._wanted()
        now = self._threads.clock()
        if wanted is None:
            self._outages.forget(CALL)
            self._due = None
        elif self._due is None:
            self._due = now + max(self._first_delay, self._interval)
        elif now >= self._due:
            pause = self._ask(wanted)
            self._due = self._threads.clock() + pause

    def _ask(self, wanted: Collection[str]) -> float:
        asked = self._threads.clock()
        try:
            listing = self._query(wanted)
        except Exception as error:  # noqa: BLE001 - a thread that ended here would leave all jobs without a listing
            internal = TransientFault(f"Internal error in {CALL}: {type(error).__name__}: {error}")
            fault = error if isinstance(error, ServiceError) else internal
            return max(self._interval, self._outages.failed(CALL, fault))
        self._outages.succeeded(CALL)
        with self._changed:
            self._newest, self._asked = listing, asked
        self._notify()
        return self._interval

    def _wait(self) -> bool:
        """Wait until a step would do something; return whether the poller goes on."""
        with self._changed:
            while not self._stopped:
                if self._due is None and self._wanted() is not None:
                    return True
                pause = None if self._due is None else self._due - self._threads.clock()
                if pause is not None and pause <= 0:
                    return True
                self._changed.wait(pause)
        return False
