"""The next run adopts what an earlier one has left, or replaces what does not serve any more; two runs at a time."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from snakemake_executor_plugin_frceapi.sandbox import Fault, SandboxConfig
from snakemake_executor_plugin_frceapi.sandbox.faults import Rows
from tests.ledger import assert_each_once

if TYPE_CHECKING:
    from tests.snakemake_process import Result, Running
    from tests.workflows.conftest import MakeWorkflow, Workflow

_FOUR_JOBS = """
    rule all:
        localrule: True
        input: expand("{number}.txt", number=range(4))
    rule one:
        output: "{number}.txt"
        shell: "exit 99"
"""
_OUTPUTS = [f"{number}.txt" for number in range(4)]
_TWO_AT_A_TIME = SandboxConfig(cpus=2, mem_mb=64_000, kill_wait=2.0)
_UNTIL_GO = 'while [ ! -e go ] && [ ! -e "go-$(basename "$output")" ]; do sleep 0.1; done'
_LEAVE = ("--frceapi-on-exit", "leave")


def _begun(flow: Workflow) -> list[str]:
    return [line.split()[1] for line in flow.lines("ledger") if line.startswith("begin")]


def _left(flow: Workflow, number: signal.Signals) -> None:
    """Let a run end by a signal that leaves one job finished, two running, and one pending."""
    running = flow.start(*_LEAVE)
    flow.wait_for(lambda: running.text().count("Submitted job") == len(_OUTPUTS), "submitted jobs")
    flow.wait_for(lambda: len(_begun(flow)) == 2, "two jobs that run")
    running.signal(number)
    assert running.wait().exit_code != 0
    flow.write(f"go-{_begun(flow)[0]}", "")
    flow.wait_for(lambda: len(_begun(flow)) == 3, "a third job that runs")
    assert sorted(flow.states) == ["COMPLETED", "PENDING", "RUNNING", "RUNNING"]
    if number == signal.SIGKILL:
        flow.succeed("--unlock")


def _finished(flow: Workflow, *arguments: str) -> Result:
    """Start the next run, let all jobs end once it has asked for their states, and return what it left."""
    asked = flow.calls("query_status")
    running = flow.start("--rerun-incomplete", *arguments)
    flow.wait_for(lambda: flow.calls("query_status") > asked + 1, "a listing for the second run")
    flow.write("go", "")
    return running.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL], ids=lambda number: number.name)
def test_next_run_adopts_finished_running_and_pending_jobs(workflow: MakeWorkflow, number: signal.Signals) -> None:
    """Whatever ended the first run, the second submits nothing and ends well."""
    flow = workflow(_FOUR_JOBS, config=_TWO_AT_A_TIME)
    flow.use_quick_jobs(_UNTIL_GO)
    _left(flow, number)
    result = _finished(flow)

    assert result.exit_code == 0, result.output
    assert_each_once(flow.lines("ledger"), _OUTPUTS)
    assert flow.final_states() == ["COMPLETED"] * len(_OUTPUTS)
    assert flow.calls("submit_job") == len(_OUTPUTS)
    assert "Nothing to be done" in flow.succeed("--dry-run").output
    assert flow.left_in_run_directory() == []


def test_next_run_adopts_jobs_that_no_listing_shows(workflow: MakeWorkflow) -> None:
    """A day later the jobs are out of the window of the listing; their marks are still there."""
    days = 0
    config = SandboxConfig(cpus=2, mem_mb=64_000, window_by="submission", clock=lambda: time.time() + days * 86_400)
    flow = workflow(_FOUR_JOBS, config=config)
    flow.use_quick_jobs(_UNTIL_GO)
    _left(flow, signal.SIGTERM)
    days = 2
    listed: Rows = {}

    def note(rows: Rows) -> Rows:
        listed.update(rows)
        return rows

    flow.sandbox.faults.add(Fault(rows=note), call="query_status")
    result = _finished(flow)

    assert result.exit_code == 0, result.output
    assert_each_once(flow.lines("ledger"), _OUTPUTS)
    assert flow.calls("submit_job") == len(_OUTPUTS)
    assert listed == {}


_REAL = """
    rule all:
        localrule: True
        input: expand("real/{kind}", kind=["shell", "script"])
    rule shell:
        input: "in.txt"
        output: "real/shell"
        params: program=workflow.source_path("copy.sh"), more="x" * 5000
        shell: "bash {params.program} {input} {output}"
    rule script:
        input: "in.txt"
        output: "real/script"
        script: "copy.sh"
