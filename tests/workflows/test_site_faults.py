"""Many jobs that cannot begin: Snakemake ends with one message instead of failing all of them, or waits and goes on."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from snakemake_executor_plugin_frceapi.sandbox import Fault

if TYPE_CHECKING:
    from tests.workflows.conftest import MakeWorkflow, Workflow

_COUNT = 40
_MANY = f"""
    rule all:
        input: expand("out/{{number}}", number=range({_COUNT}))
    rule one:
        output: "out/{{number}}"
        shell: "exit 99"
"""
_PATIENT = ["--keep-going", "--retries", "3", "--frceapi-marker-grace", "1", "--frceapi-max-connections", "1"]


def _blind(flow: Workflow, *, seeing: int = 0) -> None:
    """Let nodes not see the run directory, as if it were on a disk of the submitting machine; do not wait for it.

    Args:
        flow: the workflow.
        seeing: how many jobs come to a node that does before the others come to one that does not.
    """
    numbers = itertools.count()

    def request(document: dict[str, object]) -> dict[str, object]:
        script = str(document["script-body"]).replace("sleep 5", "sleep 0")
        if next(numbers) >= seeing:
            script = script.replace(str(flow.directory), "/not/on/this/node")
        return document | {"script-body": script}

    flow.sandbox.faults.add(Fault(request=request), call="submit_job")


def _said(output: str, *words: str) -> str:
    """Return the one line with all the words."""
    found = [line for line in output.splitlines() if all(word in line for word in words)]
    assert len(found) == 1, output
    return found[0]


def test_directory_that_nodes_do_not_see_ends_the_run(workflow: MakeWorkflow) -> None:
    """Of forty jobs the first that comes to a node ends the run, with one message that says what to do."""
    flow = workflow(_MANY)
    flow.use_quick_jobs()
    _blind(flow)
    result = flow.run(*_PATIENT, "--jobs", "6")

    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    assert "Error in rule" not in result.output
    line = _said(result.output, "of rule one failed and left nothing in", "--shared-fs-usage none")
    assert "Start it in a directory that is shared" in line
    assert {job.exit_code for job in flow.final_jobs()} == {66}
    assert len(flow.jobs) <= 6
    assert flow.lines("ledger") == []


def test_service_that_refuses_every_job_ends_the_run(workflow: MakeWorkflow) -> None:
    """A handful of submissions is refused, not a hundred and sixty; the message has the service's reason."""
    flow = workflow(_MANY)
    flow.use_quick_jobs()
    flow.sandbox.faults.refuse("backend_query_job_submission_failed", call="submit_job")
    result = flow.run(*_PATIENT, "--jobs", "6")

    assert result.exit_code == 1, result.output
    line = _said(result.output, "jobs were not submitted: ", "Snakemake gives up")
    assert "backend_query_job_submission_failed" in line
    assert 5 <= flow.calls("submit_job") <= 15
    assert flow.left_in_run_directory() == []


def test_retries_wait_until_a_job_ends_well(workflow: MakeWorkflow) -> None:
    """While one job runs and all others fail, the rest is held back with all its retries; then everything is sent."""
    flow = workflow(_MANY)
    flow.use_quick_jobs("mkdir first 2>/dev/null && while [ ! -e go ]; do sleep 0.1; done")
    _blind(flow, seeing=1)
    running = flow.start(*_PATIENT, "--jobs", "10")
    flow.wait_for(lambda: "Nothing more is submitted" in running.text(), "the line at the begin")
    flow.wait_for(
        lambda: running.text().count("Error in rule one") == len(flow.jobs) - 1,
        "Snakemake to know the end of all jobs but one: one of which it hears later would hold the rest back again",
    )
    tried = len(flow.jobs)
    flow.sandbox.faults.clear()
    flow.write("go", "")
    result = running.wait()

    assert result.exit_code == 0, result.output
    _said(result.output, "Nothing more is submitted; ", "that the cluster")
    _said(result.output, "Jobs are submitted again")
    assert tried <= 20
    assert sorted(line.split()[1] for line in flow.lines("ledger") if line.startswith("end")) == sorted(
        f"out/{number}" for number in range(_COUNT)
    )
