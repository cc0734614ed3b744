"""Jobs that fail at once for a reason of the site: the run stops, or waits, before all of them have failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from snakemake_executor_plugin_frceapi.breaker import TRIPS_AFTER
from snakemake_executor_plugin_frceapi.job import JobState, Refused, Unknown
from snakemake_executor_plugin_frceapi.outage import GaveUp
from snakemake_executor_plugin_frceapi.site_guard import SiteUnusable
from snakemake_executor_plugin_frceapi.submission import Submission
from tests.faults.stepped import MARKER_SECONDS, SteppedRun

MakeRun = Callable[..., SteppedRun]
MANY = [f"job-{number}" for number in range(1000)]
CONNECTIONS = 4
HELD = "Nothing more is submitted; 5 jobs that the cluster has go on."


@pytest.fixture
def run(stepped: MakeRun) -> SteppedRun:
    """A run without jobs."""
    return stepped()


def fail_without_trace(run: SteppedRun, items: Sequence[Submission], state: JobState = JobState.FAILED) -> None:
    """Let jobs end before they have left anything, and wait until that is sure."""
    run.service.lists(state, *(item.external_jobid for item in items))
    run.steps(MARKER_SECONDS + 600 + 30, every=10)


def begin_one(run: SteppedRun) -> None:
    """Let a job end well, which shows that nodes see the run directory."""
    (item,) = run.submit("seen")
    run.starts(item)
    run.ends(item)
    run.step(1)


def test_stops_a_run_whose_first_job_sees_no_run_directory(run: SteppedRun) -> None:
    """Where no job has ever left a trace, the first that has none ends the run, with one message and its remedy."""
    run.submit(*MANY[:8])
    with pytest.raises(SiteUnusable) as raised:
        fail_without_trace(run, run.run.live)

    assert run.ended("failed") == []
    assert len(run.run.live) == 7
    message = str(raised.value)
    assert message.startswith(f"Job 1 of rule map failed and left nothing in {run.spool.directory}, nor did any")
    assert "Start it in a directory that is shared, or with --shared-fs-usage none" in message


@pytest.mark.parametrize("live", [True, False])
def test_goes_on_where_one_job_sees_no_run_directory(live: bool, run: SteppedRun) -> None:  # noqa: FBT001 - a row
    """Where another job sees its own, be it over or not, one that does not is a matter of its node."""
    first, second = run.submit("first", "second")
    run.starts(first)
    if not live:
        run.ends(first)
    run.step(1)
    fail_without_trace(run, [second])
    run.submit("next")

    assert run.ended("failed") == ["second"]
    assert run.ended("submitted")[-1] == "next"


def test_stops_a_run_whose_jobs_are_refused_alike(run: SteppedRun) -> None:
    """Of a thousand jobs a handful is posted and fails; the others were never sent, and the run says why, once."""
    run.service.answer = Refused("bad_partition", "the service refused the job (bad_partition): choose another one")
    with pytest.raises(SiteUnusable) as raised:
        run.submit(*MANY)
    assert TRIPS_AFTER <= len(run.service.posted) <= TRIPS_AFTER + CONNECTIONS
    assert len(run.ended("failed")) == len(run.service.posted)
    assert run.run.live == []
    assert not run.spool.has_jobs()
    assert str(raised.value).startswith(f"The last {len(run.service.posted)} jobs were not submitted: the service")
    assert "choose another one. Snakemake gives up" in str(raised.value)


def test_goes_on_where_only_some_jobs_are_refused(run: SteppedRun) -> None:
    """While the API takes others, each refusal is that of one job."""
    run.submit("good-1")
    for number in range(20):
        run.service.answer = Refused("bad_partition", "no") if number % TRIPS_AFTER else None
        run.submit(f"job-{number}")

    assert len(run.ended("failed")) == 16
    assert len(run.ended("submitted")) == 5


@pytest.mark.parametrize(
    "state",
    [JobState.FAILED, JobState.NODE_FAIL, JobState.BOOT_FAIL, JobState.COMPLETED, JobState.TIMEOUT],
)
def test_stops_a_run_whose_jobs_end_before_they_start(state: JobState, run: SteppedRun) -> None:
    """When the last job that the cluster had has failed as the others, nothing more is tried."""
    begin_one(run)
    items = run.submit(*MANY[:8])
    with pytest.raises(SiteUnusable, match=rf"The last 8 jobs ended before they started: .* listed as {state.value} "):
        fail_without_trace(run, items, state)

    assert len(run.ended("failed")) == 8


@pytest.mark.parametrize("state", [JobState.CANCELLED, JobState.DEADLINE])
def test_goes_on_where_somebody_has_ended_the_jobs(state: JobState, run: SteppedRun) -> None:
    """A user or an administrator who cancels many queued jobs breaks nothing."""
    fail_without_trace(run, run.submit(*MANY[:8]), state)
    run.submit("next")

    assert len(run.ended("failed")) == 8
    assert run.ended("submitted")[-1] == "next"


def test_goes_on_where_the_jobs_own_commands_fail(run: SteppedRun) -> None:
    """However many jobs end with an exit code of their own, the site has nothing to do with it."""
    items = run.submit(*MANY[:50])
    for item in items:
        run.starts(item)
        run.ends(item, 1)
    run.step(1)
    run.submit("next")

    assert len(run.ended("failed")) == 50
    assert run.ended("submitted")[-1] == "next"


def test_holds_back_what_was_not_sent_while_other_jobs_go_on(run: SteppedRun) -> None:
    """Retries are not used up: they wait, and are sent when a job has begun; then one more failure is enough."""
    begin_one(run)
    items = run.submit(*MANY[:10])
    fail_without_trace(run, items[:5])
    assert (
        len([line for line in run.said if "Nothing more is submitted; 5 jobs that the cluster has go on." in line]) == 1
    )
    posted = len(run.service.posted)
    retries = run.submit("retry-1", "retry-2")
    run.steps(3600, every=30)
    assert len(run.service.posted) == posted
    assert {item.token for item in run.run.live} == set(MANY[5:10])

    run.starts(items[5])
    run.ends(items[5])
    run.steps(2)
    assert run.said[-1] == "Jobs are submitted again, because one was taken or has begun."
    assert run.ended("submitted")[-2:] == ["retry-1", "retry-2"]
    fail_without_trace(run, retries[:1])
    run.submit("retry-3")
    assert "retry-3" not in run.ended("submitted")


def test_leaves_submissions_that_nobody_knows_of_to_the_next_run(run: SteppedRun) -> None:
    """A run that is stopped does not wait for what can neither be found nor be sent again."""
    begin_one(run)
    items = run.submit(*MANY[:5])
    run.service.lists(JobState.FAILED, *(item.external_jobid for item in items))
    run.steps(MARKER_SECONDS - 20)
    run.service.answer = Unknown("no answer came")
    (lost,) = run.submit("lost")
    with pytest.raises(SiteUnusable):
        run.steps(60)

    assert run.run.live == [lost]
    assert lost.token not in run.ended("failed")


def test_row_16_gives_up_when_submissions_are_not_answered_for_too_long(stepped: MakeRun) -> None:
    """While the status is answered and submissions are not, that is an outage: it costs no job, and has an end."""
    run = stepped(outage_hours=12)
    run.service.answer = Unknown("no answer came")
    items = run.submit(*MANY)
    run.steps(11.9 * 3600, every=30)
    assert len(run.service.posted) < len(MANY)
    assert run.ended("failed") == []
    with pytest.raises(GaveUp, match=r"No submit_job has worked for 12\.0 h .*: no answer came;"):
        run.steps(600, every=30)

    assert run.ended("failed") == []
    assert set(run.run.live) < set(items)
