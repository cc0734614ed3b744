"""Row 36 of the fault matrix with a whole Snakemake: a process that is stopped for a while, and a clock that is set."""

from __future__ import annotations

import json
import signal
import textwrap
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from snakemake_executor_plugin_frceapi.sandbox import Fault, SandboxConfig
from snakemake_executor_plugin_frceapi.sandbox.faults import Rows

if TYPE_CHECKING:
    from tests.snakemake_process import Running
    from tests.workflows.conftest import MakeWorkflow, Workflow

_NAMES = ["ends", "requeued", "goes-on", "waits", "lost"]
_JOBS = f"""
    rule all:
        input: expand("{{name}}", name={_NAMES})
    rule one:
        output: "{{name}}"
        wildcard_constraints: name="[a-z-]+"
        shell: "exit 99"
"""
_SHORT_GRACES = [
    *("--frceapi-marker-grace", "1", "--frceapi-requeue-grace", "2", "--frceapi-unknown-grace", "2"),
    *("--frceapi-outage-tolerance", "0.0014", "--frceapi-max-connections", "1"),
]
_SLEEP_SECONDS = 6.0
_UNTIL_GO = 'while [ ! -e "go-$output" ]; do sleep 0.1; done'


def _jobids(flow: Workflow) -> dict[str, str]:
    """Return the external jobids by output, of the jobs that have begun."""
    return {output: jobid for _, output, jobid in (line.split() for line in flow.lines("ledger"))}


def _wait_for_listings(flow: Workflow) -> None:
    """Wait until Snakemake has seen what the service lists now."""
    asked = flow.calls("query_status")
    flow.wait_for(lambda: flow.calls("query_status") >= asked + 2, "listings")


def _sleep(running: Running, begin: float) -> None:
    """Let a stopped Snakemake go on when it has been stopped for longer than any grace."""
    time.sleep(max(0.0, begin + _SLEEP_SECONDS - time.monotonic()))
    running.signal(signal.SIGCONT)


def test_row_36_process_that_was_stopped_takes_up_what_happened_meanwhile(workflow: MakeWorkflow) -> None:
    """Jobs that ended, began, were requeued or arrived without an answer in the meantime: each runs, and none fails."""
    flow = workflow(_JOBS, config=SandboxConfig(cpus=4, mem_mb=64_000))
    flow.use_quick_jobs(_UNTIL_GO)
    running = flow.start(*_SHORT_GRACES, "--frceapi-unknown-grace", "5", "--jobs", "4")
    flow.wait_for(lambda: len(_jobids(flow)) == 4, "four jobs that run")
    flow.wait_for(lambda: running.text().count("Submitted job") == 4, "four jobs that Snakemake knows of")
    first, second, third, fourth = _jobids(flow)
    flow.sandbox.faults.drop_after(call="submit_job", count=1)
    flow.sandbox.hold()
    flow.write(f"go-{first}", "")
    flow.wait_for(lambda: len(flow.jobs) == 5, "a submission without an answer")
    running.signal(signal.SIGSTOP)
    begin = time.monotonic()
    flow.sandbox.requeue(_jobids(flow)[second])
    flow.write(f"go-{third}", "")
    flow.write(f"go-{second}", "")
    flow.sandbox.release()
    flow.wait_for(lambda: len(_jobids(flow)) == 5, "the beginning of the last job")
    _sleep(running, begin)
    flow.wait_for(lambda: "submitted after all" in running.text(), "the job whose submission had no answer")
    for output in _jobids(flow):
        flow.write(f"go-{output}", "")
    result = running.wait()

    assert result.exit_code == 0, result.output
    assert "failed:" not in result.output
    assert len(flow.jobs) == 5
    assert fourth in _jobids(flow)
    ended = sorted(line.split()[1] for line in flow.lines("ledger") if line.startswith("end"))
    assert ended == sorted(_NAMES)


