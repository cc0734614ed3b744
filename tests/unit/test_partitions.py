"""Tests of the partition table: which partition takes a job, and what is said when none does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_frceapi.errors import JobError
from snakemake_executor_plugin_frceapi.job import JobRequest
from snakemake_executor_plugin_frceapi.partitions.need import CAPS, Need
from snakemake_executor_plugin_frceapi.partitions.source import frce_table
from snakemake_executor_plugin_frceapi.partitions.table import NO_TABLE, Move, Partition, PartitionTable
from snakemake_executor_plugin_frceapi.sandbox import partitions as sandbox

FRCE = frce_table()
DAY = 24 * 60


def need(cpus: int = 1, **changes: object) -> Need:
    """What a job of 1 GB a CPU needs, with changes."""
    return replace(Need(cpus_per_task=cpus, mem_mb_per_cpu=1000), **changes)  # type: ignore[arg-type]  # fields by name


def table(*partitions: Partition) -> PartitionTable:
    """A table without a submit filter."""
    return PartitionTable(source="table.yaml", partitions=partitions)


def option(resource: str, value: str) -> str:
    """Stands for the option that changes a resource."""
    return f"--set {resource}={value}"


def refusal(known: PartitionTable, asked: Need, name: str | None = None) -> str:
    """The message with which a table refuses a job."""
    with pytest.raises(JobError) as caught:
        known.choose(asked, option) if name is None else known.check(asked, name, option)
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(need(runtime_minutes=1), "short", id="a-minute"),
        pytest.param(need(runtime_minutes=30), "short", id="longest-short"),
        pytest.param(need(runtime_minutes=31), "norm", id="shortest-norm"),
        pytest.param(need(runtime_minutes=5 * DAY), "norm", id="longest-norm"),
        pytest.param(need(runtime_minutes=5 * DAY + 1), "unlimited", id="shortest-unlimited"),
        pytest.param(need(), "norm", id="no-time-limit"),
        pytest.param(need(170, runtime_minutes=30), "short", id="all-CPUs-of-short"),
        pytest.param(need(600, runtime_minutes=31), "norm", id="all-CPUs-of-norm"),
        pytest.param(need(6, tasks=100, runtime_minutes=31), "norm", id="all-CPUs-of-norm-in-tasks"),
        pytest.param(need(432, runtime_minutes=6 * DAY), "unlimited", id="all-CPUs-of-unlimited"),
    ],
)
def test_chooses_where_frce_would_run_the_job(asked: Need, expected: str) -> None:
    """The partition is the one in which the submit filter leaves the job."""
    assert FRCE.choose(asked, option) == expected
    assert FRCE.moved(expected, asked.runtime_minutes) == expected


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        pytest.param(
            need(171, runtime_minutes=20),
            ["171 CPUs, 1000 MB per CPU, 20 min", "norm, unlimited: jobs of 20 min are moved to short", "at most 170"],
            id="filter",
        ),
        pytest.param(
            need(601, runtime_minutes=60),
            [
                "norm: 601 CPUs of one user, at most 600",
                "largemem: takes only jobs",
                "--set threads=NUMBER",
            ],
            id="CPUs",
        ),
        pytest.param(
            need(2, gpu=1, gpu_model="a100", runtime_minutes=60),
            ["gpu=1 of model a100", "gives a job no GPU unasked", "--set gpu=0", "provides_gpu"],
            id="GPU",
        ),
    ],
)
def test_names_what_keeps_a_job_out_of_frce(asked: Need, words: list[str]) -> None:
    """The message names the request, each partition with its cap, and what to change."""
    message = refusal(FRCE, asked)

    assert message.startswith("no partition takes ")
    assert [word for word in [*words, "norm", "short", "unlimited", "largemem", "gpu"] if word not in message] == []


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("norm", need(600, runtime_minutes=60)),
        ("norm", need(170, runtime_minutes=20)),
        ("short", need(600, runtime_minutes=60)),
        ("largemem", need(192, runtime_minutes=20)),
        ("gpu", need(1200)),
        ("no-such", need(10_000, runtime_minutes=10**6)),
    ],
)
def test_takes_a_partition_that_is_named(name: str, asked: Need) -> None:
    """A job may go anywhere that it fits, and to a partition that the table does not know."""
    FRCE.check(asked, name, option)


@pytest.mark.parametrize(
    ("name", "asked", "words"),
    [
        ("norm", need(601), ["partition norm does not take 601 CPUs", "no time limit", "at most 600"]),
        ("norm", need(171, runtime_minutes=20), ["partition short, to which jobs of 20 min are moved from norm,"]),
        (
            "largemem",
            need(1, mem_mb_per_cpu=4_000_000),
            ["MB per node, at most 3145728", "--set mem_mb=NUMBER"],
        ),
        ("largemem", need(400, mem_mb_per_cpu=10_000), ["4000000 MB per node", "400 CPUs of one user, at most 192"]),
        ("no-such", need(gpu=2), ["partition no-such", "gpu=2", "--set gpu=0"]),
    ],
)
def test_checks_a_partition_that_is_named(name: str, asked: Need, words: list[str]) -> None:
    """A job that would wait for ever is refused, with the partition in which it would."""
    message = refusal(FRCE, asked, name)

    assert [word for word in ["name another partition", *words] if word not in message] == []


def test_wants_a_name_where_no_table_is_known() -> None:
    """Without a table nothing is chosen, and nothing but GPUs refused."""
    assert "no partition is given; set --frceapi-partition" in refusal(NO_TABLE, need())
    assert "--set slurm_partition=NAME" in refusal(NO_TABLE, need())
    NO_TABLE.check(need(10**6, runtime_minutes=1), "anything", option)


CAPPED = {
    "max_runtime": need(runtime_minutes=61),
    "max_mem_mb": need(mem_mb_per_cpu=None, mem_mb_per_node=61),
    "max_mem_mb_per_cpu": need(mem_mb_per_cpu=61),
    "max_cpus_per_task": need(61),
    "max_threads": need(61),
    "max_nodes": need(tasks=122, tasks_per_node=2),
    "max_tasks": need(tasks=61),
    "max_tasks_per_node": need(tasks=122, tasks_per_node=61),
    "max_mpi_tasks": need(tasks=61, mpi=True),
    "max_cpus_per_user": need(61),
}


@pytest.mark.parametrize("key", CAPS)
def test_keeps_each_cap(key: str) -> None:
    """A job of as much as the cap fits, one of more does not, and the remedy belongs to the cap."""
    asked = CAPPED[key]
    amount = CAPS[key].amount(asked)
    assert amount

    assert table(Partition(name="only", caps={key: amount})).choose(asked, option) == "only"
    message = refusal(table(Partition(name="only", caps={key: amount - 1})), asked)
    assert f"{amount} {CAPS[key].what}, at most {amount - 1}" in message
    assert f"--set {CAPS[key].resource}=NUMBER" in message


def test_counts_memory_per_cpu_for_a_node() -> None:
    """What a job asks per CPU is held against the memory of a node."""
    asked = need(4, mem_mb_per_cpu=1000, tasks=8, tasks_per_node=2)

    assert asked.node_mem_mb == 8000
    assert "8000 MB per node, at most 7999" in refusal(table(Partition(name="a", caps={"max_mem_mb": 7999})), asked)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(need(runtime_minutes=50), "day", id="fits-tightest"),
        pytest.param(need(runtime_minutes=2 * DAY), "week", id="fits-one"),
        pytest.param(need(), "day", id="first-of-equal"),
        pytest.param(need(gpu=1), "gpu-two", id="gpu-unasked"),
        pytest.param(need(gpu=1, gpu_model="a100"), "gpu-two", id="gpu-of-model"),
        pytest.param(need(runtime_minutes=10 * DAY), "gpu", id="no-other"),
    ],
)
def test_prefers_the_tightest_partition(asked: Need, expected: str) -> None:
    """The larger the parts of its caps, the better a partition fits; one with GPUs is for jobs that want them."""
    known = table(
        Partition(name="day", caps={"max_runtime": DAY}),
        Partition(name="week", caps={"max_runtime": 7 * DAY}),
        Partition(name="gpu", max_gpu=4),
        Partition(name="gpu-two", max_gpu=4, provides_gpu=2, gpu_models=("a100", "v100"), caps={"max_runtime": 60}),
    )

    assert known.choose(asked, option) == expected


@pytest.mark.parametrize(
    ("partition", "asked", "words"),
    [
        (Partition(name="a", supports_mpi=False), need(tasks=2, mpi=True), "a: no MPI"),
        (Partition(name="a", cluster="other"), need(), "a: belongs to cluster other"),
        (Partition(name="a", only_named=True), need(), "name it with --set slurm_partition=a"),
        (Partition(name="a", provides_gpu=1), need(gpu=2), "gives a job 1 GPU unasked"),
        (Partition(name="a", provides_gpu=1, gpu_models=("t4",)), need(gpu=1, gpu_model="a100"), "model a100"),
    ],
)
def test_keeps_what_is_no_number(partition: Partition, asked: Need, words: str) -> None:
    """MPI, clusters, GPUs and partitions that want to be named keep jobs out as well."""
    assert words in refusal(table(partition), asked)


numbers = st.integers(1, 5000)
caps = st.dictionaries(st.sampled_from(sorted(CAPS)), st.integers(0, 5000).map(float), max_size=4)
names = st.sampled_from(["a", "b", "c", "d"])
some_partitions = st.lists(
    st.builds(
        Partition,
        name=names,
        caps=caps,
        max_gpu=st.integers(0, 2),
        provides_gpu=st.integers(0, 2),
        supports_mpi=st.booleans(),
        only_named=st.booleans(),
        cluster=st.sampled_from([None, None, "other"]),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda partition: partition.name,
)
some_moves = st.lists(st.builds(Move, numbers.map(float), names), max_size=3)
needs = st.builds(
    Need,
    cpus_per_task=numbers,
    tasks=st.integers(1, 50),
    tasks_per_node=st.none() | st.integers(1, 50),
    mem_mb_per_cpu=st.none() | numbers,
    runtime_minutes=st.none() | numbers,
    gpu=st.sampled_from([0, 0, 1, 2]),
    mpi=st.booleans(),
)


@given(some_partitions, some_moves, needs)
def test_chooses_a_partition_that_takes_the_job_or_none(
    partitions: list[Partition], moves: list[Move], asked: Need
) -> None:
    """Whatever is chosen keeps all its caps where the job really runs; an error is one line that names all."""
    known = PartitionTable("x.yaml", tuple(partitions), tuple(moves))
    try:
        chosen = known.choose(asked, option)
    except JobError as error:
        message = str(error)
    else:
        message = ""
    if message:
        assert message.isprintable()
        assert all(partition.name in message for partition in partitions)
        return

    assert known.takes(asked, chosen)
    assert known.moved(chosen, asked.runtime_minutes) == chosen
    (partition,) = (item for item in partitions if item.name == chosen)
    assert not partition.broken_caps(asked)
    assert partition.cluster is None
    assert all((CAPS[key].amount(asked) or 0) <= cap for key, cap in partition.caps.items())


@given(needs)
def test_reads_a_need_back_from_its_request(asked: Need) -> None:
    """A request tells again what its job needs, apart from GPUs and MPI."""
    request = JobRequest(
        partition="norm",
        ntasks=asked.tasks,
        ntasks_per_node=asked.tasks_per_node,
        cpus_per_task=asked.cpus_per_task,
        mem_mb_per_cpu=asked.mem_mb_per_cpu,
        time_limit_minutes=asked.runtime_minutes,
    )

    assert Need.of(request) == replace(asked, gpu=0, mpi=False)


sandbox_names = st.sampled_from([partition.name for partition in sandbox.FRCE_PARTITIONS])


@given(sandbox_names, st.integers(1, 1300), st.none() | st.integers(1, 60) | st.integers(7100, 7300))
def test_knows_frce_as_the_sandbox_does(name: str, cpus: int, minutes: int | None) -> None:
    """Two readings of what is written about FRCE: what this one refuses would wait there for ever, and nothing else."""
    limit = None if minutes is None else minutes * sandbox.MINUTE_S
    place = sandbox.partition_table()[sandbox.filtered_partition(name, limit)]
    waits = sandbox.pending_for_ever(place, cpus, sandbox.effective_time_s(place, limit))
    asked = need(cpus, mem_mb_per_cpu=1, runtime_minutes=minutes)

    assert FRCE.moved(name, minutes) == place.name
    assert FRCE.takes(asked, name) is (waits is None)


@pytest.mark.parametrize("partition", FRCE.partitions, ids=lambda partition: partition.name)
def test_knows_frces_defaults_as_the_sandbox_does(partition: Partition) -> None:
    """What a job gets that does not ask is the same in both."""
    other = sandbox.partition_table()[partition.name]
    default = partition.default_runtime_minutes

    assert other.default_time_s == (None if default is None else default * sandbox.MINUTE_S)
    assert other.default_mem_mb_per_cpu == partition.default_mem_mb_per_cpu
