"""The partitions of the pretend cluster and the submit filter that moves jobs between them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MINUTE_S = 60
DAY_S = 24 * 60 * MINUTE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One partition.

    Attributes:
        name: its name.
        default_time_s: time limit in seconds of a job that asks for none; None: no limit.
        max_time_s: longest time limit in seconds; a job that asks for more pends for ever. None: no limit.
        max_cpus: CPUs that all jobs may hold together; a job that asks for more pends for ever. None: no limit.
        default_mem_mb_per_cpu: memory per CPU in MB of a job that asks for none.
        accepts_api_jobs: False where the API refuses the partition.
    """

    name: str
    default_time_s: int | None = None
    max_time_s: int | None = None
    max_cpus: int | None = None
    default_mem_mb_per_cpu: int = 20_000
    accepts_api_jobs: bool = True


FRCE_PARTITIONS = (
    Partition(name="norm", default_time_s=5 * DAY_S, max_time_s=5 * DAY_S, max_cpus=600),
    Partition(name="short", default_time_s=30 * MINUTE_S, max_time_s=30 * MINUTE_S, max_cpus=170),
    Partition(name="unlimited", max_cpus=432),
    Partition(name="largemem", max_cpus=192, default_mem_mb_per_cpu=16_000),
    Partition(name="gpu", max_cpus=1200, default_mem_mb_per_cpu=8_000),
)
"""FRCE's own partitions, as publicly written about the cluster."""

FILTERED = frozenset({"short", "norm", "unlimited"})
"""The partitions among which the submit filter moves jobs."""


def partition_table(extra: Iterable[Partition] = ()) -> dict[str, Partition]:
    """FRCE's partitions and `extra` ones by name; one of the same name replaces FRCE's."""
    return {partition.name: partition for partition in (*FRCE_PARTITIONS, *extra)}


def filtered_partition(name: str, time_limit_s: int | None) -> str:
    """The partition in which the submit filter puts a job.

    Args:
        name: the partition that was asked for.
        time_limit_s: time limit asked for, in seconds; 0: no limit, as in sbatch(1); None: nothing was asked for.
    """
    if name not in FILTERED or time_limit_s is None:
        return name
    if 0 < time_limit_s <= 30 * MINUTE_S:
        return "short"
    return "norm" if 0 < time_limit_s <= 5 * DAY_S else "unlimited"


def effective_time_s(partition: Partition, time_limit_s: int | None) -> int | None:
    """The time limit in seconds that holds for a job; None: no limit."""
    return partition.default_time_s if time_limit_s is None else time_limit_s or None


def pending_for_ever(partition: Partition, cpus: int, time_s: int | None) -> str | None:
    """Why a job over the partition's caps never starts, in squeue(1)'s words, or None. FRCE accepts such a job."""
    if partition.max_cpus is not None and cpus > partition.max_cpus:
        return "QOSMaxCpuPerUserLimit"
    if partition.max_time_s is not None and (time_s is None or time_s > partition.max_time_s):
        return "PartitionTimeLimit"
    return None


def api_partitions(table: Mapping[str, Partition]) -> frozenset[str]:
    """Names of the partitions that take jobs of the API."""
    return frozenset(name for name, partition in table.items() if partition.accepts_api_jobs)
