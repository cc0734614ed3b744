"""How a run ends before its time: its jobs are cancelled, or run on and the user is told which."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from snakemake_executor_plugin_frceapi.sandbox import SandboxConfig

if TYPE_CHECKING:
    from tests.snakemake_process import Result, Running
    from tests.workflows.conftest import MakeWorkflow, Workflow

_FOUR_JOBS = """
    rule all:
        input: expand("{number}.txt", number=range(4))
    rule one:
        output: "{number}.txt"
        resources: mem_mb=100, runtime=5
        shell: "exit 99"
"""
_TWO_AT_A_TIME = SandboxConfig(cpus=2, mem_mb=64_000, kill_wait=2.0)
_UNTIL_GO = "while [ ! -e go ]; do sleep 0.1; done"


def _started(make: MakeWorkflow, *arguments: str) -> tuple[Workflow, Running]:
    """Return a workflow of four jobs of which two run until the file ``go`` is there, and two are pending."""
    flow = make(_FOUR_JOBS, config=_TWO_AT_A_TIME)
    flow.use_quick_jobs(_UNTIL_GO)
    running = flow.start(*arguments)
    flow.wait_for(lambda: len(_begun(flow)) == 2 and len(flow.jobs) == 4, "two jobs that run and two that wait")
    flow.wait_for(lambda: running.text().count("Submitted job") == 4, "four jobs that Snakemake knows of")
    return flow, running


def _begun(flow: Workflow) -> list[str]:
    return [line for line in flow.lines("ledger") if line.startswith("begin")]


def _ended(flow: Workflow) -> list[str]:
    return [line for line in flow.lines("ledger") if line.startswith("end")]


def _one_line(result: Result, *words: str) -> str:
    """Return the one line with all the words."""
    assert "Traceback" not in result.output
    found = [line for line in result.output.splitlines() if all(word in line for word in words)]
    assert len(found) == 1, result.output
    return found[0]


def _let_go(flow: Workflow) -> None:
    """Let the jobs run to their end, and see that each was started once and ends well."""
    flow.write("go", "")

    assert flow.final_states() == ["COMPLETED"] * 4
    assert len(_begun(flow)) == len(_ended(flow)) == 4
    assert flow.files("*.txt") == [f"{number}.txt" for number in range(4)]


# Cancel ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_signal_ends_running_and_pending_jobs(workflow: MakeWorkflow, number: signal.Signals) -> None:
    """Nothing is left of the jobs, the user is told so, and the exit code is no success."""
    flow, running = _started(workflow)
    running.signal(number)
    result = running.wait()

    assert result.exit_code > 0
    _one_line(result, "Cancelling 4 jobs", "Ctrl-C")
    _one_line(result, "All of them have ended")
    flow.final_jobs()
    assert len(_begun(flow)) == 2
    assert _ended(flow) == []
    assert flow.files(".snakemake/frceapi/**/*") == []


def test_next_run_after_ctrl_c_does_what_is_left(workflow: MakeWorkflow) -> None:
    """A cancelled run leaves neither a lock nor a file that the next one stumbles over."""
    flow, running = _started(workflow)
    running.signal(signal.SIGINT)
    running.wait()
    flow.write("go", "")
    flow.succeed()

    assert flow.files("*.txt") == [f"{number}.txt" for number in range(4)]
    assert len(_ended(flow)) == 4


def test_ctrl_c_ends_a_job_whose_submission_is_under_way(workflow: MakeWorkflow) -> None:
    """A submission that the service has taken, and not answered yet, is waited for and its job ended."""
    flow = workflow(_FOUR_JOBS, config=_TWO_AT_A_TIME)
    flow.use_quick_jobs(_UNTIL_GO)
    flow.sandbox.faults.delay(2, call="submit_job", after=True)
    running = flow.start("--jobs", "1")
    flow.wait_for(lambda: flow.jobs, "a submission")
    running.signal(signal.SIGINT)
    result = running.wait()

    _one_line(result, "Cancelling 1 job;")
    flow.final_jobs()
    assert _ended(flow) == []


def test_ctrl_c_ends_jobs_of_a_service_that_hangs(workflow: MakeWorkflow) -> None:
    """The orders in the run directory do without the service, and so does the look whether they were obeyed."""
    flow, running = _started(workflow)
    flow.sandbox.faults.delay(1000)
    flow.sandbox.hold()
    running.signal(signal.SIGINT)
    flow.wait_for(lambda: "Cancelling" in running.text(), "the begin of the end")
    flow.sandbox.release()
    result = running.wait()

    _one_line(result, "All of them have ended")
    flow.final_jobs()
    assert _ended(flow) == []


def test_ctrl_c_at_the_start_is_no_traceback(workflow: MakeWorkflow) -> None:
    """Who does not want to wait for the service's first answer gets one line."""
    flow = workflow(_FOUR_JOBS)
    flow.sandbox.faults.delay(1000, call="query_status")
    running = flow.start()
    flow.wait_for(lambda: "Building DAG" in running.text(), "the start")
    flow.wait_for(lambda: _is_connected(running.process.pid, flow.sandbox.url), "a request")
    running.signal(signal.SIGINT)
    result = running.wait()

    assert result.exit_code > 0
    _one_line(result, "Error: ", "nothing was submitted")
    assert flow.jobs == []