def test_row_36_process_that_was_stopped_looks_for_a_marker_before_its_verdict(workflow: MakeWorkflow) -> None:
    """A job that was listed as ended too early, and ended well while Snakemake was stopped, has succeeded."""
    flow = workflow("""
        rule one:
            output: "out"
            shell: "exit 99"
    """)
    flow.use_quick_jobs("while [ ! -e go ]; do sleep 0.1; done")
    running = flow.start(*_SHORT_GRACES, "--frceapi-marker-grace", "5")
    flow.wait_for(lambda: _jobids(flow), "a job that runs")
    jobid = _jobids(flow)["out"]
    listed, stopped = threading.Event(), threading.Event()

    def stop(rows: Rows) -> Rows:
        """Stop Snakemake when it has seen a listing and asks for the next one."""
        if listed.is_set():
            running.signal(signal.SIGSTOP)
            stopped.set()
        listed.set()
        return rows

    flow.sandbox.set_state(jobid, "COMPLETED")
    flow.sandbox.faults.add(Fault(rows=stop), call="query_status", count=2)
    flow.wait_for(stopped.is_set, "listings")
    begin = time.monotonic()
    flow.write("go", "")
    flow.sandbox.wait(jobid)
    _sleep(running, begin)
    result = running.wait()

    assert result.exit_code == 0, result.output
    assert len(flow.jobs) == 1


def test_row_36_process_that_was_stopped_in_an_outage_asks_before_it_gives_up(workflow: MakeWorkflow) -> None:
    """The time in which Snakemake was stopped is over; what counts is that the service answers again."""
    flow = workflow("""
        rule one:
            output: "out"
            shell: "exit 99"
    """)
    flow.use_quick_jobs("while [ ! -e go ]; do sleep 0.1; done")
    running = flow.start(*_SHORT_GRACES)
    flow.wait_for(lambda: _jobids(flow), "a job that runs")
    flow.sandbox.faults.drop_before()
    flow.wait_for(lambda: "go on" in running.text(), "the line at the begin of the outage")
    running.signal(signal.SIGSTOP)
    begin = time.monotonic()
    flow.sandbox.faults.clear()
    _sleep(running, begin)
    flow.wait_for(lambda: "used again" in running.text(), "the line at its end")
    flow.write("go", "")
    result = running.wait()

    assert result.exit_code == 0, result.output


def _left(flow: Workflow) -> list[str]:
    """Return the outputs of the jobs that run."""
    return sorted(set(_jobids(flow)) - set(flow.files("*")))


def _journal(flow: Workflow) -> list[dict[str, str]]:
    """Return the lines of the run's journal, each with the time of day at which it was written."""
    (path,) = flow.directory.glob(".snakemake/frceapi/*/journal-*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


_JUMPING_CLOCK = """
    import datetime
    import pathlib
    import time

    _time, _file = time.time, pathlib.Path({file!r})

    def jumping_time():
        return _time() + float(_file.read_text() or 0)

    class JumpingDatetime(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(jumping_time(), tz)

    time.time = jumping_time
    time.time_ns = lambda: int(jumping_time() * 1e9)
    datetime.datetime = JumpingDatetime
"""


def test_row_36_clock_that_is_set_by_hours_changes_nothing(workflow: MakeWorkflow) -> None:
    """While jobs run, wait and end, the clock of Snakemake's machine goes forth and back by hours and days."""
    flow = workflow(_JOBS, config=SandboxConfig(cpus=2, mem_mb=64_000))
    flow.use_quick_jobs(_UNTIL_GO)
    offset = flow.write("offset", "0")
    flow.write("clock/sitecustomize.py", textwrap.dedent(_JUMPING_CLOCK.format(file=str(offset))))
    flow.environment["PYTHONPATH"] = str(flow.directory / "clock")
    running = flow.start(*_SHORT_GRACES, "--frceapi-export", "NONE", "--jobs", "5")
    for hours in (5, -7, 24 * 400, -1):
        flow.wait_for(lambda: _left(flow), "a job that runs")
        part = flow.write("offset.part", str(hours * 3600))
        part.rename(offset)
        _wait_for_listings(flow)
        output = _left(flow)[0]
        flow.write(f"go-{output}", "")
        flow.wait_for(partial(Path.exists, flow.directory / output), "its end")
    assert len({line["time"][:4] for line in _journal(flow)}) == 2
    for name in _NAMES:
        flow.write(f"go-{name}", "")
    result = running.wait()

    assert result.exit_code == 0, result.output
    assert "failed:" not in result.output
    assert len(flow.jobs) == len(_NAMES)
