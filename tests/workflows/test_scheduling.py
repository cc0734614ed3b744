"""How many jobs are submitted at a time, how often the API is asked, and what Slurm does to jobs meanwhile."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

import pytest

from snakemake_executor_plugin_frceapi.sandbox import SandboxConfig

if TYPE_CHECKING:
    from tests.workflows.conftest import MakeWorkflow

_MANY = """
    rule all:
        input: expand("out/{{number}}", number=range({count}))
    rule one:
        output: "out/{{number}}"
        shell: "exit 99"
"""


def test_many_short_jobs_take_few_status_requests(workflow: MakeWorkflow) -> None:
    """200 jobs are 200 submissions, and one status request an interval serves them all."""
    flow = workflow(_MANY.format(count=200), config=SandboxConfig(cpus=400, mem_mb=1_000_000))
    flow.use_quick_jobs()
    begin = time.monotonic()
    flow.succeed("--jobs", "200", "--seconds-between-status-checks", "0")
    seconds = time.monotonic() - begin

    assert flow.calls("submit_job") == 200
    assert len(flow.lines("ledger")) == 400
    assert flow.calls("query_status") <= seconds / 1.0 + 2
    assert flow.left_in_run_directory() == []


@pytest.mark.parametrize(
    "arguments",
    [("--seconds-between-status-checks", "4"), ("--max-status-checks-per-second", "0.25")],
    ids=["interval", "rate"],
)
def test_status_requests_keep_their_distance(workflow: MakeWorkflow, arguments: tuple[str, str]) -> None:
    """Both of Snakemake's options for it say how often the API is asked; ends are seen all the same."""
    flow = workflow(_MANY.format(count=3))
    flow.use_quick_jobs("sleep 5")
    begin = time.monotonic()
    flow.succeed(*arguments)
    seconds = time.monotonic() - begin

    assert 2 <= flow.calls("query_status") <= seconds / 4.0 + 2


def test_never_more_jobs_than_allowed_at_once(workflow: MakeWorkflow) -> None:
    """``--jobs`` limits the jobs that are submitted and not ended."""
    flow = workflow(_MANY.format(count=8))
    flow.use_quick_jobs("sleep 0.5")
    flow.succeed("--jobs", "3")

    steps = [1 if line.startswith("begin") else -1 for line in flow.lines("ledger")]
    assert len(steps) == 16
    assert max(itertools.accumulate(steps)) <= 3


def test_pace_of_submissions_is_kept(workflow: MakeWorkflow) -> None:
    """``--max-jobs-per-timespan`` spreads the submissions."""
    flow = workflow(_MANY.format(count=3))
    flow.use_quick_jobs()
    flow.succeed("--max-jobs-per-timespan", "1/3s")

    assert len(flow.jobs) == 3
    # The start is asked about before the first job is handed over, and what delays a submission only adds to the time.
    assert flow.jobs[-1].submitted_at - flow.sandbox.requests[0].time >= 6


def test_jobname_names_the_jobscript(workflow: MakeWorkflow) -> None:
    """What ``--jobname`` makes of a job is seen where its processes are listed."""
    flow = workflow(_MANY.format(count=1))
    flow.use_quick_jobs('basename "$0" >name')
    flow.succeed("--jobname", "my.{rulename}.{wildcards.number}.{jobid}.x y")

    assert flow.read("name") == "job-my.one.0.1.x_y\n"


def test_jobs_that_slurm_starts_again_run_one_after_the_other(workflow: MakeWorkflow) -> None:
    """A requeued and a preempted job end well under their ids, and no run overlaps the next."""
    flow = workflow("""
        rule all:
            input: "requeued", "preempted"
        rule one:
            output: "{name}"
            shell:
                '''
                [ ! -s {wildcards.name}.pid ] || ! kill -0 "$(cat {wildcards.name}.pid)" || touch overlap
                echo $$ >{wildcards.name}.pid
                echo "begin $SLURM_JOB_ID ${{SLURM_RESTART_COUNT:-0}}" >>{wildcards.name}.ledger
                until [ -e go ]; do sleep 0.1; done
                echo "end $SLURM_JOB_ID ${{SLURM_RESTART_COUNT:-0}}" >>{wildcards.name}.ledger
                touch {output}
                '''
    """)
    running = flow.start()
    for name, disturb in (("requeued", flow.sandbox.requeue), ("preempted", flow.sandbox.preempt)):
        flow.wait_for(lambda name=name: flow.lines(f"{name}.ledger"), f"start of {name}")  # type: ignore[misc]
        disturb(flow.lines(f"{name}.ledger")[0].split()[1])
        flow.wait_for(lambda name=name: len(flow.lines(f"{name}.ledger")) > 1, f"restart of {name}")  # type: ignore[misc]
    flow.write("go", "")
    result = running.wait()

    assert result.exit_code == 0, result.output
    for name in ("requeued", "preempted"):
        ledger = flow.lines(f"{name}.ledger")
        jobid = ledger[0].split()[1]
        assert ledger == [f"begin {jobid} 0", f"begin {jobid} 1", f"end {jobid} 1"]
    assert flow.files("overlap") == []
    assert len(flow.jobs) == 2
