"""A server made of raw sockets, which can break in every way a network can."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from typing import Self

from tests.ports import listen

SECRET = "s3cr3t-of-the-sandbox"
ACCEPTED = b'{"status": "call_success", "reason": "12"}'
HEAD = b"HTTP/1.1 200 Success\r\nContent-Type: application/json\r\n"

Handler = Callable[[socket.socket, int], object]
"""Answers on a connection to the n-th request of the server, counted from 1."""


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


def endless(before: bytes, piece: bytes) -> Handler:
    """Return a handler that repeats a piece for ever, as fast as the client takes it."""

    def handle(connection: socket.socket, number: int) -> None:
        connection.sendall(before)
        while True:
            connection.sendall(piece)

    return handle


def tunnel(port: int) -> Handler:
    """Return a handler that is a proxy: it connects each client to a port of this machine, wherever it wants to go."""

    def handle(connection: socket.socket, number: int) -> None:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", port)) as far:
            ends = {connection: far, far: connection}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    if not (data := end.recv(65536)):
                        raise ConnectionAbortedError
                    ends[end].sendall(data)

    return handle


def stay_silent(connection: socket.socket, number: int) -> None:
    """Say nothing until the client has gone, or the server ends."""
    while connection.recv(65536):
        pass


class RawServer:
    """Answers on a loopback port, one thread a connection.

    Attributes:
        port: the port it listens on.
        tls: the TLS settings of connections to come, None for plain ones.
        ambush: what to do with the next connection before anything is read from it, or None.
        requests: every request as it came, head and body.
        connections: how many connections there were.
    """

    def __init__(self, handler: Handler, tls: ssl.SSLContext | None = None, *, reads: bool = True) -> None:
        self._handler = handler
        self._reads = reads
        self._listener = listen()
        self._filling: list[socket.socket] = []
        self._open: list[socket.socket] = []
        self._acceptor = threading.Thread()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self.port = int(self._listener.getsockname()[1])
        self.tls = tls
        self.ambush: Handler | None = None
        self.requests: list[bytes] = []
        self.connections = 0

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *details: object) -> None:
        self.refuse()
        for thread in self._threads:
            thread.join()

    def url(self, scheme: str = "http", host: str = "127.0.0.1") -> str:
        """Return a base URL with a secret, as a sandbox has."""
        return f"{scheme}://{host}:{self.port}/{SECRET}/hpcapi"

    def refuse(self) -> None:
        """Break the connections that there are, and refuse others."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        if self._acceptor.is_alive():
            self._acceptor.join()
        self._listener.close()
        while self._filling:
            self._filling.pop().close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)  # without TLS's own farewell

    def stall(self) -> None:
        """Break the connections that there are, and neither accept nor refuse others."""
        self.refuse()
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=0)
        for _ in range(3):
            self._filling.append(socket.socket())
            self._filling[-1].setblocking(False)
            self._filling[-1].connect_ex(self._listener.getsockname())

    def recover(self) -> None:
        """Accept connections again."""
        self.refuse()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._start()

    def _start(self) -> None:
        self._acceptor = threading.Thread(target=self._accept, args=(self._listener,))
        self._acceptor.start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self.connections += 1
                self._open.append(connection)
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError), plain:
            connection = self.tls.wrap_socket(plain, server_side=True) if self.tls else plain
            self._open.append(connection)  # with TLS it is another object
            with connection:
                ambush, self.ambush = self.ambush or (None if self._reads else self._handler), None
                if ambush:
                    ambush(connection, 0)
                while self._acceptor.is_alive() and (number := self._read(connection)):
                    self._handler(connection, number)

    def _read(self, connection: socket.socket) -> int:
        """Read a request and return its number; 0 where there is no other."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65536)
            if not piece:
                return 0
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), 0)
        while len(body) < length:
            body += connection.recv(65536)
        with self._lock:
            self.requests.append(head + b"\r\n\r\n" + body)
            return len(self.requests)
