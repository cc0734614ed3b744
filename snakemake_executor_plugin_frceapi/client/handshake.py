"""Looks at the way to the service step by step, for people who have to find out where it ends.

Nothing secret is sent: a name is looked up, a TLS connection is made, and one request goes out without a token.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy

from snakemake_executor_plugin_frceapi.client.endpoint import ClientConfig, is_loopback, public_url
from snakemake_executor_plugin_frceapi.client.exchange import PROXY_REMEDY, unreached
from snakemake_executor_plugin_frceapi.client.trust import Trust
from snakemake_executor_plugin_frceapi.errors import TransientFault


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


def proxy_of(config: ClientConfig) -> str:
    """Return the URL of the proxy that requests go through, empty if there is none; it may hold a password."""
    if is_loopback(config.base_url):
        return ""
    return select_proxy(config.base_url, get_environ_proxies(config.base_url, no_proxy=None)) or ""


def addresses(config: ClientConfig) -> list[str]:
    """Look up the host, or the proxy where there is one.

    Raises:
        ServiceError: it has no address.
    """
    parts = urlsplit(proxy_of(config) or config.base_url)
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as err:
        raise unreached(err, public_url(config.base_url), _shown_proxy(config)) from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def shake_hands(config: ClientConfig, *, trusting: bool = True) -> Handshake:
    """Make a TLS connection and close it.

    Args:
        config: how to reach the service.
        trusting: whether the certificate must be good; without that, nothing may be sent on such a connection.

    Raises:
        ServiceError: the host cannot be reached, or its certificate is not trusted.
    """
    with closing(_connection(config, _context(config, trusting=trusting))) as connection:
        _connect(connection, config)
        assert isinstance(connection.sock, ssl.SSLSocket)
        version = connection.sock.version() or ""
        chain = _chain(connection.sock)
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
    with closing(_connection(config, _context(config) if encrypted else None)) as connection:
        _connect(connection, config)
        asked = datetime.now(UTC)
        try:
            connection.request("GET", urlsplit(config.url_of("query_status")).path)
            answer = connection.getresponse()
        except (OSError, HTTPException, ValueError) as err:
            raise unreached(err, public_url(config.base_url), _shown_proxy(config)) from None
        said = {name: answer.getheader(name) or "" for name in ("WWW-Authenticate", "Date", "Server")}
    answered = datetime.now(UTC)
    return Greeting(answer.status, said["WWW-Authenticate"], said["Date"], said["Server"], asked, answered)


def _shown_proxy(config: ClientConfig) -> str:
    proxy = proxy_of(config)
    return public_url(proxy) if proxy else ""


def _context(config: ClientConfig, *, trusting: bool = True) -> ssl.SSLContext:
    context = Trust(config, os.environ).context()
    if not trusting:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _connection(config: ClientConfig, context: ssl.SSLContext | None) -> HTTPConnection:
    target, proxy, seconds = urlsplit(config.base_url), proxy_of(config), config.connect_timeout_seconds
    ends = urlsplit(proxy or config.base_url)
    if context is None:
        return HTTPConnection(ends.hostname or "", ends.port, timeout=seconds)
    connection = HTTPSConnection(ends.hostname or "", ends.port, timeout=seconds, context=context)
    if proxy:
        connection.set_tunnel(target.hostname or "", target.port, HTTPAdapter().proxy_headers(proxy))
    return connection


def _connect(connection: HTTPConnection, config: ClientConfig) -> None:
    shown, proxy = public_url(config.base_url), _shown_proxy(config)
    try:
        connection.connect()
    except (OSError, HTTPException, ValueError) as err:
        if "Tunnel connection failed" in str(err):
            raise TransientFault(
                f"cannot reach {shown}: the proxy {proxy} does not connect to it ({err}); {PROXY_REMEDY}"
            ) from None
        raise unreached(err, shown, proxy) from None


def _chain(connection: ssl.SSLSocket) -> Sequence[Mapping[str, Any]]:
    """The certificates that the server sent, as `ssl.SSLSocket.getpeercert` has them; none where that is not known.

    That method tells nothing of a certificate that is not trusted, and Python has no public one that does.
    """
    try:
        return [found.get_info() for found in connection._sslobj.get_unverified_chain() or ()]  # type: ignore[attr-defined]  # noqa: SLF001 - see above
    except AttributeError:
        return []


def _name(name: Sequence[Sequence[tuple[str, str]]]) -> str:
    """The common name in a distinguished name, or what else there is."""
    parts = {key: value for entry in name for key, value in entry}
    return parts.get("commonName") or ", ".join(parts.values()) or "nobody"
