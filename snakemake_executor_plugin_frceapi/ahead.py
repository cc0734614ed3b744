"""Submits jobs ahead of their inputs, and hands them to Snakemake when it comes to them.

A job that went ahead waits in the queue, or at its gate on a node, until all its upstream jobs are finished for
Snakemake. Whatever is not as expected then, the job is dropped and goes the normal way: going ahead is a head start,
never a different result.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import Any

from snakemake_executor_plugin_frceapi.bookkeeping import remove_outputs
from snakemake_executor_plugin_frceapi.cancel import Canceller
from snakemake_executor_plugin_frceapi.early import Attempted, Early, those_behind
from snakemake_executor_plugin_frceapi.frontier import Frontier
from snakemake_executor_plugin_frceapi.grouping import members_of
from snakemake_executor_plugin_frceapi.identity import made_before, products_of, works_of
from snakemake_executor_plugin_frceapi.job import Work
from snakemake_executor_plugin_frceapi.lookahead import NotAhead, check, resources_of
from snakemake_executor_plugin_frceapi.preparation import Preparing, ReadyJob
from snakemake_executor_plugin_frceapi.room import Room
from snakemake_executor_plugin_frceapi.run import Run
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.submission import Submission
from snakemake_executor_plugin_frceapi.tally import Tally
from snakemake_executor_plugin_frceapi.tracker import is_over

_BEAT_SECONDS = 30.0
_CALM_SECONDS = 60.0

_LATE_SECONDS = 2.0
"""Time after the end of its last upstream job by which Snakemake has usually come to a job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """How far look-ahead goes, and over what.

    Attributes:
        workflow: Snakemake's workflow.
        ahead: the most jobs that may be ahead, 0 for none.
        jobs: the most jobs that the queue may hold in all, as ``--jobs``; None: any number.
        keeps_going: whether Snakemake goes on after a failure, as with ``--keep-going``.
    """

    workflow: Any
    ahead: int
    jobs: int | None
    keeps_going: bool


