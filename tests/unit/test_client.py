"""Tests of the two calls against a server made of raw sockets, which can break in every way a network can."""

from __future__ import annotations

import contextlib
import gzip
import logging
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Self

import pytest
import requests
import trustme
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from snakemake_executor_plugin_frceapi import client as client_module
from snakemake_executor_plugin_frceapi.client import Client, ClientConfig, check_url, is_loopback, public_url
from snakemake_executor_plugin_frceapi.client.endpoint import trusted_certificates
from snakemake_executor_plugin_frceapi.errors import (
    ConfigurationFault,
    FrceapiError,
    ServiceError,
    SettingsError,
    TicketFault,
    TransientFault,
)
from snakemake_executor_plugin_frceapi.job import Accepted, JobState, Listing, NotSent, Refused, SubmitOutcome, Unknown

SECRET = "s3cr3t-of-the-sandbox"
BODY = b'{"script-body":"#!/bin/sh\\n","partition":"norm"}'
ACCEPTED = b'{"status": "call_success", "reason": "12"}'
LISTED = b'{"status": "call_success", "12": {"state": "RUNNING"}, "reason": "query_success"}'

Handler = Callable[[socket.socket, int], object]


def answer(body: bytes = ACCEPTED, status: str = "200 Success", headers: str = "") -> bytes:
    """Return a whole HTTP answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


def say(*answers: bytes) -> Handler:
    """Return a handler that gives the n-th request of a server the n-th answer, or the last."""
    return lambda connection, number: connection.sendall(answers[min(number, len(answers)) - 1])


def say_and_close(data: bytes) -> Handler:
    """Return a handler that closes the connection after an answer."""

    def handle(connection: socket.socket, number: int) -> None:
        connection.sendall(data)
        raise ConnectionAbortedError

    return handle


def reset(connection: socket.socket, number: int) -> None:
    """Break the connection with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise ConnectionAbortedError


def drip(before: bytes) -> Handler:
    """Return a handler that goes on for ever with a byte at a time."""

    def handle(connection: socket.socket, number: int) -> None:
        connection.sendall(before)
        while True:
            connection.sendall(b"x")
            time.sleep(0.02)

    return handle


class RawServer:
    """Answers on a loopback port, one thread a connection.

    Attributes:
        port: the port it listens on.
        requests: every request as it came, head and body.
        connections: how many connections there were.
    """

    def __init__(self, handler: Handler, tls: ssl.SSLContext | None = None, *, reads: bool = True) -> None:
        self._handler = handler
        self._tls = tls
        self._reads = reads
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self.requests: list[bytes] = []
        self.connections = 0

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *details: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def url(self, scheme: str = "http", host: str = "127.0.0.1") -> str:
        """Return a base URL with a secret, as a sandbox has."""
        return f"{scheme}://{host}:{self.port}/{SECRET}/hpcapi"

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._open.append(connection)
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError), plain:
            connection = self._tls.wrap_socket(plain, server_side=True) if self._tls else plain
            with connection:
                while not self._reads or self._read(connection):
                    self._handler(connection, len(self.requests))

    def _read(self, connection: socket.socket) -> bool:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65536)
            if not piece:
                return False
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), 0)
        while len(body) < length:
            body += connection.recv(65536)
        self.requests.append(head + b"\r\n\r\n" + body)
        return True


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
    """Return the TLS settings of a server that is called localhost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
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

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header."""
        self.tokens += 1
        request.headers["Authorization"] = f"Negotiate {self.tokens}"
        return request


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """Put countable tokens in place of Kerberos; return for whom an authentication was made."""
    made: list[tuple[str, str | None]] = []

    def counting_auth(host: str, target_name: str | None) -> CountingAuth:
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


def test_keeps_a_connection_that_is_in_use() -> None:
    """A burst of calls needs one connection a thread."""
    with RawServer(say(answer())) as server, client_of(server.url()) as client:
        for _ in range(5):
            client.submit_job(BODY)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(client.submit_job, BODY).result()

    assert server.connections == 2
    assert len(server.requests) == 6


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


