"""Fault matrix, rows 1 to 3: what surely did not reach the service is sent again, later and later, until it does."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from snakemake_executor_plugin_frceapi.errors import ConfigurationFault, ServiceError, TransientFault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.bench import Bench

Waits = list[tuple[ServiceError, float]]

_TRIES = 5


def assert_sent_when_it_is_over(
    bench: Bench, waits: Waits, fault: AbstractContextManager[object], kind: type[ServiceError], *said: str
) -> None:
    """Submit during a fault and see that the job is sent once, after it, and that the user reads one line of each."""
    with fault:
        bench.submit("one")
        bench.look_until(lambda: len(waits) >= _TRIES)
        assert bench.api.posted == []
    bench.finish("one")

    assert bench.events == [("submitted", "one"), ("succeeded", "one")]
    assert len(bench.api.posted) == len(bench.ledger) == 1
    assert {type(fault) for fault, _ in waits} == {kind}
    assert waits[0][1] <= 1.0
    assert waits[_TRIES - 1][1] >= 4.0
    assert len(bench.said) == 2
    assert all(word in bench.said[0] for word in said)
    assert bench.said[1].startswith("The API can be used again")


@contextmanager
def refused(bench: Bench) -> Iterator[None]:
    """Nobody listens."""
    bench.server.refuse()
    yield
    bench.server.recover()


@contextmanager
def stalled(bench: Bench) -> Iterator[None]:
    """Connections are neither accepted nor refused."""
    bench.server.stall()
    yield
    bench.server.recover()


@contextmanager
def unresolved(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No name is known."""

    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", unknown)
        yield


def test_row_01_refused_connection_is_tried_again(bench: Bench, waits: Waits) -> None:
    """A service that is down gets the job when it is up."""
    bench.start()
    said = ("/***/hpcapi/submit_job: Connection refused", "start the sandbox", "check --frceapi-url")
    assert_sent_when_it_is_over(bench, waits, refused(bench), TransientFault, *said)


def test_row_01_unknown_host_is_tried_again(
    calls_here: None, bench: Bench, waits: Waits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that cannot be resolved now may be resolved later."""
    bench.start(url=bench.server.url(host="localhost"))
    said = ("the host name is not known", "check the network and --frceapi-url")
    assert_sent_when_it_is_over(bench, waits, unresolved(monkeypatch), TransientFault, *said)


def test_row_03_connect_timeout_is_tried_again(bench: Bench, waits: Waits, patience: Callable[..., None]) -> None:
    """A machine that does not answer at all took nothing."""
    patience(connect_timeout_seconds=0.2)
    bench.start()
    said = ("/***/hpcapi/submit_job: it did not answer in time",)
    assert_sent_when_it_is_over(bench, waits, stalled(bench), TransientFault, *said)


class Authorities:
    """The authority that the client trusts, and another one.

    Attributes:
        bundle: the certificate of the trusted one.
    """

    def __init__(self, directory: Path) -> None:
        self._trusted, self._other = trustme.CA(), trustme.CA()
        self.bundle = directory / "authority.pem"
        self._trusted.cert_pem.write_to_path(self.bundle)

    def server(self, name: str = "localhost", *, trusted: bool = True) -> ssl.SSLContext:
        """Return the TLS settings of a server with a certificate for a name."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (self._trusted if trusted else self._other).issue_cert(name).configure_cert(context)
        return context


@contextmanager
def certificate(bench: Bench, tls: ssl.SSLContext) -> Iterator[None]:
    """The server has another certificate."""
    former, bench.server.tls = bench.server.tls, tls
    yield
    bench.server.tls = former


BAD_CERTIFICATES = pytest.mark.parametrize(
    ("bad", "said"),
    [
        pytest.param({"trusted": False}, ("is not trusted (", "--frceapi-ca-bundle"), id="authority"),
        pytest.param({"name": "elsewhere.test"}, ("is not trusted (Hostname mismatch", "--frceapi-url"), id="name"),
    ],
)


@BAD_CERTIFICATES
def test_row_02_certificate_that_proves_nothing_is_fatal_at_the_start(
    bench: Bench, tmp_path: Path, bad: dict[str, Any], said: tuple[str, ...]
) -> None:
    """Nothing is sent, and the one line names what to change."""
    authorities = Authorities(tmp_path)
    bench.server.tls = authorities.server(**bad)
    with pytest.raises(ConfigurationFault) as caught:
        bench.start(url=bench.server.url("https", "localhost"), ca_bundle=authorities.bundle)

    assert all(word in str(caught.value) for word in said)
    assert bench.server.requests == []


@BAD_CERTIFICATES
def test_row_02_certificate_that_proves_nothing_later_is_tried_again(
    bench: Bench, waits: Waits, tmp_path: Path, bad: dict[str, Any], said: tuple[str, ...]
) -> None:
    """A site that renews its certificate badly does not end a run."""
    authorities = Authorities(tmp_path)
    bench.server.tls = authorities.server()
    bench.start(url=bench.server.url("https", "localhost"), ca_bundle=authorities.bundle)
    fault = certificate(bench, authorities.server(**bad))
    assert_sent_when_it_is_over(bench, waits, fault, ConfigurationFault, *said)
