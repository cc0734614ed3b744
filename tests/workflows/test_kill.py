"""kill -9 of Snakemake: what it has submitted is adopted by the next run, and nothing runs twice."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from snakemake_executor_plugin_frceapi.sandbox import Job, SandboxConfig
from tests.killing import CHAINS_AND_LOOSE_JOBS, LAST_WAITS, outputs, run_and_kill
from tests.ledger import assert_each_once

if TYPE_CHECKING:
    from tests.workflows.conftest import MakeWorkflow, Workflow

_ROOM = SandboxConfig(cpus=32, mem_mb=64_000)
_CONNECTIONS = 2
_OWNER, _TWIN = 0, 75


def submissions(flow: Workflow) -> list[list[Job]]:
    """Return the jobs of each submission, which all have its script; the one that owns it comes first."""
    found = defaultdict(list)
    for job in flow.jobs:
        found[job.submission.script].append(job)
    return [sorted(jobs, key=lambda job: job.exit_code != _OWNER) for jobs in found.values()]


@pytest.mark.parametrize(
    ("kills", "shape"),
    [(3, (5, 3, 6, 3)), pytest.param(10, (15, 4, 33, 6), marks=pytest.mark.long)],
    ids=["25 jobs", "100 jobs"],
)
def test_killed_runs_are_resumed(workflow: MakeWorkflow, kills: int, shape: tuple[int, int, int, int]) -> None:
    """Exit code 0 in the end, each payload once, and twins only of what was being submitted at a kill."""
    expected = outputs(shape)
    flow = workflow(CHAINS_AND_LOOSE_JOBS.format(shape=shape), config=_ROOM)
    flow.use_quick_jobs(LAST_WAITS)
    arguments = ["--jobs", "16", "--frceapi-unknown-grace", "2", "--frceapi-max-connections", str(_CONNECTIONS)]
    arguments += ["--frceapi-lookahead", "0"]  # the next run replaces what went ahead
    result = run_and_kill(flow, arguments, kills, lambda: len(flow.lines("ledger")) / 2 / len(expected), seed=kills)

    assert result.exit_code == 0, result.output
    assert_each_once(flow.lines("ledger"), expected)
    flow.final_jobs()
    codes = [[job.exit_code for job in jobs] for jobs in submissions(flow)]
    assert len(codes) == len(expected)
    assert [found for found in codes if found != [_OWNER] + [_TWIN] * (len(found) - 1)] == []
    assert len(flow.jobs) - len(expected) <= kills * _CONNECTIONS
    assert "Nothing to be done" in flow.succeed("--dry-run").output
    assert flow.left_in_run_directory() == []
