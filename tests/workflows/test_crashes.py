"""Rows 31 and 35 of the fault matrix on whole runs: Snakemake that dies at a step, and jobs that make no output."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from snakemake_executor_plugin_frceapi.sandbox import SandboxConfig
from tests import dying_snakemake
from tests.ledger import assert_each_once

if TYPE_CHECKING:
    from tests.workflows.conftest import MakeWorkflow, Workflow

_THREE = """
    rule all:
        localrule: True
        input: expand("{number}.txt", number=range(3))
    rule one:
        output: "{number}.txt"
        shell: "exit 99"
"""
_OUTPUTS = [f"{number}.txt" for number in range(3)]
_CONFIG = SandboxConfig(cpus=8, mem_mb=64_000, kill_wait=2.0)
_EARLY = [
    "begin",
    "intent",
    "half of intent",
    "before a directory",
    "after a file",
    "after a directory",
    "before a post",
]
_LATE = ["after a post", "accepted", "half of accepted"]
_OVER = ["ended", "half of ended", "settled", "half of settled"]
_OWNER, _TWIN = 0, 75


def _dies(flow: Workflow, step: str, number: int) -> None:
    arguments = [*flow.defaults, "--frceapi-max-connections", "1"]
    died = subprocess.run(
        [sys.executable, dying_snakemake.__file__, step, str(number), *arguments],
        cwd=flow.directory,
        env={**flow.environment, "PYTHONPATH": str(Path(dying_snakemake.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert died.returncode == dying_snakemake.EXIT_CODE, died.stdout + died.stderr


def _points() -> list[object]:
    """Steps, which of them is the last, and whether jobs wait meanwhile; a few are the short form."""
    short = {
        ("half of intent", 2, True),
        ("after a file", 3, False),
        ("after a post", 1, True),
        ("accepted", 2, False),
        ("unknown", 1, True),
        ("ended", 1, False),
        ("settled", 2, False),
    }
    every = [
        (step, number, waits)
        for step in (*_EARLY, *_LATE, "unknown")
        for number in (1, 2, 3)
        for waits in (True, False)
    ]
    every += [(step, number, False) for step in _OVER for number in (1, 2, 3)]
    every = [point for point in every if point[0] != "begin" or point[1] == 1]
    assert short <= set(every)
    return [pytest.param(*point, marks=[] if point in short else pytest.mark.long) for point in every]


@pytest.mark.parametrize(("step", "number", "waits"), _points())
def test_row_31_snakemake_that_dies_at_a_step_is_resumed(
    workflow: MakeWorkflow,
    step: str,
    number: int,
    waits: bool,  # noqa: FBT001 - a row of the table
) -> None:
    """Each payload runs once, and no submission that was surely accepted is posted again."""
    flow = workflow(_THREE, config=_CONFIG)
    flow.use_quick_jobs("until [ -e go ]; do sleep 0.1; done")
    if step in _OVER:
        flow.write("go", "")
    if waits:
        flow.sandbox.hold()
    if step == "unknown":
        flow.sandbox.faults.drop_after(call="submit_job")
    _dies(flow, step, number)
    flow.sandbox.faults.clear()
    sure = _surely_accepted(flow)
    asked = flow.calls("query_status")
    flow.succeed("--unlock")
    running = flow.start("--rerun-incomplete", "--frceapi-unknown-grace", "2")
    if waits:
        flow.wait_for(lambda: flow.calls("query_status") > asked + 1, "a listing for the second run")
        flow.sandbox.release()
    if step not in _OVER:
        flow.wait_for(lambda: _runs(flow) == len(_OUTPUTS) == _unfinished(flow), "the payloads, and the ends of twins")
        flow.write("go", "")
    result = running.wait()

    assert result.exit_code == 0, result.output
    assert_each_once(flow.lines("ledger"), _OUTPUTS)
    scripts = [job.submission.script for job in flow.final_jobs()]
    assert len(set(scripts)) == len(_OUTPUTS)
    assert sorted(job.exit_code or 0 for job in flow.jobs) == sorted(
        [_OWNER] * len(_OUTPUTS) + [_TWIN] * (len(scripts) - len(_OUTPUTS))
    )
    assert [token for token in sure if sum(token in script for script in scripts) != 1] == []
    assert flow.left_in_run_directory() == []
    assert _journals(flow) == []


def _journals(flow: Workflow) -> list[Path]:
    return list(flow.directory.glob(".snakemake/frceapi/*/journal-*"))


def _surely_accepted(flow: Workflow) -> set[str]:
    """Return the tokens of the submissions that whole lines of the journals call accepted."""
    whole = []
    for line in [line for path in _journals(flow) for line in path.read_text("utf-8").splitlines()]:
        with suppress(ValueError):
            whole.append(json.loads(line))
    return {line["token"] for line in whole if line["event"] == "accepted"}


def _runs(flow: Workflow) -> int:
    return sum(line.startswith("begin") for line in flow.lines("ledger"))


def _unfinished(flow: Workflow) -> int:
    return sum(not job.is_final for job in flow.jobs)


# Row 35 ---------------------------------------------------------------------------------------------------------------

_ONE = """
    rule one:
        output: "out.txt"
        shell: "exit 99"
