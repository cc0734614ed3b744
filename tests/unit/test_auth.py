"""Tests of Kerberos: a fake in place of the library for what it answers, and the real one without a ticket."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_frceapi.auth import (
    Ticket,
    Warmth,
    negotiate,
    negotiate_auth,
    renew_ticket,
    renewal_time,
    ticket_status,
)
from snakemake_executor_plugin_frceapi.auth.library import Watchdog
from snakemake_executor_plugin_frceapi.auth.negotiate import NegotiateAuth
from snakemake_executor_plugin_frceapi.auth.ticket import parse_klist
from snakemake_executor_plugin_frceapi.errors import ConfigurationFault, ServiceError, TicketFault, TransientFault

HOST = "api.example.org"
URL = f"https://{HOST}/hpcapi/submit_job"
NOW = datetime(2025, 1, 27, 12, tzinfo=UTC)

KLIST = """\
Ticket cache: FILE:/tmp/krb5cc_1000
Default principal: someone@EXAMPLE.ORG

Valid starting     Expires            Service principal
01/27/25 12:00:00  01/27/25 22:00:00  krbtgt/EXAMPLE.ORG@EXAMPLE.ORG
\trenew until 02/03/25 12:00:00
01/27/25 12:00:01  01/27/25 13:00:00  HTTP/api.example.org@EXAMPLE.ORG
"""


class GSSError(Exception):
    """Root of GSSAPI's errors."""


class ExpiredCredentialsError(GSSError):
    """What GSSAPI raises about an expired ticket."""


class FakeKerberos:
    """Stands for gssapi.

    Attributes:
        failure: text with which no token is made, or None.
        lifetime: what is left of the ticket in seconds, None without limit, or the error that inspecting it raises.
        made: what each token was asked for.
        looked_up: how often credentials were.
    """

    def __init__(self) -> None:
        self.failure: str | None = None
        self.lifetime: int | GSSError | None = 36_000
        self.made: list[dict[str, Any]] = []
        self.looked_up = 0
        self.work: Callable[[], object] = list

    def module(self) -> ModuleType:
        """Return the module."""
        gssapi = ModuleType("gssapi")
        vars(gssapi).update(
            Credentials=self._credentials,
            Name=lambda name, kind: (kind, name),
            NameType=SimpleNamespace(hostbased_service="service@host"),
            OID=SimpleNamespace(from_int_seq=lambda numbers: ".".join(map(str, numbers))),
            SecurityContext=self._context,
            exceptions=SimpleNamespace(GSSError=GSSError, ExpiredCredentialsError=ExpiredCredentialsError),
        )
        return gssapi

    def _context(self, **asked: Any) -> Any:
        def step() -> bytes:
            self.made.append(asked)
            self.work()
            if self.failure is not None:
                raise GSSError(f"Major (1): None, Minor (100001): {self.failure}")
            return f"token {len(self.made)}".encode()

        return SimpleNamespace(step=step)

    def _credentials(self, *, usage: str) -> Any:
        assert usage == "initiate"
        self.looked_up += 1
        if isinstance(self.lifetime, GSSError):
            raise self.lifetime
        return SimpleNamespace(name="someone@EXAMPLE.ORG", lifetime=self.lifetime)


@pytest.fixture
def kerberos(monkeypatch: pytest.MonkeyPatch) -> FakeKerberos:
    """Put the fake in place of the library, with a cache of its own and without klist."""
    fake = FakeKerberos()
    monkeypatch.setitem(sys.modules, "gssapi", fake.module())
    monkeypatch.setenv("KRB5CCNAME", "FILE:/tmp/krb5cc_test")
    monkeypatch.setenv("PATH", "")
    return fake


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Return a function that puts a program, as shell text, before all others."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("TZ", "UTC")

    def write(name: str, text: str) -> None:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(0o755)

    return write


def header(number: int) -> str:
    """Return the header that holds the fake's token of that number."""
    return f"Negotiate {b64encode(f'token {number}'.encode()).decode()}"


def test_sends_a_token_with_the_first_request(kerberos: FakeKerberos) -> None:
    """The header is there before anything is sent, for the URL's host, and not forwarded."""
    assert negotiate_auth(HOST, None)(URL) == header(1)
    (asked,) = kerberos.made
    assert asked.pop("creds").name == "someone@EXAMPLE.ORG"
    assert asked == {
        "name": ("service@host", f"HTTP@{HOST}"),
        "mech": "1.3.6.1.5.5.2",
        "usage": "initiate",
        "flags": (),
    }


