"""One job that went ahead of its inputs: whether it serves, and what waits for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import Any

from snakemake_executor_plugin_frceapi.grouping import members_of
from snakemake_executor_plugin_frceapi.lookahead import GATE_MINUTES
from snakemake_executor_plugin_frceapi.preparation import ReadyJob
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.submission import Submission
from snakemake_executor_plugin_frceapi.tracker import Cause
from snakemake_executor_plugin_frceapi.verdicts import has_own_end


@dataclass(slots=True, eq=False)
class Early:
    """A job that went ahead.

    Attributes:
        job: Snakemake's job or group job.
        ready: what was known of it.
        submission: its submission.
        upstream: the jobs that make its inputs.
        unfinished: those of them that Snakemake has not recorded yet.
        ready_since: monotonic time since which Snakemake has recorded them all, infinite before.
        is_open: whether its gate was opened before Snakemake came to it.
        is_dropped: whether it is not wanted any more.
    """

    job: Any
    ready: ReadyJob
    submission: Submission
    upstream: list[Any]
    unfinished: set[Any]
    ready_since: float = inf
    is_open: bool = False
    is_dropped: bool = False

    def note_finished(self, jobs: Iterable[Any], now: float) -> None:
        """Note that Snakemake has recorded some jobs, at a monotonic time."""
        self.unfinished.difference_update(jobs)
        if not self.unfinished:
            self.ready_since = min(self.ready_since, now)

    def serves(self, ready: ReadyJob, fresh: Submission) -> bool:
        """Return whether its submission does what is wanted, now that Snakemake has come to the job.

        Args:
            ready: what is known of the job now.
            fresh: its submission as it would be without look-ahead.
        """
        item = self.submission
        if item.result is not None and not item.result.succeeded and not has_own_end(item):
            return False
        return (
            self.ready.command == ready.command
            and self.ready.attempt == ready.attempt
            and (self.is_open or fresh.request.behind(item.request.dependency, GATE_MINUTES) == item.request)
        )


@dataclass(frozen=True, slots=True)
class Attempted:
    """The submission with which a job went ahead.

    Attributes:
        submission: that submission.
        serves: whether it does what is wanted now.
    """

    submission: Submission
    serves: bool


def never_began(item: Submission, spool: Spool) -> bool:
    """Return whether the command of a job that went ahead was never begun, whatever became of the job."""
    end = item.history.end
    return spool.claimed_by(item.token) is None or (end is not None and end.cause is Cause.UPSTREAM)


def those_behind(jobs: Iterable[Any], earlies: Iterable[Early]) -> list[Early]:
    """Return what went ahead behind some jobs, or behind what went ahead behind them.

    Args:
        jobs: some jobs.
        earlies: all that went ahead, in the order in which it did, so that each comes after those that it waits for.
    """
    found: list[Early] = []
    before = set(jobs)
    for early in earlies:
        if not before.isdisjoint(early.upstream):
            found.append(early)
            before.update(members_of(early.job))
    return found
