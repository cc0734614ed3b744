"""What Snakemake's books say of jobs that ended while no Snakemake was there; groups of which a part has ended."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.final_state import OF_THE_RUN, records
from tests.ledger import assert_each_once

if TYPE_CHECKING:
    from tests.workflows.conftest import MakeWorkflow, Workflow


def _end_meanwhile(flow: Workflow, jobs: int) -> None:
    """Kill Snakemake when all jobs are submitted, and let them end."""
    flow.sandbox.hold()
    running = flow.start()
    flow.wait_for(lambda: running.text().count("Submitted ") == jobs, "submitted jobs")
    running.signal(signal.SIGKILL)
    running.wait()
    flow.sandbox.release()
    assert set(flow.final_states()) == {"COMPLETED"}
    assert records(flow.directory) == {}
    flow.succeed("--unlock")


_ALL_KINDS = """
    rule all:
        localrule: True
        input: "shell", "script", "directory", "group"
    rule shell:
        input: "in.txt", other=ancient("Snakefile")
        output: "shell", named="shell.2"
        params: "a b", number=7, of_wildcards=lambda wildcards: {"b": 2.5, "a": ["ü", None]}
        log: "logs/shell.log"
        benchmark: "shell.benchmark"
        envmodules: "R/4"
        threads: 2
        resources: mem_mb=200
        shell: "date >{log}; touch {output}"
    rule script:
        output: "script"
        params: "x"
        script: "s.py"
    rule directory:
        output: directory("directory")
        run:
            shell("mkdir {output}")
    rule first:
        input: "in.txt"
        output: temp("first")
        group: "pair"
        shell: "touch {output}"
    rule group:
        input: "first"
        output: "group"
        group: "pair"
        shell: "cp {input} {output}"
"""


def _all_kinds(workflow: MakeWorkflow, directory: str) -> Workflow:
    flow = workflow(_ALL_KINDS, directory=directory)
    flow.write("in.txt", "content\n")
    flow.write("s.py", "open(snakemake.output[0], 'w').close()\n")
    return flow


def test_record_is_that_of_an_undisturbed_run(workflow: MakeWorkflow) -> None:
    """The books say the same of each job, whether Snakemake has seen its end or not, with the job's own times."""
    undisturbed = _all_kinds(workflow, "undisturbed")
    undisturbed.succeed()
    flow = _all_kinds(workflow, "killed")
    _end_meanwhile(flow, 4)
    assert "Nothing to be done" in flow.succeed().output
    expected, found = records(undisturbed.directory), records(flow.directory)

    assert found.keys() == expected.keys() >= {"shell", "shell.2", "script", "directory", "group"}
    for name, record in expected.items():
        assert found[name] | dict.fromkeys(OF_THE_RUN) == record | dict.fromkeys(OF_THE_RUN), name
    begun = {job.submitted_at for job in flow.jobs}
    for name in ("shell", "shell.2", "script", "group"):
        assert min(begun) < found[name]["starttime"] < found[name]["endtime"]
        assert found[name]["endtime"] == pytest.approx((flow.directory / name).stat().st_mtime)
    assert "Nothing to be done" in flow.succeed("--dry-run").output
    assert flow.calls("submit_job") == 4
    assert flow.left_in_run_directory() == []
    assert flow.files(".snakemake/frceapi_logs/**/*.log") == []
    assert list(flow.directory.glob(".snakemake/frceapi/*/journal-*")) == []


_THREE = """
    rule all:
        localrule: True
        input: "code", "params", "input"
    rule code:
        output: "code"
        run:
            shell("touch {output}")
    rule params:
        output: "params"
        params: number=1
        shell: "touch {output}"
    rule input:
        input: "in.txt"
        output: "input"
        shell: "touch {output}"
"""
_CHANGED = _THREE.replace('shell("touch {', 'shell("touch  {').replace("number=1", "number=2")


