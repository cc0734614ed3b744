"""A connection to the service, through a proxy where the environment names one, that is kept alive between requests.

The standard library sends and reads. What requests and urllib3 add to that, pools, redirects, cookies and retries, is
of no use here, and importing them takes longer than a call; only where there is a proxy are they needed.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse
from socket import create_connection
from ssl import SSLContext, SSLSocket
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit
from urllib.request import getproxies

from snakemake_executor_plugin_frceapi.client.causes import no_proxy, unreached
from snakemake_executor_plugin_frceapi.client.deadline import Deadline
from snakemake_executor_plugin_frceapi.client.endpoint import ClientConfig, is_loopback, public_url

if TYPE_CHECKING:
    from urllib3.util.ssltransport import SSLTransport

_PORTS = {"http": 80, "https": 443}


def proxy_of(config: ClientConfig) -> str:
    """Return the URL of the proxy that requests go through, empty if there is none; it may hold a password."""
    # A proxy must not see the secret of a sandbox, and cannot reach this machine's loopback address anyway.
    if is_loopback(config.base_url) or not getproxies():
        return ""
    from requests.utils import get_environ_proxies, select_proxy

    found = select_proxy(config.base_url, get_environ_proxies(config.base_url, no_proxy=None)) or ""
    return found if "://" in found or not found else f"http://{found}"


class Connection:
    """A connection to the service; one thread uses it.

    Args:
        config: how to reach the service.
        context: returns what TLS is made with; None for plain HTTP.
    """

    def __init__(self, config: ClientConfig, context: Callable[[], SSLContext] | None) -> None:
        self._config = config
        self._context = context
        self._wire: _Wire | None = None

    @property
    def tls(self) -> SSLSocket | SSLTransport:
        """The TLS of the open connection."""
        assert self._wire is not None
        return cast("SSLSocket | SSLTransport", self._wire.sock)

    def open(self, url: str, deadline: Deadline) -> None:
        """Connect, unless there is a connection that the other end has kept open.

        Args:
            url: what is to be asked, which a fault names.
            deadline: ends this, and what is asked until the next time.

        Raises:
            ServiceError: there is no connection, so no request has been sent.
        """
        shown, proxy = public_url(url), ""
        try:
            if self._wire is not None and self._wire.is_alive:
                self._wire.obey(deadline)
                return
            self.close()
            proxy = proxy_of(self._config)
            if proxy and not (urlsplit(proxy).scheme in _PORTS and urlsplit(proxy).hostname):
                raise no_proxy(shown, public_url(proxy))
            self._connect(proxy, deadline)
        except (OSError, HTTPException, ValueError) as err:
            if self._wire is not None and self._wire.is_through:
                proxy = ""
            self.close()
            silent_seconds = deadline.seconds if deadline.expired else None
            raise unreached(err, shown, public_url(proxy) if proxy else "", silent_seconds) from None

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> HTTPResponse:
        """Send a request over the open connection, and return its answer, of which the head has been read.

        Raises:
            OSError: the connection broke.
            HTTPException: the answer is no HTTP.
            ValueError: likewise.
        """
        assert self._wire is not None
        self._wire.request(method, path, body, headers)
        return self._wire.getresponse()

    def close(self) -> None:
        """Close the connection; what comes next begins with `open`."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.end()

    def __del__(self) -> None:
        """Close the connection of a thread that has ended."""
        self.close()

    def _connect(self, proxy: str, deadline: Deadline) -> None:
        context = self._context() if self._context is not None else None
        self._wire = _Wire(self._config, proxy, context, deadline)
        self._wire.connect()


class _Wire(HTTPConnection):
    """One connection from its beginning to its end.

    Args:
        config: how to reach the service.
        proxy: URL of the proxy before it, empty if there is none.
        context: what TLS is made with, None for plain HTTP.
        deadline: ends what takes too long.

    Attributes:
        is_through: whether it has come past the proxy, if there is one.
    """

    def __init__(self, config: ClientConfig, proxy: str, context: SSLContext | None, deadline: Deadline) -> None:
        target, self._proxy = urlsplit(config.base_url), urlsplit(proxy)
        reached = self._proxy if proxy else target
        self._name = target.hostname or ""
        port = reached.port or _PORTS[reached.scheme]
        super().__init__(reached.hostname or "", port, timeout=config.connect_timeout_seconds)
        self.default_port = _PORTS[target.scheme]
        if proxy:
            self.set_tunnel(self._name, target.port or self.default_port, _proxy_headers(proxy))
        self.is_through = False
        self._context = context
        self._deadline = deadline
        self._handle: socket.socket | None = None
        self._held: list[bytes] | None = None
        self._create_connection = self._reach  # it is from here that the standard library takes its socket

    @property
    def is_alive(self) -> bool:
        """Whether neither end has closed it. Between requests, the other end has nothing to say but that."""
        if self.sock is None:
            return False
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return not poll.poll(0)

    def obey(self, deadline: Deadline) -> None:
        """Let this deadline end what takes too long.

        Raises:
            TimeoutError: it is over.
        """
        assert self._handle is not None
        deadline.watch(self._handle)

    def connect(self) -> None:
        """Reach the service, through the proxy if there is one; the time limit holds for each step."""
        super().connect()
        self.is_through = True
        if self._context is not None:
            self.sock = _secured(self.sock, self._context, self._name)
        self.sock.settimeout(None)  # from now on, the deadline ends what takes too long

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send a request by one write: the standard library needs two, which costs more on both ends."""
        self._held = held = list[bytes]()
        try:
            super().request(*args, **kwargs)
        finally:
            self._held = None
        self.send(b"".join(held))

    def send(self, data: Any) -> None:
        """Send this, or hold it until all of a request is there."""
        if self._held is None:
            super().send(data)
        else:
            self._held.append(data)

    def end(self) -> None:
        """Close everything."""
        self.close()
        if self._handle is not None:
            self._handle.close()

    def _reach(self, address: tuple[str, int], seconds: float, source: tuple[str, int] | None) -> socket.socket:
        sock = create_connection(address, seconds, source)
        try:
            # Of our own: TLS takes the socket into another object, and a number that is closed may be another file's.
            self._handle = socket.socket(fileno=socket.dup(sock.fileno()))
            self._deadline.watch(self._handle)
            if self._proxy.scheme == "https":
                assert self._context is not None
                return self._context.wrap_socket(sock, server_hostname=self._proxy.hostname)
        except BaseException:
            sock.close()
            raise
        return sock


def _proxy_headers(proxy: str) -> Mapping[str, str]:
    from requests.adapters import HTTPAdapter

    return HTTPAdapter().proxy_headers(proxy)


def _secured(sock: socket.socket, context: SSLContext, name: str) -> SSLSocket | SSLTransport:
    # The standard library knows no TLS within that to a proxy.
    if isinstance(sock, SSLSocket):
        from urllib3.util.ssltransport import SSLTransport

        return SSLTransport(sock, context, server_hostname=name)
    return context.wrap_socket(sock, server_hostname=name)
