"""Fault matrix, rows 14 and 18 to 23, with a real KDC and a real Apache: tickets, keys and names that do not work."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from tests.cluster.daemons import RigError, run
from tests.cluster.kdc import REALM
from tests.cluster.rig import PASSWORD, STRANGER
from tests.cluster.web import HOST
from tests.quick_jobs import quick_jobscript

if TYPE_CHECKING:
    from tests.cluster.conftest import StartWeb
    from tests.cluster.desk import Desk
    from tests.snakemake_process import Running

_ONE_JOB = """
    rule one:
        output: "one.txt"
        shell: "echo 1 >{output}"
"""

_JOBS = ["1.txt", "2.txt", "3.txt"]
_THREE_JOBS = """
    rule all:
        input: expand("{n}.txt", n=[1, 2, 3])
        localrule: True

    rule one:
        output: "{n}.txt"
        shell: "exit 99"
"""


def only_error(desk: Desk, *arguments: str) -> str:
    """Run a workflow, which must end before anything is submitted, and return the line that says why."""
    desk.write("Snakefile", _ONE_JOB)
    result = desk.run(*arguments)
    lines = result.output.splitlines()
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    assert desk.rig.slurm.job_ids() == []
    return next(line for line in reversed(lines) if line.strip()).removeprefix("Error: ")


def begin(desk: Desk) -> Running:
    """Start a workflow of three jobs, one at a time, which end while there is a file ``go``, and wait for the first."""
    desk.write("Snakefile", _THREE_JOBS)
    desk.write("quick.sh", quick_jobscript("while [ ! -e go ]; do sleep 0.1; done"))
    running = desk.start("--jobs", "1", "--jobscript", "quick.sh")
    desk.wait_for(lambda: desk.read("ledger"), "the first job")
    return running


def pause(desk: Desk, running: Running, said: str) -> None:
    """Wait until the user is told that something is wrong, and until the first job has ended all the same."""
    desk.wait_for(lambda: said in running.text(), "the line that tells why nothing is submitted")
    desk.write("go", "")
    desk.wait_for(lambda: "Finished jobid" in running.text(), "the end of the first job")
    (desk.directory / "go").unlink()
    assert len(desk.read("ledger").splitlines()) == 2


def assert_goes_on(desk: Desk, running: Running, *said: str, tells_its_end: bool = True) -> None:
    """See that a run which paused ends well by itself: nothing failed, nothing ran twice, and one line told why."""
    if tells_its_end:
        desk.wait_for(lambda: "The API can be used again" in running.text(), "the end of the outage")
    desk.write("go", "")
    result = running.wait()
    assert result.exit_code == 0, result.output
    begun = [line.split()[1] for line in desk.read("ledger").splitlines() if line.startswith("begin")]
    assert sorted(begun) == _JOBS
    assert len([line for line in result.output.splitlines() if all(word in line for word in said)]) == 1, result.output


@pytest.mark.usefixtures("trusting")
def test_row_14_token_that_is_too_large_is_named(desk: Desk, authority: trustme.CA, start_web: StartWeb) -> None:
    """Apache answers 400 to a header field over its limit, which is not about the job."""
    start_web(authority.issue_cert(HOST), "LimitRequestFieldSize 300")
    error = only_error(desk)

    assert "status code 400" in error
    assert error.endswith(
        "the Kerberos token is larger than the server takes (many group memberships); ask the cluster's staff"
    )


def test_row_14_principal_without_account_is_fatal_at_the_start(desk: Desk) -> None:
    """A good ticket of somebody who may not use the API is told as such."""
    desk.rig.kdc.kinit(desk.cache, STRANGER, PASSWORD)
    error = only_error(desk)

    assert "status code 403" in error
    assert "this account may not use the API" in error


def test_row_18_key_of_the_service_that_changes_pauses_submissions(desk: Desk) -> None:
    """A ticket that was good is refused: jobs go on, and with a new ticket so does all the rest."""
    running = begin(desk)
    desk.rig.web.use_keytab(desk.rig.kdc.change_keys(f"HTTP/{HOST}"))
    pause(desk, running, "status code 401")
    desk.kinit()

    assert_goes_on(desk, running, "status code 401", "it did not accept the Kerberos ticket; type `kinit`")


def test_row_19_no_ticket_is_fatal_at_the_start(desk: Desk) -> None:
    """Without a ticket the message names the cache and the command to type."""
    desk.cache.unlink()

    assert only_error(desk) == f"there is no Kerberos ticket in FILE:{desk.cache}: type `kinit`"


def test_row_19_expired_ticket_is_fatal_at_the_start(desk: Desk) -> None:
    """With an expired ticket the message names whose it was, when it ended and the command to type."""
    desk.kinit("-l", "1s")
    time.sleep(2)
    error = only_error(desk)

    assert error.startswith(f"the Kerberos ticket of {desk.principal} in FILE:{desk.cache} expired on ")
    assert error.endswith(": type `kinit`")


def test_row_20_ticket_that_expires_in_mid_run_pauses_submissions(desk: Desk) -> None:
    """Jobs go on, submissions wait, and after ``kinit`` all goes on by itself."""
    running = begin(desk)
    desk.kinit("-l", "1s")
    pause(desk, running, "expired on")
    desk.kinit()

    assert_goes_on(desk, running, f"the Kerberos ticket of {desk.principal} in FILE:{desk.cache} expired on", "`kinit`")


@contextlib.contextmanager
def stopped(desk: Desk) -> Iterator[None]:
    """The KDC refuses connections."""
    desk.rig.kdc.stop()
    yield
    desk.rig.kdc.start()


@contextlib.contextmanager
def silent(desk: Desk) -> Iterator[None]:
    """The KDC takes requests and answers none."""
    desk.rig.kdc.silence()
    yield
    desk.rig.kdc.speak()


Away = Callable[["Desk"], contextlib.AbstractContextManager[None]]
_REFUSED = pytest.param(stopped, "no KDC can be reached (", id="refused")
_SILENT = (silent, "no KDC answered within 15 s; check the network or VPN")


@pytest.mark.parametrize(("kdc_is", "said"), [_REFUSED, pytest.param(*_SILENT, id="silent", marks=pytest.mark.long)])
def test_row_21_kdc_that_is_away_is_fatal_at_the_start(desk: Desk, kdc_is: Away, said: str) -> None:
    """A KDC that refuses connections, or never answers, holds nothing up for longer than the deadline."""
    with kdc_is(desk):
        assert only_error(desk).startswith(said)


@pytest.mark.parametrize(("kdc_is", "said"), [_REFUSED, pytest.param(*_SILENT, id="silent")])
def test_row_21_kdc_that_goes_away_in_mid_run_pauses_submissions(desk: Desk, kdc_is: Away, said: str) -> None:
    """Jobs go on without a KDC, and submissions wait for it.

    A question that the silent one holds up can outlast the run, and nobody is told then that it could be asked again.
    """
    running = begin(desk)
    desk.kinit()  # into a new cache, in which there is no ticket for the service yet
    with kdc_is(desk):
        pause(desk, running, said)

    assert_goes_on(desk, running, said, tells_its_end=kdc_is is stopped)


@pytest.fixture(params=["FILE", "KEYRING", pytest.param("DIR", marks=pytest.mark.long)])
def cache(request: pytest.FixtureRequest, desk: Desk, tmp_path: Path) -> Iterator[str]:
    """The name of a credential cache that the desk's runs use, with a ticket."""
    (tmp_path / "caches").mkdir()
    places = {"FILE": tmp_path / "caches" / "ticket", "DIR": tmp_path / "caches", "KEYRING": f"user:{tmp_path.name}"}
    name = f"{request.param}:{places[request.param]}"
    desk.environment["KRB5CCNAME"] = name
    try:
        desk.rig.kdc.kinit(name, desk.rig.user, PASSWORD)
    except RigError as error:
        pytest.skip(f"there are no caches of type {request.param} here: {error}")
    yield name
    subprocess.run(["kdestroy", "-q"], env=desk.environment, check=False)