def _is_connected(pid: int, url: str) -> bool:
    """Return whether a process that a process has started has a connection to the server of a URL; proc_pid_net(5)."""
    port = int(url.split("/")[2].rpartition(":")[2])
    lines = Path(f"/proc/{pid}/net/tcp").read_text("ascii").splitlines()[1:]
    established = {
        line.split()[9] for line in lines if line.split()[2].endswith(f":{port:04X}") and line.split()[3] == "01"
    }
    children = psutil.Process(pid).children()
    return any(f"socket:[{inode}]" in _open_files(child.pid) for child in children for inode in established)


def _open_files(pid: int) -> set[str]:
    names = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            names.add(str(entry.readlink()))
    return names


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_second_signal_prints_live_jobs_and_ends(workflow: MakeWorkflow, number: signal.Signals) -> None:
    """Who does not want to wait gets the ids; a job that starts later obeys its order and runs nothing."""
    flow = workflow(_FOUR_JOBS)
    flow.use_quick_jobs()
    flow.sandbox.hold()
    running = flow.start("--frceapi-cancel-timeout", "1000")
    flow.wait_for(lambda: running.text().count("Submitted job") == 4, "four jobs that Snakemake knows of")
    running.signal(signal.SIGINT)
    flow.wait_for(lambda: "Cancelling" in running.text(), "the begin of the end")
    running.signal(number)
    result = running.wait()

    assert result.exit_code > 0
    _one_line(result, "4 jobs may still be alive", "order in its run directory", *flow.sandbox.jobs)
    assert "scancel" not in result.output
    assert flow.states == ["PENDING"] * 4
    flow.sandbox.release()
    flow.final_jobs()
    assert _begun(flow) == []


def test_cancel_that_takes_too_long_prints_live_jobs(workflow: MakeWorkflow) -> None:
    """After the time that the user allows, the jobs that may be alive are named."""
    flow = workflow(_FOUR_JOBS)
    flow.use_quick_jobs()
    flow.sandbox.hold()
    running = flow.start("--frceapi-cancel-timeout", "1")
    flow.wait_for(lambda: running.text().count("Submitted job") == 4, "four jobs that Snakemake knows of")
    running.signal(signal.SIGINT)
    result = running.wait()

    _one_line(result, "4 jobs may still be alive", *flow.sandbox.jobs)
    flow.sandbox.release()
    flow.final_jobs()
    assert _begun(flow) == []


def _put_slurm_on_path(flow: Workflow) -> Path:
    """Put Slurm's commands first on PATH, on a cluster of the sandbox's name; return the file that notes each call."""
    calls = flow.directory / "slurm-calls"
    for name in ("scancel", "squeue", "scontrol", "sbatch", "sacct"):
        text = f"#!/bin/sh\necho {name} >>'{calls}'\necho 'ClusterName = sandbox'\n"
        flow.write(f"slurm/{name}", text).chmod(stat.S_IRWXU)
    flow.environment["PATH"] = f"{flow.directory / 'slurm'}{os.pathsep}{flow.environment['PATH']}"
    return calls


@pytest.mark.parametrize(
    ("first_jobid", "called"),
    [pytest.param(None, set(), id="sandbox"), pytest.param(1000, {"scontrol", "squeue"}, id="control")],
)
def test_slurms_commands_are_never_called_for_jobs_of_a_sandbox(
    workflow: MakeWorkflow, first_jobid: int | None, called: set[str]
) -> None:
    """No number of a sandbox can be another's job; where it could be, this machine's Slurm is asked about it first."""
    config = _TWO_AT_A_TIME if first_jobid is None else replace(_TWO_AT_A_TIME, first_jobid=first_jobid)
    flow = workflow(_FOUR_JOBS, config=config)
    flow.use_quick_jobs(_UNTIL_GO)
    calls = _put_slurm_on_path(flow)
    running = flow.start()
    flow.wait_for(lambda: len(_begun(flow)) == 2 and len(flow.jobs) == 4, "jobs")
    running.signal(signal.SIGINT)
    result = running.wait()

    _one_line(result, "All of them have ended")
    assert set(flow.lines(calls.name)) == called


