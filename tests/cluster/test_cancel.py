"""Ctrl-C leaves nothing behind on the cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cluster.desk import Desk

_MORE_THAN_FIT = """
    rule all:
        input: expand("{n}.txt", n=range(9))
        localrule: True

    rule one:
        output: "{n}.txt"
        threads: 20
        resources: runtime=5
        shell: "echo $SLURM_JOB_ID >>one.id; sleep 300; touch {output}"
"""


@pytest.mark.parametrize("has_scancel", [True, False], ids=["with scancel here", "by a job of its own"])
def test_interrupt_empties_the_cluster(desk: Desk, *, has_scancel: bool) -> None:
    """Running and waiting jobs are cancelled, with ``scancel`` on the submitting machine and without it."""
    if has_scancel:
        desk.environment.update(desk.rig.slurm.environment)
    desk.write("Snakefile", _MORE_THAN_FIT)
    running = desk.start("--jobs", "9")
    desk.wait_for(lambda: len(desk.read("one.id").split()) == 3, "three running jobs")
    desk.wait_for(lambda: running.text().count("with external jobid") == 9, "nine jobs")
    running.interrupt()
    result = running.wait()

    assert result.exit_code != 0
    assert "may still be alive" not in result.output
    desk.wait_for(lambda: desk.rig.slurm.job_ids() == [], "an empty cluster")


def test_command_cancels_a_job_of_another_directory(desk: Desk) -> None:
    """``frceapi cancel`` ends any job that the API lists as the user's, from within the cluster."""
    jobid = desk.rig.slurm.run("sbatch", "--parsable", "--output=/dev/null", "--wrap=sleep 300").strip()
    desk.wait_for(lambda: jobid in desk.listing(), "the job in the listing")
    done = desk.command("cancel", jobid, "--yes", "--timeout", "200")

    assert (done.returncode, done.stdout) == (0, f"1 job ({jobid}): ended.\n"), done.stderr
    assert desk.listing()[jobid]["state"] == "CANCELLED"
