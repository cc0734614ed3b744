"""What listings show of the jobs of a run, and what is made of a job that one does not show.

A job that is not listed is neither done nor failed, and most jobs that are gone at once say more about the listing than
about the jobs: then nothing is concluded from it, for as long as a listing reaches back.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from snakemake_executor_plugin_frceapi.job import JobStatus, Listing
from snakemake_executor_plugin_frceapi.remarks import Remarks
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.submission import Submission
from snakemake_executor_plugin_frceapi.tracker import Graces

MOST_LOOKS = 100
"""How many jobs that are not listed are looked for in their run directories at each listing."""


class Sightings:
    """Enters listings into the histories of jobs.

    Args:
        spool: the run directory.
        graces: how long to wait before something missing means something.
        remarks: what the user is told about jobs that go on.

    Attributes:
        largest_jobid: the largest number in the last listing.
    """

    def __init__(self, spool: Spool, graces: Graces, remarks: Remarks) -> None:
        self._spool = spool
        self._graces = graces
        self._remarks = remarks
        self._doubted_since: float | None = None
        self._next_look = 0
        self.largest_jobid = 0

    def enter(self, items: Collection[Submission], listing: Listing, now: float) -> None:
        """Enter a valid listing that has come just now."""
        self.largest_jobid = listing.largest_jobid
        self._remarks.on_listing()
        rows = {item: self._row(item, listing) for item in items}
        is_doubted = self._is_doubted(rows, now)
        unseen = []
        for item, status in rows.items():
            if status is not None or not is_doubted:
                item.history = item.history.with_listing(status, now, self._graces.gap)
            if status is not None:
                self._remarks.on_listed(item, status)
            elif item.history.start_seen is None:
                unseen.append(item)
        self._look_for_starts(unseen, now)

    def _row(self, item: Submission, listing: Listing) -> JobStatus | None:
        """Return a job's row, unless it may be that of an earlier job with the same number.

        A number that is not larger than all that were listed before the job was handed over is one that Slurm has begun
        anew with. Until the job is seen to wait or to run, or has left its claim, the end in its row is another job's.
        """
        status = listing.jobs.get(item.external_jobid or "")
        if status is None or int(status.external_jobid) > item.largest_before:
            return status
        if status.state.is_final and not self._spool.claimed_by(item.token):
            return None
        item.largest_before = 0
        return status

    def _is_doubted(self, rows: dict[Submission, JobStatus | None], now: float) -> bool:
        """Return whether a listing lacks more than half of the jobs that those before it had, but not for too long."""
        known = [status for item, status in rows.items() if item.history.state is not None]
        gone = sum(status is None for status in known)
        if 2 * gone <= len(known):
            self._doubted_since = None
            return False
        if self._doubted_since is None:
            self._doubted_since = now
            self._remarks.on_doubt(len(known) - gone, len(known))
        return now - self._doubted_since < self._graces.window

    def _look_for_starts(self, unseen: Sequence[Submission], now: float) -> None:
        """Look whether jobs that are not listed have started, a few at a time: there may be thousands of them."""
        begin = self._next_look if self._next_look < len(unseen) else 0
        self._next_look = begin + MOST_LOOKS
        for item in unseen[begin : self._next_look]:
            if self._spool.start(item.token):
                item.history = item.history.with_start(now)
