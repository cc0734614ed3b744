"""Jobs that depend on others through Slurm alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.dependent_rules import DEPENDENT_RULES, job_of

if TYPE_CHECKING:
    from tests.workflows.conftest import MakeWorkflow


def test_a_dependency_is_waited_for(workflow: MakeWorkflow) -> None:
    """A job that goes ahead waits in the queue for the job that it names, too, and finds that it has succeeded."""
    flow = workflow(DEPENDENT_RULES)
    running = flow.start("--frceapi-marker-grace", "4")
    flow.wait_for(lambda: "of second with external jobid" in running.text(), "the dependent job")
    assert flow.states[-1] == "PENDING"
    numbers = [job_of(rule, running.text()) for rule in ("first", "later")]
    assert flow.jobs[-1].submission.dependency == f"afterok:{':'.join(numbers)}"
    flow.write("go", "")
    result = running.wait()

    assert result.exit_code == 0, result.output
    assert flow.lines("second_ran.txt") == ["ran"]
    assert flow.left_in_run_directory() == []


def test_an_ignored_dependency_is_caught(workflow: MakeWorkflow) -> None:
    """Where the service ignores the dependency, the job does not begin its command; the message says what to do."""
    flow = workflow(DEPENDENT_RULES)
    flow.sandbox.faults.ignore_key("dependency")
    running = flow.start("--frceapi-marker-grace", "2")
    flow.wait_for(lambda: "did not succeed" in running.text(), "the failure")
    flow.write("go", "")
    result = running.wait()

    first = job_of("first", result.output)
    assert result.exit_code == 1
    assert not flow.lines("second_ran.txt")
    assert f"frceapi: upstream job {first} (" in result.output
    assert f"It was submitted with dependency=afterok:{first}" in result.output
    assert (flow.directory / "first.txt").exists()
