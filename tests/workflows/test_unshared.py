"""Whole runs without a run directory, in which the working directory is shared all the same, so that no storage is."""

from __future__ import annotations

import pytest

from tests.workflows.conftest import MakeWorkflow, Workflow

_SHARED = ["--shared-fs-usage", "input-output", "sources", "software-deployment", "storage-local-copies"]
_TWO = """
    rule all:
        input: "out/good", "out/bad"
    rule one:
        output: "out/{name}"
        resources: mem_mb=100, runtime=1
        shell: "exit 99"
"""
_ONE = _TWO.replace(', "out/bad"', "")


def _unshared(flow: Workflow) -> Workflow:
    """Let the jobs have no run directory, and a directory for their logs that is nowhere near the workflow."""
    flow.defaults += [*_SHARED, "--frceapi-logdir", str(flow.directory.parent / "cluster logs")]
    return flow


def _logs(flow: Workflow) -> list[str]:
    return sorted(path.name for path in (flow.directory.parent / "cluster logs").glob("*"))


def test_listing_tells_what_became_of_jobs(workflow: MakeWorkflow) -> None:
    """One job succeeds and one fails, by their states alone; of the latter the log is left on the cluster."""
    flow = _unshared(workflow(_TWO))
    flow.use_quick_jobs("[ $output = out/good ] || { echo the cause; exit 3; }")
    result = flow.run("--keep-going")

    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    failed = next(job for job in flow.jobs if job.exit_code)
    assert f"Job {failed.job_id} failed: Slurm says so, and no more is known (state FAILED)." in result.output
    log = flow.directory.parent / "cluster logs" / f"{failed.job_id}.log"
    assert f"its log is on the cluster: {log}" in result.output
    assert _logs(flow) == [log.name]
    assert log.read_text() == "the cause\n"
    assert flow.files("out/*") == ["out/good"]
    assert not flow.left_in_run_directory()
    assert str(failed.job_id) in flow.read(".snakemake/frceapi_logs/jobs.tsv")


def test_killed_snakemake_takes_up_its_jobs(workflow: MakeWorkflow) -> None:
    """After kill -9 the next run goes on with what runs and with what has ended; nothing is submitted again."""
    flow = _unshared(workflow(_TWO))
    flow.use_quick_jobs("while [ ! -e go-${output#out/} ]; do sleep 0.1; done")
    running = flow.start()
    flow.wait_for(lambda: len(flow.lines("ledger")) == 2, "two jobs that run")
    flow.wait_for(lambda: running.text().count("Submitted job") == 2, "two jobs that Snakemake knows of")
    running.kill()
    flow.write("go-good", "")
    flow.wait_for(lambda: "COMPLETED" in flow.states, "the end of one of them")
    flow.succeed("--unlock")
    again = flow.start("--rerun-incomplete")
    flow.wait_for(lambda: "Took up job" in again.text(), "a job that is taken up")
    flow.write("go-bad", "")
    result = again.wait()

    assert result.exit_code == 0, result.output
    assert flow.states == ["COMPLETED", "COMPLETED"]
    assert flow.files(".snakemake/frceapi-unshared/*/*") == []


def test_interrupted_run_prints_what_is_left(workflow: MakeWorkflow) -> None:
    """A job of a sandbox hears no scancel, and there is no order that it could see: it is named."""
    flow = _unshared(workflow(_ONE))
    flow.use_quick_jobs("sleep 60")
    running = flow.start("--frceapi-cancel-timeout", "1")
    flow.wait_for(lambda: flow.lines("ledger"), "a job that runs")
    running.interrupt()
    result = running.wait()

    assert result.exit_code != 0
    assert f"1 job may still be alive, out of reach of this machine. They are: {flow.jobs[0].job_id}." in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--frceapi-on-exit", "leave"], "--frceapi-on-exit leave cannot work without a shared file system: "),
        (["--envvars", "HIDDEN_NUMBER"], "HIDDEN_NUMBER would go to the jobs in the text of their scripts"),
    ],
)
def test_refuses_what_cannot_work(arguments: list[str], words: str, workflow: MakeWorkflow) -> None:
    """One line says so before anything is submitted, and no value of a variable stands in it."""
    flow = _unshared(workflow(_ONE))
    flow.environment["HIDDEN_NUMBER"] = "4711"
    result = flow.run(*arguments)

    assert result.exit_code == 1
    (line,) = [line for line in result.output.splitlines() if words in line]
    assert line.startswith("Error: ")
    assert "Traceback" not in result.output
    assert "4711" not in result.output
    assert flow.jobs == []


def test_gives_secrets_where_that_is_allowed(workflow: MakeWorkflow) -> None:
    """With --frceapi-secrets-in-script the job has the variable, and the environment here otherwise stays here."""
    flow = _unshared(workflow(_ONE))
    flow.environment |= {"HIDDEN_NUMBER": "47 11", "OTHER": "mine"}
    flow.use_quick_jobs('echo "$HIDDEN_NUMBER,${OTHER:-none}" >told')
    flow.succeed("--envvars", "HIDDEN_NUMBER", "--frceapi-secrets-in-script")

    assert flow.read("told") == "47 11,none\n"


def test_names_what_makes_a_command_too_large(workflow: MakeWorkflow) -> None:
    """A job that does not fit into a request fails with what is to be changed, and is never sent."""
    flow = _unshared(workflow(_ONE))
    noise = "".join(f"{number * number * 7919 % 65537:x}" for number in range(1500))
    result = flow.run("--config", f"noise={noise}")

    assert result.exit_code == 1
    assert "of them are for --config; put the values into a file and name it with --configfile" in result.output
    assert flow.jobs == []
