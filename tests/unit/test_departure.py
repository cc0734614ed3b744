"""Tests of the end of a run: what becomes of its jobs, and what the user is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi.cancel import LARGEST_SLURM_JOBID
from snakemake_executor_plugin_frceapi.departure import Departure
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.submission import Submission
from snakemake_executor_plugin_frceapi.unshared import UnsharedSpool
from tests.run_directories import a_run_directory
from tests.submissions import a_submission

SANDBOX = str(LARGEST_SLURM_JOBID + 1)
MAY_LIVE = "may still be alive; each ends as soon as it sees the order in its run directory."
AGAIN = "To take them up, start Snakemake again as before, with --rerun-incomplete."
TYPE = "To end them at once, type on the cluster: scancel"


def job(jobid: str | None) -> Submission:
    """A job; without a number its token stands for it."""
    return a_submission(
        jobid or "token",
        external_jobid=jobid,
    )


class World:
    """A departure, and in the places of run and canceller what notes their calls.

    Attributes:
        live: the run's live jobs.
        alive: what is still alive after a cancel.
        second: raised while it cancels, as a second Ctrl-C would be.
    """

    def __init__(self, top: Path, live: Sequence[str | None], *, leave: bool = False, shared: bool = True) -> None:
        self.live = [job(jobid) for jobid in live]
        self.alive: list[str | None] = []
        self.second: BaseException | None = None
        self.interrupts_stop = False
        self.calls: list[str] = []
        self.said: list[str] = []
        self.cancelled: list[str] = []
        self.spool = (Spool if shared else UnsharedSpool)(top)
        self.departure = Departure(self, self, self.spool, self.said.append, leave=leave)  # type: ignore[arg-type]

    def stop(self, timeout_seconds: float) -> None:
        """Stand for `Run.stop`."""
        assert timeout_seconds > 0
        self.calls.append("stop")
        if self.interrupts_stop:
            raise KeyboardInterrupt

    def close(self) -> None:
        """Stand for `Run.close`."""
        self.calls.append("close")

    def note_cancelled(self, token: str) -> None:
        """Stand for `Run.note_cancelled`."""
        self.cancelled.append(token)

    def cancel(self, submissions: Sequence[Submission]) -> list[Submission]:
        """Stand for `Canceller.cancel`."""
        assert submissions == self.live
        self.calls.append("cancel")
        if self.second is not None:
            raise self.second
        return [job(jobid) for jobid in self.alive]


def test_cancels_all_jobs_and_says_so(tmp_path: Path) -> None:
    """The jobs are cancelled after the run has stopped, and the user reads how many and how it ended."""
    world = World(tmp_path, ["101", "102"])
    world.departure.stop_early()

    assert world.departure.begun
    assert world.calls == ["stop", "cancel"]
    assert world.said[0] == "Cancelling 2 jobs; press Ctrl-C again to stop waiting."
    assert world.said[1].startswith("All of them have ended, after ")
    assert world.cancelled == ["101", "102"]


def test_has_not_begun_by_itself(tmp_path: Path) -> None:
    """Ends are reported until something ends the run."""
    assert not World(tmp_path, ["101"]).departure.begun


def test_says_nothing_without_jobs(tmp_path: Path) -> None:
    """A run without live jobs ends without a word, however it ends."""
    for leave in (False, True):
        world = World(tmp_path, [], leave=leave)
        world.departure.stop_early()
        assert (world.calls, world.said) == (["stop"], [])

    world = World(tmp_path, [])
    world.departure.give_up()
    assert world.said == []


@pytest.mark.parametrize(
    ("alive", "line"),
    [
        (["101"], f"1 job {MAY_LIVE} {TYPE} 101"),
        ([SANDBOX, str(LARGEST_SLURM_JOBID + 2)], f"2 jobs {MAY_LIVE} They are: 67043329, 67043330."),
        (
            ["1000", "102", None],
            f"3 jobs {MAY_LIVE} Among them are: unknown (token token). {TYPE} 102 1000",
        ),
    ],
)
def test_prints_what_is_left_and_the_line_that_ends_it(alive: list[str | None], line: str, tmp_path: Path) -> None:
    """What a cancel leaves is named with the command for it; a sandbox's numbers never stand behind scancel."""
    world = World(tmp_path, ["101", "102"])
    world.alive = alive
    world.departure.stop_early()

    assert world.said[1:] == [line]
    assert world.cancelled == [jobid for jobid in ("101", "102") if jobid not in alive]


