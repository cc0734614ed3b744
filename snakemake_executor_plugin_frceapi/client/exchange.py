"""One request and its answer over a connection, and the words for everything that can go wrong with it."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from urllib.parse import urlsplit

import requests
import urllib3

from snakemake_executor_plugin_frceapi.client.deadline import Deadline, WatchedAdapter
from snakemake_executor_plugin_frceapi.client.endpoint import is_loopback, public_url
from snakemake_executor_plugin_frceapi.errors import ConfigurationFault, ServiceError, TransientFault

_CHUNK_BYTES = 64 * 1024

_NO_TLS = "WRONG_VERSION_NUMBER"
"""What OpenSSL calls an answer that is not TLS."""

PROXY_REMEDY = "correct the proxy in HTTPS_PROXY, or name the host in NO_PROXY"

_TRUST_REMEDY = "if the site has a certificate authority of its own, name its PEM file with --frceapi-ca-bundle"
_CLOCK_REMEDY = "check this machine's clock; if it is right, the site must renew the certificate"
_HOST_REMEDY = "check --frceapi-url: it must name the host as the certificate does"
_CERTIFICATE_REMEDIES = {9: _CLOCK_REMEDY, 10: _CLOCK_REMEDY, 62: _HOST_REMEDY, 64: _HOST_REMEDY}
"""What to do about a certificate by verification error: X509_STORE_CTX_get_error(3)."""


class LostExchange(Exception):
    """The exchange broke after the request may have reached the service; the message says how."""


@dataclass(frozen=True, slots=True)
class Route:
    """How a request travels.

    Attributes:
        connect_timeout_seconds: for each address of the host.
        proxies: proxy by scheme, as requests takes them.
    """

    connect_timeout_seconds: float
    proxies: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent.

    Attributes:
        method: method.
        url: full URL; it may hold the sandbox's secret.
        headers: header fields in their order.
        body: body, None where there is none.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    Attributes:
        status_code: status code.
        content_type: ``Content-Type``.
        body: body as sent, never decompressed.
        location: host of ``Location``.
        retry_after: ``Retry-After`` as sent.
        token_bytes: size of the ``Authorization`` that the request had.
    """

    status_code: int
    content_type: str
    body: bytes
    location: str
    retry_after: str
    token_bytes: int


def exchange(adapter: WatchedAdapter, request: Request, route: Route, deadline: Deadline, max_bytes: int) -> Reply:
    """Send a request once and reads the whole answer.

    Raises:
        ServiceError: nothing was sent.
        LostExchange: the request may have been executed, and there is no whole answer.
    """
    deadline.may_have_sent = False
    try:
        response = adapter.way(request.url, route.proxies).urlopen(
            request.method,
            urlsplit(request.url).path,
            request.body,
            request.headers,
            retries=False,
            redirect=False,
            timeout=urllib3.Timeout(connect=route.connect_timeout_seconds, read=None),  # the deadline ends a read
            preload_content=False,
        )
        try:
            body = _body(response, max_bytes)
        finally:
            response.close()
    # ValueError: parsers of the standard library raise it for some answers that are not HTTP.
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as err:
        raise _translated(err, public_url(request.url), deadline) from None
    if deadline.expired:
        raise LostExchange(f"{public_url(request.url)} did not finish its answer in {deadline.seconds:g} s")
    return _reply(request, response, body)


def _body(response: urllib3.BaseHTTPResponse, max_bytes: int) -> bytes:
    body = bytearray()
    while chunk := response.read(_CHUNK_BYTES, decode_content=False):
        body += chunk
        if len(body) > max_bytes:
            raise _TooLargeError(max_bytes)
    return bytes(body)


class _TooLargeError(ValueError):
    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"its answer has more than {max_bytes:,} bytes")


def _reply(request: Request, response: urllib3.BaseHTTPResponse, body: bytes) -> Reply:
    headers = response.headers
    try:
        location = urlsplit(headers.get("Location", "")).hostname or ""
    except ValueError:
        location = ""
    return Reply(
        response.status,
        headers.get("Content-Type", ""),
        body,
        location,
        headers.get("Retry-After", ""),
        len(request.headers.get("Authorization", "")),
    )


