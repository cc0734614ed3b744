"""Whatever the service does to requests, every job runs once and the workflow ends well."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import psutil
import pytest

from snakemake_executor_plugin_frceapi.sandbox import Fault, Reply, SandboxConfig
from snakemake_executor_plugin_frceapi.sandbox.faults import Faults, Rows
from tests.ledger import assert_each_once

if TYPE_CHECKING:
    from tests.workflows.conftest import MakeWorkflow, Workflow

_COUNT = 8
_DEATHS = 3
_MANY = f"""
    rule all:
        input: expand("out/{{number}}", number=range({_COUNT}))
    rule one:
        output: "out/{{number}}"
        shell: "exit 99"
"""


_EACH_ONCE = sorted(f"out/{number}" for number in range(_COUNT))

Arm = Callable[[Faults], None]


def _runs(flow: Workflow) -> list[str]:
    """Return the output of each run that began."""
    return sorted(line.split()[1] for line in flow.lines("ledger") if line.startswith("begin"))


def _one_after_another(arms: Iterable[Arm]) -> Fault:
    """Return a fault that is the first for the first request, the second for the second, and none after the last.

    The requests must come one at a time.
    """
    left = iter(arms)
    now: list[Fault] = []

    def before() -> Reply | None:
        faults = Faults()
        next(left, lambda _: None)(faults)
        now[:] = faults.draw("submit_job")
        return next((reply for fault in now if (reply := fault.before())), None)

    def rows(rows: Rows) -> Rows:
        return now[0].rows(rows) if now else rows

    def after(reply: Reply) -> Reply:
        return now[0].after(reply) if now else reply

    return Fault(before=before, rows=rows, after=after)


def test_submissions_without_an_answer_run_once(workflow: MakeWorkflow) -> None:
    """Jobs whose submission was lost, or was answered by nobody or by an error page, run once each."""
    flow = workflow(_MANY)
    flow.use_quick_jobs()
    arms: list[Arm] = [
        lambda faults: faults.drop_after(),
        lambda faults: faults.drop_before(),
        lambda faults: faults.drop_after(reset=True),
        lambda faults: faults.status_code(503, after=True),
        lambda faults: faults.status_code(503, retry_after=1),
        lambda faults: faults.text("a severe error", after=True),
        lambda faults: faults.text("a severe error"),
    ]
    flow.sandbox.faults.add(_one_after_another(arms), call="submit_job")
    flow.succeed("--jobs", "20", "--frceapi-unknown-grace", "2", "--frceapi-max-connections", "1")

    assert _runs(flow) == _EACH_ONCE
    assert flow.calls("submit_job") >= _COUNT + 3
    assert len(flow.jobs) >= _COUNT


@pytest.mark.parametrize("moment", ["before", "after"])
def test_process_that_makes_the_calls_is_killed(moment: str, workflow: MakeWorkflow) -> None:
    """Killed by the system again and again, before jobs are taken or after, it loses none and runs none twice."""
    flow = workflow(_MANY)
    flow.use_quick_jobs()
    killed: list[list[str]] = []

    def kill(reply: Reply | None = None) -> Reply | None:
        (process,) = psutil.Process(running.process.pid).children()
        if len(killed) < _DEATHS:
            killed.append(process.cmdline())
            process.kill()
        return reply

    flow.sandbox.faults.add(Fault(**{moment: kill}), call="submit_job")  # type: ignore[arg-type]  # one of two callables
    running = flow.start("--jobs", "20", "--frceapi-unknown-grace", "2", "--frceapi-max-connections", "1")
    result = running.wait()

    assert result.exit_code == 0, result.output
    assert [words[-1] for words in killed] == ["snakemake_executor_plugin_frceapi.courier"] * _DEATHS
    assert _runs(flow) == _EACH_ONCE
    assert "the process that speaks to the service has ended before there was an answer" in result.output


def test_twins_run_once(workflow: MakeWorkflow) -> None:
    """A submission that was sent again because its first job waited runs once; the other ends at once."""
    flow = workflow(_MANY, config=SandboxConfig(cpus=_COUNT + 2, mem_mb=64_000))
    flow.use_quick_jobs("until [ -e go ]; do sleep 0.1; done")
    flow.sandbox.hold()
    flow.sandbox.faults.drop_after(call="submit_job", count=2)
    running = flow.start("--jobs", "20", "--frceapi-unknown-grace", "2")
    flow.wait_for(lambda: len(flow.jobs) == _COUNT + 2, "second submissions")
    flow.sandbox.release()
    flow.wait_for(lambda: sum(job.is_final for job in flow.jobs) == 2, "the ends of the twins")
    flow.write("go", "")
    result = running.wait()

    assert result.exit_code == 0, result.output
    assert _runs(flow) == _EACH_ONCE
    assert sorted(job.exit_code for job in flow.final_jobs() if job.exit_code is not None) == [0] * _COUNT + [75] * 2


def test_status_requests_that_fail_are_no_evidence(workflow: MakeWorkflow) -> None:
    """Listings that fail, are empty or hide jobs change nothing."""
    flow = workflow(_MANY)
    flow.use_quick_jobs("until [ -e go ]; do sleep 0.1; done")
    arms: list[Arm] = [
        lambda faults: faults.status_code(503),
        lambda faults: faults.empty_listing(),
        lambda faults: faults.truncate(30),
        lambda faults: faults.html(),
    ]
    running = flow.start("--jobs", "20")
    flow.wait_for(lambda: len(flow.jobs) == _COUNT, "submissions")
    flow.sandbox.faults.hide(*list(flow.sandbox.jobs)[:4], call="query_status")
    flow.sandbox.faults.add(_one_after_another(itertools.cycle(arms)), call="query_status")
    asked = flow.calls("query_status")
    flow.wait_for(lambda: flow.calls("query_status") > asked + len(arms), "each of them")
    flow.write("go", "")
    result = running.wait()

    assert result.exit_code == 0, result.output
    assert _runs(flow) == _EACH_ONCE
    assert len(flow.jobs) == _COUNT
    assert {0, 503} <= {request.status_code for request in flow.sandbox.requests}


def test_ignored_keys_are_named_once_with_the_setting_to_change(workflow: MakeWorkflow) -> None:
    """A job that got something else than was asked goes on; each such key is one line for the whole run."""
    flow = workflow("""
        rule all:
            input: expand("{n}.txt", n=[1, 2])
        rule one:
            output: "{n}.txt"
            resources: mem_mb=600, cpus_per_task=2
            shell: "echo {wildcards.n} >{output}"
    """)
    flow.sandbox.faults.ignore_key("cpus-per-task")
    flow.sandbox.faults.ignore_key("mem-per-node")
    result = flow.succeed()

    assert result.output.count("cpus-per-task=2 and got none; try --frceapi-number-format string") == 1
    assert result.output.count("asked for mem-per-node=600") == 1
    assert "asked for ntasks" not in result.output


_OUTLIVING = """
    rule all:
        input: "total"
    rule total:
        input: expand("early/{number}", number=range(4)), expand("late/{number}", number=range(4))
        output: "total"
        localrule: True
        shell: "cat ledger >{output}"
    rule one:
        output: "{when}/{number}"
        shell: "exit 99"
"""


def test_run_ends_by_itself_while_the_service_is_away(workflow: MakeWorkflow) -> None:
    """Once nothing is left to submit, jobs end and local rules run without the service; the user reads one line."""
    flow = workflow(_OUTLIVING)
    flow.use_quick_jobs("case $output in late*) while [ ! -e go ]; do sleep 0.1; done ;; esac")
    running = flow.start("--jobs", "20")
    flow.wait_for(lambda: running.text().count("Finished jobid") == 4, "the first half")
    hangs = threading.Event()
    flow.sandbox.faults.status_code(503, call="query_status", count=2)
    flow.sandbox.faults.add(Fault(before=hangs.set), call="query_status")
    flow.sandbox.faults.delay(1000, call="query_status")
    flow.wait_for(hangs.is_set, "a request that hangs")
    flow.sandbox.unplug()
    flow.write("go", "")
    result = running.wait()

    assert result.exit_code == 0, result.output
    assert_each_once(flow.lines("ledger"), [f"{when}/{number}" for when in ("early", "late") for number in range(4)])
    assert len(flow.jobs) == 8
    assert len([line for line in result.output.splitlines() if "query_status" in line]) == 1, result.output
    assert "used again" not in result.output
