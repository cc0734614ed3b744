"""Workflows run on the real parts: Kerberos, Apache and Slurm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests

if TYPE_CHECKING:
    from tests.cluster.desk import Desk

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
