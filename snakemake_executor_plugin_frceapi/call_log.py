"""What became of the calls of a run, a line each, for those who look for what is wrong."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection
from functools import partial

from snakemake_executor_plugin_frceapi.errors import ServiceError
from snakemake_executor_plugin_frceapi.job import Accepted, Listing, NotSent, SubmitOutcome
from snakemake_executor_plugin_frceapi.parcel import Parcel
from snakemake_executor_plugin_frceapi.ports import Carrier


class CallLog:
    """A service that tells of each call, and of listings only where the jobs' states have changed.

    Args:
        service: the service that is called.
        tell: receives the lines.
    """

    def __init__(self, service: Carrier, tell: Callable[[str], object]) -> None:
        self._service = service
        self.clear_away = service.clear_away
        self._tell = tell
        self._states: Counter[str] | None = None

    def submit_job(self, body: bytes) -> SubmitOutcome:
        """Submit one job."""
        return self._submitted(partial(self._service.submit_job, body), len(body))

    def deliver(self, parcel: Parcel) -> SubmitOutcome:
        """Submit one job, with what is written down of it."""
        return self._submitted(partial(self._service.deliver, parcel), len(parcel.body))

    def _submitted(self, call: Callable[[], SubmitOutcome], size: int) -> SubmitOutcome:
        begin = time.monotonic()
        outcome = call()
        self._tell(f"frceapi: submit_job, {size} bytes, {time.monotonic() - begin:.2f} s: {_told(outcome)}")
        return outcome

    def query_status(self, wanted: Collection[str] | None = None) -> Listing:
        """Ask for the listing.

        Raises:
            ServiceError: there is none.
        """
        begin = time.monotonic()
        try:
            listing = self._service.query_status(wanted)
        except ServiceError as fault:
            self._tell(f"frceapi: query_status, {time.monotonic() - begin:.2f} s: {fault}")
            raise
        states = Counter(status.state_word for status in listing.jobs.values())
        if states != self._states:
            words = ", ".join(f"{count} {word}" for word, count in states.most_common())
            self._tell(f"frceapi: query_status, {time.monotonic() - begin:.2f} s: {words or 'no job'}")
        self._states = states
        return listing


def _told(outcome: SubmitOutcome) -> str:
    match outcome:
        case Accepted(external_jobid):
            return f"job {external_jobid}"
        case NotSent(fault):
            return f"not sent: {fault}"
        case _:
            return f"{type(outcome).__name__.lower()}: {outcome.message}"
