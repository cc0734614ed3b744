"""Jobs on their way to the API: the record of one submission, and the threads that send them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_frceapi.errors import TransientFault
from snakemake_executor_plugin_frceapi.job import JobRequest, NotSent, SubmitOutcome, Unknown, Work
from snakemake_executor_plugin_frceapi.job_table import JobRow
from snakemake_executor_plugin_frceapi.journal import Entry
from snakemake_executor_plugin_frceapi.outage import OutageMonitor
from snakemake_executor_plugin_frceapi.run_directory import RunDirectory
from snakemake_executor_plugin_frceapi.threads import REAL_THREADS, Threads
from snakemake_executor_plugin_frceapi.tracker import End, History

CALL = "submit_job"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a job.

    Attributes:
        succeeded: whether it has ended well.
        message: what the user is told of a failure.
    """

    succeeded: bool
    message: str = ""


def _nothing(*_: object) -> None:
    return None


@dataclass(slots=True, eq=False, kw_only=True)
class Submission:
    """One submission of one job, from the moment Snakemake hands it over until its verdict is reported.

    Attributes:
        token: name of its run directory.
        job_info: Snakemake's own record, handed back with each report.
        sharers: Snakemake's own records of further jobs that it serves.
        rule: name of its rule or group.
        attempt: which attempt of the job this is, from 1.
        works: what its job makes.
        request: what is asked of the scheduler.
        body: the encoded request.
        log_directory: directory of its log.
        wildcards: its wildcards by name, none of a group.
        upstream: tokens of the submissions whose jobs must have ended well before its own begins.
        awaited: those of its inputs that were still to be made when it was submitted.
        run_directory: what is written before it is posted, None where nothing is or an earlier run has done so.
        row: what is listed about its job as soon as the API is known to have taken it.
        inherited: whether an earlier run has submitted it.
        posts: how often the body was posted and may have arrived.
        posted: when this run first posted it, in seconds of the epoch, None before.
        posts_before: how often that was in earlier runs; each run has its own number of tries.
        unknown_since: monotonic time since when nobody knows whether the API took it, or None.
        external_jobid: the job's number at Slurm, once known.
        largest_before: the largest number that was listed before it was handed over, 0 where that does not matter.
        restart: how often it was surely started again, as Slurm counts that.
        history: what was seen of the job.
        predecessors: tokens of earlier runs' submissions that must be over before it is sent.
        successors: the submissions that are to be sent when this one, of an earlier run, is over.
        is_replaced: whether it serves no job of this run and is to be cancelled.
        result: what became of its job, once known.
        went_ahead: whether it was sent before Snakemake asked for its job.
        is_ahead: whether Snakemake has not asked for its job yet.
        on_accepted: called when the API has taken it, if it is ahead.
    """

    token: str
    job_info: Any
    rule: str
    attempt: int
    works: tuple[Work, ...]
    request: JobRequest
    body: bytes
    log_directory: Path
    run_directory: RunDirectory | None = None
    row: JobRow | None = None
    wildcards: Mapping[str, str] = field(default_factory=dict)
    upstream: tuple[str, ...] = ()
    awaited: tuple[str, ...] = ()
    inherited: bool = False
    posts: int = 0
    posted: float | None = None
    posts_before: int = 0
    unknown_since: float | None = None
    external_jobid: str | None = None
    largest_before: int = 0
    restart: int = 0
    history: History = field(default_factory=History)
    predecessors: set[str] = field(default_factory=set)
    successors: list[Submission] = field(default_factory=list)
    is_replaced: bool = False
    sharers: list[Any] = field(default_factory=list)
    result: Result | None = None
    went_ahead: bool = False
    is_ahead: bool = False
    on_accepted: Callable[[], None] = _nothing

    @property
    def log(self) -> Path:
        """The job's log; it exists once the job has started."""
        return self.log_directory / f"{self.external_jobid}.log"

    @property
    def only_jobid(self) -> str | None:
        """The number of its job, None while that is not known or it may have become several jobs."""
        return self.external_jobid if self.posts == 1 and not self.inherited else None

    @property
    def job_infos(self) -> list[Any]:
        """Snakemake's own records of all jobs that it serves."""
        return [self.job_info, *self.sharers]

    def arrival(self, job: Any) -> str:
        """Return the line that tells that the API has taken it for a job of Snakemake's."""
        kind = "group job" if job.is_group() else "job"
        done = "Took up" if self.inherited else "Submitted"
        return f"{done} {kind} {job.jobid} of {self.rule} with external jobid {self.external_jobid}."

    def note_end(self, end: End, now: float) -> None:
        """Note an end marker that was seen."""
        if end.restart >= self.restart:
            self.history = self.history.with_end(end, now)
            self.external_jobid = end.external_jobid

    def note_restart(self, restart: int, now: float) -> None:
        """Note that the job has started again since its end: that was none, and what was listed meanwhile is old."""
        self.restart = restart
        self.history = replace(self.history, end=None, end_seen=0.0, start_seen=now, state_seen=now)

    def put_off(self, seconds: float, before: float) -> None:
        """Wait for so much longer for all that was waited for at a time `before`."""

        def later(since: float) -> float:
            return since + seconds if since <= before else since

        history = self.history
        self.history = replace(history, state_seen=later(history.state_seen), end_seen=later(history.end_seen))
        if self.unknown_since is not None:
            self.unknown_since = later(self.unknown_since)

    def entry(self) -> Entry:
        """Return what the journal keeps of it."""
        return Entry(
            token=self.token,
            rule=self.rule,
            attempt=self.attempt,
            works=self.works,
            request=self.request,
            log_directory=self.log_directory,
            wildcards=self.wildcards,
            upstream=self.upstream,
            awaited=self.awaited,
            went_ahead=self.went_ahead,
            posts=self.posts,
            external_jobid=self.external_jobid,
        )


