"""A threaded HTTP/1.1 server with keep-alive for the sandbox's application, on Werkzeug's."""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import struct
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from snakemake_executor_plugin_frceapi.sandbox.faults import Severed

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_logger = logging.getLogger("frceapi.sandbox")

_LARGEST_BODY = 2**20
_CHUNK = 2**10
_IDLE_S = 60.0
_LINGER_S = 2.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

OnAnswer = Callable[[str, str, int], None]
"""Is told method, last segment of the path, and status code (0: no answer) of each request."""


class _Handler(WSGIRequestHandler):
    """One connection. Reads each body as a whole, so that the connection can serve the next request."""

    server: LoopbackServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = _IDLE_S

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def run_wsgi(self) -> None:
        """Answer one request; reported before the answer leaves, for whoever asks then what was answered."""
        environ = self.make_environ()
        read = self._read_body(environ["wsgi.input"])
        body = read or b""
        self.close_connection = self.close_connection or read is None
        environ.update({"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))})
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        try:
            status, headers, answer = self._perform(environ)
        except Severed as severed:
            self._report(0)
            self._sever(severed)
            return
        code, _, phrase = status.partition(" ")
        self._report(int(code))
        self.send_response(int(code), phrase)
        for name, value in headers:
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer)
        if read is None:
            self._discard_rest()

    def _perform(self, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
        """The application's status line, headers and body."""
        head: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: object = None) -> Callable[[bytes], object]:
            head.append((status, headers))
            return self.wfile.write

        body = b"".join(self.server.app(environ, start_response))
        return *head[0], body

    def _report(self, status_code: int) -> None:
        call = self.path.partition("?")[0].rstrip("/").rpartition("/")[2]
        self.server.on_answer(self.command, call, status_code)

    def _read_body(self, stream: io.BufferedIOBase) -> bytes | None:
        """The body; None if it is larger than anything the service could take, or its length is not told."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            body = stream.read(_LARGEST_BODY + 1)
            return body if len(body) <= _LARGEST_BODY else None
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > _LARGEST_BODY:
            return None
        return stream.read(int(length))

    def _discard_rest(self) -> None:
        """Read what still comes: closing a socket with unread data would reset it, and the answer could be lost."""
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(_LINGER_S)
        with contextlib.suppress(OSError):
            for _ in range(_LARGEST_BODY // _CHUNK):
                if not self.connection.recv(_CHUNK):
                    break

    def _sever(self, severed: Severed) -> None:
        self.close_connection = True
        if severed.data:
            self.wfile.write(severed.data)
        if severed.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 -- Werkzeug's name
        """Say nothing: the path holds the secret."""


class LoopbackServer(ThreadedWSGIServer):
    """Serves an application until it is stopped."""

    def __init__(self, host: str, port: int, app: WSGIApplication, on_answer: OnAnswer) -> None:
        """Bind the address.

        Args:
            host: a loopback address.
            port: TCP port; 0: a free one.
            app: the application.
            on_answer: is told of each request.

        Raises:
            OSError: the address cannot be bound.
        """
        self.connections: set[socket.socket] = set()
        self.on_answer = on_answer
        with socket.create_server((host, port), family=_family(host)) as listener:
            super().__init__(host, port, app, _Handler, fd=listener.fileno())
        self._thread = threading.Thread(target=self._serve, name="sandbox-server", daemon=True)

    def start(self) -> None:
        """Serve in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Serve no longer and close all connections."""
        self.shutdown()
        self._thread.join()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        self.serve_forever(poll_interval=0.05)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
