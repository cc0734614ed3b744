"""Row 36 of the fault matrix: clocks that jump, and machines that sleep."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi.errors import TransientFault
from snakemake_executor_plugin_frceapi.job import JobState, Unknown
from snakemake_executor_plugin_frceapi.threads import REAL_THREADS
from tests.faults.stepped import INTERVAL_SECONDS, MARKER_SECONDS, REQUEUE_SECONDS, SteppedRun

MakeRun = Callable[..., SteppedRun]
PACKAGE = Path(__file__).parents[2] / "snakemake_executor_plugin_frceapi"
NIGHT = 8 * 3600.0
LONG_WEEKEND = 80 * 3600.0

# Nothing here decides what becomes of a job.
WALL_CLOCK_USES = {
    ("assembly", "time.time"): "which logs of former runs are old",
    ("auth.ticket", "datetime.now"): "when a ticket ends",
    ("auth.ticket", "astimezone"): "when a ticket ends",
    ("chronicle", "time.time"): "for people",
    ("cli.jobs", "datetime.now"): "for people",
    ("cli.jobs", "astimezone"): "for people",
    ("client.calls", "datetime.now"): "how long a service asks to wait, which has a limit",
    ("client.handshake", "datetime.now"): "how far it is from the service's",
    ("client.handshake", "fromtimestamp"): "for people",
    ("client.trust", "st_mtime_ns"): "whether certificates are others than those that were read, never which are newer",
    ("doctor.connection", "astimezone"): "for people",
    ("doctor.probe", "time.time"): "for people",
    ("identity", "st_mtime_ns"): "whether an input is the same file, never which is older",
    ("journal", "datetime.now"): "for people",
    ("journal_file", "datetime.now"): "for people",
    ("keeper", "time.time"): "when to renew a ticket, by the monotonic clock too",
    ("keeper", "datetime.now"): "when to renew a ticket, by the monotonic clock too",
    ("keeper", "astimezone"): "for people",
    ("logs", "st_mtime"): "which logs of former runs are old",
    ("posting", "time.time"): "for people",
    ("reports.closing", "time.strftime"): "for people",
    ("reports.closing", "time.time"): "for people",
    ("reports.timeline", "astimezone"): "for people",
    ("reports.timeline", "fromtimestamp"): "for people",
}
NAMES = {
    *("time.time", "time.time_ns", "time.localtime", "time.gmtime", "time.ctime", "time.strftime"),
    *("datetime.now", "datetime.today", "datetime.utcnow", "date.today", "fromtimestamp", "astimezone"),
    *("st_mtime", "st_mtime_ns", "st_ctime", "st_ctime_ns", "st_atime", "getmtime", "getctime", "CLOCK_REALTIME"),
}


def wall_clock_uses() -> Iterator[tuple[str, str]]:
    """Each module of the package that asks for the time of day, or for that of a file, with what it asks."""
    for path in PACKAGE.rglob("*.py"):
        parts = [part for part in path.relative_to(PACKAGE).with_suffix("").parts if part != "__init__"]
        if "sandbox" in parts:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute):
                for name in NAMES & {node.attr, ast.unparse(node)}:
                    yield ".".join(parts), name


def test_row_36_decides_nothing_by_a_clock_that_can_be_set() -> None:
    """A run's clock is monotonic; each use of another one is known, and none of them is a verdict."""
    assert REAL_THREADS.clock is time.monotonic
    assert set(wall_clock_uses()) == set(WALL_CLOCK_USES)


# A machine that slept, or a process that was stopped ------------------------------------------------------------------


@pytest.fixture
def run(stepped: MakeRun) -> SteppedRun:
    """A run that waits half an hour for a service that is away."""
    return stepped(outage_hours=0.5)


def test_row_36_finds_an_end_that_came_while_the_machine_slept(run: SteppedRun) -> None:
    """A marker that was waited for, and came in the night, is seen before the verdict."""
    (item,) = run.submit("a")
    run.service.lists(JobState.COMPLETED, item.external_jobid)
    run.steps(20)
    run.sleep(NIGHT)
    run.ends(item)
    run.run.look()

    assert run.events == [("submitted", "a"), ("succeeded", "a")]


@pytest.mark.parametrize("state", [JobState.COMPLETED, JobState.TIMEOUT])
def test_row_36_waits_for_a_late_marker_as_long_as_it_was_awake(state: JobState, run: SteppedRun) -> None:
    """Sleep is no time in which a marker was looked for: after it the rest of the grace is still to come."""
    first, second = run.submit("first", "second")
    run.service.lists(state, first.external_jobid, second.external_jobid)
    run.steps(20)
    run.sleep(NIGHT)
    run.steps(5)
    assert run.events == [("submitted", "first"), ("submitted", "second")]

    run.ends(first)
    run.steps(MARKER_SECONDS)
    assert run.events[2:] == [("succeeded", "first"), ("failed", "second")]


