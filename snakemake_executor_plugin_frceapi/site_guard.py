"""Holds submissions back while the site can take or begin no job, and ends a run that this stops for good."""

from __future__ import annotations

from collections.abc import Callable, Collection

from snakemake_executor_plugin_frceapi.breaker import LOST, UNSEEN, CircuitBreaker, fault_of_end, fault_of_refusal
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
    cluster has go on. The run ends when there are none left and none of them has closed the breaker. Where no job has
    ever seen its run directory, the first one that did not ends the run.

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
        self._is_seen = False
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

    def note_begun(self) -> None:
        """Note that a job has ended well, or that it has begun at least."""
        self._breaker.note_begin()
        self._is_seen = True

    def note_failed(self, item: Submission, others: Collection[Submission]) -> None:
        """Note that a job has failed, before its run directory is removed.

        Args:
            item: its submission.
            others: those whose end is not known.

        Raises:
            SiteUnusable: the nodes do not see what they should.
        """
        if not self._spool.is_shared:
            return
        start = self._spool.start(item.token)
        fault = fault_of_end(item.history, start.node if start else None, last_lines(item.log, 1))
        if fault is not None and fault.key == UNSEEN and not self._has_been_seen(others):
            raise SiteUnusable(self._not_shared(item))
        if fault is not None:
            self._breaker.note_fault(fault)
        elif start is not None:
            self.note_begun()

    def check(self, live: int, *, quiet: bool = False) -> None:
        """Hold submissions back or release them, as the breaker says.

        Args:
            live: how many jobs the cluster has.
            quiet: whether nothing should be sent for another reason.

        Raises:
            SiteUnusable: nothing can be submitted any more.
        """
        if not (self._breaker.is_open or quiet):
            self._resume()
            return
        self.submitter.hold()
        self._holds = True
        if not self._breaker.is_open:
            return
        if not live and not self.submitter.is_sending:
            raise SiteUnusable(
                f"{self._breaker.message()}. Snakemake gives up, because further jobs would fare no better; start it "
                "again when that is mended, and what has ended well is not run again."
            )
        if live and not self._told:
            self._told = True
            jobs = "the job that the cluster still has goes" if live == 1 else f"{live} jobs that the cluster has go"
            self._warn(f"{self._breaker.message()}. Nothing more is submitted; {jobs} on.")

    def _has_been_seen(self, others: Collection[Submission]) -> bool:
        """Whether any job of this run has left a trace in its run directory."""
        self._is_seen = self._is_seen or any(self._spool.claimed_by(item.token) for item in others)
        return self._is_seen

    def _not_shared(self, item: Submission) -> str:
        return (
            f"Job {item.external_jobid} of rule {item.rule} failed and left nothing in {self._spool.directory}, nor "
            "did any other: the nodes seem not to share it, though Snakemake was told so. Start it in a directory that "
            "is shared, or with --shared-fs-usage none and a storage."
        )

    def _resume(self) -> None:
        if self._told:
            self._warn("Jobs are submitted again, because one was taken or has begun.")
        if self._holds:
            self.submitter.release()
        self._holds = self._told = False
