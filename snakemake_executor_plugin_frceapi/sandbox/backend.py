"""What the HTTP side asks of a cluster, pretended or real."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from snakemake_executor_plugin_frceapi.sandbox.partitions import Partition
from snakemake_executor_plugin_frceapi.sandbox.rules import Submission


class BackendError(RuntimeError):
    """The cluster does not do what it should; the message says what failed."""


class ListedJob(Protocol):
    """A job as far as the listing of ``query_status`` shows it; times in seconds since the epoch."""

    @property
    def job_id(self) -> int:
        """Its number."""

    @property
    def partition(self) -> Partition:
        """Its partition."""

    @property
    def submitted_at(self) -> float:
        """When it was submitted."""

    @property
    def started_at(self) -> float | None:
        """Start of its last run; None: it waits."""

    @property
    def ended_at(self) -> float | None:
        """Its end; None: it has not ended."""

    @property
    def time_limit_s(self) -> int | None:
        """The time limit that holds, in seconds; None: no limit."""

    @property
    def state(self) -> str:
        """Slurm's word."""

    @property
    def shown_state(self) -> str | None:
        """The word to list in place of `state`; None: that one."""


class Backend(Protocol):
    """Takes submissions and tells what became of the jobs."""

    @property
    def partitions(self) -> Mapping[str, Partition]:
        """The partitions by name."""

    def submit(self, submission: Submission) -> ListedJob:
        """Accept a job.

        Raises:
            Refused: it cannot be accepted.
        """

    def jobs(self) -> Mapping[int, ListedJob]:
        """All jobs, by id.

        Raises:
            BackendError: they cannot be told.
        """
