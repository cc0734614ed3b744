"""Runs whose jobs see no file: their ends are known from listings, and nothing without an answer is sent again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi.job import Accepted, JobRequest, JobState, Unknown, Work
from snakemake_executor_plugin_frceapi.journal import Entry
from snakemake_executor_plugin_frceapi.recovery import Legacy, Step, take_over
from snakemake_executor_plugin_frceapi.unshared import WholeListings
from tests.faults.stepped import INTERVAL_SECONDS, REQUEUE_SECONDS, SteppedRun

DAY = 86_400.0
HOUR = 3600.0


@pytest.fixture
def run(stepped: Callable[..., SteppedRun]) -> SteppedRun:
    """A run without jobs."""
    return stepped(shared=False)


def test_reports_what_listings_say(run: SteppedRun) -> None:
    """Each job is reported once, with its state; nothing was written for any of them."""
    good, bad, slow = run.submit("good", "bad", "slow")
    run.service.lists(JobState.PENDING, "1", "2", "3")
    run.steps(2 * INTERVAL_SECONDS)
    assert run.ended("succeeded") == run.ended("failed") == []
    run.service.lists(JobState.COMPLETED, good.external_jobid)
    run.service.lists(JobState.OUT_OF_MEMORY, bad.external_jobid)
    run.service.lists(JobState.TIMEOUT, slow.external_jobid)
    run.steps(2 * INTERVAL_SECONDS)

    assert run.ended("succeeded") == ["good"]
    assert sorted(run.ended("failed")) == ["bad", "slow"]
    assert run.messages["slow"].startswith("Job 3 failed: Slurm says so, and no more is known (state TIMEOUT).")
    assert "--set-resources map:runtime=120" in run.messages["slow"]
    assert "its log is on the cluster" in run.messages["bad"]
    assert not run.spool.has_jobs()


def test_many_failures_of_jobs_are_no_fault_of_the_site(run: SteppedRun) -> None:
    """FAILED is all that is ever known of a job whose command failed."""
    items = run.submit(*(f"job-{number}" for number in range(20)))
    run.service.lists(JobState.FAILED, *(item.external_jobid for item in items))
    run.steps(2 * INTERVAL_SECONDS)
    run.submit("next")

    assert len(run.ended("failed")) == 20
    assert run.ended("submitted")[-1] == "next"


def test_follows_a_job_that_comes_back(run: SteppedRun) -> None:
    """A node's failure is one of the job only when Slurm has not started it again for a while."""
    back, gone = run.submit("back", "gone")
    run.service.lists(JobState.NODE_FAIL, "1", "2")
    run.steps(REQUEUE_SECONDS / 2, every=10)
    run.service.lists(JobState.RUNNING, back.external_jobid)
    run.steps(REQUEUE_SECONDS, every=10)
    assert run.ended("failed") == [gone.token]
    run.service.lists(JobState.COMPLETED, back.external_jobid)
    run.steps(2 * INTERVAL_SECONDS)

    assert run.ended("succeeded") == [back.token]


def test_fails_with_an_unknown_end(run: SteppedRun) -> None:
    """A job that no listing can show any more fails, and the message tells that its outputs may be there."""
    run.submit("lost")
    run.steps(2 * DAY + HOUR, every=600)
    assert run.ended("failed") == []
    run.steps(HOUR, every=600)

    assert "unknown end" in run.messages["lost"]
    assert "its outputs in the storage may exist" in run.messages["lost"]


def test_adopts_the_only_job_that_can_be_meant(run: SteppedRun) -> None:
    """The one new job is that of the one submission without an answer; nothing else is sent meanwhile."""
    run.submit("first")
    run.service.lists(JobState.RUNNING, "1")
    run.steps(INTERVAL_SECONDS)
    run.service.answer = Unknown("no answer came")
    run.submit("lost")
    run.service.answer = Accepted("3")
    run.submit("held")
    run.steps(30)
    assert len(run.service.posted) == 2
    run.service.lists(JobState.RUNNING, "2")
    run.steps(60)

    assert run.said[-1] == "A job of rule map was submitted after all, as job 2."
    assert run.ended("submitted") == ["first", "lost", "held"]
    run.service.lists(JobState.COMPLETED, "1", "2", "3")
    run.steps(2 * INTERVAL_SECONDS)
    assert sorted(run.ended("succeeded")) == ["first", "held", "lost"]
    assert len(run.service.posted) == 3


