"""What two processes on one machine say to each other: Python values, one after the other."""

from __future__ import annotations

import pickle
import socket
from typing import Any


class Line:
    """One end of a connection; the other one is a process that this one has started, or the one that has started it.

    It takes a third of the time of `multiprocessing.Connection`, of which each submission needs twice as much.

    Args:
        connection: a stream, which is closed with the line.
        seconds: how long a value is waited for, or may take to be sent; None: as long as it takes.
    """

    def __init__(self, connection: socket.socket, seconds: float | None = None) -> None:
        connection.settimeout(seconds)
        self._connection = connection
        self._incoming = connection.makefile("rb")

    def send(self, value: object) -> None:
        """Send a value.

        Raises:
            OSError: the other end is closed; as TimeoutError, it took too long.
        """
        self._connection.sendall(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))

    def receive(self) -> Any:
        """Wait for a value.

        Raises:
            EOFError: the other end is closed, perhaps in the middle of a value.
            OSError: likewise; as TimeoutError, there was none in time, and there will be none.
        """
        try:
            return pickle.load(self._incoming)  # noqa: S301 - of a process that is a part of this one
        except pickle.UnpicklingError as error:
            raise EOFError(str(error)) from None

    def close(self) -> None:
        """Close this end; nobody may wait for a value here any more, unless the other end is closed."""
        self._incoming.close()
        self._connection.close()
