"""A job of the sandbox and its states."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from snakemake_executor_plugin_frceapi.sandbox.dependency import Dependency, Upstream
from snakemake_executor_plugin_frceapi.sandbox.partitions import Partition, effective_time_s
from snakemake_executor_plugin_frceapi.sandbox.rules import Submission
from snakemake_executor_plugin_frceapi.sandbox.runner import LocalProcess


class State(StrEnum):
    """The states of sacct(1), "JOB STATE CODES", that the sandbox gives by itself."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    REQUEUED = "REQUEUED"
    PREEMPTED = "PREEMPTED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    TIMEOUT = "TIMEOUT"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    NODE_FAIL = "NODE_FAIL"


@dataclass(slots=True, eq=False, kw_only=True)
class Job:
    """One job. The scheduler alone changes it.

    Attributes:
        job_id: its number.
        submission: what was asked for.
        partition: the partition after the submit filter.
        directory: working directory, which is not the workflow's.
        output: file with the output of its batch script.
        submitted_at: in seconds since the epoch, like all times here.
        dependency: what it still has to wait for; None: nothing.
        state: Slurm's state. A job that is being ended has its new state at once, as in Slurm, while its processes
            may live on for `SandboxConfig.kill_wait`.
        shown_state: the word to list in place of `state`, set by hand.
        pending_reason: why it does not start, in squeue(1)'s words.
        started_at: start of the last run.
        ended_at: end, or the moment at which its end was decided.
        exit_code: exit code of the last run's batch script, negative for a signal.
        restarts: how often it was started again under its id.
        comes_back: it is to be started again when its processes have ended.
        process: the running batch script; None: nothing of the job runs.
    """

    job_id: int
    submission: Submission
    partition: Partition
    directory: Path
    output: Path
    submitted_at: float
    dependency: Dependency | None = None
    state: State = State.PENDING
    shown_state: str | None = None
    pending_reason: str = "None"
    started_at: float | None = None
    ended_at: float | None = None
    exit_code: int | None = None
    restarts: int = 0
    comes_back: bool = False
    process: LocalProcess | None = None

    @property
    def time_limit_s(self) -> int | None:
        """The time limit that holds, in seconds; None: no limit."""
        return effective_time_s(self.partition, self.submission.time_limit_s)

    @property
    def cpus(self) -> int:
        """CPUs it was given."""
        return self.submission.cpus

    @property
    def mem_limit_mb(self) -> int | None:
        """Memory over which it is killed, in MB; None: all memory, which is what 0 means in sbatch(1)."""
        asked = self.submission
        if asked.mem_mb_per_node is not None:
            return asked.mem_mb_per_node * asked.nodes or None
        if asked.mem_mb_per_cpu is not None:
            return asked.mem_mb_per_cpu * asked.cpus or None
        return self.partition.default_mem_mb_per_cpu * asked.cpus

    @property
    def is_final(self) -> bool:
        """Nothing of it runs and it will not be started again."""
        return self.ended_at is not None and self.process is None

    def upstream(self) -> Upstream:
        """What a job that depends on this one may know."""
        begun_at = self.ended_at if self.started_at is None else self.started_at
        return Upstream(begun_at, self.is_final, self.is_final and self.state is State.COMPLETED)
