"""Ends that Slurm brings about, each with the right verdict and a message that helps."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

from tests.run_directories import until_peak_mb

if TYPE_CHECKING:
    from tests.cluster.desk import Desk

_ONE_RULE = """
    rule one:
        output: "one.txt"
        resources: runtime=5
        shell: "echo $SLURM_JOB_ID >>one.id; {command}"
"""


def one_rule(desk: Desk, command: str) -> None:
    """Write a workflow of one rule, whose command first writes its job's id to ``one.id``."""
    desk.write("Snakefile", _ONE_RULE.replace("{command}", command))


def test_failed_job_tells_exit_code_and_last_lines(desk: Desk) -> None:
    """FAILED: the exit code and what the command printed."""
    one_rule(desk, "echo it is broken; exit 3")
    result = desk.run()

    assert result.exit_code == 1
    assert "the job command failed (state FAILED, exit code" in result.output
    assert "it is broken" in result.output


def test_job_over_its_time_limit_tells_how_to_raise_it(desk: Desk) -> None:
    """TIMEOUT: the limit that was asked for and the line that raises it."""
    one_rule(desk, "sleep 300")
    running = desk.start()
    desk.rig.slurm.run("scontrol", "update", f"JobId={desk.job_of('one')}", "EndTime=now+1")
    result = running.wait()

    assert result.exit_code == 1
    assert "ended by a signal from outside (state TIMEOUT)" in result.output
    assert "more with: --set-resources one:runtime=10, or" in result.output


def test_cancelled_job_is_told_as_such(desk: Desk) -> None:
    """CANCELLED: somebody typed scancel."""
    one_rule(desk, "sleep 300")
    running = desk.start()
    desk.rig.slurm.run("scancel", desk.job_of("one"))
    result = running.wait()

    assert result.exit_code == 1
    assert "ended by a signal from outside (state CANCELLED)" in result.output


def test_requeued_job_runs_again_under_its_id(desk: Desk) -> None:
    """``scontrol requeue``: SIGTERM, a second start with the same id, and no failure is reported."""
    one_rule(desk, "[ $(wc -l <one.id) -eq 2 ] || sleep 300; echo done >{output}")
    running = desk.start()
    job = desk.job_of("one")
    desk.rig.slurm.run("scontrol", "requeue", job)
    result = running.wait()

    assert result.exit_code == 0, result.output
    assert desk.read("one.id").split() == [job, job]
    assert desk.rig.slurm.show_job(job)["Restarts"] == "1"
    assert "failed:" not in result.output


def test_job_that_lost_its_node_runs_again(desk: Desk) -> None:
    """NODE_FAIL with requeue: no failure is reported."""
    one_rule(desk, "[ $(wc -l <one.id) -eq 2 ] || sleep 300; echo done >{output}")
    running = desk.start()
    job = desk.job_of("one")
    desk.rig.slurm.fail_node()
    desk.rig.slurm.resume_node()
    result = running.wait()

    assert result.exit_code == 0, result.output
    assert desk.read("one.id").split() == [job, job]


def test_job_over_its_memory_tells_that_it_was_killed(desk: Desk) -> None:
    """Killed at once for its memory, which a Slurm without cgroups calls FAILED: the job's own measure tells why."""
    grow = f"held = bytearray(540 << 20)\n{until_peak_mb(540)}more = bytearray(200 << 20)\ntime.sleep(60)\n"
    one_rule(desk, "exit 99")
    desk.use_quick_jobs(f"{sys.executable} -S -c {shlex.quote(grow)}")
    result = desk.run("--frceapi-marker-grace", "5", "--set-resources", "one:mem_mb=600")

    assert result.exit_code == 1
    assert "Slurm ended it (state FAILED)" in result.output
    assert "It was killed, probably for its memory. It asked for 600 MB and was seen to hold " in result.output
    assert "more with: --set-resources one:mem_mb=1200, or" in result.output