def test_asks_for_the_named_service(kerberos: FakeKerberos) -> None:
    """The target name wins over the host of the URL."""
    negotiate_auth(HOST.upper(), "HTTP@node1.example.org")(URL)

    assert kerberos.made[0]["name"] == ("service@host", "HTTP@node1.example.org")


def test_makes_each_token_with_an_object_of_its_own(kerberos: FakeKerberos) -> None:
    """Threads that share an authentication share no context, and credentials for half a second."""
    auth = negotiate_auth(HOST, None)
    auth(URL)
    with ThreadPoolExecutor(4) as pool:
        headers = list(pool.map(auth, [URL] * 20))

    assert len(kerberos.made) == 21
    assert len(headers) == 20
    assert kerberos.looked_up < 20


@pytest.mark.parametrize("url", ["https://other.example.org/", f"http://{HOST}/", f"https://{HOST}.example.com/"])
def test_sends_no_token_elsewhere(kerberos: FakeKerberos, url: str) -> None:
    """Another host, or no TLS, gets nothing."""
    with pytest.raises(ConfigurationFault, match="no Kerberos token is sent to"):
        negotiate_auth(HOST, None)(url)

    assert kerberos.made == []


@pytest.mark.parametrize(
    ("failure", "kind", "named"),
    [
        (
            "Server HTTP/api.example.org@EXAMPLE.ORG not found in Kerberos database",
            ConfigurationFault,
            "does not know the service HTTP/api.example.org@EXAMPLE.ORG.*ticket of someone@.*--frceapi-target-name",
        ),
        (
            "Server HTTP/node1.example.org@EXAMPLE.ORG not found in Kerberos database",
            ConfigurationFault,
            "know the service HTTP/node1.example.org@EXAMPLE.ORG.*; DNS made it of HTTP@api.example.org: set rdns =",
        ),
        (
            "Server krbtgt/OTHER.ORG@EXAMPLE.ORG not found in Kerberos database",
            TicketFault,
            "ticket of someone@EXAMPLE.ORG in FILE:/tmp/krb5cc_test .* realm, OTHER.ORG: type `kinit USER@OTHER.ORG`",
        ),
        ("Cannot contact any KDC for realm 'EXAMPLE.ORG'", TransientFault, "no KDC can be reached.*VPN"),
        ('Cannot find KDC for realm "EXAMPLE.ORG"', TransientFault, "no KDC can be reached.*/etc/krb5.conf"),
        ("Cannot resolve network address", TransientFault, "no KDC can be reached"),
        ("Clock skew too great", TicketFault, "set the time"),
        (
            "KDC policy\nrejects request"[4:],
            TicketFault,
            "ticket of someone@EXAMPLE.ORG in FILE:/tmp/krb5cc_test gives no token .*policy rejects request.*kinit",
        ),
    ],
)
def test_names_what_is_wrong(kerberos: FakeKerberos, failure: str, kind: type[ServiceError], named: str) -> None:
    """Each failure of GSSAPI is a fault of its kind with one line that says what to do."""
    kerberos.failure = failure

    with pytest.raises(kind, match=named) as caught:
        negotiate_auth(HOST, None)(URL)

    assert type(caught.value) is kind
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("lifetime", "named"),
    [
        (GSSError("none"), "there is no Kerberos ticket in FILE:/tmp/krb5cc_test: type `kinit`"),
        (ExpiredCredentialsError("old"), "the Kerberos ticket in FILE:/tmp/krb5cc_test expired: type `kinit`"),
        (0, "the Kerberos ticket in FILE:/tmp/krb5cc_test expired: type `kinit`"),
    ],
)
def test_tells_a_missing_ticket_from_an_expired_one(kerberos: FakeKerberos, lifetime: Any, named: str) -> None:
    """Both stop a request before it is sent, and both name the cache and the command."""
    kerberos.failure = "SPNEGO cannot find mechanisms to negotiate"
    kerberos.lifetime = lifetime

    with pytest.raises(TicketFault) as caught:
        negotiate_auth(HOST, None)(URL)

    assert str(caught.value) == named
    with pytest.raises(TicketFault, match="kinit"):
        ticket_status()


def test_says_when_a_ticket_expired(kerberos: FakeKerberos, programs: Callable[[str, str], None]) -> None:
    """Principal, cache and time come from klist, because GSSAPI no longer tells them."""
    programs("klist", f"cat <<'END'\n{KLIST}END")
    kerberos.lifetime = ExpiredCredentialsError("old")

    with pytest.raises(TicketFault) as caught:
        ticket_status()

    assert str(caught.value).startswith(
        "the Kerberos ticket of someone@EXAMPLE.ORG in FILE:/tmp/krb5cc_1000 expired on 2025-01-27 at 22:00:00"
    )


