"""Many jobs through a service most of whose answers are wrong: each payload runs once, and nothing is left."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from snakemake_executor_plugin_frceapi.sandbox import SandboxConfig
from tests.bad_service import arm
from tests.ledger import assert_each_once

if TYPE_CHECKING:
    from tests.workflows.conftest import MakeWorkflow, Workflow

_MANY = """
    rule all:
        input: expand("out/{{number}}", number=range({count}))
    rule one:
        output: "out/{{number}}"
        shell: "exit 99"
"""
_ROOM = SandboxConfig(cpus=32, mem_mb=64_000)
_LONGEST_SECONDS = 600.0
"""Submissions are sent ever slower while answers are lost in a row, which can take minutes."""

_OWNER, _TWIN = 0, 75
_LATE_TWIN = 66
"""One that is started when the run is over, and its run directory removed."""


def _by_submission(flow: Workflow) -> list[list[int | None]]:
    """Return the exit codes of the jobs of each submission, which all have its script; its twins come last."""
    codes = defaultdict(list)
    for job in flow.jobs:
        codes[job.submission.script].append(job.exit_code)
    return [sorted(twins, key=lambda code: code in (_TWIN, _LATE_TWIN)) for twins in codes.values()]


@pytest.mark.parametrize("count", [40, pytest.param(200, marks=pytest.mark.long)])
def test_each_payload_runs_once_whatever_happens_to_requests(workflow: MakeWorkflow, count: int) -> None:
    """Exit code 0, one run of each payload, twins that end at once, and an empty queue."""
    flow = workflow(_MANY.format(count=count), config=_ROOM)
    flow.use_quick_jobs()
    flow.sandbox.hold()
    arm(flow.sandbox.faults)
    running = flow.start("--jobs", str(count), "--frceapi-unknown-grace", "3")
    flow.wait_for(lambda: len(flow.jobs) >= count * 1.1, "twins", _LONGEST_SECONDS)
    flow.sandbox.release()
    result = running.wait(_LONGEST_SECONDS)
    flow.final_jobs()

    assert result.exit_code == 0, result.output
    assert_each_once(flow.lines("ledger"), [f"out/{number}" for number in range(count)])
    assert "Error in rule" not in result.output
    submissions = _by_submission(flow)
    owners = [codes[0] for codes in submissions]
    assert owners.count(_OWNER) == count
    assert len(owners) == count
    twins = {code for codes in submissions for code in codes[1:]}
    assert twins
    assert twins <= {_TWIN, _LATE_TWIN}
    assert flow.left_in_run_directory() == []
