"""The console command beside a Snakemake that runs: what it shows, and that it disturbs nothing that it is not to."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from click.testing import CliRunner, Result

from snakemake_executor_plugin_frceapi.cli import main
from snakemake_executor_plugin_frceapi.sandbox import SandboxConfig
from tests.snakemake_process import Running
from tests.workflows.conftest import MakeWorkflow, Workflow

_SNAKEFILE = """
    rule all:
        input: expand("{n}.txt", n=[1, 2, 3])
        localrule: True

    rule make:
        output: "{n}.txt"
        shell: "exit 99"
"""

_WORK = "echo at work; touch said-$SLURM_JOB_ID; while [ ! -e go ]; do sleep 0.05; done; echo done"


@pytest.fixture
def flow(workflow: MakeWorkflow, monkeypatch: pytest.MonkeyPatch) -> Workflow:
    """A workflow of three jobs, of which two find room, in its own directory; they wait for a file ``go``."""
    flow = workflow(_SNAKEFILE, config=SandboxConfig(cpus=2, mem_mb=64_000))
    flow.use_quick_jobs(_WORK)
    monkeypatch.chdir(flow.directory)
    for name, value in flow.environment.items():
        monkeypatch.setenv(name, value)
    return flow


@pytest.fixture
def running(flow: Workflow) -> Running:
    """Its Snakemake, with two jobs at work and a third in the queue."""
    started = flow.start("--keep-going", "--frceapi-keep-successful-logs")
    flow.wait_for(lambda: len(flow.files("said-*")) == 2, "two jobs at work")
    flow.wait_for(lambda: started.text().count("Submitted job") == 3, "three jobs that Snakemake knows of")
    return started


def call(*arguments: str, answer: str = "") -> Result:
    """Run the console command."""
    result = CliRunner().invoke(main, arguments, input=answer)
    assert not isinstance(result.exception, Exception), result.output
    return result


def rows(*arguments: str) -> list[dict[str, Any]]:
    """Return the rows of ``frceapi jobs``."""
    return list(json.loads(call("jobs", "--json", *arguments).output)["jobs"])


@pytest.mark.usefixtures("running")
def test_shows_jobs_and_their_logs_while_snakemake_runs(flow: Workflow) -> None:
    """Rule, wildcards and log stand beside each listed job; a log is followed to the end of its job."""
    flow.wait_for(lambda: all(row["rule"] for row in rows()), "each job in the files of the run")
    seen = rows("--here", "--active")
    assert sorted((row["state"], row["rule"]) for row in seen) == [
        ("PENDING", "make"),
        ("RUNNING", "make"),
        ("RUNNING", "make"),
    ]
    assert sorted(row["wildcards"] for row in seen) == ["n=1", "n=2", "n=3"]
    running, waiting = (next(row for row in seen if row["state"] == state) for state in ("RUNNING", "PENDING"))
    assert running["log"] == f".snakemake/frceapi_logs/rule_make/{running['wildcards'][2:]}/{running['job']}.log"
    assert running["node"]
    table = call("jobs", "--here").output
    assert f"{waiting['job']}  PENDING" in table
    assert "3 jobs: 2 RUNNING, 1 PENDING" in table

    assert call("log", running["job"]).output == "at work\n"
    absent = call("log", waiting["job"])
    assert (absent.exit_code, absent.output) == (1, f"Error: job {waiting['job']} has not begun; -f waits for it\n")
    threading.Timer(0.5, flow.write, ["go", ""]).start()
    assert call("log", "-f", waiting["job"]).output == "at work\ndone\n"
    assert "none of this directory's" in call("log", "1").output


def test_cancels_jobs_that_a_living_snakemake_has_submitted(flow: Workflow, running: Running) -> None:
    """It asks first; then the jobs end, Snakemake sees them fail, and no other job of the workflow is lost."""
    waiting = next(str(job.job_id) for job in flow.jobs if job.state.value == "PENDING")
    asked = call("cancel", waiting, answer="n\n")
    assert asked.exit_code == 1
    assert f"Cancel 1 job ({waiting} make" in asked.output
    assert not any(job.state.value == "CANCELLED" for job in flow.jobs)

    ended = call("cancel", "--run", "--yes", "--timeout", "60")

    assert (ended.exit_code, "3 jobs (" in ended.output, "ended." in ended.output) == (0, True, True), ended.output
    assert call("cancel", "--run").output == "There is no job to cancel.\n"
    assert running.wait().exit_code == 1
    assert flow.files("*.txt") == []
    again = call("cancel", waiting)
    assert (again.exit_code, f"Error: job {waiting} has ended" in again.output) == (1, True)
