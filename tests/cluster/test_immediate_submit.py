"""All jobs submitted at once, on real Slurm: its dependencies, and what becomes of them when a job fails."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.ledger import assert_each_once

if TYPE_CHECKING:
    from tests.cluster.desk import Desk

_CHAIN = """
    rule all:
        input: "c.txt", "d.txt"
        localrule: True
    rule a:
        output: "a.txt"
        resources: mem_mb=100
        shell: "exit 99"
    rule b:
        input: "a.txt"
        output: "b.txt"
        resources: mem_mb=100
        shell: "exit 99"
    rule c:
        input: "a.txt", "b.txt"
        output: "c.txt"
        resources: mem_mb=100
        shell: "exit 99"
    rule d:
        output: "d.txt"
        resources: mem_mb=100
        shell: "exit 99"
"""
_WORK = """
    until [ -e go ]; do sleep 0.2; done
    [ ! -e "fail-$output" ] || exit 3
"""


def _jobids(output: str) -> dict[str, str]:
    """Return the number of each rule's job, from what Snakemake printed."""
    lines = [line.rstrip(".").split() for line in output.splitlines() if line.startswith("Submitted job ")]
    return {words[4]: words[-1] for words in lines}


@pytest.mark.parametrize("wait", [False, True], ids=["unattended", "wait"])
@pytest.mark.parametrize("fails", [False, True], ids=["well", "failure"])
def test_slurm_runs_the_workflow_by_itself(desk: Desk, *, wait: bool, fails: bool) -> None:
    """Slurm shows each dependency; what waits for a job that failed never runs and is not left in the queue."""
    desk.write("Snakefile", _CHAIN)
    desk.use_quick_jobs(_WORK)
    if fails:
        desk.write("fail-b.txt", "")
    running = desk.start("--immediate-submit", "--notemp", *(["--frceapi-wait"] if wait else []))
    desk.wait_for(lambda: len(_jobids(running.text())) == 4, "all jobs in the queue")
    ids = _jobids(running.text())
    shown = {rule: desk.rig.slurm.show_jobs()[jobid]["Dependency"] for rule, jobid in ids.items()}
    desk.write("go", "")
    result = running.wait()

    assert f"afterok:{ids['a']}" in shown["b"]
    assert f"afterok:{ids['a']}" in shown["c"]
    assert f"afterok:{ids['b']}" in shown["c"]
    assert "afterok" not in shown["a"] + shown["d"]
    assert result.exit_code == (1 if wait and fails else 0), result.output
    ends = {"COMPLETED", "FAILED", "CANCELLED"}
    desk.wait_for(lambda: all(desk.listing()[jobid]["state"].split()[0] in ends for jobid in ids.values()), "the end")
    begun = sorted(line.split()[1] for line in desk.read("ledger").splitlines() if line.startswith("begin"))
    assert begun == ["a.txt", "b.txt", *([] if fails else ["c.txt"]), "d.txt"]
    assert ("Of 4 jobs 1 failed, and what waits for them does not run: c (1)." in result.output) == (wait and fails)
    plan = re.findall(r"^(\w+) +1$", desk.run("-n").output, re.MULTILINE)
    assert set(plan) == ({"all", "b", "c"} if fails else set())


def test_next_run_takes_up_what_is_pending(desk: Desk) -> None:
    """A second Snakemake submits none of the jobs again that Slurm holds, and tells how they end."""
    desk.write("Snakefile", _CHAIN)
    desk.use_quick_jobs(_WORK)
    assert desk.run("--immediate-submit", "--notemp").exit_code == 0
    running = desk.start("--rerun-incomplete")
    desk.wait_for(lambda: "Took up job" in running.text(), "a job that is taken up")
    desk.write("go", "")
    result = running.wait()

    assert result.exit_code == 0, result.output
    assert result.output.count("Took up job") == 4
    assert_each_once(desk.read("ledger").splitlines(), ["a.txt", "b.txt", "c.txt", "d.txt"])