def test_row_22_cache_that_is_removed_pauses_submissions(desk: Desk, cache: str) -> None:
    """A logout that takes the tickets away is told with the cache's name, and the next ``kinit`` mends it."""
    running = begin(desk)
    run(["kdestroy"], desk.environment)
    pause(desk, running, "no Kerberos ticket")
    desk.rig.kdc.kinit(cache, desk.rig.user, PASSWORD)

    assert_goes_on(desk, running, f"there is no Kerberos ticket in {cache}", "`kinit`")


def test_row_23_service_that_kerberos_does_not_know_is_fatal_at_the_start(desk: Desk) -> None:
    """A wrong service principal is named, with the settings that it comes from."""
    error = only_error(desk, "--frceapi-target-name", f"HTTP@elsewhere.{REALM.lower()}")

    assert error.startswith("Kerberos does not know the service HTTP/elsewhere.nih.test@NIH.TEST, which the ticket of ")
    assert error.endswith("check --frceapi-url, or name the service with --frceapi-target-name HTTP@HOST")


_ASK = """
    from snakemake_executor_plugin_frceapi.auth import negotiate_auth
    from snakemake_executor_plugin_frceapi.errors import ConfigurationFault
    try:
        negotiate_auth("api.nih.test", None)("https://api.nih.test/hpcapi")
    except ConfigurationFault as fault:
        print(fault)
"""


