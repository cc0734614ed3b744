"""Kerberos: the Negotiate header of a request, and the ticket behind it.

Nothing here imports a Kerberos library before the first request needs one, so that the package works without any.
Each token is made by an object of its own: a GSS context must never be stepped by two threads.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future, wait
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from snakemake_executor_plugin_frceapi.errors import ConfigurationFault, TicketFault, TransientFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests import PreparedRequest

T = TypeVar("T")

_KDC_DEADLINE_SECONDS = 15.0


class NegotiateAuth:
    """Puts a token into each request to one host, before it is sent.

    There is no second request, no token for another host, and no forwarded ticket.
    """

    def __init__(self, host: str, target_name: str | None) -> None:
        self._host = host.lower()
        self._target_name = target_name or "HTTP"
        self._watchdog = _Watchdog(_KDC_DEADLINE_SECONDS)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Adds the header.

        Raises:
            TicketFault: there is no usable ticket.
            TransientFault: the KDC does not answer.
            ConfigurationFault: the service is unknown to Kerberos, or there is no Kerberos library.
        """
        url = urlsplit(request.url or "")
        if url.scheme != "https" or url.hostname != self._host:
            raise ConfigurationFault(f"no Kerberos token is sent to {url.scheme}://{url.hostname}: check --frceapi-url")
        request.headers["Authorization"] = self._watchdog.run(self._token)
        return request

    def _token(self) -> str:
        from requests_gssapi import DISABLED, HTTPSPNEGOAuth
        from requests_gssapi.exceptions import SPNEGOExchangeError

        logging.getLogger("requests_gssapi").setLevel(logging.CRITICAL)
        maker = HTTPSPNEGOAuth(mutual_authentication=DISABLED, target_name=self._target_name, delegate=False)
        try:
            header: str = maker.generate_request_header(None, self._host, is_preemptive=True)
        except SPNEGOExchangeError as err:
            raise TicketFault("there is no usable Kerberos ticket: type `kinit`") from err
        return header


class _Watchdog:
    """Runs work that cannot be interrupted, and stops waiting for it after some seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._left_behind: Future[Any] | None = None

    def run(self, work: Callable[[], T]) -> T:
        if self._left_behind is not None:
            self._await(self._left_behind)
        future: Future[T] = Future()
        Thread(target=_fulfil, args=(future, work), name="frceapi-kerberos", daemon=True).start()
        self._await(future)
        return future.result()

    def _await(self, future: Future[T]) -> None:
        self._left_behind = future
        if wait([future], self._seconds).not_done:
            raise TransientFault(f"the KDC does not answer within {self._seconds:g} s; trying again later")
        self._left_behind = None


def _fulfil(future: Future[T], work: Callable[[], T]) -> None:
    try:
        future.set_result(work())
    except BaseException as err:  # it belongs to the thread that waits
        future.set_exception(err)


def negotiate_auth(host: str, target_name: str | None) -> NegotiateAuth:
    """Returns an authentication for one thread.

    Args:
        host: the only host that may get a token.
        target_name: service principal as ``HTTP@host``; without it, that of `host`.
    """
    return NegotiateAuth(host, target_name)
