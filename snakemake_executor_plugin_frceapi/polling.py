"""The thread that asks for the listing: one request an interval, whatever the number of jobs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection

from snakemake_executor_plugin_frceapi.errors import ServiceError, TransientFault
from snakemake_executor_plugin_frceapi.job import Listing
from snakemake_executor_plugin_frceapi.outage import OutageMonitor

CALL = "query_status"


class StatusPoller:
    """Asks for the listing while there are jobs to ask about, and keeps the newest valid one.

    Args:
        query: asks once, for the jobs with these external jobids.
        wanted: returns the external jobids to ask for, or None while there is nothing to ask about.
        interval_seconds: time between two requests.
        first_delay_seconds: time between the first submission after an idle spell and the request that follows it.
        outages: is told about failures and decides when to try again.
        notify: called when a new listing can be taken.
    """

    def __init__(
        self,
        query: Callable[[Collection[str]], Listing],
        wanted: Callable[[], Collection[str] | None],
        interval_seconds: float,
        first_delay_seconds: float,
        outages: OutageMonitor,
        notify: Callable[[], None],
    ) -> None:
        self._query = query
        self._wanted = wanted
        self._interval = interval_seconds
        self._first_delay = first_delay_seconds
        self._outages = outages
        self._notify = notify
        self._newest: Listing | None = None
        self._changed = threading.Condition()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Begin to ask, if it does not already: there are active jobs."""
        with self._changed:
            if self._thread is None and not self._stopped:
                self._thread = threading.Thread(target=self._run, name="frceapi-status", daemon=True)
                self._thread.start()
            self._changed.notify()

    def take(self) -> Listing | None:
        """Return the newest valid listing that was not taken before, or None."""
        with self._changed:
            listing, self._newest = self._newest, None
        return listing

    def stop(self) -> None:
        """Ask no more."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def _run(self) -> None:
        delay = self._first_delay
        while self._sleep(delay):
            wanted = self._wanted()
            if wanted is not None:
                delay = self._ask(wanted)
            else:
                self._outages.forget(CALL)
                self._wait_for_jobs()
                delay = max(self._first_delay, self._interval)

    def _ask(self, wanted: Collection[str]) -> float:
        try:
            listing = self._query(wanted)
        except Exception as error:  # noqa: BLE001 - a thread that ended here would leave all jobs without a listing
            internal = TransientFault(f"Internal error in {CALL}: {type(error).__name__}: {error}")
            fault = error if isinstance(error, ServiceError) else internal
            return max(self._interval, self._outages.failed(CALL, fault))
        self._outages.succeeded(CALL)
        with self._changed:
            self._newest = listing
        self._notify()
        return self._interval

    def _sleep(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        with self._changed:
            while not self._stopped and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)
            return not self._stopped

    def _wait_for_jobs(self) -> None:
        with self._changed:
            while not self._stopped and self._wanted() is None:
                self._changed.wait()
