"""Tests of the two calls against a server made of raw sockets; what faults on the wire lead to is in tests/faults."""

from __future__ import annotations

import contextlib
import logging
import os
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace

import certifi
import pytest
import trustme
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from snakemake_executor_plugin_frceapi.auth import Warmth
from snakemake_executor_plugin_frceapi.client import ClientConfig, check_url, is_loopback, public_url
from snakemake_executor_plugin_frceapi.client import calls as client_module
from snakemake_executor_plugin_frceapi.client.calls import Client
from snakemake_executor_plugin_frceapi.client.deadline import Deadline
from snakemake_executor_plugin_frceapi.client.handshake import shake_hands
from snakemake_executor_plugin_frceapi.client.trust import trusted_certificates
from snakemake_executor_plugin_frceapi.errors import (
    ConfigurationFault,
    FrceapiError,
    ServiceError,
    SettingsError,
    TicketFault,
    TransientFault,
)
from snakemake_executor_plugin_frceapi.job import Accepted, JobState, Listing, NotSent, Refused, SubmitOutcome, Unknown
from tests.raw_server import ACCEPTED, HEAD, SECRET, RawServer, answer, drip, say, say_and_close, tunnel

BODY = b'{"script-body":"#!/bin/sh\\n","partition":"norm"}'
LISTED = b'{"status": "call_success", "12": {"state": "RUNNING"}, "reason": "query_success"}'


@contextlib.contextmanager
def client_of(url: str, **settings: object) -> Iterator[Client]:
    """Give a client without authentication, with short deadlines, and close it."""
    config = {"auth": "none", "submit_deadline_seconds": 10.0, "status_deadline_seconds": 10.0, **settings}
    client = Client(ClientConfig(url, **config))  # type: ignore[arg-type]
    try:
        yield client
    finally:
        client.close()


def submit(url: str, **settings: object) -> SubmitOutcome:
    """Submit once with a client of its own."""
    with client_of(url, **settings) as client:
        return client.submit_job(BODY)


def message_of(outcome: SubmitOutcome) -> str:
    """Return the line that an outcome shows, after checking that it is one and keeps the secret."""
    text = str(outcome.fault) if isinstance(outcome, NotSent) else getattr(outcome, "message", "")
    assert text.isprintable()
    assert SECRET not in repr(outcome)
    return text


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what the environment says about proxies and certificates."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in {"REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"}:
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Return a certificate authority that nobody trusts."""
    return trustme.CA()


@pytest.fixture(scope="module")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """Return the TLS settings of a server that is called localhost, and of another that only a proxy knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "api.example.org").configure_cert(context)
    return context


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> Path:
    """Return a file with the authority's certificate."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


class CountingAuth:
    """Gives each request the next number as its token."""

    def __init__(self) -> None:
        self.tokens = 0

    def __call__(self, _: str) -> str:
        """Return the header."""
        self.tokens += 1
        return f"Negotiate {self.tokens}"


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """Put countable tokens in place of Kerberos; return for whom an authentication was made."""
    made: list[tuple[str, str | None]] = []

    def counting_auth(host: str, target_name: str | None, _: Warmth) -> CountingAuth:
        made.append((host, target_name))
        return CountingAuth()

    monkeypatch.setattr(client_module, "negotiate_auth", counting_auth)
    return made


def test_submits_a_job_as_the_api_wants_it() -> None:
    """One POST with the body as it is, in JSON, without compression and without a cookie."""
    with RawServer(say(answer(headers="Set-Cookie: session=1\r\n"))) as server, client_of(server.url()) as client:
        assert [client.submit_job(BODY), client.submit_job(BODY)] == [Accepted("12"), Accepted("12")]

    head, _, body = server.requests[1].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == f"POST /{SECRET}/hpcapi/submit_job HTTP/1.1"
    assert set(lines[1:]) == {
        f"Host: 127.0.0.1:{server.port}",
        "User-Agent: snakemake-executor-plugin-frceapi",
        "Accept: application/json",
        "Accept-Encoding: identity",
        "Content-Type: application/json",
        f"Content-Length: {len(BODY)}",
    }
    assert body == BODY


def test_asks_for_the_listing() -> None:
    """One GET, of which the wanted jobs are returned."""
    with RawServer(say(answer(LISTED))) as server, client_of(server.url() + "/") as client:
        assert client.query_status().jobs["12"].state is JobState.RUNNING
        assert client.query_status(["13"]) == Listing({})

    assert server.requests[0].startswith(f"GET /{SECRET}/hpcapi/query_status HTTP/1.1\r\n".encode())


def test_keeps_a_connection_that_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst of calls needs one connection a thread."""
    monkeypatch.setattr(client_module, "_REUSE_IDLE_SECONDS", 1000.0)
    with RawServer(say(answer())) as server, client_of(server.url()) as client:
        for _ in range(5):
            client.submit_job(BODY)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(client.submit_job, BODY).result()

    assert server.connections == 2
    assert len(server.requests) == 6


