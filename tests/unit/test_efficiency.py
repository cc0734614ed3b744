"""Tests of the efficiency report: its numbers, and what it says to ask for."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_frceapi.job import NOT_MEASURED, JobRequest, Usage
from snakemake_executor_plugin_frceapi.record import Fate, Record
from snakemake_executor_plugin_frceapi.reports.efficiency import advice, table
from tests.records import record

NEVER_BEGAN: dict[str, Any] = {"started": None, "begun": None, "ended": None, "cpu_seconds": None}
PER_CPU = JobRequest(partition="norm", cpus_per_task=4, mem_mb_per_cpu=1000)


def held(peak_mb: int) -> Usage:
    """A job that held so much memory."""
    return Usage(node="cn1", peak_mb=peak_mb, measured_by="cgroup")


def rows(records: list[Record]) -> list[dict[str, str]]:
    """The rows of the table."""
    return list(csv.DictReader(io.StringIO(table(records))))


def test_tells_each_job_in_one_row() -> None:
    """Asked and used stand beside each other, with units in the names of the columns."""
    assert rows([record()]) == [
        {
            "external_jobid": "101",
            "rule": "map",
            "wildcards": "sample=A",
            "attempt": "1",
            "outcome": "succeeded",
            "partition": "norm",
            "node": "cn1",
            "queue_seconds": "10.0",
            "gate_seconds": "0.0",
            "time_asked_seconds": "600",
            "time_used_seconds": "5.0",
            "time_efficiency": "0.008",
            "cpus_asked": "4",
            "cpu_seconds_used": "5.0",
            "cpu_efficiency": "0.25",
            "memory_asked_mb": "1000",
            "memory_used_mb": "300",
            "memory_measured_by": "samples",
            "memory_efficiency": "0.3",
            "log": "/logs/101.log",
        }
    ]


def test_leaves_out_what_never_ran_and_empty_what_is_not_known() -> None:
    """No number is made up: a job that was killed has told nothing, and tasks of Slurm's own are not seen."""
    killed = record("killed", fate=Fate.FAILED, cpu_seconds=None, usage=NOT_MEASURED)
    tasks = record("tasks", request=JobRequest(partition="norm", ntasks=2, mem_mb_per_node=1000))
    found = rows([record("queued", **NEVER_BEGAN), record("left", fate=Fate.LEFT), killed, tasks])

    assert [row["outcome"] for row in found] == ["failed", "succeeded"]
    assert [(row["cpu_efficiency"], row["memory_efficiency"], row["time_efficiency"]) for row in found] == [
        ("", "", "0.008"),
        ("", "", ""),
    ]


@given(st.text())
def test_keeps_each_job_on_a_line_of_its_own(wildcards: str) -> None:
    """Whatever a wildcard holds, it stays in its cell; what no terminal shows is a question mark there."""
    text = table([record(wildcards=wildcards), record(rule="next")])
    shown = "".join(letter if letter.isprintable() else "?" for letter in wildcards)

    assert len(text.splitlines()) == 3
    assert [row["wildcards"] for row in csv.DictReader(io.StringIO(text))] == [shown, "sample=A"]


@pytest.mark.parametrize(
    ("records", "lines"),
    [
        ([], []),
        ([record(cpu_seconds=19.0, usage=held(900))], []),
        (
            [record()],
            [
                (
                    "Rule map: 1 of 1 job used less than 80% of what they asked for (CPU 25%, memory 30%); "
                    "ask for less with: --set-threads map=1 --set-resources map:mem_mb=400"
                )
            ],
        ),
        (
            [record(cpu_seconds=11.0, usage=held(900)), record("b", cpu_seconds=5.2, usage=held(900))],
            [
                (
                    "Rule map: 2 of 2 jobs used less than 80% of what they asked for (CPU 40%, memory 90%); "
                    "ask for less with: --set-threads map=3"
                )
            ],
        ),
        (
            [record(request=PER_CPU, usage=held(500))],
            [
                (
                    "Rule map: 1 of 1 job used less than 80% of what they asked for (CPU 25%, memory 12%); "
                    "ask for less with: --set-threads map=1 --set-resources map:mem_mb_per_cpu=600"
                )
            ],
        ),
        (
            [record(cpu_seconds=19.0), record("b", cpu_seconds=19.0, usage=held(990))],
            [
                (
                    "Rule map: 1 of 2 jobs used less than 80% of what they asked for (CPU 95%, memory 30%); "
                    "others of the rule need that much: let it follow from the input or the attempt"
                )
            ],
        ),
        (
            [record(rule="both", members=("map", "sort"))],
            [
                (
                    "Group both: 1 of 1 job used less than 80% of what they asked for (CPU 25%, memory 30%); "
                    "ask for less in its rules map, sort"
                )
            ],
        ),
        ([record(request=JobRequest(partition="norm", cpus_per_task=1), cpu_seconds=0.1)], []),
        ([record(fate=Fate.FAILED)], []),
    ],
    ids=["none", "good", "both", "CPUs", "per CPU", "needed by one", "group", "one CPU that waits", "failed"],
)
def test_says_what_to_ask_for(records: list[Record], lines: list[str]) -> None:
    """One line a rule, with options that are enough for the job that used most."""
    assert list(advice(records, 0.8)) == lines


@given(
    st.lists(st.tuples(st.floats(0.01, 100), st.integers(1, 4000)), min_size=1, max_size=5),
    st.integers(1, 16),
    st.integers(1, 4000),
    st.floats(0, 1),
)
def test_never_says_to_ask_for_less_than_was_used(
    used: list[tuple[float, int]], cpus: int, memory_mb: int, threshold: float
) -> None:
    """Whatever the jobs of a rule used, what is named is more than the largest of them held, and less than asked."""
    request = JobRequest(partition="norm", cpus_per_task=cpus, mem_mb_per_node=memory_mb)
    records = [record(cpu_seconds=cpu, usage=held(peak), request=request) for cpu, peak in used]
    words = " ".join(advice(records, threshold)).split()
    for word in words:
        if word.startswith("map:mem_mb="):
            assert max(peak for _, peak in used) < int(word.partition("=")[2]) < memory_mb
        elif word.startswith("map="):
            assert max(cpu for cpu, _ in used) / 5 - 0.1 <= int(word.partition("=")[2]) < cpus
