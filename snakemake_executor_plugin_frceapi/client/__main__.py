"""The program that makes the calls of a `ServiceProcess`.

Standard input is a socket. Its first message is the pickled `ClientConfig`; each one after it brings a connection, over
which one thread of the other process asks, one call after another. It ends when that process does.
"""

from __future__ import annotations

import logging
import pickle
import socket
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

from snakemake_executor_plugin_frceapi.client.calls import Client
from snakemake_executor_plugin_frceapi.client.line import Line
from snakemake_executor_plugin_frceapi.errors import ServiceError

_MOST_CONFIG_BYTES = 64 * 1024


def serve(control: socket.socket) -> None:
    """Answer until nobody is left who could ask; calls that are under way then are left behind.

    Args:
        control: a socket that keeps messages apart.
    """
    config = pickle.loads(control.recv(_MOST_CONFIG_BYTES))  # noqa: S301 - of the process that started this one
    client = _outcome(Client, config)
    while descriptors := socket.recv_fds(control, 1, 1)[1]:
        line = Line(socket.socket(fileno=descriptors[0]))
        threading.Thread(target=_answer, args=(client, line), daemon=True).start()


def _answer(client: Client | Exception, line: Line) -> None:
    with closing(line), suppress(EOFError, OSError):
        if isinstance(client, Exception):
            line.send(client)
            return
        line.send(None)  # from now on a request may leave
        while True:
            call, argument = line.receive()
            line.send(_outcome(getattr(client, call), argument))


def _outcome(call: Callable[[Any], Any], argument: Any) -> Any:
    """Return what a call returns or raises, in a form that another process can read."""
    try:
        return call(argument)
    except ServiceError as fault:
        return fault
    except Exception as error:  # noqa: BLE001 - it belongs to the thread that asked
        return RuntimeError(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    logging.lastResort = None  # what there is to tell is told by the process that asks
    serve(socket.socket(fileno=0))