"""
_NO_OUTPUT = 'if [ ! -e good ]; then echo "end $output $SLURM_JOB_ID" >>ledger; exit 0; fi'


def test_row_35_success_without_output_is_left_to_snakemake(workflow: MakeWorkflow) -> None:
    """Snakemake waits for the output as long as it was told to, and fails the job; the next run runs it anew."""
    flow = workflow(_ONE, config=_CONFIG)
    flow.use_quick_jobs(_NO_OUTPUT)
    result = flow.run("--latency-wait", "1")
    assert result.exit_code == 1
    assert "MissingOutputException" in result.output
    assert flow.final_states() == ["COMPLETED"]
    assert flow.left_in_run_directory() == []
    assert _journals(flow) == []

    flow.write("good", "")
    result = flow.succeed("--rerun-incomplete")
    assert "Took up" not in result.output
    assert _runs(flow) == len(flow.jobs) == 2
    assert "Nothing to be done" in flow.succeed("--dry-run").output


def test_row_35_output_that_comes_late_is_waited_for(workflow: MakeWorkflow) -> None:
    """Where the end is seen before the output is, the latency wait bridges it."""
    flow = workflow(_ONE, config=_CONFIG)
    flow.use_quick_jobs(_NO_OUTPUT)
    running = flow.start("--latency-wait", "60")
    flow.wait_for(lambda: "Waiting at most 60 seconds for missing files" in running.text(), "Snakemake's wait")
    flow.write("out.txt", "")
    result = running.wait()

    assert result.exit_code == 0, result.output
    assert _runs(flow) == len(flow.jobs) == 1
    assert flow.left_in_run_directory() == []


def test_row_35_end_without_output_is_not_adopted(workflow: MakeWorkflow) -> None:
    """A job that ended well while no Snakemake was there, and has left no output, is run anew."""
    flow = workflow(_ONE, config=_CONFIG)
    flow.use_quick_jobs(_NO_OUTPUT)
    flow.sandbox.hold()
    running = flow.start("--frceapi-on-exit", "leave")
    flow.wait_for(lambda: "Submitted job" in running.text(), "a submission")
    running.signal(signal.SIGTERM)
    running.wait()
    flow.sandbox.release()
    assert flow.final_states() == ["COMPLETED"]
    flow.write("good", "")
    result = flow.succeed("--rerun-incomplete")

    assert "its output out.txt is gone" in result.output
    assert "Took up" not in result.output
    assert _runs(flow) == len(flow.jobs) == 2
    assert flow.left_in_run_directory() == []
