"""One run of Snakemake: its jobs, from the submission until each one's end is reported.

`Run.look` is one round: outcomes of submissions, then the listing, then end markers, then one verdict for each job
whose verdict may have changed. It is called by one thread only. Nothing here knows Snakemake: who wants the news is a
`Reporter`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from math import inf

from snakemake_executor_plugin_frceapi import polling, submission
from snakemake_executor_plugin_frceapi.errors import FrceapiError
from snakemake_executor_plugin_frceapi.failure import SHOWN_LINES, describe
from snakemake_executor_plugin_frceapi.granted import GrantCheck
from snakemake_executor_plugin_frceapi.job import Accepted, JobState, Listing, Refused, SubmitOutcome, Unknown
from snakemake_executor_plugin_frceapi.logs import last_lines
from snakemake_executor_plugin_frceapi.outage import OutageMonitor
from snakemake_executor_plugin_frceapi.polling import StatusPoller
from snakemake_executor_plugin_frceapi.ports import Reporter, Service
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.submission import Submission, Submitter
from snakemake_executor_plugin_frceapi.threads import REAL_THREADS, Threads
from snakemake_executor_plugin_frceapi.tracker import (
    Cause,
    Graces,
    History,
    Outcome,
    Verdict,
    is_over,
    judge,
    may_change_by_itself,
)

LOOK_SECONDS = 1.0
"""Time between two looks for ends."""

MOST_POSTS = 3
"""How often one submission is posted at most, when it gets no answer."""


class GaveUp(FrceapiError):
    """The service has been out of reach for longer than the user wants to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How a run behaves.

    Attributes:
        graces: how long to wait before something missing means something.
        interval_seconds: time between two status requests.
        first_delay_seconds: time before the first one.
        connections: submissions at the same time.
        unknown_seconds: time to look for a trace of a submission without an answer before it is sent again.
        outage_seconds: time without an answer after which the run gives up.
        keep_successful_logs: whether logs of jobs that ended well stay.
    """

    graces: Graces
    interval_seconds: float
    first_delay_seconds: float
    connections: int
    unknown_seconds: float
    outage_seconds: float
    keep_successful_logs: bool


class Run:
    """The jobs of one run.

    Args:
        service: the API.
        spool: the run directory.
        policy: how the run behaves.
        reporter: who wants the news; called from the thread that calls `look`.
        clock: returns seconds of a monotonic clock.
        threads: what sends and asks.
    """

    def __init__(
        self,
        service: Service,
        spool: Spool,
        policy: Policy,
        reporter: Reporter,
        clock: Callable[[], float],
        threads: Threads = REAL_THREADS,
    ) -> None:
        self._spool = spool
        self._policy = policy
        self._reporter = reporter
        self._clock = clock
        self._round = threading.Lock()
        self._changed = threading.Event()
        self._closed = False
        self._live: dict[str, Submission] = {}
        self._unknown: dict[str, Submission] = {}
        self._waiting: set[str] = set()
        self._odd_words: set[str] = set()
        self._listed = -inf
        self._grants = GrantCheck()
        self._outages = OutageMonitor(reporter.warn, clock)
        self._submitter = Submitter(service.submit_job, policy.connections, self._outages, self.wake, threads)
        self._poller = StatusPoller(
            service.query_status,
            self._wanted,
            policy.interval_seconds,
            policy.first_delay_seconds,
            self._outages,
            self.wake,
            threads,
        )

    @property
    def live(self) -> list[Submission]:
        """The submissions that the API has taken or may have taken, and whose end is not known."""
        return [*self._live.values(), *self._unknown.values()]

    def submit(self, item: Submission) -> None:
        """Hand over a job; its outcome is reported by a later `look`."""
        self._submitter.put(item)
        self.wake()

    def wake(self) -> None:
        """End the present `wait`."""
        self._changed.set()

    def wait(self) -> None:
        """Wait until there is a reason for a look: something happened, or a job may have ended."""
        idle = not (self._live or self._unknown)
        if not self._closed:
            self._changed.wait(None if idle else LOOK_SECONDS)
            self._changed.clear()

    def look(self) -> None:
        """Do one round.

        Raises:
            GaveUp: the API has been out of reach for too long; the jobs are left alone.
        """
        with self._round:
            for item, outcome in self._submitter.outcomes():
                self._settle(item, outcome)
            listing = self._poller.take()
            if listing is not None:
                self._note_listing(listing)
            self._reconcile()
            ended = self._note_ends()
            for token in list(self._live) if listing is not None else [*(self._waiting | ended)]:
                self._conclude(token)
            self._check_patience()

    def stop(self, timeout_seconds: float) -> None:
        """Submit nothing more and ask for no more listings.

        What is being sent is waited for, so that `live` is complete afterwards.
        """
        self._poller.stop()
        unsent = self._submitter.stop(timeout_seconds)
        with self._round:
            for item, outcome in self._submitter.outcomes():
                match outcome:
                    case Accepted(external_jobid):
                        item.external_jobid = external_jobid
                        self._live[item.token] = item
                    case Unknown():
                        self._unknown[item.token] = item
                    case _:
                        unsent.append(item)
            for item in unsent:
                if item.posts == 0:
                    self._spool.remove_job(item.token)

    def close(self) -> None:
        """End the present `wait` for good."""
        self._closed = True
        self.wake()

    def _wanted(self) -> Collection[str] | None:
        if not (self._live or self._unknown):
            return None
        return {item.external_jobid for item in list(self._live.values()) if item.external_jobid}

    def _settle(self, item: Submission, outcome: SubmitOutcome) -> None:
        match outcome:
            case Accepted(external_jobid):
                self._accept(item, external_jobid)
            case Unknown(message):
                item.unknown_since = self._clock()
                self._unknown[item.token] = item
                self._reporter.warn(f"Nobody knows whether a job of rule {item.rule} was submitted: {message}")
                self._poller.wake()
            case Refused(_, message):
                self._refuse(item, message)

    def _accept(self, item: Submission, external_jobid: str) -> None:
        self._unknown.pop(item.token, None)
        item.unknown_since = None
        item.external_jobid = external_jobid
        self._reporter.submitted(item)
        self._live[item.token] = item
        self._poller.wake()

    def _refuse(self, item: Submission, message: str) -> None:
        """Fail a job that the API does not take, unless an earlier post of it has arrived."""
        if owner := self._spool.claimed_by(item.token):
            self._accept(item, owner)
            return
        self._unknown.pop(item.token, None)
        if item.posts > 1:
            self._spool.order_cancel(item.token)
        else:
            self._spool.remove_job(item.token)
        self._reporter.failed(item, f"The job was not submitted to partition '{item.request.partition}': {message}\n")

    def _reconcile(self) -> None:
        for item in list(self._unknown.values()):
            if item.unknown_since is None:
                continue
            if owner := self._spool.claimed_by(item.token):
                self._reporter.say(f"A job of rule {item.rule} was submitted after all, as job {owner}.")
                self._accept(item, owner)
            elif self._is_time_to_send_again(item.unknown_since):
                self._send_again(item)

    def _is_time_to_send_again(self, unknown_since: float) -> bool:
        """Whether a trace had time to appear, and the service answers: else the next post is as lost as the last."""
        return self._clock() - unknown_since >= self._policy.unknown_seconds and self._listed > unknown_since

    def _send_again(self, item: Submission) -> None:
        item.unknown_since = None
        if item.posts < MOST_POSTS:
            self._reporter.say(f"A job of rule {item.rule} has left no trace; it is submitted again under its token.")
            self._submitter.put(item)
            return
        del self._unknown[item.token]
        self._spool.order_cancel(item.token)
        text = f"The outcome of its submission is unknown: it was posted {item.posts} times and has left no trace.\n"
        self._reporter.failed(item, text)

    def _note_listing(self, listing: Listing) -> None:
        now = self._listed = self._clock()
        for item in self._live.values():
            status = listing.jobs.get(item.external_jobid or "")
            if status is None and item.history.start_seen is None and self._spool.start(item.token):
                item.history = item.history.with_start(now)
            elif status is not None and status.state is JobState.UNKNOWN:
                self._warn_of_word(status.state_word)
            if status is not None and status.state is JobState.RUNNING:
                self._check_grant(item)
            item.history = item.history.with_listing(status, now, self._policy.graces.gap)

    def _check_grant(self, item: Submission) -> None:
        if self._grants.is_due(item.request) and (start := self._spool.start(item.token)):
            for line in self._grants.warnings(start.external_jobid, item.request, start.given):
                self._reporter.warn(line)

    def _warn_of_word(self, word: str) -> None:
        if word not in self._odd_words:
            self._odd_words.add(word)
            self._reporter.warn(f"The API lists a job as {word!r}, which is no state of sacct(1): it counts as active.")

    def _note_ends(self) -> set[str]:
        if not self._live:
            return set()
        now, found = self._clock(), set()
        for token, end in self._spool.new_ends(self._live):
            item = self._live[token]
            item.history = item.history.with_end(end, now)
            item.external_jobid = end.external_jobid
            found.add(token)
        return found

    def _conclude(self, token: str) -> None:
        item = self._live[token]
        verdict = self._judge(item)
        has_ended = item.history.state is not None and item.history.state.is_final
        if (has_ended or verdict.outcome is Outcome.FAILED) and not self._has_own_end(item):
            verdict = self._second_look(item)
        if verdict.outcome is Outcome.ACTIVE or not self._is_stopped(item):
            waits = verdict.outcome is not Outcome.ACTIVE or may_change_by_itself(item.history)
            (self._waiting.add if waits else self._waiting.discard)(token)
        else:
            self._finish(item, verdict)

    def _judge(self, item: Submission) -> Verdict:
        minutes = item.request.time_limit_minutes
        return judge(item.history, self._clock(), minutes * 60.0 if minutes else None, self._policy.graces)

    def _has_own_end(self, item: Submission) -> bool:
        return item.history.end is not None and item.history.end.cause is Cause.OWN

    def _second_look(self, item: Submission) -> Verdict:
        """Look into the run directory itself: the listing of ends may be late, or lost."""
        if end := self._spool.latest_end(item.token):
            item.history = item.history.with_end(end, self._clock())
            item.external_jobid = end.external_jobid
        else:
            owner = self._spool.claimed_by(item.token)
            if owner and owner != item.external_jobid:
                self._reporter.say(f"Job {item.external_jobid} is a twin of job {owner}, which is followed instead.")
                item.external_jobid, item.history = owner, History()
        return self._judge(item)

    def _finish(self, item: Submission, verdict: Verdict) -> None:
        del self._live[item.token]
        self._waiting.discard(item.token)
        self._check_grant(item)
        if verdict.outcome is Outcome.SUCCEEDED:
            self._reporter.succeeded(item)
            if not self._policy.keep_successful_logs:
                with suppress(OSError):
                    item.log.unlink()
        else:
            self._reporter.failed(item, self._description(item, verdict))
        self._spool.forget_end(item.token)
        if is_over(item.history):
            self._spool.remove_job(item.token)

    def _is_stopped(self, item: Submission) -> bool:
        """Make sure that a job which is about to be given up cannot run beside its retry."""
        return self._has_own_end(item) or self._spool.order_cancel(item.token)

    def _description(self, item: Submission, verdict: Verdict) -> str:
        has_started = item.history.end is not None or self._spool.start(item.token) is not None
        return describe(item, verdict, last_lines(item.log, SHOWN_LINES), has_started=has_started)

    def _check_patience(self) -> None:
        for call in (polling.CALL, submission.CALL):
            lasted = self._outages.lasted(call)
            if lasted > self._policy.outage_seconds:
                raise GaveUp(
                    f"The API has not answered {call} for {lasted / 3600:.1f} h (--frceapi-outage-tolerance "
                    f"{self._policy.outage_seconds / 3600:g}); Snakemake gives up and leaves the jobs alone."
                )
