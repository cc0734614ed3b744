"""The user's Kerberos ticket: whose it is, until when, and its renewal."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from threading import Lock

from snakemake_executor_plugin_frceapi.auth.library import Watchdog, load_gssapi
from snakemake_executor_plugin_frceapi.errors import TicketFault

_COMMAND_SECONDS = 30

_STAMP = r"(\d\d/\d\d/\d{2,4} \d\d:\d\d:\d\d)"
_CACHE = re.compile(r"^Ticket cache: (.+)$", re.MULTILINE)
_NO_FILE = re.compile(r"^klist: No credentials cache found \(filename: (.+)\)$", re.MULTILINE)
_NO_KEYRING = re.compile(r"^klist: Credentials cache keyring '(.+)' not found$", re.MULTILINE)
_PRINCIPAL = re.compile(r"^Default principal: (.+)$", re.MULTILINE)
_TGT = re.compile(rf"^{_STAMP}\s+{_STAMP}\s+krbtgt/(.+)@\3$(?:\n\s+renew until {_STAMP})?", re.MULTILINE)

_RENEWAL = Lock()


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket-granting ticket.

    Attributes:
        principal: whose it is.
        cache: name of the credential cache.
        end: when it expires; None where that is not known.
        renewable_until: how far renewals can extend it; None where that is not at all, or not known.
    """

    principal: str
    cache: str
    end: datetime | None = None
    renewable_until: datetime | None = None


def ticket_status() -> Ticket:
    """Return the ticket that the next request would use.

    Raises:
        TicketFault: there is none, or it has expired.
        TransientFault: no KDC answers (it is asked where a client keytab stands in for a ticket).
        ConfigurationFault: there is no Kerberos library.
    """
    return Watchdog().run(inspect_ticket)


def inspect_ticket() -> Ticket:
    """Do what `ticket_status` says, without a limit of time."""
    gssapi = load_gssapi()
    listed = parse_klist(_listed(), os.environ.get("KRB5CCNAME"))
    try:
        credentials = gssapi.Credentials(usage="initiate")
        principal, lifetime = str(credentials.name), credentials.lifetime
    except gssapi.exceptions.ExpiredCredentialsError as err:
        raise _expired(listed) from err
    except gssapi.exceptions.GSSError as err:
        raise TicketFault(f"there is no Kerberos ticket in {listed.cache}: type `kinit`") from err
    if lifetime is None:
        return replace(listed, principal=principal)
    if lifetime <= 0:
        raise _expired(listed)
    return replace(listed, principal=principal, end=datetime.now(UTC) + timedelta(seconds=lifetime))


def parse_klist(text: str, cache: str | None) -> Ticket:
    """Return what ``klist`` of MIT Kerberos says in the C locale; times are those of this machine's zone.

    Args:
        text: what it writes, errors included; empty where there is no such program.
        cache: name of the credential cache as the user gave it, None for the default one.
    """
    named, owner, granted = _CACHE.search(text), _PRINCIPAL.search(text), _TGT.search(text)
    return Ticket(
        principal=owner.group(1) if owner else "",
        cache=named.group(1) if named else cache or _missing_cache(text),
        end=_time(granted.group(2)) if granted else None,
        renewable_until=_time(granted.group(4)) if granted and granted.group(4) else None,
    )


def _missing_cache(text: str) -> str:
    for kind, pattern in (("FILE", _NO_FILE), ("KEYRING", _NO_KEYRING)):
        if found := pattern.search(text):
            return f"{kind}:{found.group(1)}"
    return "the default cache"


def renewal_time(ticket: Ticket, now: datetime) -> datetime | None:
    """Return when to renew a ticket seen at `now`: half-way to its end; None where renewal brings nothing.

    An expired ticket cannot be renewed (kinit(1)), so the second half is for trying again.
    """
    if ticket.end is None or ticket.renewable_until is None or ticket.renewable_until <= ticket.end:
        return None
    return now + max(ticket.end - now, timedelta(0)) / 2


def renew_ticket() -> None:
    """Renew the ticket in its cache with ``kinit -R``; one thread at a time.

    Raises:
        TicketFault: it could not be renewed.
    """
    with _RENEWAL:
        try:
            done = _run("kinit", "-R")
        except (OSError, subprocess.TimeoutExpired) as err:
            raise TicketFault(f"`kinit -R` could not renew the ticket ({type(err).__name__}): type `kinit`") from err
    if done.returncode != 0:
        said = " ".join(done.stderr.split())
        raise TicketFault(f"`kinit -R` could not renew the ticket ({said}): type `kinit`")


def _expired(listed: Ticket) -> TicketFault:
    when = f" on {listed.end:%Y-%m-%d at %H:%M:%S}" if listed.end else ""
    whose = f" of {listed.principal}" if listed.principal else ""
    return TicketFault(f"the Kerberos ticket{whose} in {listed.cache} expired{when}: type `kinit`")


def _listed() -> str:
    try:
        done = _run("klist")
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env={**os.environ, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_COMMAND_SECONDS,
        check=False,
    )


def _time(stamp: str) -> datetime:
    year = "%y" if len(stamp) == len("mm/dd/yy HH:MM:SS") else "%Y"
    return datetime.strptime(stamp, f"%m/%d/{year} %H:%M:%S").astimezone()
