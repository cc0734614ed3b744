"""The program that does what a `Courier` is asked.

Standard input is a socket. Its first message is the pickled `ClientConfig`, and the number of the process that asks;
each one after it brings a connection, over which one thread of that process asks, one call after another. It ends when
that process does.
"""

from __future__ import annotations

import logging
import os
import pickle
import socket
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

from snakemake_executor_plugin_frceapi.client import ClientConfig
from snakemake_executor_plugin_frceapi.client.calls import Client
from snakemake_executor_plugin_frceapi.courier.deliveries import Deliveries
from snakemake_executor_plugin_frceapi.courier.line import Line
from snakemake_executor_plugin_frceapi.errors import ServiceError
from snakemake_executor_plugin_frceapi.run_directory import clear_away

_MOST_CONFIG_BYTES = 64 * 1024


class Calls:
    """What can be asked.

    Args:
        config: how to reach the service.
        owner: number of the process that asks.

    Raises:
        ServiceError: nothing can be asked of the service that way.
    """

    def __init__(self, config: ClientConfig, owner: int) -> None:
        client = Client(config)
        self.submit_job = client.submit_job
        self.query_status = client.query_status
        # A process whose parent has ended gets another one, getppid(2).
        self.deliver = Deliveries(client.submit_job, lambda: os.getppid() == owner).deliver
        self.clear_away = clear_away


def serve(control: socket.socket) -> None:
    """Answer until nobody is left who could ask; calls that are under way then are left behind.

    Args:
        control: a socket that keeps messages apart.
    """
    config, owner = pickle.loads(control.recv(_MOST_CONFIG_BYTES))  # noqa: S301 - of the process that started this one
    calls = _outcome(Calls, config, owner)
    while descriptors := socket.recv_fds(control, 1, 1)[1]:
        line = Line(socket.socket(fileno=descriptors[0]))
        threading.Thread(target=_answer, args=(calls, line), daemon=True).start()


def _answer(calls: Calls | Exception, line: Line) -> None:
    with closing(line), suppress(EOFError, OSError):
        if isinstance(calls, Exception):
            line.send(calls)
            return
        line.send(None)  # from now on a request may leave
        while True:
            call, argument = line.receive()
            line.send(_outcome(getattr(calls, call), argument))


def _outcome(call: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a call returns or raises, in a form that another process can read."""
    try:
        return call(*arguments)
    except ServiceError as fault:
        return fault
    except Exception as error:  # noqa: BLE001 - it belongs to the thread that asked
        return RuntimeError(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    logging.lastResort = None  # what there is to tell is told by the process that asks
    serve(socket.socket(fileno=0))
