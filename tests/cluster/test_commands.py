"""The console command beside a Snakemake whose jobs are a real Slurm's."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.rig import FRCEAPI

if TYPE_CHECKING:
    from tests.cluster.desk import Desk
    from tests.snakemake_process import Running

_SNAKEFILE = """
    rule all:
        input: expand("{n}.txt", n=range(3))
        localrule: True

    rule make:
        output: "{n}.txt"
        threads: 32
        resources: runtime=60
        shell: "exit 99"
"""
_WORK = "echo at work; touch said-$SLURM_JOB_ID; while [ ! -e go ]; do sleep 0.1; done; echo done"


@pytest.fixture
def running(desk: Desk) -> Running:
    """A Snakemake with two jobs at work, and a third in the queue for which the cluster has no room."""
    desk.environment.update(desk.rig.slurm.environment)
    desk.write("Snakefile", _SNAKEFILE)
    desk.use_quick_jobs(_WORK)
    started = desk.start("--keep-going", "--frceapi-keep-successful-logs", "--frceapi-marker-grace", "2")
    desk.wait_for(lambda: len(list(desk.directory.glob("said-*"))) == 2, "two jobs at work")
    desk.wait_for(lambda: len(rows(desk)) == 3, "three jobs")
    return started


def rows(desk: Desk, *arguments: str) -> list[dict[str, Any]]:
    """Return the rows of ``frceapi jobs``."""
    return list(json.loads(desk.command("jobs", "--here", "--json", *arguments).stdout)["jobs"])


def test_commands_tell_of_jobs_and_end_them(desk: Desk, running: Running) -> None:
    """Jobs are shown with what Slurm and the run know of them, logs followed, a script submitted, and all ended."""
    seen = rows(desk)
    assert [(row["state"], row["rule"], row["partition"]) for row in seen] == [
        ("PENDING", "make", "norm"),
        ("RUNNING", "make", "norm"),
        ("RUNNING", "make", "norm"),
    ]
    assert sorted(row["wildcards"] for row in seen) == ["n=0", "n=1", "n=2"]
    waiting, *working = seen
    assert [row["node"] for row in working] == [desk.rig.slurm.show_job(row["job"])["NodeList"] for row in working]
    table = [line.split()[:2] for line in desk.command("jobs", "--here").stdout.splitlines()]
    assert table[1:-1] == [[row["job"], row["state"]] for row in seen]
    assert desk.command("log", working[0]["job"]).stdout == "at work\n"

    ended = desk.command("cancel", "--all-pending", "--yes", "--timeout", "100")
    assert (ended.returncode, ended.stdout) == (0, f"1 job ({waiting['job']} make {waiting['wildcards']}): ended.\n")
    assert [row["state"] for row in rows(desk, "--active")] == ["RUNNING", "RUNNING"]

    desk.write("job.sh", f"#!/bin/sh\n#SBATCH --ntasks=1\n#SBATCH -o {desk.directory}/out\ntrue\n")
    refused = desk.command("submit", "job.sh", "-p", "norm")
    assert (refused.returncode, "-o" in refused.stderr) == (1, True)
    desk.write("job.sh", f"#!/bin/sh\n#SBATCH -c 60\nsleep 300 >{desk.directory}/out\n")
    submitted = desk.command("submit", "job.sh", "-p", "norm", "--mem", "100M", "-t", "7")
    jobid = submitted.stdout.split()[-1]
    shown = desk.rig.slurm.show_job(jobid)
    assert submitted.stdout == f"Submitted batch job {jobid}\n"
    assert (shown["TimeLimit"], shown["NumCPUs"], shown["JobState"]) == ("00:07:00", "60", "PENDING")

    follower = subprocess.Popen(
        [sys.executable, "-c", FRCEAPI, "log", "-f", working[1]["job"]],
        cwd=desk.directory,
        env=desk.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    ended = desk.command("cancel", working[0]["job"], "--yes", "--timeout", "60")
    assert (ended.returncode, ended.stdout) == (
        0,
        f"1 job ({working[0]['job']} make {working[0]['wildcards']}): ended.\n",
    )
    desk.write("go", "")
    assert follower.communicate(timeout=60)[0] == "at work\ndone\n"
    assert running.wait().exit_code == 1
    assert len(list(desk.directory.glob("*.txt"))) == 1
