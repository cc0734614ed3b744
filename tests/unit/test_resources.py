"""Tests of the way from Snakemake resources to a job request."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snakemake_executor_plugin_frceapi.errors import JobError
from snakemake_executor_plugin_frceapi.job import JobRequest
from snakemake_executor_plugin_frceapi.partitions.table import NO_TABLE, Partition, PartitionTable
from snakemake_executor_plugin_frceapi.resources import (
    NOTED,
    REFUSED,
    Notice,
    NoticeBoard,
    RequestDefaults,
    build_request,
    parse_extra,
)
from snakemake_executor_plugin_frceapi.wire import Encoding, encode_request

DEFAULTS = RequestDefaults(partition="norm", mem_mb_per_cpu=4000, runtime_minutes=600)


def request(**changes: Any) -> JobRequest:
    """The request of a job that asks for 2 threads and nothing else, with changes."""
    usual: dict[str, Any] = {
        "partition": "norm",
        "ntasks": 1,
        "cpus_per_task": 2,
        "mem_mb_per_cpu": 4000,
        "time_limit_minutes": 600,
    }
    return JobRequest(**(usual | changes))


def per_node(mem_mb: int, **changes: Any) -> JobRequest:
    """The usual request with memory per node."""
    return request(mem_mb_per_cpu=None, mem_mb_per_node=mem_mb, **changes)


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        pytest.param({}, request(), id="nothing"),
        pytest.param({"slurm_partition": "short"}, request(partition="short"), id="slurm_partition"),
        pytest.param(
            {"slurm_partition": "short", "frceapi_partition": "largemem"},
            request(partition="largemem"),
            id="frceapi_partition-wins",
        ),
        pytest.param({"slurm_partition": 7}, request(partition="7"), id="integer-partition"),
        pytest.param({"slurm_partition": "", "frceapi_partition": None}, request(), id="empty-partition"),
        pytest.param({"mem_mb": 8000}, per_node(8000), id="mem_mb"),
        pytest.param({"mem_mb_per_cpu": 1500}, request(mem_mb_per_cpu=1500), id="mem_mb_per_cpu"),
        pytest.param({"mem_mb": 8000, "mem_mb_per_cpu": 1500}, request(mem_mb_per_cpu=1500), id="per-cpu-wins"),
        pytest.param({"mem_mb": 8000, "mem_mb_per_cpu": 0}, per_node(8000), id="per-cpu-switched-off"),
        pytest.param({"mem_mb": "<TBD>", "mem_mb_per_cpu": 1500}, request(mem_mb_per_cpu=1500), id="unused-mem_mb"),
        pytest.param({"mem_mb": "8000"}, per_node(8000), id="number-as-text"),
        pytest.param({"mem_mb": " 8000.0 "}, per_node(8000), id="whole-fraction-as-text"),
        pytest.param({"mem_mb": 8e3}, per_node(8000), id="number-as-float"),
        pytest.param({"runtime": 120}, request(time_limit_minutes=120), id="runtime"),
        pytest.param({"cpus_per_task": 6}, request(cpus_per_task=6), id="cpus_per_task"),
        pytest.param({"cpus_per_task": -1}, request(cpus_per_task=1), id="cpus_per_task-left-out"),
        pytest.param({"tasks": 8}, request(ntasks=8), id="tasks"),
        pytest.param({"tasks": 8, "mpi": "mpiexec"}, request(ntasks=8), id="mpi"),
        pytest.param({"tasks_per_node": 4}, request(ntasks=4, ntasks_per_node=4), id="tasks_per_node"),
        pytest.param(
            {"tasks": 8, "tasks_per_node": 4}, request(ntasks=8, ntasks_per_node=4), id="tasks-and-tasks_per_node"
        ),
        pytest.param({"nodes": 1}, request(), id="one-node"),
        pytest.param({"nodes": 1, "tasks": 4}, request(ntasks=4, ntasks_per_node=4), id="tasks-on-one-node"),
        pytest.param({"nodes": 2, "tasks": 8}, request(ntasks=8, ntasks_per_node=4), id="tasks-on-nodes"),
        pytest.param(
            {"nodes": 3, "tasks_per_node": 4}, request(ntasks=12, ntasks_per_node=4), id="tasks_per_node-on-nodes"
        ),
        pytest.param(
            {"nodes": 3, "tasks": 12, "tasks_per_node": 4}, request(ntasks=12, ntasks_per_node=4), id="all-three"
        ),
        pytest.param({"ntasks_per_core": 1}, request(ntasks_per_core=1), id="ntasks_per_core"),
        pytest.param({"tasks_per_core": 2}, request(ntasks_per_core=2), id="tasks_per_core"),
        pytest.param({"dependency": "afterok:1:2"}, request(dependency="afterok:1:2"), id="dependency"),
        pytest.param(
            {"dependency": "afterok:1", "frceapi_dependency": "afterany:2"},
            request(dependency="afterany:2"),
            id="frceapi_dependency-wins",
        ),
        pytest.param({"dependency": ""}, request(), id="empty-dependency"),
        pytest.param({"slurm_extra": "--time=90"}, request(time_limit_minutes=90), id="slurm_extra"),
        pytest.param({"slurm_extra": "-t 90", "runtime": 5}, request(time_limit_minutes=90), id="slurm_extra-wins"),
        pytest.param({"slurm_extra": "--mem=2G", "mem_mb_per_cpu": 7}, per_node(2048), id="memory-of-slurm_extra"),
        pytest.param(
            {"slurm_extra": "--mem-per-cpu=7", "mem_mb": "<TBD>"},
            request(mem_mb_per_cpu=7),
            id="per-cpu-of-slurm_extra",
        ),
        pytest.param(
            {"slurm_extra": "-p short", "frceapi_partition": "largemem"},
            request(partition="largemem"),
            id="frceapi_partition-wins-over-slurm_extra",
        ),
        pytest.param(
            {"slurm_extra": "-d afterok:1 -n 4 -N 2 -c 3"},
            request(dependency="afterok:1", ntasks=4, ntasks_per_node=2, cpus_per_task=3),
            id="short-options",
        ),
        pytest.param(
            {"_cores": 2, "_nodes": 1, "tmpdir": "<TBD>", "disk_mb": 5, "mem": "8 GB", "mem_mib": 7630, "licence": "x"},
            request(),
            id="not-ours",
        ),
    ],
)
def test_translates_the_whole_request(resources: dict[str, object], expected: JobRequest) -> None:
    """Each resource arrives in its field, and nothing else changes."""
    assert build_request("align", resources, 2, DEFAULTS)[0] == expected


@pytest.mark.parametrize(("threads", "cpus"), [(0, 1), (1, 1), (16, 16)])
def test_asks_for_one_cpu_a_thread(threads: int, cpus: int) -> None:
    """Threads become CPUs per task, of which there is at least one."""
    assert build_request("align", {}, threads, DEFAULTS)[0] == request(cpus_per_task=cpus)


COUNTS = ["mem_mb", "mem_mb_per_cpu", "runtime", "cpus_per_task", "tasks", "tasks_per_node", "nodes", "ntasks_per_core"]
NO_COUNTS = [
    0,
    1.5,
    True,
    False,
    "0",
    "-7",
    "<TBD>",
    "8G",
    "1-00:00:00",
    "1e3",
    "\u0664",
    " ",
    float("inf"),
    float("nan"),
    2**31,
]


@pytest.mark.parametrize(
    ("key", "value"),
    [(key, value) for key in COUNTS for value in [*NO_COUNTS, -7] if key != "cpus_per_task" or value not in (-7, "-7")],
)
def test_refuses_what_is_no_number_of_at_least_one(key: str, value: object) -> None:
    """A message names rule, resource, value and the option that changes it, in one line."""
    with pytest.raises(JobError) as caught:
        build_request("align", {key: value}, 2, DEFAULTS)

    message = str(caught.value)
    assert message.startswith(f"rule align: {key}={value!r} ")
    assert f"--set-resources align:{key}=" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ({"slurm_partition": "-p"}, ["slurm_partition='-p'", "letters"]),
        ({"slurm_partition": "a b"}, ["slurm_partition='a b'"]),
        ({"slurm_partition": "norm,short"}, ["slurm_partition='norm,short'"]),
        ({"slurm_partition": "norm\n"}, [r"slurm_partition='norm\n'"]),
        ({"frceapi_partition": "<TBD>"}, ["frceapi_partition='<TBD>'"]),
        ({"frceapi_partition": True}, ["frceapi_partition=True"]),
        ({"frceapi_partition": "x" * 65}, ["frceapi_partition='xxx"]),
        ({"ntasks_per_core": 3}, ["ntasks_per_core=3", "1 and 2"]),
        ({"tasks_per_core": 0}, ["tasks_per_core=0"]),
        ({"nodes": 2}, ["nodes=2", "tasks_per_node"]),
        ({"nodes": 2, "tasks": 7}, ["nodes=2", "tasks=7"]),
        ({"nodes": 4, "tasks": 3}, ["nodes=4", "tasks=3"]),
        ({"nodes": 2, "tasks": 8, "tasks_per_node": 2}, ["nodes=2", "tasks=8", "tasks_per_node=2"]),
        ({"tasks": 2, "tasks_per_node": 4}, ["tasks_per_node=4", "tasks=2"]),
        ({"nodes": 2**30, "tasks_per_node": 2**30}, [f"tasks={2**60}"]),
        ({"mem_mb": 8000, "mem_mb_per_cpu": -5}, ["mem_mb_per_cpu=-5"]),
        ({"mem_mb": 0, "mem_mb_per_cpu": 0}, ["mem_mb_per_cpu=0"]),
        ({"mem_mb": "<TBD>", "mem_mb_per_cpu": 0}, ["mem_mb='<TBD>'"]),
        ({"mpi": "mpiexec"}, ["MPI", "tasks_per_node"]),
        ({"dependency": "singleton"}, ["singleton", "same name"]),
        ({"dependency": 123}, ["dependency '123'", "afterok"]),
        (
            {"slurm_extra": "--nice=5"},
            ["slurm_extra='--nice=5'", "cannot express --nice", "--set-resources align:slurm_extra=0"],
        ),
        ({"slurm_extra": 5}, ["slurm_extra=5", "'5' is no option"]),
        ({"slurm_extra": "-d singleton"}, ["singleton", "same name"]),
        ({"constraint": "<TBD>"}, ["constraint='<TBD>'"]),
    ],
)
def test_refuses_what_cannot_be_sent(resources: dict[str, object], words: list[str]) -> None:
    """Contradictions, unsafe text and what the API cannot say are errors that name the rule."""
    with pytest.raises(JobError) as caught:
        build_request("align", resources, 2, DEFAULTS)

    assert str(caught.value).startswith("rule align: ")
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("--time=90", {"runtime": 90}),
        ("-t90", {"runtime": 90}),
        ("-t 1:30", {"runtime": 2}),
        ("-t 2:00:00", {"runtime": 120}),
        ("-t 1-0", {"runtime": 1440}),
        ("-t 1-2:03", {"runtime": 1563}),
        ("-t 0-0:0:1", {"runtime": 1}),
        ("--mem 4000", {"mem_mb": 4000}),
        ("--mem=4G", {"mem_mb": 4096}),
        ("--mem=1k", {"mem_mb": 1}),
        ("--mem=1TB", {"mem_mb": 1 << 20}),
        ("--mem-per-cpu=500M", {"mem_mb_per_cpu": 500}),
        ("--ntasks=4 --ntasks-per-node=2", {"tasks": 4, "tasks_per_node": 2}),
        ("--ntasks=4 -n8", {"tasks": 8}),
        ("--ntasks-per-core=1 --nodes=2", {"ntasks_per_core": 1, "nodes": 2}),
        ("'--partition=norm' --qos \"long\"", {"slurm_partition": "norm", "qos": "long"}),
        ("-A lab -q high", {"slurm_account": "lab", "qos": "high"}),
    ],
)
def test_reads_options_of_sbatch(text: str, expected: dict[str, object]) -> None:
    """Each spelling that sbatch(1) takes becomes the resource of the same meaning, in its unit."""
    assert parse_extra(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("--mail-type=ALL --mem=4G", "cannot express --mail-type"),
        ("--exclusive", "cannot express --exclusive"),
        ("-w node1", "cannot express -w"),
        ("--time=0", "no time limit"),
        ("--time=UNLIMITED", "no time limit"),
        ("--time=-1", "no time limit"),
        ("--mem=0", "amount of memory"),
        ("--mem=4X", "amount of memory"),
        ("--nodes=1-4", "whole number"),
        ("--ntasks=0", "whole number"),
        ("--time", "--time has no value"),
        ("--mem=1 --mem-per-cpu=1", "exclude each other"),
        ("script.sh", "'script.sh' is no option"),
        ("--time='1", "quotes"),
    ],
)
def test_refuses_options_that_cannot_be_expressed(text: str, words: str) -> None:
    """The option is named, and what would mean all memory or no limit is never sent."""
    with pytest.raises(JobError, match=words):
        parse_extra(text)


def test_names_the_rules_of_a_group() -> None:
    """A group is called one, and the remedy names its rules, because no option takes a group."""
    expected = r"^group g: .*--set-resources a:gpu=0 b:gpu=0$"
    with pytest.raises(JobError, match=expected):
        build_request("g", {"gpu": 1}, 2, DEFAULTS, members=("a", "b"))


def test_refuses_a_job_without_partition() -> None:
    """The message says how to name one for all rules and for this one."""
    with pytest.raises(JobError, match=r"rule align: no partition.*--frceapi-partition.*align:slurm_partition=NAME"):
        build_request("align", {}, 2, RequestDefaults(None, 4000, None))


TABLE = PartitionTable(
    "table.yaml",
    (
        Partition(name="hour", caps={"max_runtime": 60, "max_threads": 8, "max_mem_mb": 16_000}),
        Partition(name="day", caps={"max_runtime": 1440, "max_mpi_tasks": 4}, only_named=True),
        Partition(name="week", caps={"max_runtime": 7 * 1440}),
    ),
)


@pytest.mark.parametrize(
    ("resources", "default", "expected"),
    [
        pytest.param({"runtime": 50}, None, "hour", id="chosen"),
        pytest.param({"runtime": 50, "mem_mb": 20_000}, None, "week", id="chosen-by-memory"),
        pytest.param({}, None, "week", id="chosen-by-default-runtime"),
        pytest.param({"runtime": 50, "slurm_partition": "week"}, "hour", "week", id="rule-wins"),
        pytest.param({"runtime": 50, "frceapi_partition": "day"}, None, "day", id="only-named"),
        pytest.param({"runtime": 50}, "week", "week", id="setting-wins"),
        pytest.param({"runtime": 50}, "elsewhere", "elsewhere", id="unknown-to-the-table"),
    ],
)
def test_finds_the_partition(resources: dict[str, object], default: str | None, expected: str) -> None:
    """The rule names the partition, else the setting, else the one that fits best is chosen."""
    defaults = RequestDefaults(default, 2000, 600, TABLE)

    assert build_request("align", resources, 8, defaults)[0].partition == expected


def test_notes_a_partition_that_the_table_does_not_know() -> None:
    """It is taken, as the table may lack it; the notice names those that it has, because it may be a slip."""
    resources: dict[str, object] = {"mem_mb": 8000, "slurm_partition": "hours"}
    built, (notice,) = build_request("align", resources, 2, RequestDefaults(None, 2000, 600, TABLE))

    assert (built.partition, notice.key, notice.rule) == ("hours", "partition hours", "align")
    assert "nothing is known of partition hours" in notice.text
    assert "known in table.yaml are hour, day, week" in notice.text
    assert build_request("align", resources, 2, DEFAULTS)[1] == ()


@pytest.mark.parametrize(
    ("resources", "default", "words"),
    [
        ({"runtime": 10**5}, None, ["no partition takes 8 CPUs", "hour:", "day:", "week: 100000 min, at most 10080"]),
        ({"runtime": 61, "slurm_partition": "hour"}, None, ["partition hour does not take", "61 min, at most 60"]),
        ({"runtime": 1441}, "day", ["partition day does not take", "1441 min, at most 1440"]),
        ({"mpi": "srun", "tasks": 5}, "day", ["partition day does not take 5 tasks", "5 MPI tasks, at most 4"]),
    ],
)
def test_refuses_what_no_partition_takes(resources: dict[str, object], default: str | None, words: list[str]) -> None:
    """The caps hold for a partition that was named as for those that could be chosen."""
    with pytest.raises(JobError) as caught:
        build_request("align", resources, 8, RequestDefaults(default, 2000, 600, TABLE))

    assert [word for word in ["rule align: ", *words] if word not in str(caught.value)] == []


def test_refuses_a_default_partition_by_the_name_of_its_setting() -> None:
    """A bad default is blamed on the setting, not on the rule's resources."""
    with pytest.raises(JobError, match="--frceapi-partition='no rm'"):
        build_request("align", {}, 2, RequestDefaults("no rm", 4000, None))


