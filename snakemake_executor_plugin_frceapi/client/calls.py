"""The two calls of the API over HTTPS.

Each thread has its own connection and its own authentication. A connection that has been idle is not used again: a
server may close it at the very moment in which a submission is sent, and nobody would know whether that arrived.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection
from datetime import UTC, datetime
from urllib.parse import urlsplit
from weakref import WeakSet

from snakemake_executor_plugin_frceapi.auth import NegotiateAuth, Warmth, negotiate_auth
from snakemake_executor_plugin_frceapi.client.connection import Connection
from snakemake_executor_plugin_frceapi.client.deadline import Deadline
from snakemake_executor_plugin_frceapi.client.endpoint import ClientConfig, public_url
from snakemake_executor_plugin_frceapi.client.exchange import LostExchange, Reply, Request, exchange
from snakemake_executor_plugin_frceapi.client.trust import Trust
from snakemake_executor_plugin_frceapi.errors import ServiceError, TransientFault
from snakemake_executor_plugin_frceapi.job import Listing, NotSent, SubmitOutcome, Unknown
from snakemake_executor_plugin_frceapi.retry import parse_retry_after
from snakemake_executor_plugin_frceapi.wire import Answer, decode_listing, decode_submission

_REUSE_IDLE_SECONDS = 2.0
"""Well below the 5 s after which Apache closes an idle connection by default (KeepAliveTimeout)."""


class _Line:
    """What one thread keeps: its connection, its authentication, and when it last used them."""

    def __init__(self, connection: Connection, auth: NegotiateAuth | None) -> None:
        self.connection = connection
        self.auth = auth
        self._used_at = time.monotonic()

    def freshen(self) -> None:
        """Drop a connection that has been idle for long enough to be closed by the server."""
        now = time.monotonic()
        if now - self._used_at > _REUSE_IDLE_SECONDS:
            self.connection.close()

    def touch(self) -> None:
        """Note that the connection has just been used."""
        self._used_at = time.monotonic()


class Client:
    """Speaks to the service; safe to use from many threads."""

    def __init__(self, config: ClientConfig) -> None:
        """Prepare the client; nothing is sent.

        Raises:
            ConfigurationFault: the certificates that are to be trusted cannot be read, or there are none.
        """
        self._config = config
        # A sandbox needs none, but a setting that is wrong is told with it as well.
        is_encrypted = urlsplit(config.base_url).scheme == "https"
        trust = Trust(config, os.environ) if is_encrypted or config.ca_bundle is not None else None
        self._context = trust.context if trust is not None and is_encrypted else None
        self._warmth = Warmth()
        self._local = threading.local()
        self._lines: WeakSet[_Line] = WeakSet()
        self._lock = threading.Lock()

    def submit_job(self, body: bytes) -> SubmitOutcome:
        """Hand a job over, once; whatever happens is an outcome and not an exception.

        Args:
            body: what `wire.encode_request` made.
        """
        url = self._config.url_of("submit_job")
        try:
            reply = self._call("POST", url, body, self._config.submit_deadline_seconds, self._config.max_submit_bytes)
        except ServiceError as fault:
            return NotSent(fault)
        except LostExchange as lost:
            return Unknown(f"{lost}; the service may have taken the job")
        return decode_submission(_answer(url, reply))

    def query_status(self, wanted: Collection[str] | None = None) -> Listing:
        """Ask for the user's jobs of the previous 24 hours.

        Args:
            wanted: external jobids to look for, or None for all.

        Raises:
            ServiceError: there is no valid listing, which says nothing about any job.
        """
        return decode_listing(self.status_answer(), wanted)

    def status_answer(self) -> Answer:
        """Ask for the listing, and return the answer as it is.

        Raises:
            ServiceError: there is no whole answer.
        """
        url = self._config.url_of("query_status")
        try:
            reply = self._call("GET", url, None, self._config.status_deadline_seconds, self._config.max_listing_bytes)
        except LostExchange as lost:
            raise TransientFault(f"{lost}; there is no listing") from None
        return _answer(url, reply)

    def close(self) -> None:
        """Close the connections of all threads, none of which may be calling."""
        with self._lock:
            for line in self._lines:
                line.connection.close()

    def _call(self, method: str, url: str, body: bytes | None, seconds: float, max_bytes: int) -> Reply:
        line = self._line()
        line.freshen()
        with Deadline(seconds) as deadline:
            reply = exchange(line.connection, self._prepared(line, method, url, body), deadline, max_bytes)
            if reply.status_code == 401 and line.auth is not None:
                # There is a ticket, or there would be no token: perhaps just this one came too late.
                reply = exchange(line.connection, self._prepared(line, method, url, body), deadline, max_bytes)
        line.touch()
        return reply

    def _prepared(self, line: _Line, method: str, url: str, body: bytes | None) -> Request:
        headers = {
            "User-Agent": self._config.user_agent,
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        }
        if body is not None:
            headers |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        if line.auth is not None:
            headers["Authorization"] = line.auth(url)
        return Request(method, url, headers, body)

    def _line(self) -> _Line:
        line: _Line | None = getattr(self._local, "line", None)
        if line is None:
            line = self._local.line = _Line(Connection(self._config, self._context), self._auth())
            with self._lock:
                self._lines.add(line)
        return line

    def _auth(self) -> NegotiateAuth | None:
        if self._config.auth == "none":
            return None
        host = urlsplit(self._config.base_url).hostname or ""
        return negotiate_auth(host, self._config.target_name, self._warmth)


def _answer(url: str, reply: Reply) -> Answer:
    return Answer(
        reply.status_code,
        reply.content_type,
        reply.body,
        url=public_url(url),
        location=reply.location,
        retry_after_seconds=parse_retry_after(reply.retry_after, datetime.now(UTC)),
        token_bytes=reply.token_bytes,
    )
