"""Workflows run on the real parts: Kerberos, Apache and Slurm."""

from __future__ import annotations

from pathlib import Path

import psutil
import requests

from tests.cluster.desk import Desk
from tests.cluster.rig import running_rig
from tests.cluster.slurm import SlurmOptions

_CHAIN = """
    rule all:
        input: "sum.txt"
        localrule: True

    rule number:
        output: "{n}.txt"
        shell: "echo {wildcards.n} >{output}"

    rule sum:
        input: expand("{n}.txt", n=[1, 2, 3])
        output: "sum.txt"
        threads: 2
        resources: mem_mb=200, runtime=5
        shell: "cat {input} >{output}; echo $SLURM_CLUSTER_NAME $SLURM_CPUS_PER_TASK >>{output}"
"""


def test_workflow_ends_well_and_second_run_has_nothing_to_do(desk: Desk) -> None:
    """Jobs over HTTPS and SPNEGO on Slurm make the right files, once."""
    desk.write("Snakefile", _CHAIN)

    first, second = desk.run(), desk.run()

    assert first.exit_code == 0, first.output
    assert desk.read("sum.txt") == "1\n2\n3\nfnlcr 2\n"
    assert "Nothing to be done" in second.output


def test_request_without_ticket_is_refused(desk: Desk) -> None:
    """Apache asks for Kerberos and lets nobody through without it."""
    answer = requests.get(f"{desk.rig.web.url}/query_status", verify=str(desk.rig.ca_bundle), timeout=30)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Negotiate"


def test_job_that_slurm_forgot_is_still_listed(tmp_path: Path) -> None:
    """The listing remembers ends that squeue no longer shows."""
    with running_rig(SlurmOptions(min_job_age=10)) as rig:
        desk = Desk(tmp_path, rig)
        desk.kinit()
        desk.write("Snakefile", _CHAIN)
        result = desk.run()
        desk.wait_for(lambda: not rig.slurm.run("squeue", "-h", "--states=all"), "that Slurm forgets the jobs", 120)
        listed = desk.listing()

    assert result.exit_code == 0, result.output
    assert [listed[job]["state"] for job in ("1", "2", "3", "4")] == ["COMPLETED"] * 4


def test_nothing_of_a_rig_is_left() -> None:
    """All daemons and jobs have ended with the rig, and its files are gone."""
    with running_rig() as rig:
        rig.slurm.run("sbatch", "--output=/dev/null", "--wrap=sleep 300")
        directory = rig.directory

    assert not directory.exists()
    assert [process for process in psutil.process_iter(["cmdline"]) if mentions(process, directory)] == []


def mentions(process: psutil.Process, directory: Path) -> bool:
    """Return whether a living process was started with a file of a directory."""
    words = " ".join(process.info["cmdline"] or [])
    return str(directory) in words
