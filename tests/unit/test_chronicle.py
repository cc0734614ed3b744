"""Tests of what is kept of each submission for reports."""

from __future__ import annotations

from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi.chronicle import Chronicle
from snakemake_executor_plugin_frceapi.job import JobState, Usage, Work
from snakemake_executor_plugin_frceapi.record import Fate, Record
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.submission import Submission
from snakemake_executor_plugin_frceapi.tracker import Cause, End, History
from tests.submissions import a_submission

NOW = 2000.0
TOKEN = "t"


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty run directory."""
    return Spool(tmp_path / "spool")


@pytest.fixture
def chronicle(spool: Spool) -> Chronicle:
    """A chronicle that knows nothing yet."""
    return Chronicle(spool, keeps_logs=False, clock=lambda: NOW)


def submission(token: str = TOKEN, *, posted: float | None = 1000.0, went_ahead: bool = False) -> Submission:
    """A submission of a job of rule map."""
    return a_submission(
        token,
        works=(Work("map", (f"{token}.txt",), ""),),
        wildcards={"sample": "A", "lane": "1"},
        external_jobid="7",
        posted=posted,
        went_ahead=went_ahead,
    )


def end(cause: Cause = Cause.OWN) -> End:
    """An end of job 7, which waited at its gate for 5 s."""
    return End(
        external_jobid="7",
        restart=0,
        exit_code=0,
        cause=cause,
        start=1105.0,
        end=1200.0,
        cpu_seconds=50.0,
        gate_seconds=5.0,
        usage=Usage(node="cn1", peak_mb=300, measured_by="cgroup"),
    )


def only(chronicle: Chronicle) -> Record:
    """Return the one record that there is."""
    (found,) = chronicle.records()
    return found


def test_keeps_what_an_end_tells(chronicle: Chronicle) -> None:
    """The times are those that the job has recorded, without the wait at its gate."""
    item = submission()
    chronicle.note_submitted(item)
    item.note_end(end(), 0.0)
    chronicle.note_ended(item, succeeded=True)
    found = only(chronicle)

    assert (found.fate, found.wildcards, found.external_jobid) == (Fate.SUCCEEDED, "sample=A, lane=1", "7")
    assert (found.submitted, found.started, found.begun, found.ended) == (1000.0, 1100.0, 1105.0, 1200.0)
    assert (found.queue_seconds, found.gate_seconds, found.run_seconds) == (100.0, 5.0, 95.0)
    assert (found.cpu_seconds, found.usage.node) == (50.0, "cn1")


@pytest.mark.parametrize(
    ("keeps", "fate", "log"), [(True, True, "/logs/7.log"), (False, True, ""), (False, False, "/logs/7.log")]
)
def test_names_a_log_that_is_there(spool: Spool, *, keeps: bool, fate: bool, log: str) -> None:
    """The log of a success is named only where it stays."""
    chronicle = Chronicle(spool, keeps_logs=keeps)
    chronicle.note_ended(submission(), succeeded=fate)

    assert only(chronicle).log == log


@pytest.mark.parametrize(
    ("went_ahead", "is_ahead", "cause", "fate"),
    [
        (False, False, None, Fate.FAILED),
        (False, False, Cause.CANCELLED, Fate.FAILED),
        (True, True, None, Fate.CANCELLED),
        (True, True, Cause.CANCELLED, Fate.CANCELLED),
        (True, False, None, Fate.CANCELLED),
        (True, False, Cause.UPSTREAM, Fate.CANCELLED),
        (True, False, Cause.SIGNAL, Fate.FAILED),
        (True, False, Cause.OWN, Fate.FAILED),
    ],
)
def test_tells_a_dropped_head_start_from_a_failure(
    chronicle: Chronicle, *, went_ahead: bool, is_ahead: bool, cause: Cause | None, fate: Fate
) -> None:
    """A job that went ahead and was not wanted, or never began, has failed nobody."""
    item = submission(went_ahead=went_ahead)
    item.is_ahead = is_ahead
    if cause is not None:
        item.note_end(end(cause), 0.0)
    chronicle.note_ended(item, succeeded=False)

    assert only(chronicle).fate is fate


def test_knows_when_a_job_without_an_end_has_started(chronicle: Chronicle, spool: Spool) -> None:
    """A job that was killed has told its start, and its end is when that was noticed."""
    item = submission()
    item.history = History(state=JobState.OUT_OF_MEMORY, start_seen=0.0)
    spool.job_directory("t").mkdir()
    (spool.job_directory("t") / "started").write_text("id=7 restart=0 node=cn1 cluster=c start=1100.5\n")
    chronicle.note_ended(item, succeeded=False)
    found = only(chronicle)

    assert (found.started, found.begun, found.ended, found.cpu_seconds) == (1100.5, 1100.5, NOW, None)


def test_tells_cancelled_jobs_from_those_that_are_left(chronicle: Chronicle) -> None:
    """What was taken and is neither over nor cancelled is left; nothing is noted twice."""
    for token in ("a", "b"):
        chronicle.note_submitted(submission(token))
    for token in ("a", "a", "unknown"):
        chronicle.note_cancelled(token)

    assert [(found.work, found.fate, found.ended) for found in chronicle.records()] == [
        (("a.txt",), Fate.CANCELLED, NOW),
        (("b.txt",), Fate.LEFT, None),
    ]


def test_records_stand_in_the_order_of_their_submissions(chronicle: Chronicle) -> None:
    """Whatever ended first."""
    for token, posted in (("late", 3.0), ("early", 1.0), ("middle", 2.0)):
        chronicle.note_ended(submission(token, posted=posted), succeeded=True)

    assert [found.work for found in chronicle.records()] == [("early.txt",), ("middle.txt",), ("late.txt",)]
