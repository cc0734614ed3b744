"""What became of one submission, as reports show it: a value, made once the job is over or the run ends."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, unique

from snakemake_executor_plugin_frceapi.job import NOT_MEASURED, JobRequest, Usage


@unique
class Fate(Enum):
    """What became of a job."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    """It was ended or dropped by this run."""
    LEFT = "left"
    """It may still wait or run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What became of one submission.

    Times are seconds of the epoch, None where they are not known: `submitted` by the clock of this machine, `started`
    and `begun` by that of the node, `ended` by that of the node where the job has recorded its end.

    Attributes:
        work: by what the job is known again: two records with the same are two tries of one job.
        rule: name of its rule or group.
        members: the rules of which it runs jobs: several for a group.
        wildcards: its wildcards, as a line for people.
        attempt: which attempt of the job it was, from 1.
        went_ahead: whether it was sent before Snakemake asked for the job.
        external_jobid: the job's number at Slurm, None if it was never known.
        request: what was asked for it.
        log: its log, empty if that was removed.
        fate: what became of it.
        submitted: when it was posted.
        started: when it started on its node, to wait at a gate where it has one.
        begun: when the job command began.
        ended: when it was over.
        cpu_seconds: CPU time of the job command, None where it is not known.
        usage: what else it has told of itself.
    """

    work: tuple[str, ...]
    rule: str
    members: tuple[str, ...]
    wildcards: str
    attempt: int
    went_ahead: bool
    external_jobid: str | None
    request: JobRequest
    log: str
    fate: Fate
    submitted: float | None = None
    started: float | None = None
    begun: float | None = None
    ended: float | None = None
    cpu_seconds: float | None = None
    usage: Usage = NOT_MEASURED

    @property
    def queue_seconds(self) -> float | None:
        """How long it waited in the queue."""
        return _between(self.submitted, self.started)

    @property
    def gate_seconds(self) -> float | None:
        """How long it waited at its gate."""
        return _between(self.started, self.begun)

    @property
    def run_seconds(self) -> float | None:
        """How long the job command ran."""
        return _between(self.begun, self.ended)

    @property
    def cpu_seconds_held(self) -> float | None:
        """For how many CPU seconds nobody else could have its CPUs."""
        held = _between(self.started, self.ended)
        return None if held is None else held * self.request.cpus

    @property
    def time_efficiency(self) -> float | None:
        """Which part of the time limit it needed, None where that is not known."""
        minutes = self.request.time_limit_minutes
        return _part(self.run_seconds, minutes * 60 if minutes else None)

    @property
    def busy_cpus(self) -> float | None:
        """How many CPUs it kept busy on the average, None where that is not known.

        Tasks that a job starts through Slurm are no children of its own, so those of several are not known.
        """
        return None if self._has_tasks else _part(self.cpu_seconds, self.run_seconds)

    @property
    def cpu_efficiency(self) -> float | None:
        """Which part of its CPUs it kept busy, None where that is not known."""
        return _part(self.busy_cpus, self.request.cpus)

    @property
    def memory_efficiency(self) -> float | None:
        """Which part of its memory it held at most, None where that is not known."""
        return None if self._has_tasks else _part(self.usage.peak_mb, self.request.memory_mb)

    @property
    def _has_tasks(self) -> bool:
        return max(self.request.ntasks or 1, self.request.ntasks_per_node or 1) > 1


def _part(used: float | None, of: float | None) -> float | None:
    return None if used is None or not of else used / of


def _between(begin: float | None, end: float | None) -> float | None:
    """Seconds between two times; clocks of two machines may differ, so never less than 0."""
    return None if begin is None or end is None else max(0.0, end - begin)
