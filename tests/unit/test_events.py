"""Tests of what log records tell of a job's state."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi.chronicle import Chronicle
from snakemake_executor_plugin_frceapi.events import Phase, remote_job_state
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


def submission(history: History, *, is_ahead: bool = False) -> Submission:
    """A submission of the second attempt of a job of rule map."""
    return a_submission(
        attempt=2,
        external_jobid="7",
        history=history,
        is_ahead=is_ahead,
    )


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
