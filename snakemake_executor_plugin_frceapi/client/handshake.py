"""Looks at the way to the service step by step, for people who have to find out where it ends.

Nothing secret is sent: a name is looked up, a TLS connection is made, and one request goes out without a token.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from snakemake_executor_plugin_frceapi.client.causes import unreached
from snakemake_executor_plugin_frceapi.client.connection import Connection, proxy_of
from snakemake_executor_plugin_frceapi.client.deadline import Deadline
from snakemake_executor_plugin_frceapi.client.endpoint import ClientConfig, public_url
from snakemake_executor_plugin_frceapi.client.trust import Trust

if TYPE_CHECKING:
    from urllib3.util.ssltransport import SSLTransport


@dataclass(frozen=True, slots=True)
class Handshake:
    """A TLS connection.

    Attributes:
        version: version of the protocol, such as ``TLSv1.3``.
        chain: who the certificates name that the server sent, its own first.
        signer: who signed the last of them.
        ends: until when the server's own is valid; None where that is not known.
    """

    version: str
    chain: tuple[str, ...]
    signer: str
    ends: datetime | None


@dataclass(frozen=True, slots=True)
class Greeting:
    """The answer to a request without a token.

    Attributes:
        status_code: status code.
        challenge: ``WWW-Authenticate`` as sent.
        date: ``Date`` as sent.
        server: ``Server`` as sent.
        asked: this machine's time before the request was sent.
        answered: its time when the answer was there.
    """

    status_code: int
    challenge: str
    date: str
    server: str
    asked: datetime
    answered: datetime


def addresses(config: ClientConfig) -> list[str]:
    """Look up the host, or the proxy where there is one.

    Raises:
        ServiceError: it has no address.
    """
    proxy = proxy_of(config)
    parts = urlsplit(proxy or config.base_url)
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as err:
        raise unreached(err, public_url(config.base_url), public_url(proxy) if proxy else "") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def shake_hands(config: ClientConfig, *, trusting: bool = True) -> Handshake:
    """Make a TLS connection and close it.

    Args:
        config: how to reach the service.
        trusting: whether the certificate must be good; without that, nothing may be sent on such a connection.

    Raises:
        ServiceError: the host cannot be reached, or its certificate is not trusted.
    """
    with _opened(config, _context(config, trusting=trusting)) as connection:
        version = connection.tls.version() or ""
        chain = _chain(connection.tls)
    last = chain[-1] if chain else {}
    return Handshake(
        version,
        tuple(_name(certificate["subject"]) for certificate in chain),
        _name(last["issuer"]) if last else "",
        datetime.fromtimestamp(ssl.cert_time_to_seconds(chain[0]["notAfter"]), UTC) if chain else None,
    )


def greet(config: ClientConfig) -> Greeting:
    """Ask for the listing without a token, and return how the service answers.

    Raises:
        ServiceError: there is no answer.
    """
    encrypted = urlsplit(config.base_url).scheme == "https"
    with _opened(config, _context(config) if encrypted else None) as connection:
        asked = datetime.now(UTC)
        try:
            answer = connection.ask("GET", urlsplit(config.url_of("query_status")).path, {})
        except (OSError, HTTPException, ValueError) as err:
            raise unreached(err, public_url(config.base_url)) from None
    said = {name: answer.getheader(name) or "" for name in ("WWW-Authenticate", "Date", "Server")}
    answered = datetime.now(UTC)
    return Greeting(answer.status, said["WWW-Authenticate"], said["Date"], said["Server"], asked, answered)


@contextmanager
def _opened(config: ClientConfig, context: Callable[[], ssl.SSLContext] | None) -> Iterator[Connection]:
    with closing(Connection(config, context)) as connection, Deadline(config.status_deadline_seconds) as deadline:
        connection.open(config.base_url, deadline)
        yield connection


def _context(config: ClientConfig, *, trusting: bool = True) -> Callable[[], ssl.SSLContext]:
    context = Trust(config, os.environ).context()
    if not trusting:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return lambda: context


def _chain(connection: ssl.SSLSocket | SSLTransport) -> Sequence[Mapping[str, Any]]:
    """The certificates that the server sent, as `ssl.SSLSocket.getpeercert` has them; none where that is not known.

    That method tells nothing of a certificate that is not trusted, and Python has no public one that does.
    """
    made: Any = connection if isinstance(connection, ssl.SSLSocket) else connection.sslobj
    try:
        return [found.get_info() for found in made._sslobj.get_unverified_chain() or ()]  # noqa: SLF001 - see above
    except AttributeError:
        return []


def _name(name: Sequence[Sequence[tuple[str, str]]]) -> str:
    """The common name in a distinguished name, or what else there is."""
    parts = {key: value for entry in name for key, value in entry}
    return parts.get("commonName") or ", ".join(parts.values()) or "nobody"
