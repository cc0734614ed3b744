"""Keeps what became of each submission of a run, for reports at its end."""

from __future__ import annotations

import time
from collections.abc import Callable

from snakemake_executor_plugin_frceapi.job import NOT_MEASURED, JobState
from snakemake_executor_plugin_frceapi.record import Fate, Record
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.submission import Submission
from snakemake_executor_plugin_frceapi.tracker import Cause


class Chronicle:
    """The records of a run.

    It asks the API nothing, and looks into a run directory only for a job that has started and left no end.

    Args:
        spool: the run directory.
        keeps_logs: whether logs of jobs that ended well stay.
        clock: returns seconds of the epoch.
    """

    def __init__(self, spool: Spool, *, keeps_logs: bool, clock: Callable[[], float] = time.time) -> None:
        self._spool = spool
        self._keeps_logs = keeps_logs
        self._clock = clock
        self._open: dict[str, Submission] = {}
        self._closed: list[Record] = []
        self._started: dict[str, Submission] = {}
        self._told: set[str] = set()

    def note_submitted(self, item: Submission) -> None:
        """Note that the API has taken a job."""
        self._open[item.token] = item

    def note_listing(self) -> None:
        """Note which jobs of Snakemake's run, now that a listing was entered into their histories."""
        for token, item in self._open.items():
            if item.history.state is JobState.RUNNING and not item.is_ahead and token not in self._told:
                self._told.add(token)
                self._started[token] = item

    def take_started(self) -> list[Submission]:
        """Return the jobs that were seen to run since the last call and have not ended, each once in a run."""
        news, self._started = self._started, {}
        return list(news.values())

    def note_ended(self, item: Submission, *, succeeded: bool) -> None:
        """Note that a job is over; one that went ahead and was not wanted, or never began, counts as dropped."""
        self._forget(item.token)
        end = item.history.end
        never_began = end.cause is Cause.UPSTREAM if end else item.history.start_seen is None
        was_dropped = item.is_ahead or (item.went_ahead and never_began)
        fate = Fate.SUCCEEDED if succeeded else Fate.CANCELLED if was_dropped else Fate.FAILED
        self._closed.append(self._record(item, fate, self._clock()))

    def note_cancelled(self, token: str) -> None:
        """Note that a job was cancelled and is over."""
        if item := self._forget(token):
            self._closed.append(self._record(item, Fate.CANCELLED, self._clock()))

    def _forget(self, token: str) -> Submission | None:
        self._told.discard(token)
        self._started.pop(token, None)
        return self._open.pop(token, None)

    def records(self) -> list[Record]:
        """Return what became of each submission by now, in the order of their submissions."""
        left = [self._record(item, Fate.LEFT, None) for item in self._open.values()]
        return sorted([*self._closed, *left], key=lambda record: record.submitted or record.started or 0.0)

    def _record(self, item: Submission, fate: Fate, now: float | None) -> Record:
        end = item.history.end
        started, begun, ended = self._times(item, now)
        return Record(
            work=tuple(sorted(product for work in item.works for product in work.products)) or (item.token,),
            rule=item.rule,
            members=tuple(sorted({work.rule for work in item.works})) or (item.rule,),
            wildcards=", ".join(f"{name}={value}" for name, value in item.wildcards.items()),
            attempt=item.attempt,
            went_ahead=item.went_ahead,
            external_jobid=item.external_jobid,
            request=item.request,
            log="" if fate is Fate.SUCCEEDED and not self._keeps_logs else str(item.log),
            fate=fate,
            submitted=item.posted,
            started=started,
            begun=begun,
            ended=ended,
            cpu_seconds=end.cpu_seconds if end else None,
            usage=end.usage if end else NOT_MEASURED,
        )

    def _times(self, item: Submission, now: float | None) -> tuple[float | None, float | None, float | None]:
        """When a job started, when its command began, and when it was over."""
        history = item.history
        if history.end is not None:
            return history.end.start - history.end.gate_seconds, history.end.start, history.end.end
        if history.start_seen is None and history.state is not JobState.RUNNING:
            return None, None, now
        start = self._spool.start(item.token)
        started = start.seconds if start else None
        return started, started, now
