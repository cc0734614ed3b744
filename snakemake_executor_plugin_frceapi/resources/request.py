"""One job's resources → its request, and what the user should be told about it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from snakemake_executor_plugin_frceapi.dependency import parse
from snakemake_executor_plugin_frceapi.job import JobRequest
from snakemake_executor_plugin_frceapi.partitions.need import Need
from snakemake_executor_plugin_frceapi.partitions.table import NO_TABLE, PartitionTable
from snakemake_executor_plugin_frceapi.resources.asked import Asked
from snakemake_executor_plugin_frceapi.resources.gpus import asked_gpus
from snakemake_executor_plugin_frceapi.resources.table import (
    GPU_NAMES,
    NOTED,
    REFUSED,
    asks_for_something,
    whole_number,
)

_PARTITION = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class RequestDefaults:
    """What is asked for a job whose rule does not say.

    Attributes:
        partition: partition name, or None: then the table chooses one.
        mem_mb_per_cpu: memory per CPU in MB.
        runtime_minutes: time limit in minutes, or None: then the partition's own applies.
        table: the partitions and their caps; where it is empty, each rule must name one.
    """

    partition: str | None
    mem_mb_per_cpu: int
    runtime_minutes: int | None
    table: PartitionTable = NO_TABLE


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the user should be told once for each `key`, not once a job.

    Attributes:
        key: what the notice is about, such as ``slurm_account`` or ``default-memory``.
        rule: name of the rule or group that gave rise to it.
        text: one clause with the resource and the remedy, to stand behind the names of rules.
    """

    key: str
    rule: str
    text: str


def build_request(
    name: str,
    resources: Mapping[str, object],
    threads: int,
    defaults: RequestDefaults,
    members: Sequence[str] = (),
) -> tuple[JobRequest, tuple[Notice, ...]]:
    """Translate one job's resources.

    Tasks, CPUs per task and memory are always asked for, as the cluster's own defaults are none that one wants; the
    time limit whenever it is known. Memory is per CPU (``mem_mb_per_cpu``) or per node (``mem_mb``), never both: per
    CPU wins, because ``--default-resources`` adds ``mem_mb`` to every rule that does not set it.

    Args:
        name: name of the rule or group, for messages.
        resources: the job's resources by name. Values that are whole numbers may also come as float or text.
        threads: the job's threads; a job of fewer than one still gets one CPU.
        defaults: what to ask for where the rule says nothing.
        members: the rules of a group job, none of a single job.

    Returns:
        The request, and what the user should be told about it.

    Raises:
        JobError: a value cannot be right, two contradict each other, the API cannot express one, or no partition takes
            the job.
    """
    asked = Asked(name, resources, members).with_extra()
    asked.refuse(*(key for key in REFUSED if key not in GPU_NAMES))
    need = _need(asked, threads, defaults)
    request = JobRequest(
        partition=_partition(asked, need, defaults),
        ntasks=need.tasks,
        ntasks_per_core=_tasks_per_core(asked),
        ntasks_per_node=need.tasks_per_node,
        cpus_per_task=need.cpus_per_task,
        mem_mb_per_cpu=need.mem_mb_per_cpu,
        mem_mb_per_node=need.mem_mb_per_node,
        dependency=_dependency(asked),
        time_limit_minutes=need.runtime_minutes,
    )
    return request, tuple(_notices(asked, defaults, request))


def _need(asked: Asked, threads: int, defaults: RequestDefaults) -> Need:
    """What the job needs of its partition."""
    tasks, tasks_per_node = _tasks(asked)
    per_cpu, per_node = _memory(asked)
    gpu, gpu_model = asked_gpus(asked, defaults.table)
    return Need(
        cpus_per_task=_cpus_per_task(asked, threads),
        tasks=tasks,
        tasks_per_node=tasks_per_node,
        mem_mb_per_cpu=per_cpu if per_cpu or per_node else defaults.mem_mb_per_cpu,
        mem_mb_per_node=per_node,
        runtime_minutes=asked.number("runtime") or defaults.runtime_minutes,
        gpu=gpu,
        gpu_model=gpu_model,
        mpi=bool(asked.resources.get("mpi")),
    )


def _partition(asked: Asked, need: Need, defaults: RequestDefaults) -> str:
    """The partition that the rule or the setting names, else the one that fits best."""
    name, value = asked.first("frceapi_partition", "slurm_partition")
    if value is None:
        name, value = "--frceapi-partition", defaults.partition
    if value is None:
        with asked.named():
            return defaults.table.choose(need, asked.option)
    if isinstance(value, bool) or not isinstance(value, int | str) or not _PARTITION.fullmatch(str(value)):
        raise asked.error(
            f"{name}={value!r} is not a partition name", "give one name of letters, digits, '_', '.' and '-'"
        )
    with asked.named():
        defaults.table.check(need, str(value), asked.option)
    return str(value)