@pytest.mark.parametrize("key", REFUSED)
def test_refuses_each_inexpressible_resource(key: str) -> None:
    """A number that is asked for is refused by name, and the remedy in the message is accepted."""
    with pytest.raises(JobError, match=rf"rule align: the API cannot express {key}=2, .*--set-resources align:{key}=0"):
        build_request("align", {key: 2}, 2, DEFAULTS)

    assert build_request("align", {key: 0}, 2, DEFAULTS)[0] == request()


GPU_TABLE = PartitionTable(
    partitions=(
        Partition(name="norm"),
        Partition(name="gpu", max_gpu=8, provides_gpu=2, gpu_models=("a100",), only_named=True),
    )
)
GPU_DEFAULTS = RequestDefaults(partition=None, mem_mb_per_cpu=4000, runtime_minutes=600, table=GPU_TABLE)


@pytest.mark.parametrize(
    ("resources", "partition"),
    [
        ({}, "norm"),
        ({"gpu": 0, "gres": ""}, "norm"),
        ({"gpu": 1}, "gpu"),
        ({"gpus": "2"}, "gpu"),
        ({"gres": "gpu"}, "gpu"),
        ({"gres": "gpu:a100:2"}, "gpu"),
        ({"gpu_model": "a100"}, "gpu"),
        ({"gpu": 1, "slurm_partition": "gpu"}, "gpu"),
    ],
)
def test_sends_a_job_that_needs_gpus_where_there_are_some_unasked(resources: dict[str, object], partition: str) -> None:
    """A partition that gives each job GPUs meets what the API cannot say."""
    assert build_request("align", resources, 2, GPU_DEFAULTS)[0] == request(partition=partition)


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ({"gpu": 3}, "gives a job 2 GPU unasked"),
        ({"gpu": 1, "slurm_partition": "norm"}, "gives a job no GPU unasked"),
        ({"gres": "gpu:h100:1"}, "no GPU of model h100"),
        ({"gpu_model": "a\n"}, r"gpu_model='a\n' is no model"),
        ({"gpu": "many"}, "gpu='many' is not a whole number"),
        ({"gres": "lscratch:10"}, "cannot express gres='lscratch:10'"),
        ({"gpu": 1, "cpus_per_gpu": 4}, "cannot express cpus_per_gpu=4"),
    ],
)
def test_refuses_gpus_that_no_partition_gives(resources: dict[str, object], words: str) -> None:
    """More GPUs, other models and what else concerns them are refused where some come unasked."""
    with pytest.raises(JobError, match=re.escape(words)):
        build_request("align", resources, 2, GPU_DEFAULTS)


