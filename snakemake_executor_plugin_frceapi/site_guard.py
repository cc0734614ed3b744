"""Holds submissions back while the site can take or begin no job, and ends a run that this stops for good."""

from __future__ import annotations

from collections.abc import Callable

from snakemake_executor_plugin_frceapi.breaker import LOST, CircuitBreaker, fault_of_end, fault_of_refusal
from snakemake_executor_plugin_frceapi.errors import FrceapiError
from snakemake_executor_plugin_frceapi.job import Refused
from snakemake_executor_plugin_frceapi.logs import last_lines
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.submission import Submission, Submitter


class SiteUnusable(FrceapiError):
    """Jobs fail one after another for a reason of the site."""


class SiteGuard:
    """Keeps a circuit breaker for the submissions of a run.

    While it is open, what was not sent waits, whatever its attempt, instead of failing as well; the jobs that the
    cluster has go on. The run ends when there are none left and none of them has closed the breaker.

    Args:
        submitter: sends the submissions.
        spool: the run directory.
        warn: receives lines for the user.
    """

    def __init__(self, submitter: Submitter, spool: Spool, warn: Callable[[str], None]) -> None:
        self.submitter = submitter
        self._spool = spool
        self._warn = warn
        self._breaker = CircuitBreaker()
        self._holds = False
        self._told = False

    def note_accepted(self) -> None:
        """Note that the API took a job."""
        self._breaker.note_acceptance()

    def note_refused(self, refused: Refused) -> None:
        """Note that the API did not take a job."""
        self._breaker.note_fault(fault_of_refusal(refused))

    def note_lost(self) -> None:
        """Note that a submission was given up that the API has not answered."""
        self._breaker.note_fault(LOST)

    def note_succeeded(self) -> None:
        """Note that a job has ended well."""
        self._breaker.note_begin()

    def note_failed(self, item: Submission) -> None:
        """Note that a job has failed, before its run directory is removed."""
        start = self._spool.start(item.token)
        fault = fault_of_end(item.history, start.node if start else None, last_lines(item.log, 1))
        if fault is not None:
            self._breaker.note_fault(fault)
        elif start is not None:
            self._breaker.note_begin()

    def check(self, live: int) -> None:
        """Hold submissions back or release them, as the breaker says.

        Args:
            live: how many jobs the cluster has.

        Raises:
            SiteUnusable: nothing can be submitted any more.
        """
        if not self._breaker.is_open:
            self._resume()
            return
        self.submitter.hold()
        self._holds = True
        if not live and not self.submitter.is_sending:
            raise SiteUnusable(
                f"{self._breaker.message()}. Snakemake gives up, because further jobs would fare no better; start it "
                "again when that is mended, and what has ended well is not run again."
            )
        if live and not self._told:
            self._told = True
            jobs = "the job that the cluster still has goes" if live == 1 else f"{live} jobs that the cluster has go"
            self._warn(f"{self._breaker.message()}. Nothing more is submitted; {jobs} on.")

    def _resume(self) -> None:
        if self._told:
            self._warn("Jobs are submitted again, because one was taken or has begun.")
        if self._holds:
            self.submitter.release()
        self._holds = self._told = False
