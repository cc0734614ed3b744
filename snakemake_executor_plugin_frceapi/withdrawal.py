"""Cancels jobs for somebody who is not the Snakemake that has submitted them, which may be alive.

So no run directory is removed: that Snakemake sees how its jobs end, and so does the next one.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from snakemake_executor_plugin_frceapi.cancel import LARGEST_SLURM_JOBID, Canceller, Encode, submit_helpers
from snakemake_executor_plugin_frceapi.errors import JobError, ServiceError
from snakemake_executor_plugin_frceapi.job import JobState, JobStatus, Listing
from snakemake_executor_plugin_frceapi.overview import KnownJob, Workplace
from snakemake_executor_plugin_frceapi.ports import Service
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
        targets = map(self._target, self._known)
        return [target for target in targets if target.known and not self._place.is_over(target.known)]

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
        ours = [item for target in alive.values() for item in _submissions(target)]
        if self._place.spool is not None:
            canceller = Canceller(self._service, self._place.spool, self._encode, timeout_seconds)
            helpers = canceller.order(ours)
            helpers.join(timeout_seconds)
        others = {
            jobid: target.status.partition
            for jobid, target in alive.items()
            if target.status and not list(_submissions(target)) and int(jobid) <= LARGEST_SLURM_JOBID
        }
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


def _submissions(target: Target) -> Iterator[Submission]:
    """Yield the submission of a job of this directory."""
    entry = target.known.entry if target.known else None
    if entry is not None:
        yield Submission(
            token=entry.token,
            job_info=None,
            rule=entry.rule,
            attempt=entry.attempt,
            works=entry.works,
            request=entry.request,
            body=b"",
            log_directory=entry.log_directory,
            prepare=lambda: None,
            external_jobid=target.external_jobid,
        )
