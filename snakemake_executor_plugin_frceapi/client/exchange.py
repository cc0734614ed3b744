"""One request and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse, IncompleteRead
from urllib.parse import urlsplit

from snakemake_executor_plugin_frceapi.client.causes import TooLargeError, cause_text
from snakemake_executor_plugin_frceapi.client.connection import Connection
from snakemake_executor_plugin_frceapi.client.deadline import Deadline
from snakemake_executor_plugin_frceapi.client.endpoint import public_url

_CHUNK_BYTES = 64 * 1024


class LostExchange(Exception):
    """The exchange broke after the request may have reached the service; the message says how."""


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


def exchange(connection: Connection, request: Request, deadline: Deadline, max_bytes: int) -> Reply:
    """Send a request once and read the whole answer.

    Raises:
        ServiceError: nothing was sent.
        LostExchange: the request may have been executed, and there is no whole answer.
    """
    connection.open(request.url, deadline)
    url = public_url(request.url)
    try:
        response = connection.ask(request.method, urlsplit(request.url).path, request.headers, request.body)
        body = _body(response, max_bytes)
    # ValueError: the standard library raises it for some answers that are not HTTP.
    except (OSError, HTTPException, ValueError) as err:
        connection.close()
        what = f"it did not answer in {deadline.seconds:g} s" if deadline.expired else cause_text(err)
        raise LostExchange(f"{url}: {what}") from None
    if deadline.expired:
        connection.close()
        raise LostExchange(f"{url} did not finish its answer in {deadline.seconds:g} s")
    return _reply(request, response, body)


def _body(response: HTTPResponse, max_bytes: int) -> bytes:
    body = bytearray()
    with response:
        while chunk := response.read(_CHUNK_BYTES):
            body += chunk
            if len(body) > max_bytes:
                raise TooLargeError(max_bytes)
    if response.length:
        raise IncompleteRead(bytes(body), response.length)
    return bytes(body)


def _reply(request: Request, response: HTTPResponse, body: bytes) -> Reply:
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