@pytest.mark.parametrize("value", [None, 0, -1, "", " ", "0", False, 0.0])
@pytest.mark.parametrize("key", ["gpu", "gres", "tasks_per_gpu", "qos"])
def test_ignores_resources_that_ask_for_nothing(key: str, value: object) -> None:
    """Nothing asked is nothing refused and nothing noted."""
    resources: dict[str, object] = {"mem_mb": 8000, key: value}

    assert build_request("align", resources, 2, DEFAULTS) == (per_node(8000), ())


@pytest.mark.parametrize("key", NOTED)
def test_notes_what_only_accounts(key: str) -> None:
    """An account is left out with a notice under the resource's own name."""
    built, notices = build_request("align", {"mem_mb": 8000, key: "lab"}, 2, DEFAULTS)

    assert built == per_node(8000)
    assert [(notice.key, notice.rule) for notice in notices] == [(key, "align")]
    assert f"{key}='lab'" in notices[0].text


def test_notes_the_default_memory() -> None:
    """A rule without memory gets the default, and the notice says how much and how to change it."""
    _, (notice,) = build_request("align", {}, 2, DEFAULTS)

    assert (notice.key, notice.rule) == ("default-memory", "align")
    assert all(words in notice.text for words in ["4000 MB per CPU", "--frceapi-default-mem-mb-per-cpu"])


