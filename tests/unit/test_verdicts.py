"""Tests of what is looked at before a job is given up."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi.job import JobRequest, JobState, JobStatus
from snakemake_executor_plugin_frceapi.markers import Order, order_line
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.tracker import Cause, End, Graces, Outcome, Verdict
from snakemake_executor_plugin_frceapi.verdicts import Verdicts, has_own_end
from tests.run_directories import order_in
from tests.submissions import a_submission

GRACES = Graces(marker=90.0, requeue=600.0)


@dataclass
class World:
    """A submission whose job is number 101, and a clock that is set by hand.

    Attributes:
        said: lines for the user.
    """

    spool: Spool
    top: Path
    now: float = 1000.0
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.verdicts = Verdicts(self.spool, GRACES, self.said.append, lambda: self.now)
        self.item = a_submission(
            request=JobRequest(partition="norm", time_limit_minutes=60),
            log_directory=self.top / "logs",
            external_jobid="101",
        )
        self.spool.job_directory("t").mkdir()
        self.write("control", order_line(Order.RUN))

    def write(self, name: str, text: str) -> None:
        """Write a file of the run directory."""
        (self.spool.job_directory("t") / name).write_text(text)

    def ends(self, exit_code: int = 0, cause: str = "own", jobid: str = "101") -> None:
        """The job writes its end, which is not linked into the listing of ends."""
        self.write(f"end.{jobid}.0", f"id={jobid} restart=0 exit={exit_code} cause={cause} start=1 end=2 cpu_ticks=1\n")

    def lists(self, state: JobState) -> None:
        """A listing comes."""
        self.item.history = self.item.history.with_listing(JobStatus("101", state, state.value), self.now)

    def sees(self, exit_code: int = 0, cause: Cause = Cause.OWN) -> None:
        """An end was seen in the listing of ends."""
        self.item.note_end(
            End(external_jobid="101", restart=0, exit_code=exit_code, cause=cause, start=1.0, end=2.0, cpu_seconds=0.0),
            self.now,
        )

    def outcome(self) -> Outcome:
        """The verdict of now."""
        return self.verdicts.of(self.item).outcome


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A submission that the API has taken."""
    return World(Spool(tmp_path / "spool"), tmp_path)


@pytest.mark.parametrize("state", [JobState.PENDING, JobState.RUNNING, JobState.UNKNOWN])
def test_looks_for_no_end_while_the_job_lives(state: JobState, world: World) -> None:
    """The listing of ends tells of an end as soon as there is one; the directory is left alone until then."""
    world.lists(state)
    world.ends()

    assert world.outcome() is Outcome.ACTIVE


@pytest.mark.parametrize("state", [JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED, JobState.TIMEOUT])
@pytest.mark.parametrize(("exit_code", "outcome"), [(0, Outcome.SUCCEEDED), (3, Outcome.FAILED)])
def test_finds_an_end_that_was_not_linked(state: JobState, exit_code: int, outcome: Outcome, world: World) -> None:
    """What the listing says of a job that is over counts for less than its own end."""
    world.lists(state)
    world.ends(exit_code)

    assert world.outcome() is outcome
    assert has_own_end(world.item)


def test_waits_for_an_end_that_may_still_appear(world: World) -> None:
    """A job that is listed as failed fails when its end had time to appear, and the time has passed."""
    world.lists(JobState.FAILED)
    assert world.outcome() is Outcome.ACTIVE
    world.now += GRACES.marker - 1
    assert world.outcome() is Outcome.ACTIVE
    world.now += 1
    assert world.outcome() is Outcome.FAILED

    world.ends()
    assert world.outcome() is Outcome.SUCCEEDED


def fail_upstream(world: World) -> None:
    """Another job of the run, which this one depends on, fails."""
    world.item.upstream = ("u",)
    other = replace(world.item, token="u", rule="sort", external_jobid="100", upstream=())
    world.verdicts.description(other, Verdict(Outcome.FAILED, "the job command failed"))


@pytest.mark.parametrize("state", [JobState.CANCELLED, JobState.FAILED])
def test_waits_for_no_end_behind_a_job_that_failed(state: JobState, world: World) -> None:
    """A job that Slurm has ended behind a failed one was never begun, and the message says so."""
    world.lists(state)
    assert world.outcome() is Outcome.ACTIVE
    fail_upstream(world)

    assert world.outcome() is Outcome.FAILED
    message = world.verdicts.description(world.item, world.verdicts.of(world.item))
    assert message == "Job 101 was not run: it depends on job 100 (rule sort), which failed.\n"