"""
_COPY = """
    [ $# -gt 0 ] || set -- "${snakemake_input[0]}" "${snakemake_output[0]}"
    echo "begin $2 $SLURM_JOB_ID" >>ledger
    cp "$1" "$2"
    echo "end $2 $SLURM_JOB_ID" >>ledger
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_pending_jobs_outlive_their_run(workflow: MakeWorkflow, number: signal.Signals) -> None:
    """Jobs that start when their run is long over find all that they need; the next run records them and is done."""
    flow = workflow(_REAL, config=_TWO_AT_A_TIME)
    flow.write("in.txt", "content\n")
    flow.write("copy.sh", _COPY)
    flow.sandbox.hold()
    running = flow.start(*_LEAVE)
    flow.wait_for(lambda: running.text().count("Submitted job") == 2, "submitted jobs")
    running.signal(number)
    assert running.wait().exit_code != 0
    flow.sandbox.release()
    assert flow.final_states() == ["COMPLETED"] * 2
    if number == signal.SIGKILL:
        flow.succeed("--unlock")
    flow.succeed("--rerun-incomplete")

    assert len(flow.jobs) == 2
    assert_each_once(flow.lines("ledger"), ["real/shell", "real/script"])
    assert flow.read("real/shell") == flow.read("real/script") == "content\n"
    assert flow.files(".snakemake/frceapi/**/*") == []
    # Without the parameters: Snakemake itself takes the new name of a copied source file for a change of them.
    look = ("--dry-run", "--rerun-triggers", "code", "input", "mtime", "software-env")
    assert "Nothing to be done" in flow.succeed(*look).output
    flow.write("Snakefile", _REAL.replace("bash {", "bash -e {"))
    assert "Code has changed since last execution" in flow.succeed(*look).output


# What has changed meanwhile -------------------------------------------------------------------------------------------

_RECIPE = """
    rule one:
        input: "in.txt"
        output: "out.txt"
        params: number=1
        shell: "first {params.number}"
"""


@pytest.mark.parametrize(
    ("changed", "runs"),
    [
        ("shell", True),
        ("params", False),
        ("input", True),
        pytest.param("shell", False, marks=pytest.mark.long),
        pytest.param("params", True, marks=pytest.mark.long),
        pytest.param("input", False, marks=pytest.mark.long),
    ],
)
def test_job_that_has_changed_is_cancelled_and_submitted_anew(
    workflow: MakeWorkflow,
    changed: str,
    runs: bool,  # noqa: FBT001 - a row of the table
) -> None:
    """The old job's command ends before the new job is submitted, or can never begin."""
    flow = workflow(_RECIPE, config=_TWO_AT_A_TIME)
    flow.use_quick_jobs(f"echo $$ >>pids; {_UNTIL_GO}")
    flow.write("in.txt", "old")
    if not runs:
        flow.sandbox.hold()
    running = flow.start(*_LEAVE)
    flow.wait_for(lambda: "Submitted job" in running.text() and len(_begun(flow)) == runs, "a job")
    running.signal(signal.SIGTERM)
    running.wait()
    if changed == "input":
        flow.write("in.txt", "changed")
    else:
        flow.write("Snakefile", _RECIPE.replace(*{"shell": ("first", "second"), "params": ("=1", "=2")}[changed]))
    alive: list[str] = []
    note = Fault(before=lambda: alive.extend(pid for pid in flow.lines("pids") if Path("/proc", pid).exists()))
    flow.sandbox.faults.add(note, call="submit_job")
    running = flow.start("--rerun-incomplete")
    flow.wait_for(lambda: len(flow.jobs) == 2, "a new job")
    flow.sandbox.release()
    flow.write("go", "")
    result = running.wait()
    flow.final_jobs()
    old, new = flow.jobs

    assert result.exit_code == 0, result.output
    assert new.state == "COMPLETED"
    assert old.state != "COMPLETED"
    assert len(_begun(flow)) == 1 + runs
    assert [line.split()[2] for line in flow.lines("ledger") if line.startswith("end")] == [str(new.job_id)]
    assert alive == []


# The moment of the kill -----------------------------------------------------------------------------------------------


def _killed(flow: Workflow, running: Running) -> None:
    running.signal(signal.SIGKILL)
    running.wait()
    flow.sandbox.faults.clear()
    flow.succeed("--unlock")


@pytest.mark.parametrize("starts", [True, False], ids=["started", "pending"])
def test_submission_without_an_answer_at_the_kill_runs_once(
    workflow: MakeWorkflow,
    starts: bool,  # noqa: FBT001 - a row of the table
) -> None:
    """The job that the service had taken is known by its claim; before it has one, a twin ends with 75."""
    flow = workflow(_RECIPE, config=_TWO_AT_A_TIME)
    flow.use_quick_jobs()
    flow.write("in.txt", "")
    flow.sandbox.hold()
    flow.sandbox.faults.delay(1000, call="submit_job", after=True)
    running = flow.start()
    flow.wait_for(lambda: flow.jobs, "a submission")
    _killed(flow, running)
    if starts:
        flow.sandbox.release()
        flow.wait_for(lambda: _begun(flow), "its claim")
    running = flow.start("--rerun-incomplete", "--frceapi-unknown-grace", "2")
    if not starts:
        flow.wait_for(lambda: len(flow.jobs) == 2, "a twin")
        flow.sandbox.release()
    result = running.wait()
    flow.final_jobs()

    assert result.exit_code == 0, result.output
    assert_each_once(flow.lines("ledger"), ["out.txt"])
    assert sorted(job.exit_code or 0 for job in flow.jobs) == ([0] if starts else [0, 75])


def test_submission_that_arrives_after_the_next_run_has_sent_it_again_runs_once(workflow: MakeWorkflow) -> None:
    """A request that hung somewhere until its twin ran ends with 75."""
    flow = workflow(_RECIPE, config=_TWO_AT_A_TIME)
    flow.use_quick_jobs(_UNTIL_GO)
    flow.write("in.txt", "")
    arrived, gate = threading.Event(), threading.Event()

    def hang() -> None:
        arrived.set()
        gate.wait(300)

    flow.sandbox.faults.add(Fault(before=hang), call="submit_job", count=1)
    running = flow.start()
    flow.wait_for(arrived.is_set, "a request")
    _killed(flow, running)
    running = flow.start("--rerun-incomplete", "--frceapi-unknown-grace", "2")
    flow.wait_for(lambda: _begun(flow), "a job of the second run")
    gate.set()
    flow.wait_for(lambda: len(flow.jobs) == 2 and flow.jobs[1].is_final, "the end of the late twin")
    flow.write("go", "")
    result = running.wait()

    assert result.exit_code == 0, result.output
    assert_each_once(flow.lines("ledger"), ["out.txt"])
    assert [job.exit_code for job in flow.jobs] == [0, 75]


_DYING = """
    import os, signal
    from snakemake.persistence import PersistenceBase

    async def dying(self, job):
        os.kill(os.getpid(), signal.SIGKILL)

    PersistenceBase.finished = dying
"""


def test_end_that_snakemake_has_not_recorded_is_reported_again(workflow: MakeWorkflow) -> None:
    """Killed between the report of an end and Snakemake's record of it, the job is not run a second time."""
    flow = workflow(_RECIPE, config=_TWO_AT_A_TIME)
    flow.use_quick_jobs()
    flow.write("in.txt", "")
    flow.write("patch/sitecustomize.py", _DYING)
    flow.environment["PYTHONPATH"] = str(flow.directory / "patch")
    running = flow.start()
    assert running.wait().exit_code == -signal.SIGKILL
    del flow.environment["PYTHONPATH"]
    flow.succeed("--unlock")
    flow.succeed("--rerun-incomplete")

    assert_each_once(flow.lines("ledger"), ["out.txt"])
    assert flow.calls("submit_job") == 1
    assert "Nothing to be done" in flow.succeed("--dry-run").output
    assert flow.left_in_run_directory() == []


# Two at a time --------------------------------------------------------------------------------------------------------

_TWO_SIDES = """
    rule second:
        input: "{side}.first"
        output: "{side}.second"
        shell: "exit 99"
    rule first:
        output: "{side}.first"
        shell: "exit 99"
"""


def test_runs_on_other_outputs_work_side_by_side(workflow: MakeWorkflow) -> None:
    """With ``--nolock``, what one run ends, adopts or clears away is never the other's."""
    flow = workflow(_TWO_SIDES)
    flow.use_quick_jobs(_UNTIL_GO)
    left = flow.start("--nolock", "left.second")
    flow.wait_for(lambda: len(_begun(flow)) == 1, "a job of the left run")
    right = flow.start("--nolock", "right.second")
    flow.wait_for(lambda: len(_begun(flow)) == 2, "a job of the right run")
    left.signal(signal.SIGKILL)
    left.wait()
    left = flow.start("--nolock", "--rerun-incomplete", "left.second")
    flow.write("go-left.first", "")
    flow.write("go-left.second", "")
    results = [left.wait()]
    flow.write("go", "")
    results.append(right.wait())

    assert [result.exit_code for result in results] == [0, 0], "\n".join(result.output for result in results)
    assert_each_once(flow.lines("ledger"), ["left.first", "left.second", "right.first", "right.second"])
    assert flow.calls("submit_job") == 4
    assert flow.left_in_run_directory() == []


def test_row_32_second_run_on_the_same_outputs_is_refused(workflow: MakeWorkflow) -> None:
    """Snakemake's lock keeps it out before anything is submitted; the first run does not notice."""
    flow = workflow(_FOUR_JOBS)
    flow.use_quick_jobs(_UNTIL_GO)
    first = flow.start()
    flow.wait_for(lambda: len(_begun(flow)) == len(_OUTPUTS), "jobs")
    second = flow.run("--rerun-incomplete")
    flow.write("go", "")
    result = first.wait()

    assert second.exit_code > 0
    assert "Directory cannot be locked" in second.output
    assert result.exit_code == 0, result.output
    assert_each_once(flow.lines("ledger"), _OUTPUTS)
    assert flow.calls("submit_job") == len(_OUTPUTS)