def test_notes_a_missing_time_limit_only_where_none_is_known() -> None:
    """Without runtime and without default no time limit is sent, with a notice."""
    unknown = RequestDefaults("norm", 4000, None)
    resources: dict[str, object] = {"mem_mb": 8000}

    built, (notice,) = build_request("align", resources, 2, unknown)

    assert built == per_node(8000, time_limit_minutes=None)
    assert (notice.key, "--frceapi-default-runtime" in notice.text) == ("default-runtime", True)
    assert build_request("align", resources | {"runtime": 5}, 2, unknown) == (per_node(8000, time_limit_minutes=5), ())


counts = st.sampled_from([*[None, 1, 2, 4.0, "4", 12] * 5, 0, -1, 2.5, 2**40, "<TBD>", "a\nb", True])
anything = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
partitions = st.sampled_from([*["norm"] * 9, "short", "", 7, "-n", "a b", "x\n", "<TBD>", None])
dependencies = st.sampled_from([*["afterok:1"] * 9, "afterok:1?after:2+1", "", "singleton", "afterok:1\n", 12, None])
options = st.sampled_from(
    ["--time=", "-t", "--mem=", "--mem-per-cpu=", "-n", "--ntasks-per-node=", "-N", "-c", "-p", "-d", "-A", "--nice="]
)
values = st.sampled_from([*["1", "4", "60"] * 5, "0", "-1", "4G", "1-0", "0:0", "x\ny", "-p", "afterok:1", "norm"])
extras = st.lists(st.builds(lambda option, value: option + shlex.quote(value), options, values), max_size=3).map(
    " ".join
) | st.text("-=' at4\n0", max_size=9)
combinations = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys([*COUNTS, "tasks_per_core"], counts)
    | dict.fromkeys(["frceapi_partition", "slurm_partition"], partitions)
    | dict.fromkeys(["frceapi_dependency", "dependency"], dependencies)
    | {"slurm_extra": extras}
    | dict.fromkeys(["mpi", "disk_mb", "tmpdir", "slurm_account", "qos"], anything),
)
sparse = st.dictionaries(
    st.sampled_from([*COUNTS, *REFUSED, *NOTED, "slurm_partition", "slurm_extra", "dependency"]), anything, max_size=3
)
default_values = st.builds(
    RequestDefaults,
    st.none() | st.just("norm"),
    st.integers(1, 10**6),
    st.none() | st.integers(1, 10**5),
    st.sampled_from([NO_TABLE, GPU_TABLE]),
)


