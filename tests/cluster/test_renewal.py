"""Tickets of a wrong realm, and tickets that are renewed or come by themselves."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from snakemake_executor_plugin_frceapi import keeper
from snakemake_executor_plugin_frceapi.auth import ticket_status
from snakemake_executor_plugin_frceapi.errors import ServiceError
from snakemake_executor_plugin_frceapi.keeper import seconds_to_renewal
from tests.cluster import kdc
from tests.cluster.rig import PASSWORD

if TYPE_CHECKING:
    from tests.cluster.desk import Desk

_OTHER_REALM = "ELSEWHERE.TEST"

_SNAKEFILE = """
    rule one:
        output: "one.txt"
        shell: "echo 1 >{output}"
"""


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[kdc.Kdc]:
    """Another realm, which the service's realm knows nothing of."""
    directory = tmp_path / "elsewhere"
    directory.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(kdc, "REALM", _OTHER_REALM)
        other = kdc.Kdc(directory)
        other.add_user("someone", PASSWORD)
    yield other
    other.stop()


def last_line(desk: Desk) -> str:
    """Run the workflow, which must end before anything is submitted, and return the line that says why."""
    desk.write("Snakefile", _SNAKEFILE)
    result = desk.run()
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    assert desk.rig.slurm.job_ids() == []
    return result.output.rstrip().splitlines()[-1].removeprefix("Error: ")


def test_ticket_of_another_realm(desk: Desk, elsewhere: kdc.Kdc) -> None:
    """A good ticket that the service's realm does not accept is named, with the command for one of that realm."""
    elsewhere.kinit(desk.cache, "someone", PASSWORD)
    both = (desk.rig.kdc.environment["KRB5_CONFIG"], elsewhere.environment["KRB5_CONFIG"])
    desk.environment["KRB5_CONFIG"] = ":".join(both)

    assert last_line(desk) == (
        f"the ticket of someone@{_OTHER_REALM} in FILE:{desk.cache} is good for nothing in the service's "
        f"realm, {kdc.REALM}: type `kinit USER@{kdc.REALM}`"
    )


def test_realm_that_does_not_have_the_service(desk: Desk, elsewhere: kdc.Kdc) -> None:
    """Where this machine takes the service for one of another realm, the principal that was asked for is named."""
    elsewhere.kinit(desk.cache, "someone", PASSWORD)
    desk.environment["KRB5_CONFIG"] = elsewhere.environment["KRB5_CONFIG"]
    line = last_line(desk)

    assert line.startswith(f"Kerberos does not know the service HTTP/localhost@{_OTHER_REALM}, ")
    assert f"the ticket of someone@{_OTHER_REALM} in FILE:{desk.cache}" in line


def test_realm_without_kdc(desk: Desk, tmp_path: Path) -> None:
    """Where this machine does not know the KDC of the ticket's realm, the realm and the file to look at are named."""
    configuration = tmp_path / "krb5.conf"
    configuration.write_text("[libdefaults]\ndefault_realm = NOWHERE.TEST\ndns_lookup_kdc = false\n", encoding="ascii")
    desk.environment["KRB5_CONFIG"] = str(configuration)

    assert last_line(desk).startswith(f'no KDC can be reached (Cannot find KDC for realm "{kdc.REALM}"): ')


def test_client_keytab_needs_no_kinit(desk: Desk) -> None:
    """With a client keytab and no cache, tickets come by themselves."""
    desk.cache.unlink()
    desk.environment["KRB5_CLIENT_KTNAME"] = str(desk.rig.kdc.add_keytab(desk.rig.user))
    desk.write("Snakefile", _SNAKEFILE)
    result = desk.run()

    assert result.exit_code == 0, result.output
    assert desk.read("one.txt") == "1\n"
    assert "kinit" not in result.output


def test_keeper_renews_ticket(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A renewable ticket is renewed over and over; here long before half of its life, which a busy machine may miss."""
    for name in ("KRB5_CONFIG", "KRB5CCNAME"):
        monkeypatch.setenv(name, desk.environment[name])
    monkeypatch.setattr(keeper, "seconds_to_renewal", lambda *seen: seconds_to_renewal(*seen) / 60)
    desk.kinit("-l", "2m", "-r", "10m")
    ends = set()

    def is_renewed_twice() -> bool:
        with contextlib.suppress(ServiceError):  # while kinit writes the cache
            ends.add(ticket_status().end)
        return len(ends) > 2

    said: list[str] = []
    kept = keeper.TicketKeeper(said.append)
    kept.start()
    try:
        desk.wait_for(is_renewed_twice, "a second renewal")
    finally:
        kept.stop()
    assert said[0].startswith(f"Your ticket for {desk.principal} ends on ")
