"""What the client was told of each job, and whether that is enough to report a failure.

A looser reading of the verdict table than the tracker's own, made from the other side: it knows what was told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

from snakemake_executor_plugin_frceapi.job import JobState
from snakemake_executor_plugin_frceapi.policy import MOST_POSTS, Policy
from snakemake_executor_plugin_frceapi.tracker import Cause
from snakemake_executor_plugin_frceapi.wire import state_from_word
from tests.model.cluster import Cluster, Job
from tests.model.service import Fate, Rows
from tests.model.share import Share


@dataclass(slots=True)
class Told:
    """What listings have told of one job.

    Attributes:
        alive: when it was last shown as waiting or running, or before that when it was submitted.
        gone: when it was first shown as ended or requeued, None while it was not.
        unlisted_seconds: how long listings that came without a long gap have not shown it.
    """

    alive: float
    gone: float | None = None
    unlisted_seconds: float = 0.0


@dataclass(slots=True, kw_only=True)
class Evidence:
    """What was told.

    Attributes:
        share: what the submitting machine can see.
        cluster: the jobs.
        policy: how long it has to wait.
        clock: returns the simulated time in seconds.
        posts: when each submission was posted and may have reached Slurm, as far as the client was told.
        refused: submissions that the API refused.
        jobs: what was told of each job.
        listed: when the last valid listing came.
    """

    share: Share
    cluster: Cluster
    policy: Policy
    clock: Callable[[], float]
    posts: dict[str, list[float]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    jobs: dict[str, Told] = field(default_factory=dict)
    listed: float = -inf

    def note_answer(self, token: str, fate: Fate) -> None:
        """Note what was answered to a submission."""
        self.posts.setdefault(token, []).extend([self.clock()] * (not fate.is_no))
        if fate.is_refusal:
            self.refused.add(token)

    def note_listing(self, rows: Rows) -> None:
        """Note what a valid listing shows."""
        now = self.clock()
        gap = now - self.listed
        for job in self.cluster.jobs:
            told = self._told(job)
            if (word := rows.get(job.jobid)) is None:
                told.unlisted_seconds += gap if gap <= self.policy.graces.gap else 0.0
            elif state_from_word(word).is_final or state_from_word(word) is JobState.REQUEUED:
                told.gone = now if told.gone is None else told.gone
            else:
                told.alive, told.unlisted_seconds = now, 0.0
        self.listed = now

    def may_be_posted(self, token: str) -> bool:
        """Return whether a submission may be posted: not too often, and not before a trace could have been seen."""
        posts = self.posts.get(token, [])
        return len(posts) < MOST_POSTS and (not posts or self._had_time(posts))

    def shows_end(self, token: str) -> bool:
        """Return whether a listing has shown a job of a submission as ended."""
        return any(self._told(job).gone is not None for job in self._jobs(token))

    def allows_failure(self, token: str) -> bool:
        """Return whether a failure may be reported, now that this is known."""
        ends = self.share.ends(token)
        own = [end for end in ends if end.cause is Cause.OWN]
        if own:
            return own[0].exit_code != 0 or self.share.spool.latest_end(token) != own[0]
        if any(end.cause is Cause.CANCELLED for end in ends):
            return True
        owner = self.share.spool.claimed_by(token)
        posts = self.posts.get(token, [])
        if owner is None and (token in self.refused or (len(posts) >= MOST_POSTS and self._had_time(posts))):
            return True
        return any(self._is_over(job, signalled=bool(ends)) for job in self._jobs(token) if owner in (None, job.jobid))

    def _had_time(self, posts: list[float]) -> bool:
        return self.clock() - posts[-1] >= self.policy.unknown_seconds and self.listed > posts[-1]

    def _is_over(self, job: Job, *, signalled: bool) -> bool:
        told, graces = self._told(job), self.policy.graces
        if told.gone is not None and self.clock() - told.gone >= (0.0 if signalled else graces.marker):
            return True
        if told.unlisted_seconds >= graces.window or (signalled and self.listed - told.alive >= graces.requeue):
            return True
        if job.limit_seconds is None or job.started is None:
            return False
        return self.listed >= job.started + job.limit_seconds + graces.kill_wait + graces.requeue

    def _jobs(self, token: str) -> list[Job]:
        return [job for job in self.cluster.jobs if job.token == token]

    def _told(self, job: Job) -> Told:
        return self.jobs.setdefault(job.jobid, Told(job.taken))
