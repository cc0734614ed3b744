"""Look-ahead on a real Slurm: it changes nothing but time, keeps to --jobs, and leaves nothing at Ctrl-C."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import pytest

from snakemake_executor_plugin_frceapi.sandbox import Fault, Reply
from snakemake_executor_plugin_frceapi.sandbox.faults import Faults
from snakemake_executor_plugin_frceapi.sandbox.gateway import SlurmGateway
from tests.both_ways import BothWays, left
from tests.cluster.desk import Desk
from tests.cluster.slurm import Slurm
from tests.killing import run_and_kill
from tests.patterns import PATTERNS, lay_out
from tests.run_directories import has_recorded_no_end

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


def watch_queue(faults: Faults, slurm: Slurm) -> list[int]:
    """Return a list that gets, at each submission from now on, the number of jobs that have recorded no end then."""
    counts: list[int] = []
    scripts: dict[str, str] = {}
    sent = threading.local()

    def note(document: dict[str, object]) -> dict[str, object]:
        sent.script = str(document["script-body"])
        return document

    def count(reply: Reply) -> Reply:
        scripts[json.loads(reply.body)["reason"]] = sent.script
        counts.append(sum(has_recorded_no_end(scripts.get(jobid, "")) for jobid in slurm.job_ids()))
        return reply

    faults.add(Fault(request=note, after=count), call="submit_job")
    return counts


def test_queue_keeps_to_jobs_and_is_empty_after_ctrl_c(desk: Desk, forgetful: SlurmGateway) -> None:
    """Slurm never holds more than --jobs, those that went ahead among them, and none after Ctrl-C."""
    slurm = desk.rig.slurm
    counts = watch_queue(forgetful.faults, slurm)
    desk.write("Snakefile", _CHAINS)
    desk.use_quick_jobs("case $output in l2/2) until [ -e go ]; do sleep 0.2; done ;; esac")
    running = desk.start("--jobs", "5", "--frceapi-lookahead", "20")
    others = ("begin l2/2", "end l3/0", "end l3/1")
    desk.wait_for(lambda: all(line in desk.read("ledger") for line in others), "the other chains")
    desk.wait_for(lambda: len(slurm.job_ids()) == 2, "a job and one ahead")
    running.interrupt()
    assert running.wait().exit_code != 0
    desk.wait_for(lambda: slurm.job_ids() == [], "an empty queue")

    assert len(counts) >= 12
    assert max(counts) <= 5
