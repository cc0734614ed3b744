"""TCP ports of the loopback address that stay free for who asks for them by number."""

from __future__ import annotations

import contextlib
import random
import socket
from functools import cache
from pathlib import Path

_LOWEST = 10_000
_TRIES = 1000


@cache
def _lasting_ports() -> list[int]:
    """The ports that the kernel gives to no connection and no listener by itself; ip(7), ``ip_local_port_range``."""
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii").split())
    every = range(_LOWEST, 65_536)
    return [port for port in every if not first <= port <= last] or list(every)


def listen() -> socket.socket:
    """Listen on a port that nobody else gets by chance, also after this listener is closed.

    Raises:
        OSError: none of many is free.
    """
    for port in random.choices(_lasting_ports(), k=_TRIES):  # noqa: S311 - keeps tests apart, protects nothing
        with contextlib.suppress(OSError):
            return socket.create_server(("127.0.0.1", port))
    raise OSError(f"none of {_TRIES} ports is free")


def free_ports(count: int) -> list[int]:
    """Return different ports that nobody listens on, and that nobody else gets by chance."""
    with contextlib.ExitStack() as stack:
        return [stack.enter_context(listen()).getsockname()[1] for _ in range(count)]
