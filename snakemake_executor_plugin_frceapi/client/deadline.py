"""A limit on the whole duration of an exchange, and the connections that obey it.

The timeouts of requests apply to each single read, so that a server which sends a byte now and then is never cut off.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Mapping
from contextvars import ContextVar
from math import inf
from ssl import SSLContext
from types import TracebackType
from typing import Any, Self

from requests import Request
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ProxySchemeUnknown

from snakemake_executor_plugin_frceapi.client.trust import Trust

_CURRENT: ContextVar[Deadline] = ContextVar("deadline")
"""urllib3 makes connections out of sight of the caller, but in the caller's thread."""


class _Alarm:
    """Ends deadlines that are over, in one thread for all: to start one takes as long as the rest of a request."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._deadlines: set[Deadline] = set()
        self._due = inf
        self._started = False

    def add(self, deadline: Deadline) -> None:
        """End a deadline when its time has come."""
        with self._changed:
            self._deadlines.add(deadline)
            if not self._started:
                threading.Thread(target=self._run, name="frceapi-deadlines", daemon=True).start()
                self._started = True
            if deadline.due < self._due:
                self._changed.notify()

    def discard(self, deadline: Deadline) -> None:
        """Leave a deadline alone."""
        with self._changed:
            self._deadlines.discard(deadline)

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                over = {deadline for deadline in self._deadlines if deadline.due <= now}
                self._deadlines -= over
                for deadline in over:
                    deadline.expire()
                self._due = min((deadline.due for deadline in self._deadlines), default=inf)
                self._changed.wait(self._due - now if self._deadlines else None)


_ALARM = _Alarm()


class Deadline:
    """Ends what runs under ``with`` after a number of seconds, by shutting its sockets down.

    Attributes:
        expired: whether the time ran out.
        may_have_sent: whether a byte of a request may have left this machine.
        due: when it runs out, in seconds of the monotonic clock.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.expired = False
        self.may_have_sent = False
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self.due = inf

    def __enter__(self) -> Self:
        self._token = _CURRENT.set(self)
        self.due = time.monotonic() + self.seconds
        _ALARM.add(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _CURRENT.reset(self._token)
        _ALARM.discard(self)
        with self._lock:
            while self._sockets:
                self._sockets.pop().close()

    def watch(self, fileno: int) -> None:
        """Shut this socket down when the time runs out.

        Raises:
            TimeoutError: it already has.
        """
        # A handle of our own: TLS replaces the Python object, and a closed number may be another file a moment later.
        handle = socket.socket(fileno=socket.dup(fileno))
        with self._lock:
            self._sockets.append(handle)
            if self.expired:
                raise TimeoutError

    def expire(self) -> None:
        """Shut everything down that is watched."""
        with self._lock:
            self.expired = True
            for handle in self._sockets:
                _shut(handle)


def _shut(handle: socket.socket) -> None:
    with contextlib.suppress(OSError):
        handle.shutdown(socket.SHUT_RDWR)


class _WatchedHTTPConnection(HTTPConnection):
    _held: list[bytes] | None = None
    """What is sent at once: urllib3 sends head and body one after another, which costs more on both ends."""

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        try:
            _CURRENT.get().watch(sock.fileno())
        except TimeoutError:
            sock.close()
            raise
        return sock

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is None:
            self.connect()
        deadline = _CURRENT.get()
        deadline.watch(self.sock.fileno())
        deadline.may_have_sent = True
        self._held = held = list[bytes]()
        try:
            super().request(*args, **kwargs)
        finally:
            self._held = None
        self.send(b"".join(held))

    def send(self, data: Any) -> None:
        if self._held is None:
            super().send(data)
        else:
            self._held.append(data)


class _WatchedHTTPSConnection(_WatchedHTTPConnection, HTTPSConnection):
    pass


class _WatchedHTTPPool(HTTPConnectionPool):
    ConnectionCls = _WatchedHTTPConnection


class _WatchedHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedHTTPSConnection


_POOLS = {"http": _WatchedHTTPPool, "https": _WatchedHTTPSPool}


class WatchedAdapter(HTTPAdapter):
    """Knows the way to one service, over one kept-alive connection that obeys the current `Deadline`.

    What requests knows of proxies and certificates finds the way, once. Requests go it without the rest of that
    library, which has nothing that is wanted here: no sessions, redirects, cookies or netrc.

    Args:
        trust: what its connections are made with, None for plain HTTP.
    """

    def __init__(self, trust: Trust | None) -> None:
        self._trust = trust
        super().__init__(pool_connections=1, pool_maxsize=1)
        self._way: HTTPConnectionPool | None = None

    def way(self, url: str, proxies: Mapping[str, str]) -> HTTPConnectionPool:
        """Return what sends requests to the host of a URL.

        Args:
            url: of the service.
            proxies: proxies by scheme, as requests takes them.

        Raises:
            RequestException: one of them cannot be used.
        """
        way = self._way
        if way is None:
            found = self.get_connection_with_tls_context(
                Request("GET", url).prepare(), verify=True, proxies=dict(proxies)
            )
            assert isinstance(found, HTTPConnectionPool)
            way = self._way = found
        return way

    def close(self) -> None:
        """Close the connection; the next request makes a new one."""
        super().close()
        self._way = None

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """Make connections with our context; requests would let each of them read the certificates anew."""
        host, _ = super().build_connection_pool_key_attributes(*args, **kwargs)
        return host, {"ssl_context": self._context()}

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pool with our connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager: PoolManager
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> ProxyManager:
        """Make the pool behind a proxy with our connections.

        Raises:
            ProxySchemeUnknown: it speaks SOCKS, which those do not.
        """
        if proxy.lower().startswith("socks"):
            raise ProxySchemeUnknown("socks")
        manager: ProxyManager = super().proxy_manager_for(proxy, proxy_ssl_context=self._context(), **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def _context(self) -> SSLContext | None:
        return self._trust.context() if self._trust else None
