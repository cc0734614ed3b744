"""The partition table and the submit filter."""

from __future__ import annotations

import pytest

from snakemake_executor_plugin_frceapi.sandbox import Partition
from snakemake_executor_plugin_frceapi.sandbox.partitions import (
    DAY_S,
    MINUTE_S,
    api_partitions,
    effective_time_s,
    filtered_partition,
    partition_table,
    pending_for_ever,
)


@pytest.mark.parametrize(
    ("asked", "seconds", "given"),
    [
        ("norm", None, "norm"),
        ("short", None, "short"),
        ("norm", 30 * MINUTE_S, "short"),
        ("norm", 30 * MINUTE_S + 1, "norm"),
        ("short", 5 * DAY_S, "norm"),
        ("short", 5 * DAY_S + 1, "unlimited"),
        ("norm", 0, "unlimited"),
        ("unlimited", 60, "short"),
        ("gpu", 60, "gpu"),
        ("largemem", 0, "largemem"),
    ],
)
def test_filtered_partition_follows_time_limit(asked: str, seconds: int | None, given: str) -> None:
    """Only short, norm and unlimited take each other's jobs, by time limit."""
    assert filtered_partition(asked, seconds) == given


@pytest.mark.parametrize(
    ("name", "seconds", "expected"),
    [("norm", None, 5 * DAY_S), ("norm", 60, 60), ("unlimited", None, None), ("gpu", 0, None)],
)
def test_effective_time_is_asked_or_default(name: str, seconds: int | None, expected: int | None) -> None:
    """Without a time limit a job has its partition's; 0 means none."""
    assert effective_time_s(partition_table()[name], seconds) == expected


@pytest.mark.parametrize(
    ("name", "cpus", "seconds", "reason"),
    [
        ("norm", 600, 5 * DAY_S, None),
        ("norm", 601, 60, "QOSMaxCpuPerUserLimit"),
        ("short", 170, 31 * MINUTE_S, "PartitionTimeLimit"),
        ("norm", 1, None, "PartitionTimeLimit"),
        ("unlimited", 432, None, None),
        ("largemem", 193, 60, "QOSMaxCpuPerUserLimit"),
        ("open", 10**6, None, None),
    ],
)
def test_pending_for_ever_names_cap(name: str, cpus: int, seconds: int | None, reason: str | None) -> None:
    """A job over a cap never starts, and squeue's word says why."""
    table = partition_table([Partition(name="open")])

    assert pending_for_ever(table[name], cpus, seconds) == reason


def test_partition_table_takes_more_and_replaces() -> None:
    """Further partitions join FRCE's; one of the same name replaces FRCE's."""
    table = partition_table([Partition(name="own", accepts_api_jobs=False), Partition(name="gpu", max_cpus=1)])

    assert table["gpu"].max_cpus == 1
    assert api_partitions(table) == {"norm", "short", "unlimited", "largemem", "gpu"}
