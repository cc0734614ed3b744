"""Rows 25 to 30, 34 and 35 of the fault matrix: what becomes of jobs whose listings and marks are odd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi.job import JobState, JobStatus, Listing
from snakemake_executor_plugin_frceapi.submission import Submission
from tests.faults.dying import release_files
from tests.faults.lives import LOST, Life, Scenario, World
from tests.faults.stepped import INTERVAL_SECONDS, MARKER_SECONDS, REQUEUE_SECONDS, SteppedRun

MakeRun = Callable[..., SteppedRun]
DAY = 86_400.0
LIMIT_SECONDS = 3600.0
KILL_WAIT_SECONDS = 264.0
TAKEN = [("submitted", "a")]


@pytest.fixture
def run(stepped: MakeRun) -> SteppedRun:
    """A run with a clock of its own."""
    return stepped()


def mark(run: SteppedRun, item: Submission, name: str, text: str) -> None:
    """Write something into the run directory of a job."""
    (run.spool.job_directory(item.token) / name).write_text(text)


def starts(run: SteppedRun, item: Submission, restart: int) -> None:
    """Write what a job writes when it starts, for the first time or again."""
    mark(run, item, "claim", f"{item.external_jobid}\n")
    mark(run, item, "started", f"id={item.external_jobid} restart={restart} node=n1 cluster=frce\n")


def end_text(jobid: str | None, restart: int = 0, exit_code: int = 0, cause: str = "own") -> str:
    """What an end marker holds."""
    return f"id={jobid} restart={restart} exit={exit_code} cause={cause} start=1 end=2 cpu_ticks=1\n"


def ends(run: SteppedRun, item: Submission, restart: int, exit_code: int = 0, cause: str = "own") -> None:
    """Write what a job writes when it ends, for the first time or again."""
    text = end_text(item.external_jobid, restart, exit_code, cause)
    mark(run, item, f"end.{item.external_jobid}.{restart}", text)
    run.spool.done_entry(item.token).write_text(text)


# Row 25 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("youngest_first", [False, True], ids=["first claims", "last claims"])
@pytest.mark.parametrize("killed_after", [None, 2, 4], ids=["not killed", "killed between", "killed after both"])
def test_row_25_follows_the_twin_that_claims(tmp_path: Path, killed_after: int | None, youngest_first: bool) -> None:  # noqa: FBT001 - a row of the table
    """Of two jobs of one submission one runs it, whichever begins first; a user reads at the end how many there are."""
    world = World(tmp_path)
    world.cluster.youngest_first = youngest_first
    life = Life(world, Scenario(outcome=LOST, jobs_run=False))
    while len(world.posts) < (killed_after or 4):
        life.tick()
    if killed_after is not None:
        release_files(world.spool.directory)
        life = Life(world, Scenario(jobs_run=False))
        while len(world.posts) < 4:
            life.tick()
    for _ in range(3):
        world.cluster.go_on()
    life.to_the_end()
    told = [line for line in world.said if "sent again for want of an answer" in line]

    codes = {token: {job.exit_code for job in world.cluster.jobs if job.token == token} for token in world.posts}
    assert list(codes.values()) == [{0, 75}] * 2
    assert [line.split()[0] for line in told] == [] if killed_after == 4 else ["2"]
    world.assert_each_once()


def test_row_25_gives_a_job_up_with_its_owner_alone(run: SteppedRun) -> None:
    """What becomes of a twin is no news of the job; what becomes of the owner is."""
    (item,) = run.submit("a")
    mark(run, item, "claim", "77\n")
    run.service.lists(JobState.FAILED, item.external_jobid)
    run.service.lists(JobState.RUNNING, "77")
    run.steps(MARKER_SECONDS + 60)
    assert (item.external_jobid, run.events) == ("77", TAKEN)
    assert [line for line in run.said if "twin" in line] == ["Job 1 is a twin of job 77, which is followed instead."]

    run.service.lists(JobState.TIMEOUT, "77")
    run.steps(MARKER_SECONDS + INTERVAL_SECONDS)
    assert run.ended("failed") == ["a"]


# Row 26 ---------------------------------------------------------------------------------------------------------------

RETURNS = [JobState.NODE_FAIL, JobState.PREEMPTED, JobState.BOOT_FAIL, JobState.REQUEUED]


@pytest.mark.parametrize("state", RETURNS)
@pytest.mark.parametrize("leaves_end", [False, True])
@pytest.mark.parametrize("exit_code", [0, 3])
def test_row_26_follows_a_job_that_slurm_starts_again(
    state: JobState,
    leaves_end: bool,  # noqa: FBT001 - a row of the table
    exit_code: int,
    run: SteppedRun,
) -> None:
    """However often it goes, within the grace it is no failure; the end of its last restart counts."""
    (item,) = run.submit("a")
    for restart in range(4):
        starts(run, item, restart)
        run.service.lists(JobState.RUNNING, item.external_jobid)
        run.steps(60)
        if leaves_end:
            ends(run, item, restart, 143, "signal")
        run.service.lists(state, item.external_jobid)
        run.steps(REQUEUE_SECONDS - 60)
        run.service.lists(JobState.PENDING, item.external_jobid)
        run.steps(2 * REQUEUE_SECONDS, every=10)
    assert run.events == TAKEN

    ends(run, item, 4, exit_code)
    run.step(1)
    assert run.events == [*TAKEN, ("failed" if exit_code else "succeeded", "a")]


@pytest.mark.parametrize("state", [*RETURNS, None])
def test_row_26_gives_up_and_forbids_what_does_not_come_back(state: JobState | None, run: SteppedRun) -> None:
    """After the grace, and not before, the job fails, and can never begin again."""
    gone, stays = run.submit("a", "stays")
    run.service.lists(JobState.RUNNING, gone.external_jobid, stays.external_jobid)
    run.steps(60)
    ends(run, gone, 0, 143, "signal")
    del run.service.listed[gone.external_jobid or ""]
    if state is not None:
        run.service.lists(state, gone.external_jobid)
    run.steps(REQUEUE_SECONDS)
    is_judged = state is not JobState.REQUEUED
    assert run.ended("failed") == []

    run.steps(5 * INTERVAL_SECONDS)
    assert run.ended("failed") == ["a"] * is_judged
    assert run.order(gone) == ("cancel" if is_judged else "run")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_row_26_counts_the_highest_restart_whatever_is_seen_first(order: Sequence[int], run: SteppedRun) -> None:
    """An end by a signal that shows up after the end of the restart changes nothing."""
    (item,) = run.submit("a")
    run.service.lists(JobState.SUSPENDED, item.external_jobid)
    text = [end_text(item.external_jobid, 0, 143, "signal"), end_text(item.external_jobid, 1, 0)]
    for restart in order:
        mark(run, item, f"end.{item.external_jobid}.{restart}", text[restart])
    run.spool.done_entry("a").write_text(text[0])
    run.service.lists(JobState.COMPLETED, item.external_jobid)
    run.steps(20)

    assert run.events == [*TAKEN, ("succeeded", "a")]


@pytest.mark.parametrize("state", [None, JobState.PREEMPTED])
def test_row_26_believes_the_job_that_says_it_has_started_again(state: JobState | None, run: SteppedRun) -> None:
    """A listing that does not show the restart is no reason to give it up; its time limit is."""
    (item, _) = run.submit("a", "stays")
    run.service.lists(JobState.RUNNING, "1", "2")
    starts(run, item, 0)
    run.steps(60)
    ends(run, item, 0, 143, "signal")
    run.service.listed.pop("1")
    if state is not None:
        run.service.lists(state, "1")
    run.steps(REQUEUE_SECONDS - 120)
    starts(run, item, 1)
    run.steps(REQUEUE_SECONDS, every=10)
    assert run.ended("failed") == []
    if state is None:
        run.steps(LIMIT_SECONDS, every=10)
        assert run.ended("failed") == []

    run.steps(KILL_WAIT_SECONDS + 2 * REQUEUE_SECONDS, every=10)
    assert run.ended("failed") == ["a"]


# Row 27 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("listings", [1, 2, 1000])
@pytest.mark.parametrize("has_started", [False, True])
def test_row_27_takes_absence_for_nothing(listings: int, has_started: bool, run: SteppedRun) -> None:  # noqa: FBT001 - a row of the table
    """A job that is not listed is active; what it has left decides."""
    (item, _) = run.submit("a", "stays")
    run.service.lists(JobState.RUNNING if has_started else JobState.PENDING, "1", "2")
    run.steps(20)
    del run.service.listed["1"]
    run.steps(min(listings * INTERVAL_SECONDS, LIMIT_SECONDS), every=10)
    assert run.ended("failed") == []

    ends(run, item, 0)
    run.step(1)
    assert run.ended("succeeded") == ["a"]


@pytest.mark.parametrize(
    ("has_started", "seconds"),
    [(True, LIMIT_SECONDS + KILL_WAIT_SECONDS + REQUEUE_SECONDS), (False, DAY + MARKER_SECONDS)],
)
def test_row_27_ends_the_wait_for_a_job_that_left_no_trace(
    has_started: bool,  # noqa: FBT001 - a row of the table
    seconds: float,
    run: SteppedRun,
) -> None:
    """It fails when it must have ended, or when no listing has shown it for as long as one reaches back."""
    (item, _) = run.submit("a", "stays")
    run.service.lists(JobState.PENDING, "2")
    if has_started:
        starts(run, item, 0)
    run.steps(seconds - 60, every=60)
    assert run.ended("failed") == []

    run.steps(300, every=10)
    assert run.ended("failed") == ["a"]
    assert run.order(item) == "cancel"


# Row 28 ---------------------------------------------------------------------------------------------------------------


def crowd(run: SteppedRun) -> dict[str, Submission]:
    """Jobs in all conditions, each listed as it should be: one that was preempted comes first."""
    items = dict(zip(("preempted", "runs", "waits", "suspended"), run.submit("a", "b", "c", "d"), strict=True))
    run.service.lists(JobState.RUNNING, "1", "2")
    run.service.lists(JobState.PENDING, "3")
    run.service.lists(JobState.SUSPENDED, "4")
    starts(run, items["preempted"], 0)
    starts(run, items["runs"], 0)
    run.steps(30)
    ends(run, items["preempted"], 0, 143, "signal")
    return items


@pytest.mark.parametrize("left", [(), ("3",)], ids=["empty", "partial"])
def test_row_28_concludes_nothing_from_a_listing_that_lacks_most_jobs(left: tuple[str, ...], run: SteppedRun) -> None:
    """While most jobs are gone at once nothing fails, and the user reads so once; then all goes on as before."""
    items = crowd(run)
    full = dict(run.service.listed)
    run.service.listed = {jobid: full[jobid] for jobid in left}
    run.steps(DAY - 3600, every=30)
    assert run.ended("failed") == []
    assert [line for line in run.said if "unchanged" in line] == [
        f"The API lists only {len(left)} of 4 jobs that it has listed before; what is missing counts as unchanged."
    ]

    run.service.listed = {**full, "1": JobStatus("1", JobState.PENDING, "PENDING")}
    run.steps(2 * REQUEUE_SECONDS, every=10)
    assert run.ended("failed") == []
    for item in items.values():
        ends(run, item, 1)
    run.step(1)
    assert sorted(run.ended("succeeded")) == ["a", "b", "c", "d"]


def test_row_28_believes_a_listing_that_says_the_same_for_a_whole_day(run: SteppedRun) -> None:
    """The doubt has an end: what is not listed for as long as a listing reaches back is not there."""
    crowd(run)
    run.service.listed.clear()
    run.steps(DAY - 60, every=30)
    assert run.ended("failed") == []

    run.steps(2 * REQUEUE_SECONDS, every=10)
    assert sorted(run.ended("failed")) == ["a", "b"]
    run.steps(DAY, every=60)
    assert sorted(run.ended("failed")) == ["a", "b", "c", "d"]


def test_row_28_believes_a_listing_that_lacks_few_jobs(run: SteppedRun) -> None:
    """A job that was ended by a signal, and is the only one that is not listed any more, has not come back."""
    crowd(run)
    del run.service.listed["1"]
    run.steps(REQUEUE_SECONDS + 30, every=10)

    assert run.ended("failed") == ["a"]
    assert run.said == []


def test_row_28_ignores_the_jobs_of_others(run: SteppedRun) -> None:
    """Thousands of jobs of others, in whatever state, are no news of one's own."""
    crowd(run)
    states = list(JobState)
    for number in range(10_000, 15_000):
        run.service.lists(states[number % len(states)], str(number))
    run.steps(REQUEUE_SECONDS - 60, every=10)

    assert run.ended("failed") == []
    assert run.said == []
    assert len(run.run.live) == 4


