"""The Kerberos library: loaded late, and never waited for without a limit."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Thread
from typing import Any, TypeVar

from snakemake_executor_plugin_frceapi.errors import ConfigurationFault, TransientFault

T = TypeVar("T")

KERBEROS_DEADLINE_SECONDS = 15.0
"""MIT Kerberos waits 10 s for each connection to a KDC and cannot be told otherwise."""


def load_gssapi() -> Any:
    """Return the module gssapi.

    Raises:
        ConfigurationFault: it, or the system's Kerberos library beneath, is missing or broken.
    """
    try:
        import gssapi
    except (ImportError, OSError) as err:
        raise ConfigurationFault(
            f"the Kerberos library cannot be loaded ({' '.join(str(err).split())}): install "
            "libkrb5-dev gcc python3-dev (Debian, Ubuntu) or krb5-devel gcc python3-devel (Fedora, RHEL), "
            "then `pip install gssapi`; or python-gssapi from conda-forge"
        ) from err
    return gssapi


class Watchdog:
    """Runs work that cannot be interrupted, and stops waiting for it after a number of seconds.

    Work that was left behind ends some time; until then no more is begun.

    Args:
        seconds: how long it is waited for.
        silent: a clause for the message that says who has not answered.
    """

    def __init__(self, seconds: float = KERBEROS_DEADLINE_SECONDS, silent: str = "no KDC answered") -> None:
        self._seconds = seconds
        self._silent = silent
        self._left_behind: Future[Any] = Future()
        self._left_behind.set_result(None)

    def run(self, work: Callable[[], T]) -> T:
        """Return what the work returns, or raises what it raises.

        Raises:
            TransientFault: it took too long.
        """
        until = time.monotonic() + self._seconds
        self._wait_for(self._left_behind, until)
        future: Future[T] = Future()
        self._left_behind = future
        Thread(target=_fulfil, args=(future, work), name="frceapi-kerberos", daemon=True).start()
        self._wait_for(future, until)
        return future.result()

    def _wait_for(self, future: Future[Any], until: float) -> None:
        if wait([future], until - time.monotonic()).not_done:
            raise TransientFault(f"{self._silent} within {self._seconds:g} s; check the network or VPN")


def _fulfil(future: Future[T], work: Callable[[], T]) -> None:
    try:
        future.set_result(work())
    except BaseException as err:  # noqa: BLE001 - it belongs to the thread that waits for the result
        future.set_exception(err)