def test_needs_one_thread_for_the_deadlines_of_all_calls() -> None:
    """A thread for each call would cost as much as the rest of it."""
    with RawServer(say(answer())) as server, client_of(server.url()) as client, ThreadPoolExecutor(4) as pool:
        list(pool.map(client.submit_job, [BODY] * 12))

    assert [thread.name for thread in threading.enumerate()].count("frceapi-deadlines") == 1


def test_does_not_use_an_idle_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that the server may be closing at this moment is left alone."""
    with RawServer(say(answer())) as server, client_of(server.url()) as client:
        client.submit_job(BODY)
        monkeypatch.setattr(client_module, "_REUSE_IDLE_SECONDS", -1.0)
        client.submit_job(BODY)

    assert server.connections == 2


def test_works_on_after_close() -> None:
    """Closing ends connections, not the client."""
    with RawServer(say(answer())) as server, client_of(server.url()) as client:
        client.submit_job(BODY)
        client.close()

        assert client.submit_job(BODY) == Accepted("12")


def test_ends_a_drip_before_tls_at_the_deadline() -> None:
    """A handshake that never ends is cut off, and surely nothing was sent."""
    with RawServer(drip(b"\x16\x03\x03\x3f\xff"), reads=False) as server:
        outcome = submit(server.url("https"), submit_deadline_seconds=0.3)

    assert isinstance(outcome, NotSent)
    assert type(outcome.fault) is TransientFault
    assert "in 0.3 s" in message_of(outcome)


def test_ends_a_drip_of_the_proxy_at_the_deadline(
    monkeypatch: pytest.MonkeyPatch, tokens: list[tuple[str, str | None]]
) -> None:
    """So is a proxy that never opens the way."""
    with RawServer(drip(b"")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        outcome = submit("https://api.example.org/hpcapi", auth="kerberos", submit_deadline_seconds=0.3)

    assert isinstance(outcome, NotSent)
    assert "in 0.3 s" in message_of(outcome)


def test_begins_no_connection_after_the_deadline(
    monkeypatch: pytest.MonkeyPatch, tokens: list[tuple[str, str | None]]
) -> None:
    """A way that is opened too late is closed at once."""

    def slow_auth(*_: object) -> str:
        time.sleep(0.5)
        return "Negotiate 1"

    monkeypatch.setattr(CountingAuth, "__call__", slow_auth)
    with RawServer(drip(b"")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        outcome = submit("https://api.example.org/hpcapi", auth="kerberos", submit_deadline_seconds=0.2)

    assert isinstance(outcome, NotSent)
    assert "in 0.2 s" in message_of(outcome)


def test_sends_nothing_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """When making the token took all the time, the request stays here, also on a kept connection."""
    waits = iter([0.0, 0.5, 0.5])

    def slow_auth(_: str) -> str:
        time.sleep(next(waits))
        return "Negotiate 1"

    # The first submission has all the time that it needs.
    begin, seconds = Deadline.__init__, iter([60.0, 0.3, 0.3])
    monkeypatch.setattr(Deadline, "__init__", lambda deadline, _: begin(deadline, next(seconds)))
    with RawServer(say(answer())) as server, client_of(server.url(), submit_deadline_seconds=0.3) as client:
        monkeypatch.setattr(client, "_auth", lambda: slow_auth)
        outcomes = [client.submit_job(BODY) for _ in range(2)]
        client.close()
        outcomes.append(client.submit_job(BODY))

    assert outcomes[0] == Accepted("12")
    for outcome in outcomes[1:]:
        assert isinstance(outcome, NotSent)
        assert "in 0.3 s" in message_of(outcome)
    assert len(server.requests) == 1


def test_has_an_authentication_for_each_thread(
    tokens: list[tuple[str, str | None]], tls: ssl.SSLContext, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads share neither authentication nor connection."""
    monkeypatch.setattr(client_module, "_REUSE_IDLE_SECONDS", 1000.0)
    together = threading.Barrier(4)

    def work(client: Client) -> list[SubmitOutcome]:
        together.wait()
        return [client.submit_job(BODY) for _ in range(5)]

    with (
        RawServer(say(answer()), tls) as server,
        client_of(
            server.url("https", "localhost"), auth="kerberos", ca_bundle=bundle, target_name="HTTP@api.example.org"
        ) as client,
        ThreadPoolExecutor(4) as pool,
    ):
        outcomes = [outcome for several in pool.map(work, [client] * 4) for outcome in several]

    assert outcomes == [Accepted("12")] * 20
    assert tokens == [("localhost", "HTTP@api.example.org")] * 4
    assert server.connections == 4