# Row 29 ---------------------------------------------------------------------------------------------------------------

FINAL = [JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED, JobState.TIMEOUT, JobState.NODE_FAIL]


def listed_before(run: SteppedRun, state: JobState) -> Submission:
    """A job that the API gives the number of an earlier one, which is listed as it ended."""
    run.service.lists(state, "1")
    run.run.note_earlier(run.service.query_status())
    (item,) = run.submit("a")
    assert item.external_jobid == "1"
    return item


@pytest.mark.parametrize("state", FINAL)
def test_row_29_takes_the_end_of_an_earlier_job_for_no_news(state: JobState, run: SteppedRun) -> None:
    """A number that was there before the job was submitted is another's until the job itself is seen."""
    item = listed_before(run, state)
    run.steps(DAY / 2, every=10)
    assert run.events == TAKEN

    run.service.lists(JobState.RUNNING, "1")
    run.steps(30)
    ends(run, item, 0)
    run.step(1)
    assert run.events == [*TAKEN, ("succeeded", "a")]


@pytest.mark.parametrize("is_seen_by", ["its row", "its claim"])
def test_row_29_believes_the_row_once_the_job_is_seen(is_seen_by: str, run: SteppedRun) -> None:
    """From then on the number is its own."""
    item = listed_before(run, JobState.COMPLETED)
    run.steps(300)
    if is_seen_by == "its claim":
        starts(run, item, 0)
    else:
        run.service.lists(JobState.PENDING, "1")
    run.steps(30)
    run.service.lists(JobState.CANCELLED, "1")
    run.steps(MARKER_SECONDS - 30)
    assert run.events == TAKEN or is_seen_by == "its claim"

    run.steps(60)
    assert run.events == [*TAKEN, ("failed", "a")]


