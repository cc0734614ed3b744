"""Look-ahead changes nothing but time: whole workflows without and with it, and what both have left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.both_ways import BothWays, left
from tests.killing import run_and_kill
from tests.patterns import PATTERNS, lay_out
from tests.random_dags import RandomDag

if TYPE_CHECKING:
    from tests.workflows.conftest import MakeWorkflow, Workflow


def _both(workflow: MakeWorkflow, names: Iterable[str] = PATTERNS) -> tuple[BothWays, Workflow, Workflow]:
    """Return some patterns both ways, and the two workflows without and with look-ahead."""
    plain, ahead = (workflow("", directory=directory) for directory in ("plain", "ahead"))
    both = BothWays(plain, ahead, partial(lay_out, names=names), "--jobs", "50", "--resources", "db=1")
    return both, plain, ahead


def _asked(flow: Workflow) -> Counter[tuple[object, ...]]:
    """Return what was asked for the jobs that ended well, apart from time."""
    asked = [job.submission for job in flow.jobs if job.state == "COMPLETED"]
    return Counter((job.partition, job.cpus, job.mem_mb_per_cpu, job.mem_mb_per_node) for job in asked)


def test_all_patterns_leave_the_same(workflow: MakeWorkflow) -> None:
    """Files, records and messages are the same, nothing is left to do, and no payload begins before its inputs."""
    both, plain, ahead = _both(workflow)
    state = both.run_alike()

    assert state.exit_code == 0
    assert state.plan == []
    assert _asked(plain) == _asked(ahead)
    assert sum(job.submission.dependency is not None for job in ahead.jobs) > 10


@pytest.mark.long
def test_all_patterns_are_made_anew_alike(workflow: MakeWorkflow) -> None:
    """Outputs of an earlier run, which are there but old, mislead no job."""
    both, plain, ahead = _both(workflow)
    first = both.run_alike()
    both.sow("second")
    second = both.run_alike()

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.files != second.files
    assert _asked(plain) == _asked(ahead)


@pytest.mark.long
def test_one_failure_in_each_pattern_leaves_the_same(workflow: MakeWorkflow) -> None:
    """With --keep-going, what is independent of a failure is made, and the rest when it is over."""
    both, *_ = _both(workflow)
    for pattern in PATTERNS.values():
        both.order(pattern.middle, "fail")
    assert both.run_alike("--keep-going").exit_code == 1
    for pattern in PATTERNS.values():
        both.order(pattern.middle)
    assert both.run_alike().exit_code == 0


@pytest.mark.long
@pytest.mark.parametrize("name", PATTERNS)
def test_a_failure_that_ends_the_run_leaves_the_same(workflow: MakeWorkflow, name: str) -> None:
    """Without --keep-going nothing is begun behind a failure, and the next run goes on from there."""
    both, *_ = _both(workflow, [name])
    pattern = PATTERNS[name]
    both.order(pattern.middle, "fail", *pattern.before)
    assert both.run_alike().exit_code == 1
    both.order(pattern.middle)
    assert both.run_alike().exit_code == 0


@pytest.mark.long
def test_retries_leave_the_same(workflow: MakeWorkflow) -> None:
    """What fails once in each pattern is tried again, and what went ahead of it is made as well."""
    both, *_ = _both(workflow)
    for pattern in PATTERNS.values():
        both.order(pattern.middle, "once")

    assert both.run_alike("--retries", "1").exit_code == 0


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2))
def test_killed_runs_leave_the_same(workflow: MakeWorkflow, seed: int) -> None:
    """Snakemake that is killed in the middle and started again comes to the same end."""
    both, plain, ahead = _both(workflow)
    both.order("checkpoint/behind", "wait", "go")
    plain.write("go", "")
    expected = left(plain, plain.run())
    jobs = len(plain.lines("ledger")) / 2
    result = run_and_kill(ahead, [], 3, lambda: len(ahead.lines("ledger")) / 2 / jobs, seed)

    assert result.exit_code == expected.exit_code == 0
    # Snakemake removes temporary files after a checkpoint, and one that was killed before forgets about it.
    ahead.succeed("--delete-temp-output")
    assert left(ahead, result) == expected


@pytest.mark.parametrize("seed", [3, 17, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(18, 48))])
def test_random_workflow_ends_in_the_same_state(workflow: MakeWorkflow, seed: int) -> None:
    """Whatever fails, the same is left, also when it is mended; and the queue never holds more than --jobs."""
    dag = RandomDag.of(seed)
    plain, ahead = (workflow("", directory=directory) for directory in ("plain", "ahead"))
    both = BothWays(plain, ahead, dag.lay_out, *dag.arguments)
    counts = [plain.watch_queue(), ahead.watch_queue()]
    first, second = both.run()
    assert first.exit_code == second.exit_code
    if first.exit_code == 0 or dag.keeps_going:
        assert second == first
    if first.exit_code:
        for output in dag.orders:
            both.order(output)
        assert both.run_alike().exit_code == 0

    for flow in (plain, ahead):
        flow.final_jobs()
    assert max(map(max, counts)) <= dag.jobs
