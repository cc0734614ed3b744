"""All jobs of a workflow in the queue at once, each behind those that make its inputs, as ``--immediate-submit`` asks.

Snakemake hands over level after level and takes each job for finished as soon as it is reported as submitted. So it
walks through the whole workflow in a moment. Nothing is sent before it has: what is wrong with one job is told before
another is in the queue.

Everything here happens in the thread in which Snakemake hands over jobs; the news of the run come through a queue.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto, unique
from typing import Any

from snakemake_executor_plugin_frceapi.errors import RunFailed
from snakemake_executor_plugin_frceapi.following import Following
from snakemake_executor_plugin_frceapi.grouping import members_of
from snakemake_executor_plugin_frceapi.immediate import upstream
from snakemake_executor_plugin_frceapi.news import News, NewsQueue, What
from snakemake_executor_plugin_frceapi.preparation import ReadyJob
from snakemake_executor_plugin_frceapi.resources import Notice
from snakemake_executor_plugin_frceapi.run import Run
from snakemake_executor_plugin_frceapi.submission import Submission

MOST_TRIES = 3
"""How often a job is submitted at most that Slurm may have cancelled because of a twin."""

_LOOK_SECONDS = 1.0


@unique
class Stage(Enum):
    """How far a job is."""

    WAITING = auto()
    """Not every job before it is in the queue."""
    SENT = auto()
    QUEUED = auto()
    """The API has taken it."""
    ENDED = auto()
    """It has ended well."""
    LOST = auto()
    """It has failed, or waits for a job that has."""


@dataclass(slots=True, eq=False)
class Member:
    """One job of a convoy.

    Attributes:
        info: Snakemake's own record of it.
        ready: what is known of it.
        before: the jobs that make its inputs.
        behind: the jobs that wait for it.
        stage: how far it is.
        submission: its submission, once the API has taken it.
        tries: how often it was sent.
        is_doomed: whether it is to be dropped when it has arrived.
        has_failed: whether it is lost for its own sake.
    """

    info: Any
    ready: ReadyJob
    before: Sequence[Member]
    behind: list[Member] = field(default_factory=list)
    stage: Stage = Stage.WAITING
    submission: Submission | None = None
    tries: int = 0
    is_doomed: bool = False
    has_failed: bool = False

    @property
    def is_due(self) -> bool:
        """Whether it can be sent: all jobs before it are in the queue or have ended well."""
        known = all(member.stage in (Stage.QUEUED, Stage.ENDED) for member in self.before)
        return known and self.stage is Stage.WAITING

    @property
    def may_be_a_twins_victim(self) -> bool:
        """Whether a job before it may have been submitted twice, so that Slurm took the failure of a twin for its own.

        What it was submitted behind then were the numbers of jobs that ran nothing.
        """
        twice = (member.tries > 1 or (member.submission and member.submission.posts > 1) for member in self.before)
        return self.tries < MOST_TRIES and any(twice)


class Convoy:
    """The jobs of one run with ``--immediate-submit``.

    Args:
        run: the jobs that the API has taken.
        request: returns what is asked of the scheduler for a job, given the numbers it waits for, and notices.
        send: submits a job, given what is known of it, Snakemake's own record, and the submissions it waits for.
        drop: ends jobs that nobody wants any more.
        news: what the run tells.
        following: does for Snakemake what is to be done as jobs end.
        stays: whether all ends are waited for, as with ``--frceapi-wait``.
    """

    def __init__(
        self,
        run: Run,
        request: Callable[[ReadyJob, Sequence[str]], tuple[object, Sequence[Notice]]],
        send: Callable[[ReadyJob, Any, Sequence[Submission]], None],
        drop: Callable[[Sequence[Submission]], None],
        news: NewsQueue,
        following: Following,
        *,
        stays: bool,
    ) -> None:
        self._run = run
        self._request = request
        self._send = send
        self._drop = drop
        self._news = news
        self._following = following
        self._stays = stays
        self._handed_over: dict[Any, Member] = {}
        self._makers: dict[Any, Member] = {}
        self._stages: Counter[Stage] = Counter()
        self._walked: set[Any] = set()

    def add(self, info: Any, ready: ReadyJob) -> Sequence[Notice]:
        """Add a job whose inputs are made by jobs that were added before.

        Args:
            info: Snakemake's own record of it.
            ready: what is known of it.

        Returns:
            What the user should be told about its resources.

        Raises:
            JobError: the job asks for something that cannot be expressed.
        """
        _, notices = self._request(ready, ["1"] if ready.awaited else [])
        before = dict.fromkeys(self._makers[other] for other in upstream(info.job.dag, info.job))
        member = Member(info, ready, list(before))
        for other in before:
            other.behind.append(member)
        self._handed_over[info.job] = member
        self._makers.update(dict.fromkeys(members_of(info.job), member))
        self._stages[Stage.WAITING] += 1
        return notices

    def walk(self, jobs: Iterable[Any]) -> None:
        """Let Snakemake take jobs for finished, so that it hands over those behind them."""
        self._walked.update(jobs)
        for job in jobs:
            self._following.walk(job)

    def note_walked(self, job: Any) -> None:
        """Note that Snakemake has taken a job for finished."""
        self._walked.discard(job)
        if not self._walked:
            self._following.end_walk()

    def stop(self, message: str) -> None:
        """Note, from any thread, that the run cannot go on."""
        self._news.stop(message)

    def complete(self) -> None:
        """Submit all jobs, and wait until the API has taken them, or with `stays` until all have ended.

        Raises:
            RunFailed: some were not submitted or failed, or the run cannot go on.
        """
        self._following.begin(shows_progress=self._stays)
        self._consider(self._handed_over.values())
        while (news := self._news.next(_LOOK_SECONDS if self._is_open() else 0.0)) or self._is_open():
            if news is not None:
                self._note(news)
        self._conclude()

    def _is_open(self) -> bool:
        stages = (Stage.WAITING, Stage.SENT, Stage.QUEUED) if self._stays else (Stage.WAITING, Stage.SENT)
        return any(self._stages[stage] for stage in stages) or (self._stays and bool(self._run.live))

    def _consider(self, candidates: Iterable[Member]) -> None:
        """Send those of some jobs that can be sent now, each after those before it."""
        for member in candidates:
            if member.is_due:
                member.tries += 1
                self._move(member, Stage.SENT)
                queued = (other.submission for other in member.before if other.stage is Stage.QUEUED)
                self._send(member.ready, member.info, list(dict.fromkeys(filter(None, queued))))

    def _note(self, news: News) -> None:
        served = [self._handed_over[info.job] for info in news.submission.job_infos]
        match news.what:
            case What.SUBMITTED:
                for member in served:
                    self._note_submitted(member, news.submission)
            case What.SUCCEEDED:
                self._following.ended(news.submission)
                for member in served:
                    self._move(member, Stage.ENDED)
            case What.FAILED:
                self._note_failed(served, news)

    def _note_submitted(self, member: Member, submission: Submission) -> None:
        if member.info.external_jobid is not None:
            return
        self._news.progress(submission.arrival(member.info.job))
        member.info.external_jobid, member.submission = submission.external_jobid, submission
        if member.is_doomed:
            self._move(member, Stage.LOST)
            self._drop([submission])
        else:
            self._move(member, Stage.QUEUED)
            self._consider(member.behind)

    def _note_failed(self, served: Sequence[Member], news: News) -> None:
        never_began = news.submission.history.end is None and not self._following.has_begun(news.submission)
        if never_began and all(member.may_be_a_twins_victim for member in served):
            self._news.say(f"Job {news.submission.external_jobid} of rule {news.submission.rule} never began; again.")
            for member in served:
                member.info.external_jobid = member.submission = None
                self._move(member, Stage.WAITING)
            self._consider(served)
            return
        # Slurm can cancel what waits for a failed job before that failure was told here.
        is_behind = never_began and any(other.stage is Stage.LOST for member in served for other in member.before)
        if not is_behind:
            self._following.failed(news.submission, news.message)
        for member in served:
            member.has_failed = not is_behind
            self._lose(member)

    def _lose(self, member: Member) -> None:
        """Give up a job and all that waits for it."""
        found, dropped = deque([member]), []
        self._move(member, Stage.LOST)
        while found:
            for other in found.popleft().behind:
                if other.stage is Stage.LOST or other.is_doomed:
                    continue
                if other.stage is Stage.QUEUED and other.submission:
                    dropped.append(other.submission)
                other.is_doomed = other.stage is Stage.SENT
                if not other.is_doomed:
                    self._move(other, Stage.LOST)
                found.append(other)
        if dropped:
            self._drop(dropped)

    def _move(self, member: Member, stage: Stage) -> None:
        self._stages[member.stage] -= 1
        self._stages[stage] += 1
        member.stage = stage

    def _conclude(self) -> None:
        lost = [member for member in self._handed_over.values() if member.stage is Stage.LOST]
        if lost:
            raise RunFailed(summary(lost, len(self._handed_over)))
        if left := self._stages[Stage.QUEUED]:
            self._news.say(
                f"{left} of {len(self._handed_over)} jobs wait or run; Snakemake ends here, and they go on. Start it "
                "again, with the same targets, to see what has become of them."
            )


def summary(lost: Sequence[Member], number: int) -> str:
    """Return what the user reads at the end when not all is well.

    Args:
        lost: the jobs that failed, and those that wait for them.
        number: how many jobs there are in all.
    """
    failed = sum(member.has_failed for member in lost)
    rules = Counter(member.ready.name for member in lost if not member.has_failed)
    text = f"Of {number} job{'s' if number > 1 else ''} {failed} failed"
    if rules:
        behind = ", ".join(f"{name} ({count})" for name, count in sorted(rules.items()))
        text += f", and what waits for them does not run: {behind}"
    return text + "."
