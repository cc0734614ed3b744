"""A network in the process: connections whose other end answers at once, in the thread of whoever asks.

The client's own code runs down to the socket: only the making of a connection is replaced.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from typing import Any
from unittest.mock import patch

Answer = Callable[[bytes], bytes]
"""Makes of a request the bytes that come back; none where the connection breaks."""

_MOST_BYTES = 1 << 20


class _Connection(socket.socket):
    """The client's end of a connection for one exchange."""

    def __init__(self, answer: Answer) -> None:
        near, self._far = socket.socketpair()
        super().__init__(near.family, near.type, near.proto, fileno=near.detach())
        self._answer = answer

    def makefile(self, *args: Any, **kwargs: Any) -> BufferedReader:  # type: ignore[override]  # HTTP reads bytes
        """Answer what was sent, just before it is read."""
        reply = self._answer(self._far.recv(_MOST_BYTES))
        self._far.sendall(reply)
        self._far.close()
        return super().makefile(*args, **kwargs)  # type: ignore[no-any-return]  # as above

    def setsockopt(self, *_: Any) -> None:
        """Take the options of TCP, which this kind of socket has not."""

    def close(self) -> None:
        """Close both ends."""
        self._far.close()
        super().close()


@contextmanager
def network(connect: Callable[[], Answer]) -> Iterator[None]:
    """Replace the network for a while.

    Args:
        connect: is called for each connection; raises `OSError` where there is none.
    """

    def create_connection(*_: object, **__: object) -> socket.socket:
        return _Connection(connect())

    with (
        patch("snakemake_executor_plugin_frceapi.client.connection.create_connection", create_connection),
        patch("snakemake_executor_plugin_frceapi.client.deadline._ALARM", _NoAlarm()),
    ):
        yield


class _NoAlarm:
    """Stands for what ends deadlines: no time goes by during an exchange."""

    def add(self, _: object) -> None:
        """Do nothing."""

    discard = add