@pytest.mark.parametrize("jobs", [[], ["2", "3"]])
def test_never_posts_again(jobs: list[str], run: SteppedRun) -> None:
    """Without a job, or with two that it may be, a submission fails, and its retry is another one."""
    run.submit("first")
    run.service.lists(JobState.RUNNING, "1")
    run.steps(INTERVAL_SECONDS)
    run.service.answer = Unknown("no answer came")
    run.submit("lost")
    run.service.lists(JobState.PENDING, *jobs)
    run.steps(100)

    assert run.ended("failed") == ["lost"]
    assert run.messages["lost"].startswith("The outcome of its submission is unknown: the API did not answer")
    assert f"New jobs in the listing: {'2, the last 2, 3' if jobs else 'none'};" in run.messages["lost"]
    assert len(run.service.posted) == 2
    run.service.answer = None
    run.submit("retry")
    assert len(run.service.posted) == 3


def test_replaces_a_job_when_it_has_ended(run: SteppedRun) -> None:
    """What is to be made anew waits for the end of the old job in a listing; one that nobody knows has none."""
    (old,) = run.submit("old")
    run.service.lists(JobState.RUNNING, "1")
    run.steps(INTERVAL_SECONDS)
    old.is_replaced = True
    new, other, unknown = (run.submission(token) for token in ("new", "other", "unknown"))
    run.run.submit(new, after=[old])
    run.run.submit(other, after=[unknown])
    run.steps(INTERVAL_SECONDS)
    assert run.ended("submitted") == ["old", "other"]
    run.service.lists(JobState.CANCELLED, "1")
    run.steps(2 * INTERVAL_SECONDS)

    assert run.ended("submitted") == ["old", "other", "new"]
    assert run.ended("failed") == []


def test_takes_up_what_an_earlier_run_has_left(run: SteppedRun) -> None:
    """The journal alone tells of a job, which is followed in listings as before."""
    run.submit("left")
    run.journal.close()
    journal, legacy = take_over(run.spool)
    journal.close()

    (entry,) = legacy.entries
    assert (entry.token, entry.external_jobid) == ("left", "1")


@pytest.mark.parametrize(
    ("state", "step"),
    [
        (JobState.COMPLETED, Step.TAKE),
        (JobState.RUNNING, Step.ADOPT),
        (JobState.PENDING, Step.ADOPT),
        (None, Step.ADOPT),
        (JobState.FAILED, Step.REPLACE),
        (JobState.TIMEOUT, Step.REPLACE),
    ],
)
def test_knows_what_became_of_it_by_the_listing(state: JobState | None, step: Step, run: SteppedRun) -> None:
    """What has ended well counts so although its output is not here: Snakemake looks for it in the storage."""
    request = JobRequest(partition="norm")
    work = Work("map", ("bucket/out",), "5eed")
    entry = Entry(
        token="t",
        rule="map",
        attempt=1,
        works=(work,),
        request=request,
        log_directory=Path("~/logs"),
        posts=1,
        external_jobid="7",
    )
    legacy = Legacy(run.spool, [entry])
    if state is not None:
        run.service.lists(state, "7")
    legacy.note_listing(run.service.query_status())

    assert legacy.match([work], request, 1, lambda _: [work]).step is step


def test_asks_for_all_jobs(run: SteppedRun) -> None:
    """A listing holds the jobs that nobody has asked for as well."""
    run.service.lists(JobState.RUNNING, "1", "2")

    assert set(WholeListings(run.service).query_status(["1"]).jobs) == {"1", "2"}