class Submitter:
    """Sends submissions over several connections at a time.

    A submission that surely did not reach the API is sent again, after a pause for all of them, until it does or until
    the submitter is stopped. The others are slowed down as well when the API answers nothing that can be understood.

    Args:
        post: sends one submission.
        connections: how many are sent at the same time.
        outages: is told about failures and decides on pauses.
        notify: called when an outcome can be fetched, with `at_once`: whether no other one is to come.
        threads: what sends.
    """

    def __init__(
        self,
        post: Callable[[Submission], SubmitOutcome],
        connections: int,
        outages: OutageMonitor,
        notify: Callable[..., None],
        threads: Threads = REAL_THREADS,
    ) -> None:
        self._post = post
        self._connections = connections
        self._outages = outages
        self._notify = notify
        self._queue: deque[Submission] = deque()
        self._outcomes: deque[tuple[Submission, SubmitOutcome]] = deque()
        self._changed = threading.Condition()
        self._resume = 0.0
        self._held = False
        self._stopped = False
        self._threads = threads
        self._started = 0
        self._in_flight = 0

    def put(self, submission: Submission) -> None:
        """Send a submission as soon as a connection is free."""
        with self._changed:
            self._queue.append(submission)
            idle = self._started - self._in_flight
            if idle < len(self._queue) and self._started < self._connections:
                self._threads.start(self, f"frceapi-submit-{self._started}")
                self._started += 1
            self._changed.notify()

    def outcomes(self) -> list[tuple[Submission, SubmitOutcome]]:
        """Return what has come of submissions since the last call, in the order in which it became known."""
        with self._changed:
            found = list(self._outcomes)
            self._outcomes.clear()
        return found

    @property
    def busy(self) -> bool:
        """Whether anything waits to be sent, is being sent, or has an outcome that was not fetched."""
        with self._changed:
            return bool(self._queue or self._in_flight or self._outcomes)

    @property
    def is_sending(self) -> bool:
        """Whether anything is being sent, or has an outcome that was not fetched."""
        with self._changed:
            return bool(self._in_flight or self._outcomes)

    def hold(self) -> None:
        """Send nothing more for now; what is being sent goes on."""
        with self._changed:
            self._held = True

    def release(self) -> None:
        """Send again what was held back."""
        with self._changed:
            self._held = False
            self._changed.notify_all()

    def stop(self, timeout_seconds: float) -> list[Submission]:
        """Send nothing more, wait for what is being sent, and return what was never sent."""
        with self._changed:
            self._stopped = True
            unsent = list(self._queue)
            self._queue.clear()
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._in_flight, timeout_seconds)
        return unsent

    def run(self) -> None:
        """Send what is due until the submitter is stopped."""
        while self._wait_until_due():
            self.step()

    def step(self) -> None:
        """Send the next submission, if one is due."""
        submission = self._next()
        if submission is None:
            return
        outcome = self._send(submission)
        with self._changed:
            self._in_flight -= 1
            if isinstance(outcome, NotSent) and not self._stopped:
                self._queue.appendleft(submission)
            else:
                self._outcomes.append((submission, outcome))
            if self._stopped:
                self._changed.notify_all()
            is_last = not (self._queue or self._in_flight)
        self._notify(at_once=is_last)

    def _wait_until_due(self) -> bool:
        with self._changed:
            while not self._stopped:
                pause = self._pause()
                if pause is not None and pause <= 0:
                    return True
                self._changed.wait(pause)
        return False

    def _next(self) -> Submission | None:
        with self._changed:
            pause = self._pause()
            if self._stopped or pause is None or pause > 0:
                return None
            self._in_flight += 1
            return self._queue.popleft()

    def _pause(self) -> float | None:
        """Return the seconds until something is to be sent, None where nothing is."""
        return self._resume - self._threads.clock() if self._queue and not self._held else None

    def _send(self, submission: Submission) -> SubmitOutcome:
        outcome = self._post(submission)
        match outcome:
            case NotSent(fault):
                self._slow_down(self._outages.failed(CALL, fault))
            case Unknown(message, retry_after_seconds):
                self._slow_down(self._outages.lost(CALL, TransientFault(message, retry_after_seconds)))
            case _:
                self._outages.succeeded(CALL)
        return outcome

    def _slow_down(self, seconds: float) -> None:
        with self._changed:
            self._resume = max(self._resume, self._threads.clock() + seconds)