def _translated(err: Exception, url: str, deadline: Deadline) -> ServiceError | LostExchange:
    """Return our own exception for a foreign one, whose text may hold the whole URL and is never shown."""
    what = f"it did not answer in {deadline.seconds:g} s" if deadline.expired else _cause_text(err)
    if deadline.may_have_sent:
        return LostExchange(f"{url}: {what}")
    return _unsent(err, url, f"cannot reach {url}: {what}")


def unreached(err: Exception, url: str, proxy: str = "") -> ServiceError:
    """Return our own exception for a foreign one that came before any request was sent.

    Args:
        err: the exception.
        url: the service as it may be shown.
        proxy: likewise the proxy that was asked to reach it, empty if there is none.
    """
    if proxy and not isinstance(_root(err), ssl.SSLError):
        return TransientFault(f"cannot reach {url} through the proxy {proxy}: {_cause_text(err)}; {PROXY_REMEDY}")
    return _unsent(err, url, f"cannot reach {url}: {_cause_text(err)}")


def _unsent(err: Exception, url: str, message: str) -> ServiceError:
    root = _root(err)
    if isinstance(err, urllib3.exceptions.ProxyError):
        return TransientFault(f"{message}; {PROXY_REMEDY}")
    if isinstance(root, ssl.SSLCertVerificationError):
        return ConfigurationFault(f"{message}; {_CERTIFICATE_REMEDIES.get(root.verify_code, _TRUST_REMEDY)}")
    if "CERTIFICATE" in (getattr(root, "reason", None) or ""):
        return ConfigurationFault(f"{message}; {_TRUST_REMEDY}")
    if isinstance(root, ssl.SSLError) and root.reason == _NO_TLS:
        return ConfigurationFault(f"{message}; check --frceapi-url")
    if isinstance(root, ssl.SSLError) and not isinstance(root, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return ConfigurationFault(f"{message}; check --frceapi-url, and --frceapi-ca-bundle if it is set")
    if isinstance(root, (requests.exceptions.InvalidURL, urllib3.exceptions.LocationValueError, UnicodeError)):
        return ConfigurationFault(f"{message}; check --frceapi-url and HTTPS_PROXY")
    if isinstance(root, socket.gaierror):
        return TransientFault(f"{message}; check the network and --frceapi-url")
    if is_loopback(url) and url.startswith("http:"):
        return TransientFault(f"{message}; start the sandbox with `frceapi sandbox`, and check --frceapi-url")
    return TransientFault(f"{message}; check the network or VPN")


def _chain(err: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = err
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def _root(err: BaseException) -> BaseException:
    return list(_chain(err))[-1]


def _cause_text(err: Exception) -> str:
    """Return what happened in words of ours or of the operating system."""
    match _root(err):
        case ssl.SSLCertVerificationError() as root:
            text = f"its certificate is not trusted ({root.verify_message.rstrip('.')})"
        case ssl.SSLError(reason=reason) if reason == _NO_TLS:
            text = "it does not speak TLS at this port"
        case ssl.SSLError() as root:
            text = f"TLS failed ({root.reason or type(root).__name__})"
        case socket.gaierror() as root:
            text = f"the host name is not known ({root.strerror})"
        case UnicodeError() | urllib3.exceptions.LocationValueError():
            text = "this is no host name"
        case TimeoutError():
            text = "it did not answer in time"
        case OSError(errno=int(number)):
            text = os.strerror(number)
        case root:
            text = _answer_text(root)
    return text


def _answer_text(root: BaseException) -> str:
    """Return what is wrong with an answer that came at least in part."""
    match root:
        case _TooLargeError():
            return str(root)
        case RemoteDisconnected():
            return "it closed the connection without an answer"
        case IncompleteRead():
            return "its answer was cut off"
        case HTTPException() | ValueError():
            return f"its answer is no HTTP ({type(root).__name__})"
    return f"the connection broke ({type(root).__name__})"
