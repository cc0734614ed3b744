"""A limit on the whole duration of an exchange.

The timeout of a socket applies to each single read, so that a server which sends a byte now and then is never cut off.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from math import inf
from types import TracebackType
from typing import Self


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
    """Ends what runs under ``with`` after a number of seconds, by shutting its connections down.

    Attributes:
        seconds: after how many.
        expired: whether the time ran out.
        due: when it runs out, in seconds of the monotonic clock.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.expired = False
        self.due = inf
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        self.due = time.monotonic() + self.seconds
        _ALARM.add(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _ALARM.discard(self)

    def watch(self, sock: socket.socket) -> None:
        """Shut this socket down when the time runs out.

        Raises:
            TimeoutError: it already has.
        """
        with self._lock:
            self._sockets.append(sock)
            if self.expired:
                raise TimeoutError

    def expire(self) -> None:
        """Shut everything down that is watched."""
        with self._lock:
            self.expired = True
            for sock in self._sockets:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