# Leave ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_signal_leaves_the_jobs_where_the_user_wants_it(workflow: MakeWorkflow, number: signal.Signals) -> None:
    """With ``--frceapi-on-exit leave`` running and pending jobs end as if nothing had happened."""
    flow, running = _started(workflow, "--frceapi-on-exit", "leave")
    running.signal(number)
    result = running.wait()

    assert result.exit_code > 0
    _one_line(result, "left to run on", "--frceapi-on-exit", *flow.sandbox.jobs)
    assert "Cancelling" not in result.output
    _let_go(flow)


def test_killed_snakemake_leaves_the_jobs(workflow: MakeWorkflow) -> None:
    """What nobody can prepare for, SIGKILL, does nothing to the jobs."""
    flow, running = _started(workflow)
    running.signal(signal.SIGKILL)
    running.wait()

    _let_go(flow)


def test_ignored_hangup_stays_ignored(workflow: MakeWorkflow) -> None:
    """Under ``nohup`` a run outlives the terminal that it was started in."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        flow, running = _started(workflow)
    finally:
        signal.signal(signal.SIGHUP, before)
    running.signal(signal.SIGHUP)
    flow.write("go", "")
    result = running.wait()

    assert result.exit_code == 0, result.output
    assert flow.final_states() == ["COMPLETED"] * 4


_BREAKING = """
    import os
    from snakemake_executor_plugin_frceapi.spool import Spool

    def broken(spool, *arguments, listed=Spool.new_ends):
        if os.path.exists({flag!r}):
            raise RuntimeError("this should not happen")
        return listed(spool, *arguments)

    Spool.new_ends = broken
"""


def test_internal_error_leaves_the_jobs(workflow: MakeWorkflow, tmp_path: Path) -> None:
    """A fault in the plugin itself ends Snakemake with one line and touches no job."""
    flow = workflow(_FOUR_JOBS, config=_TWO_AT_A_TIME)
    flow.use_quick_jobs(_UNTIL_GO)
    flow.write("patch/sitecustomize.py", _BREAKING.format(flag=str(tmp_path / "broken")))
    flow.environment["PYTHONPATH"] = str(flow.directory / "patch")
    running = flow.start()
    flow.wait_for(lambda: len(_begun(flow)) == 2 and len(flow.jobs) == 4, "jobs")
    flow.wait_for(lambda: running.text().count("Submitted job") == 4, "four jobs that Snakemake knows of")
    (tmp_path / "broken").touch()
    result = running.wait()

    assert result.exit_code > 0
    _one_line(result, "Internal error of the frceapi executor", "RuntimeError: this should not happen")
    _one_line(result, "left to run on", *flow.sandbox.jobs)
    _let_go(flow)


def test_run_survives_the_loss_of_its_listing_of_ends(workflow: MakeWorkflow) -> None:
    """Where the directory of ends is gone, the listing of the service and the run directories tell the ends."""
    flow, running = _started(workflow)
    (done,) = flow.directory.glob(".snakemake/frceapi/*/done")
    done.rmdir()
    done.write_text("", "utf-8")
    flow.write("go", "")
    result = running.wait()

    assert result.exit_code == 0, result.output
    assert flow.final_states() == ["COMPLETED"] * 4


# The ordinary end -----------------------------------------------------------------------------------------------------


def test_error_lets_running_jobs_finish(workflow: MakeWorkflow) -> None:
    """Without ``--keep-going`` nothing new begins after a failure, and what runs comes to its end."""
    flow = workflow("""
        rule all:
            input: "good.txt", "bad.txt", "late.txt"
        rule good:
            output: "good.txt"
            shell: "exit 99"
        rule bad:
            output: "bad.txt"
            shell: "exit 99"
        rule late:
            input: "good.txt"
            output: "late.txt"
            shell: "exit 99"
    """)
    flow.use_quick_jobs('if [ "$output" = bad.txt ]; then exit 3; fi; ' + _UNTIL_GO)
    running = flow.start("--frceapi-lookahead", "0")
    flow.wait_for(lambda: "Error in rule bad" in running.text(), "the failure")
    flow.write("go", "")
    result = running.wait()

    assert result.exit_code > 0
    assert sorted(flow.final_states()) == ["COMPLETED", "FAILED"]
    assert flow.files("*.txt") == ["good.txt"]
    assert "Cancelling" not in result.output


def test_run_does_not_wait_for_the_next_status_request(workflow: MakeWorkflow) -> None:
    """Snakemake ends with its last job, however long the pause between status requests is."""
    flow = workflow(_FOUR_JOBS)
    flow.use_quick_jobs()
    running = flow.start("--seconds-between-status-checks", "600")
    result = running.wait()

    assert result.exit_code == 0, result.output
    assert flow.calls("query_status") <= 3