HEAD = b"HTTP/1.1 200 Success\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("handler", "named"),
    [
        pytest.param(reset, "Connection reset by peer", id="reset after the request"),
        pytest.param(say_and_close(b""), "it closed the connection without an answer", id="closed without an answer"),
        pytest.param(
            say_and_close(HEAD + b"Content-Length: 99\r\n\r\n{"), "its answer was cut off", id="truncated body"
        ),
        pytest.param(
            say_and_close(HEAD + b"Transfer-Encoding: chunked\r\n\r\n9\r\n{"),
            "its answer was cut off",
            id="truncated chunk",
        ),
        pytest.param(
            say_and_close(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{"),
            "its answer is no HTTP",
            id="garbage chunk",
        ),
        pytest.param(say_and_close(HEAD), "names no job id", id="truncated headers"),
        pytest.param(
            say_and_close(b"SSH-2.0-x\r\n\r\n"), "its answer is no HTTP (BadStatusLine)", id="garbage status line"
        ),
        pytest.param(
            say_and_close(b"HTTP/1.1 200 " + b"x" * 70_000),
            "its answer is no HTTP (LineTooLong)",
            id="endless status line",
        ),
        pytest.param(say(answer(b"x" * 5_000)), "its answer has more than 4,096 bytes", id="too large"),
        pytest.param(say(answer(b"")), "status code 200 with application/json, which names no job id", id="empty"),
        pytest.param(
            say(answer(b"<html>in</html>").replace(b"application/json", b"text/html")), "with text/html", id="HTML"
        ),
        pytest.param(
            say(answer(gzip.compress(ACCEPTED), headers="Content-Encoding: gzip\r\n")), "no job id", id="compressed"
        ),
        pytest.param(say(answer(ACCEPTED, "500 Internal Server Error")), "status code 500", id="server error"),
        pytest.param(
            say(answer(b"", "503 Unavailable", "Retry-After: 7\r\n")), "status code 503", id="unavailable, come back"
        ),
    ],
)
def test_does_not_know_what_became_of_a_submission(handler: Handler, named: str) -> None:
    """Once the request may have arrived, a broken answer is an unknown outcome, and it is not sent again."""
    with RawServer(handler) as server:
        outcome = submit(server.url(), max_submit_bytes=4096)

    assert isinstance(outcome, Unknown)
    assert named in message_of(outcome)
    assert f"http://127.0.0.1:{server.port}/***/hpcapi/submit_job" in message_of(outcome)
    assert len(server.requests) == 1


def test_does_not_know_after_a_reset_before_the_request_was_read() -> None:
    """A reset looks the same whether or not the request was read."""

    def reset_unread(connection: socket.socket, number: int) -> None:
        connection.recv(1, socket.MSG_PEEK)
        reset(connection, number)

    with RawServer(reset_unread, reads=False) as server:
        outcome = submit(server.url())

    assert isinstance(outcome, Unknown)
    assert "may have taken the job" in message_of(outcome)


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(b"HTTP/1.1 200 Suc", id="status line"),
        pytest.param(HEAD + b"X: ", id="header"),
        pytest.param(HEAD + b"Content-Length: 1000000\r\n\r\n", id="body"),
        pytest.param(HEAD + b"Connection: close\r\n\r\n" + ACCEPTED, id="body without an end"),
    ],
)
def test_ends_a_drip_at_the_deadline(before: bytes) -> None:
    """A server that sends a byte now and then holds nobody longer than the deadline."""
    with RawServer(drip(before)) as server, client_of(server.url(), submit_deadline_seconds=0.3) as client:
        outcome = client.submit_job(BODY)

    assert isinstance(outcome, Unknown)
    assert "in 0.3 s" in message_of(outcome)


