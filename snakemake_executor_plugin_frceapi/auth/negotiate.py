"""The Negotiate header (RFC 4559), sent with the first request and to one host only.

The ways of HTTP libraries send each request twice, repeat it after a 401, follow redirects with a token for another
host, and hide every Kerberos failure behind a 401. So only the token is made here, by GSSAPI itself.
"""

from __future__ import annotations

import re
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from typing import Any
from urllib.parse import urlsplit

from snakemake_executor_plugin_frceapi.auth.library import KERBEROS_DEADLINE_SECONDS, Watchdog, load_gssapi
from snakemake_executor_plugin_frceapi.auth.ticket import inspect_ticket
from snakemake_executor_plugin_frceapi.errors import ConfigurationFault, ServiceError, TicketFault, TransientFault

WARM_SECONDS = 0.5
"""For how long after a token the next ones ask no KDC: the service's ticket is in the cache. A thread of its own for
each would take a fourth of the time of a submission. Rounds are further apart, so a KDC that falls silent is told."""

_SPNEGO = (1, 3, 6, 1, 5, 5, 2)
"""The mechanism of the Negotiate header (RFC 4178)."""

_MINOR_TEXT = re.compile(r"Minor \(\d+\): (.*)", re.DOTALL)
_SERVER_UNKNOWN = re.compile(r"Server (\S+) not found in Kerberos database")
_OTHER_REALM = re.compile(r"krbtgt/(.+)@.+")


class Warmth:
    """What threads share that ask for tokens of one service.

    Attributes:
        until: monotonic time in seconds until which no KDC is asked.
        credentials: those of the user, which are looked up once until then.
    """

    until = -inf
    credentials: Any = None


class NegotiateAuth:
    """Makes a token for each request; one object for each thread.

    Each token has a GSS context of its own, because two threads that step one context crash the interpreter.
    Mutual authentication is left to TLS, and no ticket is forwarded.
    """

    def __init__(
        self,
        host: str,
        target_name: str | None,
        warmth: Warmth | None = None,
        deadline_seconds: float = KERBEROS_DEADLINE_SECONDS,
    ) -> None:
        self._host = host.lower()
        self._target_name = target_name or f"HTTP@{self._host}"
        self._watchdog = Watchdog(deadline_seconds)
        self._warmth = warmth or Warmth()

    def __call__(self, url: str) -> str:
        """Return ``Authorization`` for one request to a URL.

        Raises:
            TicketFault: there is no usable ticket, or it is of another realm.
            TransientFault: no KDC answers.
            ConfigurationFault: Kerberos does not know the service, or there is no Kerberos library.
        """
        parts = urlsplit(url)
        if parts.scheme != "https" or parts.hostname != self._host:
            raise ConfigurationFault(
                f"no Kerberos token is sent to {parts.scheme}://{parts.hostname}, only to https://{self._host}: "
                "check --frceapi-url"
            )
        if time.monotonic() < self._warmth.until:
            return self._header(self._warmth.credentials)
        header, self._warmth.credentials = self._watchdog.run(self._first_header)
        self._warmth.until = time.monotonic() + WARM_SECONDS
        return header

    def _first_header(self) -> tuple[str, Any]:
        with self._telling_faults() as gssapi:
            credentials = gssapi.Credentials(usage="initiate")
        return self._header(credentials), credentials

    def _header(self, credentials: Any) -> str:
        with self._telling_faults() as gssapi:
            name = gssapi.Name(self._target_name, gssapi.NameType.hostbased_service)
            mechanism = gssapi.OID.from_int_seq(_SPNEGO)
            context = gssapi.SecurityContext(name=name, creds=credentials, mech=mechanism, usage="initiate", flags=())
            return f"Negotiate {b64encode(context.step()).decode()}"

    @contextmanager
    def _telling_faults(self) -> Iterator[Any]:
        gssapi = load_gssapi()
        try:
            yield gssapi
        except gssapi.exceptions.GSSError as err:
            raise _fault(str(err), self._target_name) from err


def _fault(text: str, asked: str) -> ServiceError:
    """Return what a failure of GSSAPI means; its numbers do not tell, because SPNEGO hides those of Kerberos.

    Args:
        text: what the library says.
        asked: the service principal that was asked for, as ``HTTP@host``.

    Raises:
        TicketFault: there is no ticket, or it has expired.
    """
    found = _MINOR_TEXT.search(text)
    detail = " ".join((found.group(1) if found else text).split())
    lower = detail.lower()
    if unknown := _SERVER_UNKNOWN.search(detail):
        return _unknown(unknown.group(1), asked)
    if "kdc" in lower or "resolve" in lower:
        return TransientFault(f"no KDC can be reached ({detail}): check the network or VPN, and /etc/krb5.conf")
    if "clock skew" in lower:
        return TicketFault(f"Kerberos refuses this machine's clock ({detail}): set the time")
    ticket = inspect_ticket()
    return TicketFault(f"the ticket of {ticket.principal} in {ticket.cache} gives no token ({detail}): type `kinit`")


def _unknown(service: str, asked: str) -> ServiceError:
    """Return what it means that the KDC of the ticket's realm does not know a principal.

    Raises:
        TicketFault: there is no ticket, or it has expired.
    """
    ticket = inspect_ticket()
    if other := _OTHER_REALM.fullmatch(service):
        realm = other.group(1)
        return TicketFault(
            f"the ticket of {ticket.principal} in {ticket.cache} is good for nothing in the service's realm, {realm}: "
            f"type `kinit USER@{realm}`"
        )
    message = (
        f"Kerberos does not know the service {service}, which the ticket of {ticket.principal} in {ticket.cache} is "
        "to be good for"
    )
    if service.partition("@")[0].lower() != asked.replace("@", "/", 1).lower():
        # krb5.conf(5): with both as they are by default, names are taken from DNS, and back from the address.
        return ConfigurationFault(
            f"{message}; DNS made it of {asked}: set rdns = false, or dns_canonicalize_hostname = false, in the "
            "[libdefaults] of the file that KRB5_CONFIG names, else of /etc/krb5.conf"
        )
    return ConfigurationFault(
        f"{message}: check --frceapi-url, or name the service with --frceapi-target-name HTTP@HOST"
    )


def negotiate_auth(host: str, target_name: str | None, warmth: Warmth | None = None) -> NegotiateAuth:
    """Return an authentication for one thread.

    Args:
        host: the only host that gets a token.
        target_name: service principal as ``HTTP@host``; None for that of `host`.
        warmth: what it shares with those of other threads.
    """
    return NegotiateAuth(host, target_name, warmth)
