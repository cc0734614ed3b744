"""Frozen values that the other modules exchange: what is asked, what is answered.

Units stand in field names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from enum import Enum, unique
from typing import TypeAlias

from snakemake_executor_plugin_frceapi.errors import ServiceError


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """What one job asks of the scheduler, in the plugin's own units.

    Attributes:
        partition: partition name.
        ntasks: number of tasks, as ``sbatch --ntasks``.
        ntasks_per_core: 1 or 2, as ``sbatch --ntasks-per-core``.
        ntasks_per_node: as ``sbatch --ntasks-per-node``.
        cpus_per_task: as ``sbatch --cpus-per-task``.
        mem_mb_per_cpu: memory per CPU in MB; never together with `mem_mb_per_node`.
        mem_mb_per_node: memory per node in MB.
        dependency: a Slurm dependency expression.
        time_limit_minutes: time limit in minutes.
    """

    partition: str
    ntasks: int | None = None
    ntasks_per_core: int | None = None
    ntasks_per_node: int | None = None
    cpus_per_task: int | None = None
    mem_mb_per_cpu: int | None = None
    mem_mb_per_node: int | None = None
    dependency: str | None = None
    time_limit_minutes: int | None = None

    def behind(self, dependency: str | None, more_minutes: int = 0) -> JobRequest:
        """Return the request of the same job where it waits for others.

        Args:
            dependency: as the attribute.
            more_minutes: how much longer its time limit is then, if it has one.
        """
        minutes = self.time_limit_minutes
        return replace(self, dependency=dependency, time_limit_minutes=minutes + more_minutes if minutes else None)

    @property
    def cpus(self) -> int:
        """How many CPUs are asked for in all."""
        return (self.cpus_per_task or 1) * (self.ntasks or 1)

    @property
    def memory_mb(self) -> int | None:
        """How much memory in MB is asked for where all tasks are on one node, None where none is."""
        return self.mem_mb_per_node if self.mem_mb_per_cpu is None else self.mem_mb_per_cpu * self.cpus


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a job has told of itself as it ended.

    Attributes:
        node: name of its node, empty where that is not known.
        peak_mb: the memory in MB that it held at most, None where that is not known.
        measured_by: where `peak_mb` comes from: ``cgroup`` (exact, with its part of the page cache), or ``samples``
            (its processes, looked at every two seconds).
    """

    node: str = ""
    peak_mb: int | None = None
    measured_by: str = ""


NOT_MEASURED = Usage()
"""What a job has told that has told nothing."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one job of the workflow makes, and from what: how a later run knows it again.

    Attributes:
        rule: name of its rule.
        products: its output files as Snakemake names them; of a job without any, one name made of its wildcards.
        signature: hash of code, parameters, inputs and software, empty where it could not be told.
    """

    rule: str
    products: tuple[str, ...]
    signature: str

    @property
    def files(self) -> tuple[str, ...]:
        """Its output files."""
        return tuple(product for product in self.products if not product.startswith(NO_FILE))


NO_FILE = "(no output) "
"""Beginning of the name that stands for the output of a job without any."""


@unique
class JobState(Enum):
    """A job's state as Slurm spells it; sacct(1), "JOB STATE CODES"."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUSPENDED = "SUSPENDED"
    REQUEUED = "REQUEUED"
    RESIZING = "RESIZING"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"
    TIMEOUT = "TIMEOUT"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    DEADLINE = "DEADLINE"
    REVOKED = "REVOKED"
    SPECIAL_EXIT = "SPECIAL_EXIT"
    NODE_FAIL = "NODE_FAIL"
    PREEMPTED = "PREEMPTED"
    BOOT_FAIL = "BOOT_FAIL"
    UNKNOWN = "UNKNOWN"
    """Any word that is not in this list: it means nothing, the job counts as active."""

    @property
    def is_final(self) -> bool:
        """Whether the job has ended in this state; a requeue can still bring it back."""
        return self not in _LIVE


_LIVE = frozenset(
    {
        JobState.PENDING,
        JobState.RUNNING,
        JobState.SUSPENDED,
        JobState.REQUEUED,
        JobState.RESIZING,
        JobState.UNKNOWN,
    }
)


@dataclass(frozen=True, slots=True)
class JobStatus:
    """One row of the listing.

    Attributes:
        external_jobid: the job's number at Slurm, in digits.
        state: the state as this package understands it.
        state_word: the state as the service wrote it.
        name: job name.
        user: user name.
        partition: partition name.
        start: start time as the service wrote it (it carries no zone: shown, never computed with).
        end: end time, likewise; the time limit of a running job.
    """

    external_jobid: str
    state: JobState
    state_word: str
    name: str = ""
    user: str = ""
    partition: str = ""
    start: str = ""
    end: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """A valid answer of ``query_status``: the user's jobs of the previous 24 hours.

    Attributes:
        jobs: those that were asked for, by external jobid.
        largest_jobid: the largest number of all; a job that is submitted later has a larger one, until Slurm begins
            anew (slurm.conf(5), ``MaxJobId``).
    """

    jobs: Mapping[str, JobStatus]
    largest_jobid: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The service took the job."""

    external_jobid: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The service said no, for good.

    Attributes:
        code: the service's own word, such as ``bad_partition``.
        message: one line with the reason and the remedy.
    """

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows whether the service took the job; it must not be sent again blindly.

    Attributes:
        message: one line that says why.
        retry_after_seconds: how long the service asked not to be called, or None.
    """

    message: str
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class NotSent:
    """The job surely did not reach the service; `fault` says why and whether to try again."""

    fault: ServiceError


SubmitOutcome: TypeAlias = Accepted | Refused | Unknown | NotSent


def jsonable(value: object) -> object:
    """Return what JSON takes of a value that it does not know: the fields of a dataclass, else its text."""
    if is_dataclass(value):
        return {item.name: getattr(value, item.name) for item in fields(value)}
    return str(value)
