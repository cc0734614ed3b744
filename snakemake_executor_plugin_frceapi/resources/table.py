"""The names of the resources that mean something here, and what becomes of each."""

from __future__ import annotations

import re

_NO_GPU = (
    "it has no key for GPUs and no partition is known to give a job one unasked (provides_gpu in a file for "
    "--frceapi-partition-config)"
)
_NO_CLUSTER = "it submits to one cluster"

GPU_NAMES = ("gpu", "gpus", "gpu_model", "gres", "cpus_per_gpu", "tasks_per_gpu")
"""Resources about GPUs; some of them can be met by a partition that gives each job a GPU unasked."""

REFUSED = {
    **dict.fromkeys(GPU_NAMES, _NO_GPU),
    "constraint": "it has no key for features of nodes",
    **dict.fromkeys(("cluster", "clusters", "slurm_cluster"), _NO_CLUSTER),
    **dict.fromkeys(("reservation", "slurm_reservation"), "it has no key for reservations"),
}
"""Resources that would change where or how the job runs, and have no key → why they cannot be expressed."""

NOTED = ("slurm_account", "qos")
"""Resources that only account for the job, and for which the API has no key."""

EXPRESSED = {
    "frceapi_partition": "partition",
    "slurm_partition": "partition",
    "runtime": "timelimit",
    "mem_mb": "mem-per-node",
    "mem_mb_per_cpu": "mem-per-cpu",
    "cpus_per_task": "cpus-per-task",
    "tasks": "ntasks",
    "tasks_per_node": "ntasks-per-node",
    "nodes": "ntasks-per-node",
    "ntasks_per_core": "ntasks-per-core",
    "tasks_per_core": "ntasks-per-core",
    "frceapi_dependency": "dependency",
    "dependency": "dependency",
}
"""Resources that are sent → the key of the API that carries each."""

SENT = (*REFUSED, *NOTED, *EXPRESSED, "slurm_extra", "mpi", "mem", "mem_mib")
"""Resources on which a request depends; ``mem`` is the one that Snakemake makes ``mem_mb`` of."""

NOT_SUMMED = ("mem_mb_per_cpu", "ntasks_per_core", "tasks_per_core", "tasks_per_node", "nodes", "tasks")
"""Resources of which a group needs as much as its largest job, and not as much as those that run beside one another."""

_WHOLE_NUMBER = re.compile(r"\s*([+-]?[0-9]{1,18})(?:\.0+)?\s*", re.ASCII)


def whole_number(value: object) -> int | None:
    """The whole number that `value` stands for, or None; True and False are no numbers."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    match = _WHOLE_NUMBER.fullmatch(value) if isinstance(value, str) else None
    return int(match[1]) if match else None


def asks_for_something(value: object) -> bool:
    """Whether a resource is really asked for: None, False, numbers below 1 and empty text are not."""
    if value is None or isinstance(value, bool):
        return value is True
    number = whole_number(value)
    return number > 0 if number is not None else str(value).strip() != ""
