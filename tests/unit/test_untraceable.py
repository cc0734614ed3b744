"""Tests of submissions without an answer whose jobs leave no trace."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi.job import (
    Accepted,
    JobState,
    JobStatus,
    Listing,
    SubmitOutcome,
    Unknown,
)
from snakemake_executor_plugin_frceapi.outage import OutageMonitor
from snakemake_executor_plugin_frceapi.submission import Submission, Submitter
from snakemake_executor_plugin_frceapi.unknown import UntraceableSubmissions, unknown_submissions
from snakemake_executor_plugin_frceapi.unshared import UnsharedSpool
from tests.submissions import a_policy, a_submission

PATIENCE = 60.0


@dataclass
class World:
    """Submissions without an answer, a clock that is set by hand, and what is being sent meanwhile."""

    top: Path
    now: float = 1000.0
    answer: SubmitOutcome = field(default_factory=lambda: Unknown("lost"))
    gate: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()
        monitor = OutageMonitor(lambda _: None, lambda: self.now, 900.0)
        self.submitter = Submitter(self.post, 1, monitor, lambda **_: None)
        spool = UnsharedSpool(self.top / "spool")
        made = unknown_submissions(spool, a_policy(unknown_seconds=PATIENCE), lambda: self.now, self.submitter)
        assert isinstance(made, UntraceableSubmissions)
        self.unknown = made

    def post(self, item: Submission) -> SubmitOutcome:
        """Answer as soon as the test lets it."""
        self.begun.set()
        self.gate.wait(60.0)
        return Accepted(item.token)

    def item(self, token: str, before: int = 100) -> Submission:
        """A submission before which numbers up to `before` were listed."""
        return a_submission(
            token,
            posts=1,
            largest_before=before,
        )

    def add(self, token: str, before: int = 100) -> Submission:
        """Add one without an answer."""
        item = self.item(token, before)
        self.unknown.add(item)
        return item

    def lists(self, *jobids: int, after: float = PATIENCE) -> None:
        """A listing comes some time later."""
        self.now += after
        rows = {str(jobid): JobStatus(str(jobid), JobState.RUNNING, "RUNNING") for jobid in jobids}
        self.unknown.note_listing(Listing(rows, max(jobids, default=0)))

    def decide(self) -> tuple[list[tuple[str, str]], list[str]]:
        """Which are found, and which are given up, by token."""
        found = [(item.token, owner) for item, owner in self.unknown.found()]
        for item in self.unknown.items:
            if item.token in dict(found):
                self.unknown.remove(item)
        return found, [item.token for item in self.unknown.due(self.now)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A run without jobs."""
    return World(tmp_path)


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        pytest.param([90, 101], [("a", "101")], id="the only new job"),
        pytest.param([90, 100], [], id="no new job"),
        pytest.param([101, 102], [], id="two new jobs"),
        pytest.param([], [], id="nothing at all"),
        pytest.param([101, 105], [("a", "101")], id="the other is of this run"),
    ],
)
def test_is_adopted_only_where_there_is_no_doubt(listed: list[int], found: list[tuple[str, str]], world: World) -> None:
    """One submission and one new job that is not known to be another's belong together; else the job fails."""
    world.unknown.note_taken("105")
    world.add("a")
    assert world.unknown.wants_quiet
    world.lists(*listed)

    assert world.decide() == (found, [] if found else ["a"])


def test_waits_until_a_job_had_time_to_be_listed(world: World) -> None:
    """A listing that comes early decides nothing."""
    world.add("a")
    world.lists(101, after=PATIENCE - 1)
    assert world.decide() == ([], [])
    world.lists(101, 102, after=1)

    assert world.decide() == ([], ["a"])


def test_two_are_decided_on_together(world: World) -> None:
    """Of two that are unknown at the same time neither is adopted, though one job has come only."""
    world.add("a")
    world.now += 30.0
    world.add("b")
    world.lists(101, after=PATIENCE - 30.0)
    assert world.decide() == ([], [])
    world.lists(101, after=30.0)

    assert world.decide() == ([], ["a", "b"])


def test_a_doubtful_job_is_never_adopted_later(world: World) -> None:
    """A job that may have been that of one submission is not taken for that of the next."""
    first = world.add("a")
    world.lists(101, 102)
    assert world.decide() == ([], ["a"])
    world.unknown.remove(first)
    world.add("b")
    world.lists(101, 102)
    assert world.decide() == ([], ["b"])


def test_of_an_earlier_run_is_never_adopted(world: World) -> None:
    """Nobody knows what was listed before that run sent it."""
    item = world.item("a", before=0)
    item.inherited = True
    world.unknown.add(item)
    world.lists(101)

    assert world.decide() == ([], ["a"])


def test_decides_nothing_while_another_is_sent(world: World) -> None:
    """The job of one that is being sent may be in the listing already."""
    world.gate.clear()
    world.submitter.put(world.item("b"))
    assert world.begun.wait(60.0)
    world.add("a")
    world.lists(101)
    assert world.decide() == ([], [])
    world.gate.set()
    world.submitter.stop(60.0)
    world.submitter.outcomes()

    assert world.decide() == ([("a", "101")], [])


def test_is_never_sent_again_and_says_what_to_look_at(world: World) -> None:
    """The message names the new jobs, the last of many."""
    item = world.add("a")
    world.lists(*range(101, 141))
    world.decide()

    assert not world.unknown.may_send_again(item)
    text = world.unknown.why_given_up(item)
    assert "New jobs in the listing: 40, the last 121, " in text
    assert text.count("\n") == 0
    assert "140" in text
    assert "scancel" in text


def test_says_that_there_is_no_new_job(world: World) -> None:
    """Without a new job there is none to look at."""
    item = world.add("a")
    world.lists(100)
    world.decide()

    assert "New jobs in the listing: none" in world.unknown.why_given_up(item)