def test_ends_a_silent_answer_at_the_deadline() -> None:
    """So does a server that says nothing."""
    released = threading.Event()
    with RawServer(lambda *_: released.wait(30)) as server:
        outcome = submit(server.url(), submit_deadline_seconds=0.2)
        released.set()

    assert isinstance(outcome, Unknown)
    assert "did not answer in 0.2 s" in message_of(outcome)


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

    def slow_auth(_: CountingAuth, request: requests.PreparedRequest) -> requests.PreparedRequest:
        time.sleep(0.5)
        return request

    monkeypatch.setattr(CountingAuth, "__call__", slow_auth)
    with RawServer(drip(b"")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        outcome = submit("https://api.example.org/hpcapi", auth="kerberos", submit_deadline_seconds=0.2)

    assert isinstance(outcome, NotSent)
    assert "in 0.2 s" in message_of(outcome)


def test_sends_nothing_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """When making the token took all the time, the request stays here, also on a kept connection."""
    waits = iter([0.0, 0.5, 0.5])

    def slow_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
        time.sleep(next(waits))
        return request

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


@pytest.mark.parametrize(
    ("handler", "kind"),
    [(reset, TransientFault), (say(answer(LISTED * 100)), TransientFault), (say(answer(b"<html>")), TransientFault)],
)
def test_raises_when_there_is_no_listing(handler: Handler, kind: type[ServiceError]) -> None:
    """A broken status request is a fault that may pass, and names the call."""
    with (
        RawServer(handler) as server,
        client_of(server.url(), max_listing_bytes=4096) as client,
        pytest.raises(kind, match=r"/\*\*\*/hpcapi/query_status") as caught,
    ):
        client.query_status()

    assert SECRET not in str(caught.value)


def test_follows_no_redirect() -> None:
    """A redirect is reported with its host, and nothing is sent there."""
    with RawServer(say(answer())) as other:
        redirect = answer(b"", "307 Temporary Redirect", f"Location: {other.url(host='localhost')}\r\n")
        with RawServer(say(redirect)) as server:
            outcome = submit(server.url())

    assert isinstance(outcome, NotSent)
    assert type(outcome.fault) is ConfigurationFault
    assert "redirect to localhost is not followed" in message_of(outcome)
    assert other.connections == 0


def test_survives_a_redirect_to_nonsense() -> None:
    """A location that is no URL is a redirect to nowhere."""
    with RawServer(say(answer(b"", "302 Found", "Location: http://[\r\n"))) as server:
        assert "redirect to nowhere" in message_of(submit(server.url()))


def test_passes_on_retry_after() -> None:
    """A service that is too busy says when to come back."""
    with RawServer(say(answer(b"", "429 Too Many Requests", "Retry-After: 7\r\n"))) as server:
        outcome = submit(server.url())

    assert isinstance(outcome, NotSent)
    assert isinstance(outcome.fault, TransientFault)
    assert outcome.fault.retry_after_seconds == 7.0
    assert len(server.requests) == 1


def test_reports_a_refusal() -> None:
    """The service's own no is final."""
    with RawServer(say(answer(b'{"status": "call_failed", "reason": "bad_partition"}'))) as server:
        outcome = submit(server.url())

    assert isinstance(outcome, Refused)
    assert outcome.code == "bad_partition"


def test_tries_a_refused_token_once_more(
    tokens: list[tuple[str, str | None]], tls: ssl.SSLContext, bundle: Path
) -> None:
    """A 401 gets one new token; the job is submitted once."""
    with RawServer(say(answer(b"", "401 Unauthorized"), answer()), tls) as server:
        outcome = submit(
            server.url("https", "localhost"), auth="kerberos", ca_bundle=bundle, target_name="HTTP@api.example.org"
        )

    assert outcome == Accepted("12")
    assert tokens == [("localhost", "HTTP@api.example.org")]
    assert [b"Authorization: Negotiate %d\r\n" % n in request for n, request in enumerate(server.requests, 1)] == [
        True,
        True,
    ]


def test_gives_up_when_a_second_token_is_refused(
    tokens: list[tuple[str, str | None]], tls: ssl.SSLContext, bundle: Path
) -> None:
    """A second 401 is a fault of the ticket."""
    with RawServer(say(answer(b"", "401 Unauthorized")), tls) as server:
        outcome = submit(server.url("https", "localhost"), auth="kerberos", ca_bundle=bundle)

    assert isinstance(outcome, NotSent)
    assert type(outcome.fault) is TicketFault
    assert "kinit" in message_of(outcome)
    assert len(server.requests) == 2


def test_has_an_authentication_for_each_thread(
    tokens: list[tuple[str, str | None]], tls: ssl.SSLContext, bundle: Path
) -> None:
    """Threads share neither authentication nor connection."""
    together = threading.Barrier(4)

    def work(client: Client) -> list[SubmitOutcome]:
        together.wait()
        return [client.submit_job(BODY) for _ in range(5)]

    with (
        RawServer(say(answer()), tls) as server,
        client_of(server.url("https", "localhost"), auth="kerberos", ca_bundle=bundle) as client,
        ThreadPoolExecutor(4) as pool,
    ):
        outcomes = [outcome for several in pool.map(work, [client] * 4) for outcome in several]

    assert outcomes == [Accepted("12")] * 20
    assert len(tokens) == 4
    assert server.connections == 4


def test_sends_nothing_without_a_ticket(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tls: ssl.SSLContext, bundle: Path
) -> None:
    """The real libraries and an empty cache: no byte of the request leaves."""
    pytest.importorskip("requests_gssapi")
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path}/none")
    with RawServer(say(answer()), tls) as server:
        outcome = submit(server.url("https", "localhost"), auth="kerberos", ca_bundle=bundle)

    assert isinstance(outcome, NotSent)
    assert type(outcome.fault) is TicketFault
    assert f"FILE:{tmp_path}/none" in message_of(outcome)
    assert server.connections == 0