@pytest.mark.parametrize(
    ("hosts", "options", "asked", "said"),
    [
        pytest.param(
            "127.0.0.1 node1.nih.test api.nih.test",
            "dns_canonicalize_hostname = true\nrdns = false",
            "node1",
            "DNS made it of HTTP@api.nih.test: set rdns = false, or dns_canonicalize_hostname = false, in",
            id="alias",
        ),
        pytest.param(
            "127.0.0.1 node2.nih.test\n127.0.0.1 api.nih.test",
            "dns_canonicalize_hostname = true\nrdns = true",
            "node2",
            "DNS made it of HTTP@api.nih.test: set rdns = false, or dns_canonicalize_hostname = false, in",
            id="reverse",
        ),
        pytest.param(
            "127.0.0.1 node1.nih.test api.nih.test",
            "dns_canonicalize_hostname = false",
            "api",
            "check --frceapi-url, or name the service with --frceapi-target-name",
            id="mended",
        ),
    ],
)
def test_row_23_name_that_dns_changes_is_named(
    desk: Desk, tmp_path: Path, hosts: str, options: str, asked: str, said: str
) -> None:
    """Where DNS leads to another host, the remedy is in the configuration of Kerberos."""
    (tmp_path / "hosts").write_text(f"{hosts}\n", encoding="ascii")
    configuration = Path(desk.environment["KRB5_CONFIG"]).read_text("ascii")
    kept = [line for line in configuration.splitlines() if "rdns" not in line and "canonicalize" not in line]
    text = "\n".join(kept).replace("[libdefaults]", f"[libdefaults]\n{options}")
    (tmp_path / "krb5.conf").write_text(text, encoding="ascii")
    mount = f'mount --bind "{tmp_path}/hosts" /etc/hosts && exec "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mount, "sh", sys.executable, "-c", textwrap.dedent(_ASK)],
        env={**desk.environment, "KRB5_CONFIG": str(tmp_path / "krb5.conf")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0 and "mount" in done.stderr:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")

    assert done.stdout.startswith(f"Kerberos does not know the service HTTP/{asked}.nih.test@{REALM}, "), done
    assert said in done.stdout
