"""Tests of what log records tell of a job's state."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from snakemake_executor_plugin_frceapi.chronicle import Chronicle
from snakemake_executor_plugin_frceapi.events import Ends, Phase, remote_job_state
from snakemake_executor_plugin_frceapi.job import JobState
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.submission import Submission
from snakemake_executor_plugin_frceapi.tracker import History
from tests.submissions import a_submission

KNOWN = {
    "version": 1,
    "executor": "frceapi",
    "jobid": 3,
    "external_jobid": "7",
    "rule": "map",
    "attempt": 2,
    "partition": "norm",
    "log": "/logs/7.log",
}


def submission(history: History, **given: Any) -> Submission:
    """A submission of the second attempt of a job of rule map."""
    return a_submission(attempt=2, external_jobid="7", history=history, **given)


@pytest.mark.parametrize(
    ("phase", "history", "more"),
    [
        (Phase.QUEUED, History(), {}),
        (Phase.RUNNING, History(state=JobState.RUNNING), {"remote_state": "RUNNING"}),
    ],
)
def test_tells_what_is_known_in_plain_values(phase: Phase, history: History, more: dict[str, object]) -> None:
    """What is not known is left out, and any program can read the rest."""
    (found,) = remote_job_state(phase, submission(history), 3).values()

    assert found == {**KNOWN, "phase": phase.value, **more}
    assert json.loads(json.dumps(found)) == found


def test_tells_once_that_a_job_of_snakemakes_runs(tmp_path: Path) -> None:
    """Neither a second listing nor a job that Snakemake has not come to is news."""
    chronicle = Chronicle(Spool(tmp_path), keeps_logs=False)
    item = submission(History(state=JobState.RUNNING), is_ahead=True)
    chronicle.note_submitted(item)
    told = []
    for is_ahead in (True, False, False):
        item.is_ahead = is_ahead
        chronicle.note_listing()
        told.append(chronicle.take_started())

    assert told == [[], [item], []]


@dataclass
class Job:
    """A job of Snakemake's."""

    jobid: object


@dataclass
class Group(Job):
    """A group of some."""

    jobs: Sequence[Job]


@dataclass
class Info:
    """What an executor keeps of either."""

    job: Job


@pytest.mark.parametrize(
    ("job", "events"),
    [
        (Job(3), [{"event": "job_finished", "job_id": 3}]),
        (Job(3), [{"event": "job_error", "jobid": 3}]),
        (Group("g", [Job(4), Job(5)]), [{"event": "job_finished", "job_id": number} for number in (4, 5)]),
    ],
    ids=["finished", "failed", "group"],
)
@pytest.mark.parametrize("succeeded", [True, False])
def test_adds_the_end_to_snakemakes_own_records(job: Job, events: list[dict[str, object]], *, succeeded: bool) -> None:
    """Each tells of it once; records of other jobs and of something else stay as they are, and none is dropped."""
    item = submission(History(state=JobState.RUNNING), job_info=Info(job))
    ends = Ends()
    ends.note(item, succeeded=succeeded)
    others: list[dict[str, object]] = [{"event": "job_finished", "job_id": 6}, {"event": "progress"}, {}]
    records = [logging.makeLogRecord(facts) for facts in [*others, *events, *events]]
    assert all(map(ends.filter, records))
    told = [record.__dict__.get("remote_job_state") for record in records]

    known = {**KNOWN, "jobid": job.jobid, "phase": "ended", "outcome": "succeeded" if succeeded else "failed"}
    assert told == [None] * len(others) + [known] * len(events) + [None] * len(events)