@pytest.mark.parametrize("state", [JobState.PENDING, JobState.RUNNING])
def test_waits_for_slurm_to_end_what_is_behind_a_job_that_failed(state: JobState, world: World) -> None:
    """A job that Slurm still lists as alive is active."""
    fail_upstream(world)
    world.lists(state)

    assert world.outcome() is Outcome.ACTIVE


def test_names_the_upstream_job_of_a_job_that_found_out_itself(world: World) -> None:
    """A job whose run script has looked for the end of the failed one is told in the same words."""
    fail_upstream(world)
    world.sees(76, Cause.UPSTREAM)

    message = world.verdicts.description(world.item, world.verdicts.of(world.item))
    assert message.startswith("Job 101 was not run: it depends on job 100 (rule sort)")


def test_tells_a_jobs_own_end_whatever_is_upstream(world: World) -> None:
    """A job whose command has run is no job that was not run."""
    fail_upstream(world)
    world.sees(3)

    assert "failed: the job command failed" in world.verdicts.description(world.item, world.verdicts.of(world.item))


def test_looks_once_more_before_a_job_is_lost(world: World) -> None:
    """A job that no listing has shown for days may have ended all the same."""
    for _ in range(2 * 24 * 6):
        world.now += 600
        world.item.history = world.item.history.with_listing(None, world.now)
    world.ends()

    assert world.item.history.end is None
    assert world.outcome() is Outcome.SUCCEEDED


def test_follows_the_job_that_has_claimed_the_submission(world: World) -> None:
    """The end of a twin is no end of the job; what was seen of the twin is forgotten."""
    world.lists(JobState.FAILED)
    world.write("claim", "102\n")

    assert world.outcome() is Outcome.ACTIVE
    assert world.item.external_jobid == "102"
    assert world.item.history.state is None
    assert world.said == ["Job 101 is a twin of job 102, which is followed instead."]


def test_stays_with_a_job_that_has_claimed_the_submission(world: World) -> None:
    """The owner of the claim is followed without a word."""
    world.lists(JobState.FAILED)
    world.write("claim", "101\n")

    assert world.outcome() is Outcome.ACTIVE
    assert world.item.history.state is JobState.FAILED
    assert world.said == []


def test_follows_a_job_that_has_started_again(world: World) -> None:
    """A job that Slurm has ended and started once more is not over, whatever the listing says."""
    world.write("claim", "101\n")
    world.sees(143, Cause.SIGNAL)
    world.lists(JobState.FAILED)
    world.write("started", "id=101 restart=1 node=n cluster=frce\n")
    world.ends(143, "signal")

    assert world.outcome() is Outcome.ACTIVE


@pytest.mark.parametrize("has_own", [True, False])
def test_forbids_a_job_to_begin_before_it_is_given_up(has_own: bool, world: World) -> None:  # noqa: FBT001 - a table
    """A job without an end of its own could still begin; one that has ended cannot."""
    if has_own:
        world.sees(3)

    assert world.verdicts.is_stopped(world.item)
    assert order_in(world.spool.job_directory("t") / "control") == ("run" if has_own else "cancel")


def test_does_not_give_up_a_job_that_cannot_be_forbidden(world: World) -> None:
    """While the order cannot be written, its retry could run beside it."""
    control = world.spool.job_directory("t") / "control"
    control.unlink()
    control.mkdir()

    assert not world.verdicts.is_stopped(world.item)


@pytest.mark.parametrize("has_started", [True, False])
def test_shows_the_log_of_a_failure(has_started: bool, world: World) -> None:  # noqa: FBT001 - a table
    """The user reads why it failed and the last lines of its log, if it got as far."""
    world.sees(3)
    if has_started:
        world.item.log.parent.mkdir()
        world.item.log.write_text("the cause\n")
    text = world.verdicts.description(world.item, world.verdicts.of(world.item))

    assert "exit code 3" in text
    assert ("the cause" in text) is has_started


@pytest.mark.parametrize("trace", ["", "started", "end"])
def test_tells_whether_a_job_has_left_a_trace(trace: str, world: World) -> None:
    """A job that has written nothing at all may be on a node that does not see the run directory."""
    world.lists(JobState.FAILED)
    if trace == "started":
        world.write("started", "id=101 restart=0 node=n cluster=frce\n")
    elif trace == "end":
        world.sees(143, Cause.SIGNAL)
    text = world.verdicts.description(world.item, world.verdicts.of(world.item))

    assert ("It has left no trace in its run directory." in text) is (trace == "")