def test_inspects_the_ticket(kerberos: FakeKerberos, programs: Callable[[str, str], None]) -> None:
    """The time that is left comes from GSSAPI, the rest from klist."""
    programs("klist", f"test \"$LC_ALL\" = C && cat <<'END'\n{KLIST}END")
    before = datetime.now(UTC)
    ticket = ticket_status()

    assert (ticket.principal, ticket.cache) == ("someone@EXAMPLE.ORG", "FILE:/tmp/krb5cc_1000")
    assert ticket.end is not None
    assert before + timedelta(hours=10) <= ticket.end <= datetime.now(UTC) + timedelta(hours=10)
    assert ticket.renewable_until == datetime(2025, 2, 3, 12).astimezone()


def test_inspects_a_ticket_without_limit_and_without_klist(kerberos: FakeKerberos) -> None:
    """What nobody tells is not known."""
    kerberos.lifetime = None

    assert ticket_status() == Ticket("someone@EXAMPLE.ORG", "FILE:/tmp/krb5cc_test")


@pytest.mark.parametrize(
    ("text", "ticket"),
    [
        ("", Ticket("", "KCM:")),
        ("klist: No credentials cache found (filename: /tmp/krb5cc_1000)", Ticket("", "KCM:")),
        (
            KLIST,
            Ticket(
                "someone@EXAMPLE.ORG",
                "FILE:/tmp/krb5cc_1000",
                datetime(2025, 1, 27, 22).astimezone(),
                datetime(2025, 2, 3, 12).astimezone(),
            ),
        ),
        (
            KLIST.replace("\trenew until 02/03/25 12:00:00\n", "").replace("/25 ", "/2025 "),
            Ticket("someone@EXAMPLE.ORG", "FILE:/tmp/krb5cc_1000", datetime(2025, 1, 27, 22).astimezone()),
        ),
        (
            KLIST.replace("krbtgt/EXAMPLE.ORG@", "krbtgt/OTHER.ORG@"),
            Ticket("someone@EXAMPLE.ORG", "FILE:/tmp/krb5cc_1000"),
        ),
    ],
)
def test_reads_klist(text: str, ticket: Ticket) -> None:
    """The ticket-granting ticket of the own realm counts, with two or four digits of the year."""
    assert parse_klist(text, "KCM:") == ticket


@pytest.mark.parametrize(
    ("text", "cache"),
    [
        ("klist: No credentials cache found (filename: /tmp/krb5cc_1000)\n", "FILE:/tmp/krb5cc_1000"),
        ("klist: Credentials cache keyring 'persistent:1000:1000' not found\n", "KEYRING:persistent:1000:1000"),
        ("klist: No KCM server found while resolving ccache\n", "the default cache"),
        ("", "the default cache"),
    ],
)
def test_names_the_default_cache_that_is_not_there(text: str, cache: str) -> None:
    """Where the user named no cache, klist's complaint about its absence names the default one."""
    assert parse_klist(text, None).cache == cache