def test_row_29_ends_the_wait_for_a_job_that_is_never_seen(run: SteppedRun) -> None:
    """A row that is not its own is like none."""
    item = listed_before(run, JobState.COMPLETED)
    run.steps(DAY, every=60)
    assert run.events == TAKEN

    run.steps(600, every=60)
    assert run.events == [*TAKEN, ("failed", "a")]
    assert run.order(item) == "cancel"


def test_row_29_believes_a_row_that_came_after_the_submission(run: SteppedRun) -> None:
    """A number that is larger than all before is a new one."""
    run.run.note_earlier(Listing({}, 1))
    _, item = run.submit("b", "a")
    run.service.lists(JobState.CANCELLED, item.external_jobid)
    run.steps(MARKER_SECONDS + 30)

    assert run.ended("failed") == ["a"]


# Row 30 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [state for state in JobState if state.is_final])
def test_row_30_takes_no_state_for_final_before_its_grace(state: JobState, run: SteppedRun) -> None:
    """A job that is listed as ended, and then as running again, goes on; each time the grace begins anew."""
    (item,) = run.submit("a")
    for _ in range(3):
        run.service.lists(state, item.external_jobid)
        run.steps(MARKER_SECONDS - INTERVAL_SECONDS)
        run.service.lists(JobState.RUNNING, item.external_jobid)
        run.steps(MARKER_SECONDS)
    assert run.events == TAKEN

    ends(run, item, 0)
    run.step(1)
    assert run.events == [*TAKEN, ("succeeded", "a")]