def test_sends_nothing_without_a_ticket(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tls: ssl.SSLContext, bundle: Path
) -> None:
    """The real library and an empty cache: no byte of the request leaves."""
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path}/none")
    with RawServer(say(answer()), tls) as server:
        outcome = submit(server.url("https", "localhost"), auth="kerberos", ca_bundle=bundle)

    assert isinstance(outcome, NotSent)
    assert type(outcome.fault) is TicketFault
    assert f"FILE:{tmp_path}/none" in message_of(outcome)
    assert server.connections == 0


def test_knows_that_an_impossible_host_got_nothing(tokens: list[tuple[str, str | None]]) -> None:
    """A name that DNS cannot carry needs another URL."""
    outcome = submit(f"https://{'a' * 70}.example.org/hpcapi", auth="kerberos")

    assert isinstance(outcome, NotSent)
    assert type(outcome.fault) is ConfigurationFault
    assert "this is no host name; check --frceapi-url" in message_of(outcome)


def test_trusts_the_named_certificates(tls: ssl.SSLContext, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting wins over the environment."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", os.devnull)
    with RawServer(say(answer()), tls) as server:
        assert submit(server.url("https", "localhost"), ca_bundle=bundle) == Accepted("12")


def test_trusts_the_certificates_of_the_environment(
    tls: ssl.SSLContext, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REQUESTS_CA_BUNDLE is honoured where there is no setting."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    with RawServer(say(answer()), tls) as server:
        assert submit(server.url("https", "localhost")) == Accepted("12")


def test_sends_a_request_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Head and body leave by one write."""
    sent: list[bytes] = []
    send = HTTPConnection.send

    def noted(connection: HTTPConnection, data: bytes) -> None:
        sent.append(data)
        send(connection, data)

    monkeypatch.setattr(HTTPConnection, "send", noted)
    with RawServer(say(answer())) as server:
        assert submit(server.url()) == Accepted("12")

    assert sent == server.requests


def test_reads_the_certificates_once(tls: ssl.SSLContext, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Further connections need their file no more."""
    monkeypatch.setattr(client_module, "_REUSE_IDLE_SECONDS", -1.0)
    with (
        RawServer(say(answer()), tls) as server,
        client_of(server.url("https", "localhost"), ca_bundle=bundle) as client,
    ):
        bundle.unlink()
        assert [client.submit_job(BODY), client.submit_job(BODY)] == [Accepted("12"), Accepted("12")]

    assert server.connections == 2


def test_reads_certificates_that_have_changed(
    tls: ssl.SSLContext, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An authority that is added while a run goes on is trusted from the next connection on."""
    monkeypatch.setattr(client_module, "_REUSE_IDLE_SECONDS", -1.0)
    trusted = tmp_path / "trusted.pem"
    trustme.CA().cert_pem.write_to_path(str(trusted))
    os.utime(trusted, (1.0, 1.0))
    with (
        RawServer(say(answer()), tls) as server,
        client_of(server.url("https", "localhost"), ca_bundle=trusted) as client,
    ):
        assert "is not trusted" in message_of(client.submit_job(BODY))
        trusted.write_bytes(bundle.read_bytes())
        assert client.submit_job(BODY) == Accepted("12")


def test_refuses_a_server_without_tls() -> None:
    """An answer that is not TLS is a wrong URL."""
    with RawServer(say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), reads=False) as server:
        outcome = submit(server.url("https"))

    assert isinstance(outcome, NotSent)
    assert type(outcome.fault) is ConfigurationFault
    assert message_of(outcome).endswith(": it does not speak TLS at this port; check --frceapi-url")
    assert "--frceapi-url" in message_of(outcome)


def test_tries_again_when_tls_is_cut_off() -> None:
    """A connection that closes during the handshake sent nothing and may work later."""
    with RawServer(say_and_close(b""), reads=False) as server:
        outcome = submit(server.url("https"))

    assert isinstance(outcome, NotSent)
    assert type(outcome.fault) is TransientFault


@pytest.mark.parametrize("content", ["", "no certificate\n"])
def test_names_a_bundle_without_certificates(tmp_path: Path, content: str) -> None:
    """A file that holds no certificate is named by its flag, before anything is sent."""
    path = tmp_path / "empty.pem"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationFault, match=r"--frceapi-ca-bundle is '.*empty\.pem', which holds no certificate"):
        Client(ClientConfig("https://api.example.org", ca_bundle=path))


def test_names_a_bundle_that_does_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is not even made, and the message says where the name came from."""
    with pytest.raises(ConfigurationFault, match=r"--frceapi-ca-bundle is '.*none\.pem'"):
        Client(ClientConfig("https://api.example.org", ca_bundle=tmp_path / "none.pem"))
    with pytest.raises(ConfigurationFault, match=r"--frceapi-ca-bundle is '.*none\.pem'"):
        Client(ClientConfig("http://127.0.0.1:8080", auth="none", ca_bundle=tmp_path / "none.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "none.pem")
    with pytest.raises(ConfigurationFault, match=r"REQUESTS_CA_BUNDLE is 'none\.pem'"):
        Client(ClientConfig("https://api.example.org"))


def test_falls_back_to_the_system_and_to_certifi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a setting the first file of the system counts, and without any the library's own."""
    config = ClientConfig("https://api.example.org")
    system = tmp_path / "system.pem"
    system.touch()
    monkeypatch.setattr("snakemake_executor_plugin_frceapi.client.trust._SYSTEM_BUNDLES", (str(system),))

    assert trusted_certificates(config, {}) == str(system)
    assert trusted_certificates(config, {"SSL_CERT_FILE": __file__}) == __file__
    system.unlink()
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: SimpleNamespace(openssl_cafile_env="", cafile=None))
    assert trusted_certificates(config, {}) == certifi.where()


def test_goes_through_the_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, tokens: list[tuple[str, str | None]]
) -> None:
    """A proxy that refuses is named, without its password, and nothing was sent."""
    with RawServer(say_and_close(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:{SECRET}@127.0.0.1:{proxy.port}")
        outcome = submit("https://api.example.org/hpcapi", auth="kerberos")

    assert proxy.requests[0].startswith(b"CONNECT api.example.org:443 HTTP/1.")
    assert b"Negotiate" not in proxy.requests[0]
    assert isinstance(outcome, NotSent)
    assert type(outcome.fault) is TransientFault
    assert "HTTPS_PROXY" in message_of(outcome)


def test_speaks_tls_to_a_proxy(
    monkeypatch: pytest.MonkeyPatch, tokens: list[tuple[str, str | None]], tls: ssl.SSLContext, bundle: Path
) -> None:
    """A proxy with an https URL is trusted as the service is."""
    with RawServer(say_and_close(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"), tls) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url("https", "localhost"))
        submit("https://api.example.org/hpcapi", auth="kerberos", ca_bundle=bundle)

    assert proxy.requests[0].startswith(b"CONNECT api.example.org:443 HTTP/1.")


@pytest.mark.parametrize("scheme", ["http://", "https://", ""])
def test_submits_through_a_proxy(
    scheme: str,
    monkeypatch: pytest.MonkeyPatch,
    tls: ssl.SSLContext,
    bundle: Path,
    tokens: list[tuple[str, str | None]],
) -> None:
    """The proxy passes on what it cannot read, over one connection for several requests, and learns who sends."""
    config = ClientConfig("https://api.example.org/hpcapi", ca_bundle=bundle)
    proxy_tls = tls if scheme == "https://" else None
    with RawServer(say(answer()), tls) as server, RawServer(tunnel(server.port), proxy_tls) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}user:{SECRET}@localhost:{proxy.port}")
        client = Client(config)
        outcomes = [client.submit_job(BODY) for _ in range(2)]
        client.close()
        made = shake_hands(config)

    assert outcomes == [Accepted("12")] * 2
    assert made.version == "TLSv1.3"
    assert proxy.connections == server.connections == 2
    assert f"Basic {b64encode(f'user:{SECRET}'.encode()).decode()}".encode() in proxy.requests[0]
    assert b"Host: api.example.org\r\n" in server.requests[0]
    assert b"Proxy-Authorization" not in server.requests[0]


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        ("untrusted", ConfigurationFault, "issuer certificate); if the site has a certificate authority"),
        ("no tls", TransientFault, "does not speak TLS at this port; correct the proxy in HTTPS_PROXY"),
    ],
)
def test_blames_the_proxy_for_its_own_tls(
    fault: str, kind: type[FrceapiError], said: str, monkeypatch: pytest.MonkeyPatch, tls: ssl.SSLContext
) -> None:
    """It is not the service whose certificate is not trusted, or who speaks no TLS."""
    with RawServer(say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), tls if fault == "untrusted" else None) as proxy:
        proxy.ambush = None if fault == "untrusted" else say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        monkeypatch.setenv("HTTPS_PROXY", f"https://user:{SECRET}@localhost:{proxy.port}")
        with pytest.raises(ServiceError) as caught:
            shake_hands(ClientConfig("https://api.example.org/hpcapi"))

    assert type(caught.value) is kind
    assert f"through the proxy https://***@localhost:{proxy.port}: it" in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1080", "ftp://127.0.0.1", "http://"])
def test_names_the_setting_of_a_proxy_that_is_none(
    monkeypatch: pytest.MonkeyPatch, tokens: list[tuple[str, str | None]], proxy: str
) -> None:
    """A kind of proxy that is not known, and one without a host, need another setting."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    outcome = submit("https://api.example.org/hpcapi", auth="kerberos")

    assert isinstance(outcome, NotSent)
    assert type(outcome.fault) is ConfigurationFault
    assert "HTTPS_PROXY" in message_of(outcome)


def test_never_sends_a_sandbox_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The secret of a sandbox stays on this machine."""
    with RawServer(say(answer())) as proxy, RawServer(say(answer())) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())
        assert submit(server.url()) == Accepted("12")

    assert proxy.connections == 0


def test_keeps_the_secret_out_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """No library that takes part writes a URL into its debugging log."""
    caplog.set_level(logging.DEBUG)
    with RawServer(say(answer(headers="no header at all\r\n"))) as server:
        assert submit(server.url()) == Accepted("12")

    assert SECRET not in caplog.text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(HEAD + b"\r\n" + ACCEPTED)
@given(st.binary(max_size=400) | st.binary(max_size=60).map(lambda data: HEAD + data))
def test_gives_every_stream_of_bytes_an_outcome(data: bytes) -> None:
    """Whatever comes back, a submission has an outcome."""
    with RawServer(say_and_close(data)) as server:
        outcome = submit(server.url())

    assert isinstance(outcome, Accepted | Refused | Unknown | NotSent)
    assert isinstance(outcome, Accepted) or message_of(outcome)


@pytest.mark.parametrize(
    "url",
    [
        "https://hpcapi.ncifcrf.gov/hpcapi",
        "HTTPS://api.example.org:8443/",
        "http://127.0.0.1:8080/secret/hpcapi",
        "http://127.1.2.3:8080",
        "http://localhost:8080",
        "http://[::1]:8080/x",
    ],
)
def test_accepts_a_safe_url(url: str) -> None:
    """Any https URL, and http on this machine."""
    check_url(url)


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("", "give a URL"),
        ("hpcapi.ncifcrf.gov", "give a URL"),
        ("https://", "give a URL"),
        ("ftp://api.example.org", "give a URL"),
        ("https://[::1", "give a URL"),
        ("https://api.example.org:port", "give a URL"),
        ("https://api.example.org:99999", "give a URL"),
        ("https://api example.org", "give a URL"),
        ("https://api.example.org\\@127.0.0.1/", "give a URL"),
        ("https://*.example.org/", "give a URL"),
        ("https://api.example.org/\n", "give a URL"),
        ("https://äpi.example.org/", "give a URL"),
        (f"https://user:{SECRET}@api.example.org/", "leave out user name"),
        (f"https://api.example.org/?key={SECRET}", "leave out user name"),
        (f"https://api.example.org/#{SECRET}", "leave out user name"),
        (f"http://api.example.org/{SECRET}/hpcapi", "only https is safe"),
        ("http://128.0.0.1/", "only https is safe"),
        ("http://localhost.example.org/", "only https is safe"),
        ("http://127.0.0.1.example.org/", "only https is safe"),
    ],
)
def test_refuses_an_unsafe_url(url: str, named: str) -> None:
    """The message says what to change and keeps what may be secret."""
    with pytest.raises(SettingsError, match=named) as caught:
        check_url(url)

    assert SECRET not in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hpcapi.ncifcrf.gov/hpcapi/submit_job", "https://hpcapi.ncifcrf.gov/hpcapi/submit_job"),
        ("https://api.example.org:8443/v1/hpcapi", "https://api.example.org:8443/v1/hpcapi"),
        (f"http://127.0.0.1:8080/{SECRET}/hpcapi", "http://127.0.0.1:8080/***/hpcapi"),
        (f"https://localhost:8080/{SECRET}/hpcapi/", "https://localhost:8080/***/hpcapi/"),
        (f"http://[::1]:8080/{SECRET}", "http://[::1]:8080/***"),
        (f"https://user:{SECRET}@api.example.org/hpcapi?{SECRET}", "https://***@api.example.org/hpcapi?***"),
        (f"\x1b[2J{SECRET}", "***"),
        (SECRET, "***"),
        (f"api.example.org/{SECRET}", "api.example.org/***"),
        (f"user:{SECRET}@api.example.org/hpcapi", "api.example.org/***"),
        (f"user:a/b@{SECRET}/hpcapi", "***"),
        (f"api.example.org?{SECRET}/hpcapi", "***"),
        (f"https:///{SECRET}/hpcapi", "***"),
    ],
)
def test_shows_a_url_without_its_secrets(url: str, shown: str) -> None:
    """Only what helps is shown."""
    assert public_url(url) == shown


@given(st.text())
def test_survives_any_url(url: str) -> None:
    """No text crashes the checks, and what is shown is one line."""
    assert public_url(url).isprintable()
    assert is_loopback(url) in {True, False}
    with contextlib.suppress(SettingsError):
        check_url(url)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"auth": "basic"}, "--frceapi-auth is 'basic'"),
        ({"auth": "none"}, "--frceapi-auth none is only for a sandbox"),
        ({"base_url": f"http://127.0.0.1/{SECRET}"}, "Kerberos needs https"),
        ({"base_url": "http://api.example.org"}, "only https is safe"),
    ],
)
def test_refuses_unsafe_settings(settings: dict[str, str], named: str) -> None:
    """A ticket never goes without TLS, and nothing leaves this machine without a ticket."""
    with pytest.raises(FrceapiError, match=named) as caught:
        ClientConfig(**{"base_url": "https://api.example.org", **settings})  # type: ignore[arg-type]

    assert SECRET not in str(caught.value)


def test_keeps_the_secret_out_of_its_own_form() -> None:
    """A configuration that is logged shows no secret."""
    assert SECRET not in repr(ClientConfig(f"http://127.0.0.1/{SECRET}/hpcapi", auth="none"))
