"""What users read when something is wrong with their ticket or with the KDC, and how a ticket is kept alive."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from snakemake_executor_plugin_frceapi import keeper
from snakemake_executor_plugin_frceapi.auth import ticket_status
from tests.cluster.kdc import REALM
from tests.cluster.rig import PASSWORD, STRANGER

if TYPE_CHECKING:
    from tests.cluster.desk import Desk

_SNAKEFILE = """
    rule one:
        output: "one.txt"
        shell: "echo 1 >{output}"
"""


@pytest.fixture
def stopped_kdc(desk: Desk) -> Iterator[None]:
    """A KDC that refuses connections."""
    desk.rig.kdc.stop()
    yield
    desk.rig.kdc.start()


@pytest.fixture
def silent_kdc(desk: Desk) -> Iterator[None]:
    """A KDC that takes requests and answers none."""
    desk.rig.kdc.silence()
    yield
    desk.rig.kdc.speak()


def only_error(desk: Desk) -> str:
    """Run the workflow, which must end before anything is submitted, and return the line that says why."""
    desk.write("Snakefile", _SNAKEFILE)
    result = desk.run()
    lines = result.output.splitlines()
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    assert desk.rig.slurm.job_ids() == []
    return next(line for line in reversed(lines) if line.strip()).removeprefix("Error: ")


def test_no_ticket(desk: Desk) -> None:
    """Without a ticket the message names the cache and the command to type."""
    desk.cache.unlink()

    assert only_error(desk) == f"there is no Kerberos ticket in FILE:{desk.cache}: type `kinit`"


def test_expired_ticket(desk: Desk) -> None:
    """With an expired ticket the message names whose it was, when it ended and the command to type."""
    desk.kinit("-l", "1s")
    time.sleep(2)
    error = only_error(desk)

    assert error.startswith(f"the Kerberos ticket of {desk.principal} in FILE:{desk.cache} expired on ")
    assert error.endswith(": type `kinit`")


@pytest.mark.usefixtures("stopped_kdc")
def test_kdc_that_is_down(desk: Desk) -> None:
    """A KDC that refuses connections is named as what is out of reach."""
    assert only_error(desk).startswith("no KDC can be reached (")


@pytest.mark.usefixtures("silent_kdc")
def test_kdc_that_is_silent(desk: Desk) -> None:
    """A KDC that never answers holds nothing up for longer than the deadline."""
    assert only_error(desk).startswith("no KDC answered within 15 s; check the network or VPN")


def test_principal_without_account(desk: Desk) -> None:
    """A good ticket of somebody who has no account is told as such."""
    desk.rig.kdc.kinit(desk.cache, STRANGER, PASSWORD)

    assert "403" in only_error(desk)


def test_service_that_kerberos_does_not_know(desk: Desk) -> None:
    """A wrong service principal is named."""
    desk.write("Snakefile", _SNAKEFILE)
    result = desk.run("--frceapi-target-name", f"HTTP@elsewhere.{REALM.lower()}")

    assert result.exit_code == 1
    assert "Kerberos does not know the service HTTP/elsewhere.nih.test@NIH.TEST" in result.output


def test_keeper_renews_ticket(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A renewable ticket is renewed at half of its life, over and over."""
    for name in ("KRB5_CONFIG", "KRB5CCNAME"):
        monkeypatch.setenv(name, desk.environment[name])
    monkeypatch.setattr(keeper, "_SHORTEST_SECONDS", 0.5)
    desk.kinit("-l", "8s", "-r", "10m")
    first = ticket_status().end
    assert first is not None
    said: list[str] = []
    kept = keeper.TicketKeeper(said.append)
    kept.start()
    try:
        desk.wait_for(lambda: (ticket_status().end or first).timestamp() > first.timestamp() + 8, "a second renewal")
    finally:
        kept.stop()
    assert said[0].startswith(f"Your ticket for {desk.principal} ends on ")


_SIX_JOBS = """
    rule all:
        input: expand("{n}.txt", n=range(6))
        localrule: True

    rule one:
        output: "{n}.txt"
        shell: "echo {wildcards.n} >>runs; sleep 4; echo 1 >{output}"
"""


def test_ticket_that_ends_in_mid_run(desk: Desk) -> None:
    """Jobs go on, submissions wait, and after ``kinit`` all goes on by itself: nothing failed and nothing ran twice."""
    desk.write("Snakefile", _SIX_JOBS)
    desk.kinit("-l", "8s")
    running = desk.start("--jobs", "2")
    desk.wait_for(lambda: "expired on" in running.text(), "the line about the ticket")
    desk.kinit()
    result = running.wait()

    assert result.exit_code == 0, result.output
    assert "The API answers again" in result.output
    assert sorted(desk.read("runs").split()) == ["0", "1", "2", "3", "4", "5"]
