"""Which jobs wait for nothing but jobs that are in the queue, each found when the last of those comes into it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from snakemake_executor_plugin_frceapi.grouping import members_of
from snakemake_executor_plugin_frceapi.lookahead import behind, unfinished
from snakemake_executor_plugin_frceapi.submission import Submission


class Frontier:
    """The jobs in the queue, and what waits for them.

    Args:
        workflow: Snakemake's workflow.
    """

    def __init__(self, workflow: Any) -> None:
        self._workflow = workflow
        self._queued: dict[Any, Submission] = {}
        self._entered: deque[Any] = deque()
        self._waiting: dict[Any, None] = {}
        self._blockers: dict[Any, Any] = {}

    def enter(self, job: Any, submission: Submission) -> None:
        """Note that the queue holds a job or group job."""
        for member in members_of(job):
            self._queued[member] = submission
            self._entered.append(member)

    def leave(self, job: Any) -> None:
        """Note that nothing can wait for a job or group job any more: it is recorded, has failed, or is replaced."""
        for member in members_of(job):
            self._queued.pop(member, None)

    def submissions(self, jobs: Iterable[Any]) -> list[Submission]:
        """Return the submissions of jobs that the queue holds."""
        return [self._queued[job] for job in jobs]

    def next(self) -> tuple[Any, list[Any]] | None:
        """Return the next job or group job that waits for jobs in the queue alone, and those; None if there is none."""
        while (job := self._next_waiting()) is not None:
            with suppress(Exception):  # whatever is strange in there, the job goes the normal way
                if upstream := self._upstream(job):
                    return job, upstream
        return None

    def _next_waiting(self) -> Any:
        while self._entered:
            job = self._entered.popleft()
            with suppress(Exception):
                self._waiting.update(dict.fromkeys(behind(self._workflow.dag, job)))
        found = next(iter(self._waiting), None)
        self._waiting.pop(found, None)
        return found

    def _upstream(self, job: Any) -> list[Any]:
        """The unfinished jobs that a job waits for, empty unless the queue holds them all.

        One that it does not hold is remembered, and no other is looked for until it does: a job that gathers what
        thousands make is found by each of them.
        """
        dag, blocker = self._workflow.dag, self._blockers.get(job)
        if blocker is not None and blocker not in self._queued and not dag.finished(blocker):
            return []
        upstream = unfinished(dag, job)
        missing = [other for other in upstream if other not in self._queued]
        if missing:
            # Jobs come in the order of the list, or in the opposite one: from the middle there are few that come first.
            self._blockers[job] = missing[len(missing) // 2]
            return []
        self._blockers.pop(job, None)
        return upstream