@pytest.mark.parametrize(("exit_code", "outcome"), [(0, "succeeded"), (3, "failed"), (None, "failed")])
def test_row_30_never_takes_a_verdict_back(exit_code: int | None, outcome: str, run: SteppedRun) -> None:
    """What was reported once is reported no second time, whatever is listed or left afterwards."""
    (item, other) = run.submit("a", "stays")
    run.starts(other)
    if exit_code is None:
        run.service.lists(JobState.FAILED, item.external_jobid)
        run.steps(MARKER_SECONDS + 30)
    else:
        ends(run, item, 0, exit_code)
        run.steps(2)
    assert (outcome, "a") in run.events
    known = len(run.events)
    for state in (JobState.RUNNING, JobState.COMPLETED, JobState.PENDING, JobState.FAILED):
        run.service.lists(state, item.external_jobid)
        run.spool.done_entry("a").write_text(end_text(item.external_jobid, 1))
        run.steps(60)

    assert len(run.events) == known


# Row 34 ---------------------------------------------------------------------------------------------------------------

WHOLE = end_text("1")
BAD_ENDS = {
    "empty": "",
    "torn": WHOLE[:-20],
    "without its line end": WHOLE[:-1],
    "of another job": end_text("77"),
    "with a word for a number": WHOLE.replace("exit=0", "exit=ok"),
    "with a negative number": WHOLE.replace("exit=0", "exit=-1"),
    "without a field": WHOLE.replace("cause=own ", ""),
    "with an unknown cause": WHOLE.replace("cause=own", "cause=luck"),
    "garbage": "\0\xff{}\n",
}


