"""What a job got is compared with what was asked, once a key."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from snakemake_executor_plugin_frceapi.granted import GrantCheck, asked_keys, differences, minutes
from snakemake_executor_plugin_frceapi.job import JobRequest

REQUEST = JobRequest(
    partition="norm",
    ntasks=2,
    ntasks_per_core=1,
    ntasks_per_node=2,
    cpus_per_task=4,
    mem_mb_per_node=1000,
    dependency="afterany:7",
    time_limit_minutes=90,
)
GIVEN = {
    "partition": "short",
    "ntasks": "2",
    "ntasks_per_core": "1",
    "ntasks_per_node": "2",
    "cpus_per_task": "4",
    "cpus_on_node": "8",
    "cpus_usable": "8",
    "mem_per_cpu": "",
    "mem_per_node": "1000",
    "dependency": "afterany:7",
    "time_limit": "01:30:00",
}


def test_finds_nothing_where_all_was_given() -> None:
    """A partition that the site's filter has changed is no difference."""
    assert list(differences(REQUEST, GIVEN)) == []


@pytest.mark.parametrize(
    ("field", "got", "key", "words"),
    [
        ("ntasks", "", "ntasks", "ntasks=2 and got none; try --frceapi-number-format string"),
        ("ntasks", "1", "ntasks", "ntasks=2 and got 1"),
        ("ntasks_per_core", "", "ntasks-per-core", "--frceapi-number-format string"),
        ("ntasks_per_node", "7", "ntasks-per-node", "ntasks-per-node=2 and got 7"),
        ("cpus_per_task", "", "cpus-per-task", "cpus-per-task=4 and got none"),
        ("cpus_on_node", "2", "cpus-per-task", "only 2 CPUs are granted on its node"),
        ("cpus_usable", "1", "cpus-per-task", "only 1 CPUs are usable on its node"),
        ("mem_per_node", "20480", "mem-per-node", "mem-per-node=1000 and got 20480; try --frceapi-memory-unit M"),
        ("mem_per_node", "", "mem-per-node", "--frceapi-memory-unit M, or --frceapi-number-format string"),
        ("dependency", "", "dependency", "it may have started too early"),
        ("time_limit", "5-00:00:00", "timelimit", "90 min and got 5-00:00:00"),
        ("time_limit", "UNLIMITED", "timelimit", "90 min and got UNLIMITED"),
    ],
)
def test_names_what_differs(field: str, got: str, key: str, words: str) -> None:
    """Each key that was given otherwise, or not at all, is named with the setting to change."""
    ((found, text),) = differences(REQUEST, {**GIVEN, field: got})

    assert found == key
    assert words in text


def test_compares_memory_per_cpu() -> None:
    """Memory per CPU is compared as memory per node is."""
    request = replace(REQUEST, mem_mb_per_node=None, mem_mb_per_cpu=500)

    assert list(differences(request, {**GIVEN, "mem_per_cpu": "500"})) == []
    assert [key for key, _ in differences(request, {**GIVEN, "mem_per_cpu": "1"})] == ["mem-per-cpu"]


@pytest.mark.parametrize(
    ("cpus", "memory", "keys"),
    [
        ("8", "250", []),
        ("8", "251", []),
        ("8", "249", ["cpus-per-task", "mem-per-cpu"]),
        ("4", "250", ["mem-per-cpu"]),
        ("2", "1000", ["cpus-per-task", "mem-per-cpu"]),
    ],
)
def test_minds_no_memory_that_came_with_more_cpus(cpus: str, memory: str, keys: list[str]) -> None:
    """Where a site limits the memory per CPU, Slurm gives more CPUs instead."""
    request = JobRequest(partition="norm", cpus_per_task=4, mem_mb_per_cpu=500)

    assert [key for key, _ in differences(request, {"cpus_per_task": cpus, "mem_per_cpu": memory})] == keys


def test_names_an_ignored_number_of_cpus_once() -> None:
    """A job whose CPUs were not asked for got one; the setting to change is what the user needs."""
    ((_, text),) = differences(REQUEST, {**GIVEN, "cpus_per_task": "", "cpus_on_node": "1"})

    assert "--frceapi-number-format" in text


def test_minds_no_default_that_is_not_named() -> None:
    """A single task is Slurm's own default; a time limit that nobody could ask for is not compared."""
    request = JobRequest(partition="norm", ntasks=1, cpus_per_task=1, time_limit_minutes=5)

    assert list(differences(request, {"cpus_per_task": "1"})) == []


def test_knows_every_field_of_a_request() -> None:
    """A field that is added to a request must be compared, or be the partition."""
    full = replace(REQUEST, mem_mb_per_cpu=1)
    assert all(getattr(full, field.name) is not None for field in fields(JobRequest))
    assert len(asked_keys(full)) == len(fields(JobRequest)) - 1


def test_warns_once_for_each_key() -> None:
    """A key is compared with the first job that asks for it, and not again."""
    check = GrantCheck()
    small = JobRequest(partition="norm", cpus_per_task=4)
    assert check.is_due(small)
    (line,) = check.warnings("12", small, {**GIVEN, "cpus_per_task": ""})
    assert line.startswith("Job 12 asked for cpus-per-task=4")
    assert not check.is_due(small)

    assert check.is_due(REQUEST)
    (line,) = check.warnings("13", REQUEST, {**GIVEN, "cpus_per_task": "", "mem_per_node": "5"})
    assert "mem-per-node=1000 and got 5" in line
    assert not check.is_due(REQUEST)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("00:05:00", 5),
        ("1-00:00:00", 1440),
        ("2-03:04:05", 2 * 1440 + 3 * 60 + 5),
        ("UNLIMITED", 0),
        ("", None),
        ("Partition_Limit", None),
    ],
)
def test_reads_a_time_limit_as_scontrol_shows_it(text: str, expected: int | None) -> None:
    """Seconds count as a minute that has begun."""
    assert minutes(text) == expected