def test_knows_that_a_refused_connection_sent_nothing() -> None:
    """Nobody listens, so the job can be tried again."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    outcome = submit(f"http://127.0.0.1:{port}/{SECRET}/hpcapi")

    assert isinstance(outcome, NotSent)
    assert type(outcome.fault) is TransientFault
    assert message_of(outcome) == (
        f"cannot reach http://127.0.0.1:{port}/***/hpcapi/submit_job: Connection refused; "
        "start the sandbox with `frceapi sandbox`, and check --frceapi-url"
    )


def test_knows_that_a_connection_timeout_sent_nothing() -> None:
    """A machine that does not answer at all took nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as stack:
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        outcome = submit(f"http://127.0.0.1:{full.getsockname()[1]}/hpcapi", connect_timeout_seconds=0.2)

    assert isinstance(outcome, NotSent)
    assert type(outcome.fault) is TransientFault
    assert "it did not answer in time" in message_of(outcome)


def test_knows_that_an_unknown_host_got_nothing(
    monkeypatch: pytest.MonkeyPatch, tokens: list[tuple[str, str | None]]
) -> None:
    """A name that cannot be resolved is a fault that may pass."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    outcome = submit("https://api.example.org/hpcapi", auth="kerberos")

    assert isinstance(outcome, NotSent)
    assert type(outcome.fault) is TransientFault
    assert "https://api.example.org/hpcapi/submit_job: the host name is not known" in message_of(outcome)
    assert "--frceapi-url" in message_of(outcome)


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


@pytest.mark.parametrize("trusted", [True, False])
def test_refuses_a_certificate_that_proves_nothing(
    tls: ssl.SSLContext, bundle: Path, monkeypatch: pytest.MonkeyPatch, *, trusted: bool
) -> None:
    """An unknown authority, or a name that is not the URL's, ends it before anything is sent."""
    if trusted:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    host, said, remedy = (
        ("127.0.0.1", "not valid for '127.0.0.1'", "check --frceapi-url")
        if trusted
        else ("localhost", "issuer certificate", "--frceapi-ca-bundle")
    )
    with RawServer(say(answer()), tls) as server:
        outcome = submit(server.url("https", host))

    assert isinstance(outcome, NotSent)
    assert type(outcome.fault) is ConfigurationFault
    assert "its certificate is not trusted" in message_of(outcome)
    assert said in message_of(outcome)
    assert remedy in message_of(outcome)
    assert server.requests == []


def test_refuses_a_server_without_tls() -> None:
    """An answer that is not TLS is a wrong URL."""
    with RawServer(say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), reads=False) as server:
        outcome = submit(server.url("https"))

    assert isinstance(outcome, NotSent)
    assert type(outcome.fault) is ConfigurationFault
    assert "TLS failed" in message_of(outcome)
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
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "none.pem")
    with pytest.raises(ConfigurationFault, match=r"REQUESTS_CA_BUNDLE is 'none\.pem'"):
        Client(ClientConfig("https://api.example.org"))


def test_falls_back_to_the_system_and_to_certifi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a setting the first file of the system counts, and without any the library's own."""
    config = ClientConfig("https://api.example.org")
    system = tmp_path / "system.pem"
    system.touch()
    monkeypatch.setattr("snakemake_executor_plugin_frceapi.client.endpoint._SYSTEM_BUNDLES", (str(system),))

    assert trusted_certificates(config, {}) == str(system)
    assert trusted_certificates(config, {"SSL_CERT_FILE": __file__}) == __file__
    system.unlink()
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: SimpleNamespace(openssl_cafile_env="", cafile=None))
    assert trusted_certificates(config, {}) is True


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


def test_never_sends_a_sandbox_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The secret of a sandbox stays on this machine."""
    with RawServer(say(answer())) as proxy, RawServer(say(answer())) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())
        assert submit(server.url()) == Accepted("12")

    assert proxy.connections == 0


def test_keeps_the_secret_out_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Even the debugging log of the HTTP library shows the public path only, until the client is closed."""
    caplog.set_level(logging.DEBUG)
    with RawServer(say(answer(headers="no header at all\r\n"))) as server, client_of(server.url()) as client:
        client.submit_job(BODY)
    logging.getLogger("urllib3.connectionpool").debug("/%s/hpcapi", SECRET)
    text = caplog.text

    assert "/***/hpcapi/submit_job" in text
    assert text.count(SECRET) == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(HEAD + b"\r\n" + ACCEPTED)
@given(st.binary(max_size=400) | st.binary(max_size=60).map(lambda data: HEAD + data))
def test_gives_every_stream_of_bytes_an_outcome(data: bytes) -> None:
    """Whatever comes back, a submission has an outcome and a status request a listing or a fault."""
    with RawServer(say_and_close(data)) as server, client_of(server.url()) as client:
        outcome = client.submit_job(BODY)
        with contextlib.suppress(ServiceError):
            assert isinstance(client.query_status(), Listing)

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