@pytest.mark.parametrize("second", [KeyboardInterrupt(), SystemExit(143)])
def test_prints_the_live_jobs_at_a_second_ctrl_c(second: BaseException, tmp_path: Path) -> None:
    """A second Ctrl-C or signal ends the waiting and prints all live jobs, which have their orders, however soon."""
    world = World(tmp_path, ["101", None, SANDBOX])
    world.second = second
    for item in world.live:
        a_run_directory(world.spool, item.token).write()
    world.departure.stop_early()

    assert all(world.spool.is_cancel_ordered(item.token) for item in world.live)
    assert "scancel 101" in world.said[-1]
    assert f"Among them are: {SANDBOX}, unknown (token token)." in world.said[-1]


def test_prints_the_live_jobs_when_even_the_stop_is_interrupted(tmp_path: Path) -> None:
    """A second Ctrl-C while the last submission is under way prints them as well."""
    world = World(tmp_path, ["101"])
    world.interrupts_stop = True
    world.departure.stop_early()

    assert world.calls == ["stop"]
    assert len(world.said) == 1
    assert "scancel 101" in world.said[0]


def test_prints_nothing_at_a_second_ctrl_c_without_jobs(tmp_path: Path) -> None:
    """Without live jobs there is nothing to print."""
    world = World(tmp_path, [])
    world.interrupts_stop = True
    world.departure.stop_early()

    assert world.said == []


@pytest.mark.parametrize(
    ("live", "line"),
    [
        (["101"], f"1 job is left to run on, because --frceapi-on-exit is 'leave': 101. {AGAIN}"),
        (
            ["101", None],
            f"2 jobs are left to run on, because --frceapi-on-exit is 'leave': 101, unknown (token token). {AGAIN}",
        ),
    ],
)
def test_leaves_the_jobs_on_request(live: list[str | None], line: str, tmp_path: Path) -> None:
    """With --frceapi-on-exit leave nothing is cancelled and the jobs are named."""
    world = World(tmp_path, live, leave=True)
    world.departure.stop_early()

    assert (world.calls, world.said) == (["stop"], [line])


def test_leaves_the_jobs_when_it_gives_up(tmp_path: Path) -> None:
    """A run that cannot go on leaves its jobs alone and names the first fifty."""
    world = World(tmp_path, [str(number) for number in range(101, 161)])
    world.departure.give_up()

    shown = ", ".join(str(number) for number in range(101, 151))
    assert world.calls == ["stop"]
    assert world.said == [f"60 jobs are left to run on, because this run cannot go on: {shown} and 10 more. {AGAIN}"]


def test_ends_only_once(tmp_path: Path) -> None:
    """Whatever began the end decides; a cancel after giving up would end jobs that were promised to run on."""
    world = World(tmp_path, ["101"])
    world.departure.give_up()
    world.departure.stop_early()
    world.departure.give_up()
    assert (world.calls, len(world.said)) == (["stop"], 1)

    world = World(tmp_path, ["101"])
    world.departure.stop_early()
    world.departure.stop_early()
    world.departure.give_up()
    assert world.calls == ["stop", "cancel"]


@pytest.mark.parametrize("jobs", [True, False])
def test_removes_what_no_job_needs_any_more(jobs: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """What jobs share goes with the last run directory, at the end of every run."""
    world = World(tmp_path, [])
    shared = world.spool.share("env", b"A=1\0")
    shared.touch()
    if jobs:
        world.spool.job_directory("t").mkdir()
    world.departure.close()

    assert world.departure.begun
    assert world.calls == ["stop", "close"]
    assert shared.exists() == jobs


def test_promises_no_order_that_no_job_sees(tmp_path: Path) -> None:
    """Without a shared file system only the command that is printed ends what is left."""
    world = World(tmp_path, ["101"], shared=False)
    world.alive = ["101"]
    world.departure.stop_early()

    assert world.said[1:] == [f"1 job may still be alive, out of reach of this machine. {TYPE} 101"]


def test_orders_nothing_at_a_second_ctrl_c_where_jobs_are_left(tmp_path: Path) -> None:
    """Jobs that are to run on do so, however impatient the user is."""
    world = World(tmp_path, ["101"], leave=True)
    world.interrupts_stop = True
    a_run_directory(world.spool, "101").write()
    world.departure.stop_early()

    assert not world.spool.is_cancel_ordered("101")