def _tasks(asked: Asked) -> tuple[int, int | None]:
    """Number of tasks, and tasks per node or None.

    The API has no key for a number of nodes, so N nodes are T tasks with T/N on each. A single task needs no more
    than that. sbatch(1) reads tasks per node as a maximum when the number of tasks is given as well.
    """
    tasks, per_node, nodes = asked.number("tasks"), asked.number("tasks_per_node"), asked.number("nodes")
    if tasks is None and per_node is None:
        _check_one_task(asked, nodes)
        return 1, None
    if tasks is None:
        tasks = asked.check_number("tasks", (nodes or 1) * (per_node or 1))
    if nodes is not None:
        per_node = _share_of_node(asked, tasks, per_node, nodes)
    if per_node is not None and per_node > tasks:
        raise asked.error(f"tasks_per_node={per_node} is more than tasks={tasks}", "lower it or raise tasks")
    return tasks, per_node


def _share_of_node(asked: Asked, tasks: int, per_node: int | None, nodes: int) -> int:
    """Tasks per node, so that `tasks` fill exactly `nodes`."""
    share = per_node or max(1, tasks // nodes)
    if share * nodes != tasks:
        given = f"nodes={nodes} and tasks={tasks}" + (f" and tasks_per_node={per_node}" if per_node else "")
        raise asked.error(
            f"{given} do not fit together",
            "the API knows no nodes, so tasks must be nodes times a whole number of tasks per node",
        )
    return share


def _check_one_task(asked: Asked, nodes: int | None) -> None:
    """Raise `JobError` if a job that names no tasks cannot be a single one."""
    if asked.resources.get("mpi"):
        raise asked.error("an MPI job needs a number of tasks", "set tasks or tasks_per_node in the rule")
    if nodes is not None and nodes > 1:
        raise asked.error(
            f"nodes={nodes} without tasks cannot be expressed",
            "set tasks or tasks_per_node as well, or leave nodes out",
        )


def _tasks_per_core(asked: Asked) -> int | None:
    """1, 2 or None; the API's documentation page allows no other number."""
    number = asked.number("ntasks_per_core", "tasks_per_core")
    if number is not None and number > 2:
        raise asked.error(f"ntasks_per_core={number} cannot be expressed", "the API allows 1 and 2")
    return number


def _cpus_per_task(asked: Asked, threads: int) -> int:
    """``cpus_per_task`` if set, else the threads.

    The slurm plugin leaves the option out for a negative ``cpus_per_task``, which gives each task one CPU; that one CPU
    is asked for here, because ``SLURM_CPUS_PER_TASK`` is unset in a job that did not ask.
    """
    name, value = asked.first("cpus_per_task")
    if value is None:
        return asked.check_number("threads", max(1, threads))
    number = whole_number(value)
    return 1 if number is not None and number < 0 else asked.check_number(name, value)


def _memory(asked: Asked) -> tuple[int | None, int | None]:
    """Memory per CPU and memory per node in MB; at least one of them is None.

    A rule switches a default of memory per CPU off by 0, and says how much it needs of a node instead.
    """
    per_node = asked.wish("mem_mb")
    if per_node is not None and whole_number(asked.resources.get("mem_mb_per_cpu")) == 0:
        return None, asked.check_number("mem_mb", per_node)
    per_cpu = asked.number("mem_mb_per_cpu")
    return (per_cpu, None) if per_cpu else (None, asked.number("mem_mb"))


def _dependency(asked: Asked) -> str | None:
    _, value = asked.first("frceapi_dependency", "dependency")
    if not asks_for_something(value):
        return None
    with asked.named():
        return str(parse(str(value)))


def _notices(asked: Asked, defaults: RequestDefaults, request: JobRequest) -> Iterator[Notice]:
    """Notices about what was left out or filled in."""
    for name in NOTED:
        if asks_for_something(value := asked.resources.get(name)):
            text = f"{name}={value!r} is ignored, the API cannot express it; take it out to end this notice"
            yield Notice(name, asked.name, text)
    if not any(_memory(asked)):
        text = (
            f"no memory is asked for, so {defaults.mem_mb_per_cpu} MB per CPU are; set mem_mb or mem_mb_per_cpu in the "
            "rule, or --frceapi-default-mem-mb-per-cpu"
        )
        yield Notice("default-memory", asked.name, text)
    if request.time_limit_minutes is None:
        remedy = "set runtime in the rule, or --frceapi-default-runtime"
        text = f"no time limit is asked for, so it is the partition's; {remedy}"
        yield Notice("default-runtime", asked.name, text)
    names = [partition.name for partition in defaults.table.partitions]
    if names and request.partition not in names:
        text = (
            f"nothing is known of partition {request.partition}, so its caps are not checked; known in "
            f"{defaults.table.source} are {', '.join(names)}"
        )
        yield Notice(f"partition {request.partition}", asked.name, text)
