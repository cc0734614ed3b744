"""What a job needs of a partition, and the kinds of caps that a partition can have.

The keys of the caps, and how much each counts when partitions are compared, are those of the slurm plugin.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from snakemake_executor_plugin_frceapi.job import JobRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a job needs of a partition.

    Attributes:
        cpus_per_task: CPUs of each task.
        tasks: number of tasks.
        tasks_per_node: tasks on each node, None where Slurm may choose.
        mem_mb_per_cpu: memory per CPU in MB; never together with `mem_mb_per_node`.
        mem_mb_per_node: memory per node in MB.
        runtime_minutes: time limit in minutes, None where the partition's own applies.
        gpu: number of GPUs.
        gpu_model: their model, None for any.
        mpi: whether it is an MPI job.
    """

    cpus_per_task: int
    tasks: int = 1
    tasks_per_node: int | None = None
    mem_mb_per_cpu: int | None = None
    mem_mb_per_node: int | None = None
    runtime_minutes: int | None = None
    gpu: int = 0
    gpu_model: str | None = None
    mpi: bool = False

    @classmethod
    def of(cls, request: JobRequest) -> Need:
        """Return what a request needs that does without GPUs and MPI."""
        return cls(
            cpus_per_task=request.cpus_per_task or 1,
            tasks=request.ntasks or 1,
            tasks_per_node=request.ntasks_per_node,
            mem_mb_per_cpu=request.mem_mb_per_cpu,
            mem_mb_per_node=request.mem_mb_per_node,
            runtime_minutes=request.time_limit_minutes,
        )

    @property
    def cpus(self) -> int:
        """CPUs of all tasks."""
        return self.cpus_per_task * self.tasks

    @property
    def nodes(self) -> int | None:
        """Number of nodes, None where Slurm may choose."""
        return math.ceil(self.tasks / self.tasks_per_node) if self.tasks_per_node else None

    @property
    def node_mem_mb(self) -> int | None:
        """Memory in MB that the fullest node must have at least."""
        if self.mem_mb_per_cpu is None:
            return self.mem_mb_per_node
        return self.mem_mb_per_cpu * self.cpus_per_task * (self.tasks_per_node or 1)

    def __str__(self) -> str:
        per_cpu = f"{self.mem_mb_per_cpu} MB per CPU" if self.mem_mb_per_cpu else None
        per_node = f"{self.mem_mb_per_node} MB" if self.mem_mb_per_node else None
        limit = f"{self.runtime_minutes} min" if self.runtime_minutes else "no time limit"
        gpus = f"gpu={self.gpu}" + (f" of model {self.gpu_model}" if self.gpu_model else "") if self.gpu else None
        tasks = f"{self.tasks} tasks of {self.cpus_per_task} CPUs" if self.tasks > 1 else f"{self.cpus_per_task} CPUs"
        return ", ".join(filter(None, [tasks, per_cpu or per_node, limit, gpus]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """One kind of cap.

    Attributes:
        what: what it limits, with its unit, for people.
        amount: how much of it a job asks for; None or 0: nothing, and it does not count.
        scored: how much the part of the cap that a job asks for counts for the partition. The slurm plugin counts
            threads twice, because it looks at them once as threads and once as CPUs per task.
        resource: what to lower to keep it.
    """

    what: str
    amount: Callable[[Need], int | None]
    resource: str
    scored: int = 1


CAPS: Mapping[str, Cap] = {
    "max_runtime": Cap(what="min", amount=lambda need: need.runtime_minutes, resource="runtime"),
    "max_mem_mb": Cap(what="MB per node", amount=lambda need: need.node_mem_mb, resource="mem_mb"),
    "max_mem_mb_per_cpu": Cap(what="MB per CPU", amount=lambda need: need.mem_mb_per_cpu, resource="mem_mb_per_cpu"),
    "max_cpus_per_task": Cap(what="CPUs per task", amount=lambda need: need.cpus_per_task, resource="threads"),
    "max_threads": Cap(what="threads", amount=lambda need: need.cpus_per_task, scored=2, resource="threads"),
    "max_nodes": Cap(what="nodes", amount=lambda need: need.nodes, resource="nodes"),
    "max_tasks": Cap(what="tasks", amount=lambda need: need.tasks, resource="tasks"),
    "max_tasks_per_node": Cap(
        what="tasks per node",
        amount=lambda need: need.tasks_per_node,
        resource="tasks_per_node",
    ),
    "max_mpi_tasks": Cap(
        what="MPI tasks",
        amount=lambda need: need.tasks if need.mpi else None,
        scored=0,
        resource="tasks",
    ),
    "max_cpus_per_user": Cap(what="CPUs of one user", amount=lambda need: need.cpus, scored=0, resource="threads"),
}
"""The caps by their keys in a partition file; ``max_cpus_per_user`` is none of the slurm plugin's."""
