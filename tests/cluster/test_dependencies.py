"""Jobs that depend on others through Slurm alone, on real Slurm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.dependent_rules import DEPENDENT_RULES, job_of

if TYPE_CHECKING:
    from snakemake_executor_plugin_frceapi.sandbox.gateway import SlurmGateway
    from tests.cluster.desk import Desk


def test_a_dependency_is_waited_for(desk: Desk) -> None:
    """Slurm starts the job after the one that it names, which the job finds to have succeeded."""
    desk.write("Snakefile", DEPENDENT_RULES)
    running = desk.start()
    desk.wait_for(lambda: "of second with external jobid" in running.text(), "the dependent job")
    jobid = job_of("first", running.text())
    assert any(f"afterok:{jobid}" in job.get("Dependency", "") for job in desk.rig.slurm.show_jobs().values())
    desk.write("go", "")
    result = running.wait()

    assert result.exit_code == 0, result.output
    assert desk.read("second_ran.txt") == "ran\n"


def test_an_ignored_dependency_is_caught(desk: Desk, forgetful: SlurmGateway) -> None:
    """Where the service ignores the dependency, the job does not begin its command; the message says what to do."""
    forgetful.faults.ignore_key("dependency")
    desk.write("Snakefile", DEPENDENT_RULES)
    running = desk.start("--frceapi-marker-grace", "2")
    desk.wait_for(lambda: "did not succeed" in running.text(), "the failure")
    desk.write("go", "")
    result = running.wait()

    first = job_of("first", result.output)
    assert result.exit_code == 1
    assert desk.read("second_ran.txt") == ""
    assert f"frceapi: upstream job {first} (" in result.output
    assert f"It was submitted with dependency=afterok:{first}" in result.output
