"""Tests of the figures of a run, and of the line with which it ends."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_frceapi.record import Fate, Record
from snakemake_executor_plugin_frceapi.reports.figures import by_rule, duration, figures_of
from snakemake_executor_plugin_frceapi.reports.summary import summary
from tests.records import record

NEVER_BEGAN: dict[str, Any] = {"submitted": None, "started": None, "begun": None, "ended": None, "cpu_seconds": None}


@pytest.mark.parametrize(
    ("records", "line"),
    [
        ([], ""),
        (
            [record()],
            (
                "1 job: 1 succeeded, 0 failed, 0 tried again; in the queue 10 s (median), 10 s (longest); "
                "CPU hours 0.0056 asked for, 0.0014 used."
            ),
        ),
        (
            [
                record("a", fate=Fate.FAILED, started=1100.0, begun=1100.0, ended=4700.0, cpu_seconds=7200.0),
                record("a", attempt=2, submitted=5000.0, started=5004.0, begun=5004.0, ended=8604.0, cpu_seconds=3600),
                record("b", fate=Fate.FAILED, started=1000.0, begun=1000.0, ended=37_000.0, cpu_seconds=36_000.0),
            ],
            (
                "2 jobs: 1 succeeded, 1 failed, 1 tried again; in the queue 4.0 s (median), 1 min 40 s (longest); "
                "CPU hours 48 asked for, 13 used."
            ),
        ),
        (
            [
                record("a", fate=Fate.CANCELLED, **NEVER_BEGAN),
                record("b", fate=Fate.LEFT, **NEVER_BEGAN),
                record("c", fate=Fate.FAILED, **NEVER_BEGAN),
            ],
            (
                "3 jobs: 0 succeeded, 1 failed, 0 tried again, 1 cancelled, 1 left to run on; "
                "CPU hours 0 asked for, 0 used."
            ),
        ),
    ],
    ids=["none", "one", "tried again", "none began"],
)
def test_tells_a_run_in_one_line(records: list[Record], line: str) -> None:
    """A job counts once, by its last try; what is not known is left out."""
    assert summary(records) == line


def test_counts_no_dropped_head_start_as_a_try() -> None:
    """A job that went ahead in vain and was then run is one job that succeeded."""
    found = figures_of([record(fate=Fate.CANCELLED, went_ahead=True), record(submitted=1005.0)])

    assert (found.jobs, found.fates[Fate.SUCCEEDED], found.fates[Fate.CANCELLED], found.tried_again) == (1, 1, 0, 0)


def test_knows_no_wait_below_zero() -> None:
    """Clocks of two machines may differ by more than a job has waited."""
    early = record(started=990.0, begun=995.0)

    assert (early.queue_seconds, early.gate_seconds, early.run_seconds) == (0.0, 5.0, 20.0)


@given(st.lists(st.sampled_from(["map", "sort", "call"])))
def test_loses_no_record_among_rules(rules: list[str]) -> None:
    """Each record is of one rule, and rules come in the order in which they are first seen."""
    found = by_rule(record(rule=rule) for rule in rules)

    assert list(found) == list(dict.fromkeys(rules))
    assert {rule: len(records) for rule, records in found.items()} == {rule: rules.count(rule) for rule in found}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "unknown"),
        (0.0, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (61.0, "1 min 1 s"),
        (3569.0, "59 min 29 s"),
        (3571.0, "1 h"),
        (5400.0, "1 h 30 min"),
        (86_400.0, "1 d"),
        (93_600.0, "1 d 2 h"),
    ],
)
def test_writes_durations_for_people(seconds: float | None, text: str) -> None:
    """Two units are enough."""
    assert duration(seconds) == text
