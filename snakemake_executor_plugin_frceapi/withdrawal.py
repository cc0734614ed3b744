"""Cancels jobs for somebody who is not the Snakemake that has submitted them, which may be alive.

So no run directory is removed: that Snakemake sees how its jobs end, and so does the next one.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from snakemake_executor_plugin_frceapi.cancel import LARGEST_SLURM_JOBID, Canceller, Encode, submit_helpers
from snakemake_executor_plugin_frceapi.errors import JobError, ServiceError
from snakemake_executor_plugin_frceapi.job import JobState, JobStatus, Listing
from snakemake_executor_plugin_frceapi.overview import KnownJob, Workplace
from snakemake_executor_plugin_frceapi.ports import Service
from snakemake_executor_plugin_frceapi.preparation import resumed
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.submission import Submission

_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Target:
    """A job to cancel.

    Attributes:
        external_jobid: its number at Slurm.
        status: how it is listed, None if it is not.
        known: what the working directory tells of it, None for a job of another one.
    """

    external_jobid: str
    status: JobStatus | None
    known: KnownJob | None

    def __str__(self) -> str:
        job = self.known
        return " ".join(filter(None, [self.external_jobid, job.rule if job else "", job.wildcards if job else ""]))


class Withdrawal:
    """Chooses jobs and cancels them.

    Args:
        service: the API.
        place: the working directory.
        encode: makes a request body of a job request and a script.
    """

    def __init__(self, service: Service, place: Workplace, encode: Encode) -> None:
        self._service = service
        self._place = place
        self._encode = encode
        self._known = place.jobs()
        self._listing = service.query_status()

    def named(self, jobids: Iterable[str]) -> list[Target]:
        """Return the jobs with these numbers.

        Raises:
            JobError: one of them has ended, or is nobody's of this user.
        """
        return [self._named(jobid) for jobid in dict.fromkeys(jobids)]

    def of_this_directory(self) -> list[Target]:
        """Return the jobs of the runs in this directory that may be alive."""
        found = [(self._target(jobid), job) for jobid, job in self._known.items() if not self._place.is_over(job)]
        return [target for target, job in found if _may_live(target.status, job)]

    def pending(self) -> list[Target]:
        """Return all jobs of the user that wait in the queue, of whatever directory."""
        jobs = self._listing.jobs.items()
        return [self._target(jobid) for jobid, status in jobs if status.state is JobState.PENDING]

    def cancel(self, targets: Iterable[Target], timeout_seconds: float) -> list[Target]:
        """Order the jobs to end and wait for that.

        Args:
            targets: the jobs.
            timeout_seconds: how long to wait.

        Returns:
            Those that may still be alive.
        """
        until = time.monotonic() + timeout_seconds
        alive = {target.external_jobid: target for target in targets}
        ours: dict[Spool, list[Submission]] = {}
        others: dict[str, str] = {}
        for target in alive.values():
            job = target.known
            if job is not None and job.spool is not None and job.entry is not None:
                ours.setdefault(job.spool, []).append(resumed(job.entry, None, b""))
            elif target.status is not None and int(target.external_jobid) <= LARGEST_SLURM_JOBID:
                others[target.external_jobid] = target.status.partition
        for spool, items in ours.items():
            beside = [job.entry.token for job in self._known.values() if job.spool is spool and job.entry is not None]
            helpers = Canceller(self._service, spool, self._encode, timeout_seconds).order(items, beside)
            helpers.join(timeout_seconds)
        submit_helpers(self._service, self._encode, others)
        while alive := self._alive(alive):
            if time.monotonic() >= until:
                break
            time.sleep(_LOOK_SECONDS)
        return list(alive.values())

    def _alive(self, targets: Mapping[str, Target]) -> dict[str, Target]:
        listing = Listing({})
        with contextlib.suppress(ServiceError):
            listing = self._service.query_status(targets.keys())
        return {jobid: target for jobid, target in targets.items() if not self._is_over(target, listing)}

    def _is_over(self, target: Target, listing: Listing) -> bool:
        status = listing.jobs.get(target.external_jobid)
        if status is not None and status.state.is_final:
            return True
        return target.known is not None and target.known.entry is not None and self._place.is_over(target.known)

    def _named(self, jobid: str) -> Target:
        target = self._target(jobid)
        if target.status is not None and target.status.state.is_final:
            raise JobError(f"job {jobid} has ended ({target.status.state_word}); leave it out")
        is_ours = target.known is not None and target.known.entry is not None
        if is_ours:
            return target
        if target.status is None:
            raise JobError(
                f"job {jobid} is neither listed nor of this directory; `frceapi jobs` shows what can be cancelled"
            )
        if int(jobid) > LARGEST_SLURM_JOBID:
            raise JobError(f"job {jobid} is a sandbox's and of another directory; go to the directory of its workflow")
        return target

    def _target(self, jobid: str) -> Target:
        return Target(jobid, self._listing.jobs.get(jobid), self._known.get(jobid))


def _may_live(status: JobStatus | None, job: KnownJob) -> bool:
    """Whether a job that has not said that it is over may be alive; one that cannot say so must be listed."""
    if status is None:
        return job.spool is not None and job.spool.is_shared
    return not status.state.is_final