def test_later_change_is_seen(workflow: MakeWorkflow) -> None:
    """Code, parameters or inputs that change after the records were made make Snakemake run the jobs again."""
    flow = workflow(_THREE)
    flow.write("in.txt", "")
    _end_meanwhile(flow, 3)
    flow.succeed()
    flow.write("Snakefile", _CHANGED)
    flow.write("in.txt", "other")
    output = flow.succeed("--dry-run").output

    for reason in (
        "Code has changed since last execution",
        "Params have changed since last execution",
        "Updated input files: in.txt",
    ):
        assert reason in output


def test_change_meanwhile_is_told_and_not_recorded(workflow: MakeWorkflow) -> None:
    """No record says that the output was made by what stands there now; the user reads once what to do."""
    flow = workflow(_THREE)
    flow.write("in.txt", "")
    _end_meanwhile(flow, 3)
    flow.write("Snakefile", _CHANGED)
    found = flow.write("in.txt", "other").stat()
    os.utime(flow.directory / "in.txt", (found.st_atime - 3600, found.st_mtime - 3600))
    first, second = flow.succeed(), flow.succeed()

    for rule in ("code", "params", "input"):
        assert f"Snakemake takes its outputs as they are; to make them anew, add --forcerun {rule}." in first.output
    assert "--forcerun" not in second.output
    assert records(flow.directory) == {}
    assert flow.left_in_run_directory() == []
    assert flow.calls("submit_job") == 3


_SPLIT = """
    rule all:
        localrule: True
        input: "left", "right"
    rule top:
        output: "top"
        group: "g"
        shell: "echo begin {output} $SLURM_JOB_ID >>ledger; touch {output}; echo end {output} $SLURM_JOB_ID >>ledger"
    rule side:
        input: "top"
        output: "{side,left|right}"
        group: "g"
        shell:
            "echo begin {output} $SLURM_JOB_ID >>ledger; until [ -e go ]; do sleep 0.1; done; touch {output}; "
            "echo end {output} $SLURM_JOB_ID >>ledger"
"""


def test_rest_of_a_group_is_adopted_by_all_of_its_members(workflow: MakeWorkflow) -> None:
    """When what joined a group is done, its members are jobs of their own, and none of them runs beside the group."""
    flow = workflow(_SPLIT)
    running = flow.start()
    flow.wait_for(lambda: len(flow.lines("ledger")) == 4, "the members that wait")
    running.signal(signal.SIGKILL)
    running.wait()
    flow.succeed("--unlock")
    running = flow.start("--rerun-incomplete")
    flow.wait_for(lambda: running.text().count("Took up group job") == 2, "two jobs that are taken up")
    flow.write("go", "")
    result = running.wait()

    assert result.exit_code == 0, result.output
    assert_each_once(flow.lines("ledger"), ["top", "left", "right"])
    assert flow.final_states() == ["COMPLETED"]
    assert records(flow.directory).keys() >= {"left", "right"}
    assert "Nothing to be done" in flow.succeed("--dry-run").output
    assert flow.left_in_run_directory() == []


def test_member_of_a_group_that_comes_late_does_not_run_again(workflow: MakeWorkflow) -> None:
    """With one job at a time, the second member becomes ready when the group has made it."""
    flow = workflow(_SPLIT)
    running = flow.start()
    flow.wait_for(lambda: len(flow.lines("ledger")) == 4, "the members that wait")
    running.signal(signal.SIGKILL)
    running.wait()
    flow.succeed("--unlock")
    running = flow.start("--rerun-incomplete", "--jobs", "1")
    flow.wait_for(lambda: "Took up group job" in running.text(), "a job that is taken up")
    flow.write("go", "")
    result = running.wait()

    assert result.exit_code == 0, result.output
    assert_each_once(flow.lines("ledger"), ["top", "left", "right"])
    assert flow.final_states() == ["COMPLETED"]
    assert records(flow.directory).keys() >= {"left", "right"}
    assert flow.files(".snakemake/frceapi_logs/**/*.log") == []