class Vanguard:
    """The jobs that went ahead of their inputs.

    Args:
        horizon: how far it goes.
        name: name of this run's heartbeat.
        make_ready: tells what is known of a job whose resources are given, and those of its inputs still to be made.
        preparation: makes submissions.
        run: the jobs.
        spool: the run directory.
        canceller: ends jobs that are not wanted any more.
    """

    def __init__(
        self,
        horizon: Horizon,
        name: str,
        make_ready: Callable[[Any, Mapping[str, Any], tuple[str, ...]], ReadyJob],
        preparation: Preparing,
        run: Run,
        spool: Spool,
        canceller: Canceller,
    ) -> None:
        self._reach = horizon
        self._workflow = horizon.workflow
        self._make_ready = make_ready
        self._name = name
        self._preparation = preparation
        self._run = run
        self._spool = spool
        self._canceller = canceller
        self._early: dict[tuple[str, ...], Early] = {}
        self._frontier = Frontier(horizon.workflow)
        self._tally = Tally()
        self._unwanted: dict[tuple[str, ...], Early] = {}
        self._leaving: list[Submission] = []
        self._shut: list[Submission] = []
        self._has_failed = False
        self._beats = 0
        self._beaten = self._calm_until = -inf
        self._lock = threading.RLock()
        self._room = Room(horizon.jobs if horizon.ahead else None, self._others, self._lock)
        self.send = self._room.send
        self.note_ended = self._room.note_ended

    def note_submitted(self, job: Any, submission: Submission) -> None:
        """Note that the API has taken a job that Snakemake has asked for."""
        if self._reach.ahead:
            with self._lock:
                self._frontier.enter(job, submission)

    def note_failed(self, job: Any) -> None:
        """Drop what waits for a job that has failed, before Snakemake may try it again."""
        with self._lock:
            self._has_failed = self._has_failed or job.attempt > job.restart_times
            self._frontier.leave(job)
            self._drop(
                list(self._early.values()) if self._ends() else those_behind(members_of(job), self._early.values())
            )

    def note_restarted(self, job: Any) -> None:
        """Drop what waits for a submission of a job that is replaced by another one."""
        with self._lock:
            self._frontier.leave(job)
            self._drop(those_behind(members_of(job), self._early.values()))

    def note_succeeded(self, submission: Submission) -> None:
        """Note how long a job that has ended well was held at its gate, if it went ahead."""
        if submission.went_ahead and submission.history.end:
            self._tally.gate_seconds.append(submission.history.end.gate_seconds)

    def note_finished(self, job: Any) -> None:
        """Note that Snakemake has recorded a job."""
        with self._lock:
            self._frontier.leave(job)
            for early in self._early.values():
                early.note_finished(members_of(job), time.monotonic())

    def take(self, ready: ReadyJob, fresh: Submission) -> Attempted | None:
        """Return the submission with which a job that Snakemake has come to went ahead.

        Args:
            ready: what is known of the job now.
            fresh: its submission as it would be without look-ahead.

        Returns:
            None where there is none. One that does not serve is dropped, and must be over before `fresh` is sent.
        """
        with self._lock:
            self._unwanted.pop(_key_of(ready), None)
            early = self._early.pop(_key_of(ready), None)
            if early is None:
                return None
            serves = early.serves(ready, fresh)
            if serves:
                self._room.note_attached()
                self._tally.attached += 1
            else:
                self._drop([early, *those_behind(members_of(early.job), self._early.values())])
                del self._unwanted[_key_of(ready)]
            return Attempted(early.submission, serves)

    def let_begin(self, submission: Submission) -> None:
        """Open the gate of a job that was attached, now that the journal knows what it is made from."""
        with self._lock:
            self._shut += [] if self._spool.open_gate(submission.token) else [submission]

    def round(self) -> None:
        """Send ahead what may go, and open the gates that may be opened."""
        if self._reach.ahead:
            with self._run.paused():
                self._room.fill()
                with self._lock:
                    self._send_all()
        self._open_gates()

    def clean_up(self) -> None:
        """Remove the heartbeat, and what jobs have left that began and were not wanted, as after jobs that failed.

        A job that was dropped at its gate has touched nothing, and one that Snakemake came to later has been run anew.
        """
        self._spool.remove_heartbeat(self._name)
        for early in self._unwanted.values():
            begun = early.is_open and self._spool.claimed_by(early.submission.token) is not None
            if begun and not (early.submission.result and early.submission.result.succeeded):
                for job in members_of(early.job):
                    with suppress(Exception):
                        remove_outputs(self._workflow, job, has_ended_by_itself=True)

    def summary(self) -> str:
        """Return a line about what look-ahead has done, empty where it did nothing."""
        return str(self._tally)

    def _send_all(self) -> None:
        self._beat()
        self._give_way()
        while self._has_room() and (found := self._frontier.next()):
            self._try(*found)

    def _try(self, job: Any, upstream: list[Any]) -> None:
        key = _key(map(products_of, members_of(job)))
        if key in self._early or job.is_local:
            return
        try:
            self._send(job, key, upstream)
        except NotAhead as reason:
            self._tally.refused[key] = str(reason)
        except Exception as error:  # noqa: BLE001 - whatever is strange in there, the job goes the normal way
            self._tally.refused[key] = f"of {type(error).__name__}"

    def _send(self, job: Any, key: tuple[str, ...], upstream: list[Any]) -> None:
        check(self._workflow.dag, job, upstream)
        awaited = made_before(self._workflow.dag, job, upstream)
        ready = self._make_ready(job, resources_of(self._workflow, job), awaited)
        submission, _ = self._preparation.prepare(ready, None, self._frontier.submissions(upstream), gated=True)
        self._tally.refused.pop(key, None)
        self._tally.went_ahead += 1
        self._early[key] = early = Early(job, ready, submission, upstream, set(upstream))
        submission.went_ahead = submission.is_ahead = True
        submission.on_accepted = lambda: self._note_accepted(early)
        self._run.submit(submission)

    def _note_accepted(self, early: Early) -> None:
        with self._lock:
            if early.is_dropped:  # while it was being sent
                self._cancel([early.submission])
            else:
                self._frontier.enter(early.job, early.submission)
                self._run.wake()

    def _open_gates(self) -> None:
        """Open the gates of jobs that could begin and that Snakemake does not come to: --jobs is full of others.

        What a job is made from is written down first, so that a later run knows again what it finds running.
        """
        late = time.monotonic() - _LATE_SECONDS
        with self._lock:
            self._shut = [item for item in self._shut if item.result is None and not self._spool.open_gate(item.token)]
            due = [] if self._ends() else [early for early in self._early.values() if not early.is_open]
        for early in due:
            if early.ready_since < late:
                works = works_of(early.job)  # code of the workflow, for which nobody else should wait
                with self._lock:
                    self._open_gate(early, works)

    def _open_gate(self, early: Early, works: tuple[Work, ...]) -> None:
        if not any(early is other for other in self._early.values()):
            return
        if self._is_as_sent(early):
            self._run.note_works(early.submission, works)
            early.is_open = self._spool.open_gate(early.submission.token)
        else:
            self._drop([early, *those_behind(members_of(early.job), self._early.values())])

    def _give_way(self) -> None:
        """Drop what went ahead last where jobs that Snakemake has asked for wait for a place: those can begin at once.

        For a while then nothing goes ahead, or the next jobs that come would have it dropped again.
        """
        if not self._room.held:
            return
        self._calm_until = time.monotonic() + _CALM_SECONDS
        coming = self._being_cancelled()
        latest = [
            early
            for early in reversed(self._early.values())
            if not early.is_open and self._spool.claimed_by(early.submission.token) is None
        ]
        self._drop(latest[: max(0, self._room.held - coming)])

    def _is_as_sent(self, early: Early) -> bool:
        """Whether the resources of a job are still those that were sent: they may follow from files behind its back."""
        try:
            return resources_of(self._workflow, early.job) == early.ready.resources
        except Exception:  # noqa: BLE001 - code of the workflow runs here
            return False

    def _drop(self, earlies: Sequence[Early]) -> None:
        if not earlies:
            return
        for early in earlies:
            key = _key_of(early.ready)
            early.is_dropped = True
            self._unwanted[key] = early
            self._tally.dropped += 1
            self._early.pop(key, None)
            self._frontier.leave(early.job)
            self._leaving.append(early.submission)
        self._cancel([early.submission for early in earlies])

    def _cancel(self, items: Sequence[Submission]) -> None:
        for item in items:
            self._spool.order_cancel(item.token)
        self._canceller.order_aside([item for item in items if item.external_jobid])

    def _has_room(self) -> bool:
        is_calm = time.monotonic() >= self._calm_until
        return is_calm and not self._ends() and self._room.has_place() and len(self._early) < self._reach.ahead

    def _ends(self) -> bool:
        """Whether Snakemake hands over no more jobs, because one has failed for good."""
        return self._has_failed and not self._reach.keeps_going

    def _others(self) -> int:
        """How many jobs the queue holds that Snakemake has not come to."""
        return self._being_cancelled() + sum(early.submission.result is None for early in self._early.values())

    def _being_cancelled(self) -> int:
        """How many jobs that were dropped the queue still holds."""
        self._leaving = [
            item for item in self._leaving if item.result is None and not item.is_replaced and not is_over(item.history)
        ]
        return len(self._leaving)

    def _beat(self) -> None:
        now = time.monotonic()
        if (self._early or self._shut) and now - self._beaten >= _BEAT_SECONDS:
            self._beaten, self._beats = now, self._beats + 1
            self._spool.write_heartbeat(self._name, self._beats)


def _key_of(ready: ReadyJob) -> tuple[str, ...]:
    return _key(work.products for work in ready.works)


def _key(products: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """By what a job is known again after Snakemake has made its objects anew: what its members make."""
    return tuple(sorted(product for made in products for product in made))