def assert_is_sent_or_refused(built: JobRequest) -> None:
    """What was built is written as a body without a zero, or refused because of a number that Slurm cannot have."""
    try:
        body = json.loads(encode_request(built, "#!/bin/sh\n", Encoding()))
    except JobError as error:
        assert "must be a whole number from 1 to" in str(error)  # noqa: PT017 - a body is as good as an error
        return
    assert not {0, "0", "00-00:00:00"} & set(body.values())
    assert len({"mem-per-cpu", "mem-per-node"} & set(body)) == 1


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(combinations | sparse, st.integers(-1, 64), default_values)
def test_builds_a_valid_request_or_one_clear_error(
    resources: dict[str, object], threads: int, defaults: RequestDefaults
) -> None:
    """No combination sends a zero, both memory fields or unsafe text, or fails with more than one line."""
    error = None
    try:
        built, notices = build_request("align", resources, threads, defaults)
    except JobError as caught:
        error = str(caught)

    if error is not None:
        assert error.startswith("rule align: ")
        assert "; " in error
        assert error.isprintable()
        return
    fields = asdict(built)
    assert min(value for value in fields.values() if isinstance(value, int)) >= 1
    assert all(text.isprintable() and not text.startswith("-") for text in fields.values() if isinstance(text, str))
    assert (built.mem_mb_per_cpu is None) != (built.mem_mb_per_node is None)
    assert built.cpus_per_task is not None
    assert_is_sent_or_refused(built)
    assert len({notice.key for notice in notices}) == len(notices)
    assert all(notice.text.isprintable() for notice in notices)


def test_shows_each_notice_once_with_all_rules_that_it_is_about() -> None:
    """A thousand jobs of two rules with the same resource make one line."""
    board = NoticeBoard()
    accounts = [Notice("account", rule, "no accounts") for rule in ("map", "sort", "map")]
    memory = Notice("memory", "sort", "4000 MB")

    assert board.lines([*accounts, memory]) == [
        "rules map, sort: no accounts",
        "rule sort: 4000 MB",
    ]
    assert board.lines([Notice("account", "late", "no accounts"), memory]) == []
