"""The document of ``query_status``. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from snakemake_executor_plugin_frceapi.sandbox.backend import ListedJob
from snakemake_executor_plugin_frceapi.sandbox.environment import User

WINDOW_S = 24 * 3600
_NOT_KNOWN = "Unknown"
"""What sacct(1) prints for a time that has not come."""


def listed_jobs(jobs: Iterable[ListedJob], user: User, now: float, window_by: str) -> dict[str, dict[str, str]]:
    """The rows of the jobs of the previous 24 hours, by id.

    Args:
        jobs: all jobs.
        user: their owner.
        now: in seconds since the epoch.
        window_by: ``end`` or ``submission``, see `SandboxConfig`.
    """
    return {str(job.job_id): _row(job, user) for job in jobs if now - _moment(job, now, window_by) <= WINDOW_S}


def _moment(job: ListedJob, now: float, window_by: str) -> float:
    if window_by == "submission":
        return job.submitted_at
    return now if job.ended_at is None else job.ended_at


def _row(job: ListedJob, user: User) -> dict[str, str]:
    return {
        "user": user.name,
        "name": user.job_name,
        "partition": job.partition.name,
        "start": time_text(job.started_at),
        "end": time_text(_end(job)),
        "state": job.shown_state or job.state,
    }


def _end(job: ListedJob) -> float | None:
    """The end, or the time limit of a running job."""
    if job.ended_at is not None or job.started_at is None or job.time_limit_s is None:
        return job.ended_at
    return job.started_at + job.time_limit_s


def time_text(seconds: float | None) -> str:
    """A moment as the service writes it: local time without a zone."""
    if seconds is None:
        return _NOT_KNOWN
    local = datetime.fromtimestamp(seconds, tz=UTC).astimezone()
    return local.replace(tzinfo=None).isoformat(timespec="seconds")