@pytest.mark.parametrize("bad", BAD_ENDS)
@pytest.mark.parametrize("is_linked", [True, False])
def test_row_34_waits_for_an_end_that_can_be_read(bad: str, is_linked: bool, run: SteppedRun) -> None:  # noqa: FBT001 - a row of the table
    """An end that is not whole, or not the owner's, is none; within the grace the whole one is found."""
    (item,) = run.submit("a")
    starts(run, item, 0)
    mark(run, item, "end.1.0", BAD_ENDS[bad])
    if is_linked:
        run.spool.done_entry("a").write_text(BAD_ENDS[bad])
    run.service.lists(JobState.COMPLETED, "1")
    run.steps(MARKER_SECONDS - 30)
    assert run.events == TAKEN

    mark(run, item, "end.1.0", WHOLE)
    run.steps(30)
    assert run.events == [*TAKEN, ("succeeded", "a")]


@pytest.mark.parametrize("bad", BAD_ENDS)
def test_row_34_takes_no_bad_end_for_success(bad: str, run: SteppedRun) -> None:
    """Where no better one comes, Slurm's word that all is well is not enough."""
    (item,) = run.submit("a")
    starts(run, item, 0)
    mark(run, item, "end.1.0", BAD_ENDS[bad])
    run.spool.done_entry("a").write_text(BAD_ENDS[bad])
    run.service.lists(JobState.COMPLETED, "1")
    run.steps(MARKER_SECONDS + 30)

    assert run.events == [*TAKEN, ("failed", "a")]
    assert "without an exit status" in run.messages["a"]


def test_row_34_finds_an_end_that_comes_late(run: SteppedRun) -> None:
    """While the job is listed as running the end may take as long as it wants to be seen, then as long as the grace."""
    (item,) = run.submit("a")
    starts(run, item, 0)
    run.service.lists(JobState.RUNNING, "1")
    run.steps(LIMIT_SECONDS, every=10)
    run.service.lists(JobState.COMPLETED, "1")
    run.steps(MARKER_SECONDS - 1)
    mark(run, item, "end.1.0", WHOLE)
    run.steps(2)

    assert run.events == [*TAKEN, ("succeeded", "a")]


@pytest.mark.parametrize("claim", ["", "1", "12", "one\n"])
def test_row_34_takes_no_torn_claim_for_a_number(claim: str, run: SteppedRun) -> None:
    """The number of a claim that is still being written is cut off, and would be another job's."""
    run.service.answer = LOST
    (item,) = run.submit("a")
    mark(run, item, "claim", claim)
    run.steps(30)
    assert run.events == []

    mark(run, item, "claim", "123\n")
    run.step(1)
    assert (item.external_jobid, run.events) == ("123", TAKEN)
