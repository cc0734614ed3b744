"""Ctrl-C with many jobs, on an idle and on a full cluster, and beside programs of another cluster."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cluster.programs import put_first
from tests.cluster.slurm import CPUS, MEM_MB

if TYPE_CHECKING:
    from tests.cluster.desk import Desk
    from tests.snakemake_process import Running

_SLURM_PROGRAMS = ("sacct", "sbatch", "scancel", "scontrol", "sinfo", "squeue")

_JOBS = """
    rule all:
        input: expand("{n}.txt", n=range(COUNT))
        localrule: True

    rule one:
        output: "{n}.txt"
        resources: runtime=25, mem_mb=SHARE
        shell: "echo $SLURM_JOB_ID >>one.id; sleep 300; touch {output}"
"""

_OTHER_CLUSTER = {
    "scontrol": "echo 'ClusterName = elsewhere'",
    # Every number that a job of the test can have is one of the user's there, too.
    "squeue": 'for partition in short norm unlimited; do seq -f %g"|$(id -un)|$partition" 2000; done',
    "scancel": "true",
}


def start_jobs(desk: Desk, running: int, waiting: int, *options: str) -> Running:
    """Start a run with jobs of which just so many fit on the cluster at once; return when all are there.

    Beside them is room for the small job that cancels from within the cluster.
    """
    count, share = running + waiting, MEM_MB // max(1, running) - 100
    desk.write("Snakefile", _JOBS.replace("COUNT", str(count)).replace("SHARE", str(share)))
    run = desk.start("--jobs", str(count), *options)
    desk.wait_for(lambda: run.text().count("with external jobid") == count, "all jobs on the cluster")
    desk.wait_for(lambda: len(desk.read("one.id").split()) == running, "the running jobs")
    return run


def hide_slurm(desk: Desk, place: Path) -> None:
    """Let the desk's runs find all programs but Slurm's."""
    place.mkdir()
    for directory in map(Path, os.environ["PATH"].split(":")):
        for program in directory.iterdir() if directory.is_dir() else ():
            if program.name not in _SLURM_PROGRAMS and not (place / program.name).is_symlink():
                (place / program.name).symlink_to(program)
    desk.environment["PATH"] = str(place)


def record_calls(desk: Desk, calls: Path, programs: dict[str, str]) -> None:
    """Put programs before the real ones for the desk's runs, which record their calls in a file."""
    put_first(desk, {name: f'#!/bin/sh\necho "{name} $*" >>{calls}\n{text}\n' for name, text in programs.items()})


@pytest.mark.parametrize("has_scancel", [True, False], ids=["with scancel here", "without Slurm's programs"])
@pytest.mark.parametrize(("running", "waiting"), [(4, 12), pytest.param(20, 50, marks=pytest.mark.long)])
def test_interrupt_empties_an_idle_cluster(
    desk: Desk, tmp_path: Path, running: int, waiting: int, *, has_scancel: bool
) -> None:
    """Many running and waiting jobs end within the time for cancelling."""
    if has_scancel:
        desk.environment.update(desk.rig.slurm.environment)
    else:
        hide_slurm(desk, tmp_path / "bin")
    run = start_jobs(desk, running, waiting)
    run.interrupt()
    result = run.wait()

    assert result.exit_code != 0
    assert f"Cancelling {running + waiting} jobs" in result.output
    assert "All of them have ended" in result.output
    desk.wait_for(lambda: desk.rig.slurm.job_ids() == [], "an empty cluster")


def test_interrupt_on_a_full_cluster_tells_what_is_left(desk: Desk, tmp_path: Path) -> None:
    """Where nothing can start, the run ends all the same and prints the line that ends the jobs; none runs later."""
    hide_slurm(desk, tmp_path / "bin")
    everything = f"--exclusive --cpus-per-task={CPUS} --mem={MEM_MB}".split()
    blocker = desk.rig.slurm.run("sbatch", "--parsable", "--output=/dev/null", *everything, "--wrap=sleep 600").strip()
    desk.wait_for(lambda: desk.rig.slurm.show_job(blocker)["JobState"] == "RUNNING", "a full cluster")
    run = start_jobs(desk, 0, 5, "--frceapi-cancel-timeout", "3")
    jobs = sorted(re.findall(r"with external jobid (\d+)", run.text()), key=int)
    run.interrupt()
    result = run.wait()

    assert result.exit_code != 0
    assert "5 jobs may still be alive" in result.output
    assert f"type on the cluster: scancel {' '.join(jobs)}\n" in result.output
    assert set(jobs) <= set(desk.rig.slurm.job_ids())

    desk.rig.slurm.run("scancel", blocker)
    desk.wait_for(lambda: desk.rig.slurm.job_ids() == [], "an empty cluster")
    assert desk.read("one.id") == ""


def test_scancel_of_another_cluster_is_never_called(desk: Desk, tmp_path: Path) -> None:
    """Programs of another cluster, which has jobs of the same user and numbers, are asked for its name and no more."""
    calls = tmp_path / "calls"
    record_calls(desk, calls, _OTHER_CLUSTER)
    run = start_jobs(desk, 2, 3)
    run.interrupt()
    result = run.wait()

    assert "All of them have ended" in result.output
    assert set(calls.read_text("ascii").splitlines()) == {"scontrol show config"}
    desk.wait_for(lambda: desk.rig.slurm.job_ids() == [], "an empty cluster")
