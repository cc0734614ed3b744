"""Look-ahead on a real Slurm: it changes nothing but time, keeps to --jobs, and leaves nothing at Ctrl-C."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.both_ways import BothWays, left
from tests.cluster.desk import Desk
from tests.killing import run_and_kill
from tests.patterns import PATTERNS, lay_out

if TYPE_CHECKING:
    from pathlib import Path

_ARGUMENTS = ("--jobs", "20", "--resources", "db=1")

_CHAINS = """
    rule all:
        input: expand("l3/{n}", n=range(3))
        localrule: True
    rule first:
        output: "l0/{n}"
        shell: "exit 99"
    rule next:
        input: lambda wildcards: f"l{int(wildcards.level) - 1}/{wildcards.n}"
        output: "l{level,[1-9]}/{n}"
        shell: "exit 99"
"""


@pytest.fixture
def other(desk: Desk, tmp_path: Path) -> Iterator[Desk]:
    """A second desk of the same user."""
    place = tmp_path / "other"
    place.mkdir()
    made = Desk(place, desk.rig)
    made.kinit()
    yield made
    made.end_runs()


@pytest.mark.parametrize(
    "names",
    [("diamond", "flags", "group", "retries"), pytest.param(tuple(PATTERNS), marks=pytest.mark.long)],
    ids=["some", "all"],
)
def test_patterns_leave_the_same(desk: Desk, other: Desk, names: tuple[str, ...]) -> None:
    """Files, records and messages are the same, though a job fails once, and nothing is left to do."""
    both = BothWays(other, desk, partial(lay_out, names=names), *_ARGUMENTS)
    both.order("retries/flaky", "once")
    state = both.run_alike()

    assert state.exit_code == 0
    assert state.plan == []


@pytest.mark.long
def test_one_failure_in_each_pattern_leaves_the_same(desk: Desk, other: Desk) -> None:
    """With --keep-going, what is independent of a failure is made, and the rest when it is over."""
    both = BothWays(other, desk, lay_out, *_ARGUMENTS)
    for pattern in PATTERNS.values():
        both.order(pattern.middle, "fail")
    assert both.run_alike("--keep-going").exit_code == 1
    for pattern in PATTERNS.values():
        both.order(pattern.middle)
    assert both.run_alike().exit_code == 0


@pytest.mark.long
def test_killed_runs_leave_the_same(desk: Desk, other: Desk) -> None:
    """Snakemake that is killed in the middle and started again comes to the same end."""
    both = BothWays(other, desk, lay_out, *_ARGUMENTS)
    both.order("checkpoint/behind", "wait", "go")
    other.write("go", "")
    expected = left(other, other.run())
    lines = other.read("ledger").count("\n")
    result = run_and_kill(desk, [], 2, lambda: desk.read("ledger").count("\n") / lines, seed=1)

    assert result.exit_code == expected.exit_code == 0
    # Snakemake removes temporary files after a checkpoint, and one that was killed before forgets about it.
    assert desk.run("--delete-temp-output").exit_code == 0
    assert left(desk, result) == expected


def test_queue_keeps_to_jobs_and_is_empty_after_ctrl_c(desk: Desk) -> None:
    """Slurm never holds more than --jobs, those that went ahead among them, and none after Ctrl-C."""
    slurm = desk.rig.slurm
    before = set(slurm.show_jobs())
    desk.write("Snakefile", _CHAINS)
    desk.use_quick_jobs("case $output in l2/2) until [ -e go ]; do sleep 0.2; done ;; esac")
    running = desk.start("--jobs", "5", "--frceapi-lookahead", "20")
    others = ("begin l2/2", "end l3/0", "end l3/1")
    desk.wait_for(lambda: all(line in desk.read("ledger") for line in others), "the other chains")
    desk.wait_for(lambda: len(slurm.job_ids()) == 2, "a job and one ahead")
    running.interrupt()
    assert running.wait().exit_code != 0
    desk.wait_for(lambda: slurm.job_ids() == [], "an empty queue")

    jobs = [job for number, job in slurm.show_jobs().items() if number not in before and job["Partition"] == "norm"]
    steps = [(_time(job["SubmitTime"]), 1) for job in jobs] + [(_time(job["EndTime"]), -1) for job in jobs]
    held = [sum(step for when, step in steps if when <= moment) for moment, _ in steps]
    assert len(jobs) == 12
    assert max(held) <= 5


def _time(text: str) -> datetime:
    """Slurm's times have whole seconds: what ended in the second in which another came does not count beside it."""
    return datetime.fromisoformat(text)