def test_takes_the_name_of_a_missing_cache_from_klist(
    kerberos: FakeKerberos, programs: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What klist says as an error is read as well."""
    monkeypatch.delenv("KRB5CCNAME")
    programs("klist", "echo 'klist: No credentials cache found (filename: /tmp/krb5cc_9)' >&2; exit 1")
    kerberos.lifetime = GSSError("none")

    with pytest.raises(TicketFault, match="no Kerberos ticket in FILE:/tmp/krb5cc_9: type `kinit`"):
        ticket_status()


def test_bounds_the_wait_for_a_silent_kdc(kerberos: FakeKerberos) -> None:
    """The request fails as transient while Kerberos still waits, and works again when that has ended."""
    answered = threading.Event()
    kerberos.work = answered.wait
    auth = NegotiateAuth(HOST, None, deadline_seconds=0.1)

    for _ in range(2):
        with pytest.raises(TransientFault, match=r"no KDC answered within 0\.1 s"):
            auth(URL)
    assert len(kerberos.made) == 1
    answered.set()
    assert NegotiateAuth(HOST, None)(URL) == header(2)


@pytest.mark.parametrize(
    ("warm_seconds", "later"), [(1000.0, "MainThread"), (-1.0, "frceapi-kerberos")], ids=["soon", "later"]
)
def test_guards_only_tokens_for_which_a_kdc_may_be_asked(
    kerberos: FakeKerberos, monkeypatch: pytest.MonkeyPatch, warm_seconds: float, later: str
) -> None:
    """The first token has a thread of its own, and so has one that is made long after another."""
    threads: list[str] = []
    kerberos.work = lambda: threads.append(threading.current_thread().name)
    monkeypatch.setattr(negotiate, "WARM_SECONDS", warm_seconds)
    auth = negotiate_auth(HOST, None)
    for _ in range(3):
        auth(URL)

    assert threads == ["frceapi-kerberos", later, later]
    assert kerberos.looked_up == threads.count("frceapi-kerberos")


def test_guards_one_token_for_all_threads(kerberos: FakeKerberos, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one thread has learned of the KDC the others know as well."""
    threads: list[str] = []
    kerberos.work = lambda: threads.append(threading.current_thread().name)
    monkeypatch.setattr(negotiate, "WARM_SECONDS", 1000.0)
    warmth = Warmth()
    for _ in range(2):
        negotiate_auth(HOST, None, warmth)(URL)

    assert threads == ["frceapi-kerberos", "MainThread"]


def test_hands_on_the_error_of_guarded_work() -> None:
    """What the work raises is raised where it is waited for."""

    def fail() -> None:
        raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        Watchdog().run(fail)


@pytest.mark.parametrize("need", [ticket_status, lambda: negotiate_auth(HOST, None)(URL)], ids=["ticket", "token"])
def test_says_what_to_install(monkeypatch: pytest.MonkeyPatch, need: Callable[[], object]) -> None:
    """A missing library is named with the packages of three systems."""
    monkeypatch.setitem(sys.modules, "gssapi", None)

    with pytest.raises(ConfigurationFault) as caught:
        need()

    for words in ("pip install gssapi", "libkrb5-dev gcc python3-dev", "krb5-devel gcc python3-devel", "conda-forge"):
        assert words in str(caught.value)


def test_imports_no_kerberos_library() -> None:
    """Importing the module is possible where there is no Kerberos at all."""
    code = "import sys; import snakemake_executor_plugin_frceapi.auth; sys.exit('gssapi' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_stops_before_sending_without_a_ticket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The real library and an empty cache: the fault names the cache."""
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path}/none")
    monkeypatch.setenv("KRB5_CLIENT_KTNAME", f"FILE:{tmp_path}/none.keytab")

    with pytest.raises(TicketFault) as caught:
        negotiate_auth(HOST, None)(URL)

    assert str(caught.value) == f"there is no Kerberos ticket in FILE:{tmp_path}/none: type `kinit`"


def test_renews_with_kinit(programs: Callable[[str, str], None], tmp_path: Path) -> None:
    """The ticket is renewed in place, without a question to the user."""
    programs("kinit", f'echo "$@" >>{tmp_path}/calls; cat')
    renew_ticket()

    assert (tmp_path / "calls").read_text(encoding="utf-8") == "-R\n"


def test_renews_in_one_thread_at_a_time(programs: Callable[[str, str], None], tmp_path: Path) -> None:
    """Two renewals at once would write the same cache."""
    programs("kinit", f"mkdir {tmp_path}/busy && rmdir {tmp_path}/busy")
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: renew_ticket(), range(12)))

    assert done == [None] * 12


@pytest.mark.parametrize(
    ("script", "named"),
    [
        ("echo 'kinit: Ticket expired while renewing' >&2; exit 1", r"\(kinit: Ticket expired while renewing\)"),
        (None, r"\(FileNotFoundError\)"),
    ],
)
def test_says_why_a_renewal_failed(
    programs: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch, script: str | None, named: str
) -> None:
    """The program's own words, or that it is missing, stand beside the command to type."""
    if script is None:
        monkeypatch.setenv("PATH", "")
    else:
        programs("kinit", script)

    with pytest.raises(TicketFault, match=rf"`kinit -R` could not renew the ticket {named}: type `kinit`"):
        renew_ticket()


@pytest.mark.parametrize(
    ("ticket", "when"),
    [
        (Ticket("p", "c", NOW + timedelta(hours=10), NOW + timedelta(days=7)), NOW + timedelta(hours=5)),
        (Ticket("p", "c", NOW - timedelta(hours=1), NOW + timedelta(days=7)), NOW),
        (Ticket("p", "c", NOW + timedelta(hours=10), NOW + timedelta(hours=10)), None),
        (Ticket("p", "c", NOW + timedelta(hours=10)), None),
        (Ticket("p", "c"), None),
    ],
)
def test_renews_half_way_to_the_end(ticket: Ticket, when: datetime | None) -> None:
    """A ticket is renewed at half of what is left, as long as that brings anything."""
    assert renewal_time(ticket, NOW) == when


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_renews_before_the_end(left: int, more: int) -> None:
    """A ticket that can be renewed is renewed before it expires."""
    end = NOW + timedelta(seconds=left)
    when = renewal_time(Ticket("p", "c", end, end + timedelta(seconds=more)), NOW)

    assert when is not None
    assert NOW <= when < end
