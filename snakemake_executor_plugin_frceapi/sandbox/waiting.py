"""The jobs that wait for other jobs, found by what they wait for. Pure."""

from __future__ import annotations

from collections import defaultdict

from snakemake_executor_plugin_frceapi.sandbox.dependency import Dependency


class WaitingRoom:
    """Which jobs have to be looked at again when something happens to another one."""

    def __init__(self) -> None:
        self._waiting: dict[int, Dependency] = {}
        self._by_upstream: defaultdict[int, set[int]] = defaultdict(set)
        self._singletons: set[int] = set()
        self._delayed: set[int] = set()

    @property
    def has_delayed(self) -> bool:
        """True if some job waits for time to pass (``after:ID+MINUTES``)."""
        return bool(self._delayed)

    def add(self, job_id: int, dependency: Dependency) -> None:
        """Let a job wait."""
        self._waiting[job_id] = dependency
        for upstream in dependency.job_ids:
            self._by_upstream[upstream].add(job_id)
        if dependency.has_singleton:
            self._singletons.add(job_id)
        if any(link.delay_minutes for link in dependency.links):
            self._delayed.add(job_id)

    def discard(self, job_id: int) -> None:
        """Let a job wait no longer, if it does."""
        dependency = self._waiting.pop(job_id, None)
        if dependency is None:
            return
        for upstream in dependency.job_ids:
            self._by_upstream[upstream].discard(job_id)
        self._singletons.discard(job_id)
        self._delayed.discard(job_id)

    def downstream(self, job_id: int) -> list[int]:
        """The jobs that wait for this one, and the first of those that wait to be alone, in the order of their ids.

        Only the first can be alone: it stands before the others until it has ended.
        """
        alone = {min(self._singletons)} if self._singletons else set()
        return sorted(self._by_upstream.get(job_id, set()) | alone)

    def delayed(self) -> list[int]:
        """The jobs that wait for time to pass, in the order of their ids."""
        return sorted(self._delayed)