@pytest.mark.parametrize("state", [JobState.NODE_FAIL, JobState.PREEMPTED, JobState.BOOT_FAIL, JobState.REQUEUED])
@pytest.mark.parametrize("is_held_up", [False, True])
def test_row_36_asks_before_it_gives_a_job_up_that_slurm_may_have_started_again(
    state: JobState, run: SteppedRun, *, is_held_up: bool
) -> None:
    """A listing of the evening, even one that nobody had looked at, says nothing in the morning."""
    (item,) = run.submit("a")
    run.service.lists(state, item.external_jobid)
    run.steps(20)
    run.sleep(INTERVAL_SECONDS)
    if is_held_up:
        run.call()
    run.sleep(NIGHT)
    run.service.lists(JobState.RUNNING, item.external_jobid)
    run.run.look()
    assert run.events == [("submitted", "a")]

    run.steps(REQUEUE_SECONDS)
    assert run.events == [("submitted", "a")]


def test_row_36_gives_up_after_the_grace_what_has_not_come_back(run: SteppedRun) -> None:
    """The grace goes on in the morning, and has an end."""
    (item,) = run.submit("a")
    run.service.lists(JobState.NODE_FAIL, item.external_jobid)
    run.steps(20)
    run.sleep(NIGHT)
    run.steps(REQUEUE_SECONDS - 120)
    assert run.events == [("submitted", "a")]

    run.steps(120)
    assert run.events == [("submitted", "a"), ("failed", "a")]


def test_row_36_looks_for_the_trace_of_a_submission_before_it_is_sent_again(run: SteppedRun) -> None:
    """A job that began in the night is found by its claim; its submission is not sent again."""
    run.service.answer = Unknown("no answer came")
    (item,) = run.submit("a")
    run.steps(20)
    posted = len(run.service.posted)
    run.sleep(NIGHT)
    item.external_jobid = "77"
    run.starts(item)
    run.steps(300)

    assert len(run.service.posted) == posted
    assert run.events == [("submitted", "a")]
    assert run.run.live == [item]


@pytest.mark.parametrize("answers", [True, False])
def test_row_36_does_not_give_up_on_a_service_that_it_did_not_ask(run: SteppedRun, *, answers: bool) -> None:
    """Sleep is no outage: in the morning the service has again as long as the user wants to wait."""
    run.submit("a")
    run.service.fault = TransientFault("no answer")
    run.steps(600)
    run.sleep(NIGHT)
    run.run.look()
    if answers:
        run.service.fault = None
    run.steps(900)

    assert run.events == [("submitted", "a")]


@pytest.mark.parametrize("has_started", [True, False])
@pytest.mark.parametrize("seconds", [NIGHT, LONG_WEEKEND])
def test_row_36_takes_a_job_that_left_the_listing_in_its_sleep_for_what_its_marker_says(
    seconds: float, run: SteppedRun, *, has_started: bool
) -> None:
    """After a long sleep a job is listed no more; its end, which may be seen a minute late, is what counts."""
    (item,) = run.submit("a")
    run.service.lists(JobState.RUNNING if has_started else JobState.PENDING, item.external_jobid)
    run.steps(30)
    run.sleep(seconds)
    run.service.listed.clear()
    run.steps(60)
    assert run.events == [("submitted", "a")]

    run.ends(item)
    run.steps(2)
    assert run.events == [("submitted", "a"), ("succeeded", "a")]


def test_row_36_gives_nothing_up_while_the_file_system_is_away(run: SteppedRun) -> None:
    """A machine that wakes before its file systems are back sees no run directory at all, which says nothing."""
    (item,) = run.submit("a")
    run.service.lists(JobState.COMPLETED, item.external_jobid)
    run.steps(20)
    run.spool.directory.rename(run.top / "away")
    run.steps(MARKER_SECONDS + 60)
    assert run.events == [("submitted", "a")]

    (run.top / "away").rename(run.spool.directory)
    run.ends(item)
    run.steps(2)
    assert run.events == [("submitted", "a"), ("succeeded", "a")]


def test_row_36_counts_no_sleep_as_absence(run: SteppedRun) -> None:
    """A job that is not listed is not lost after a long weekend in which nobody asked."""
    run.submit("a")
    run.steps(30)
    for _ in range(5):
        run.sleep(LONG_WEEKEND)
        run.steps(60)

    assert run.events == [("submitted", "a")]
