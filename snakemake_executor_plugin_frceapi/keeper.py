"""Keeps the user's Kerberos ticket alive while a run lasts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from snakemake_executor_plugin_frceapi.auth import Ticket, renew_ticket, renewal_time, ticket_status
from snakemake_executor_plugin_frceapi.errors import ServiceError

_LOOK_SECONDS = 300.0
_SHORTEST_SECONDS = 30.0
_SLEEP_SECONDS = 60.0


class TicketKeeper:
    """Says at the start how long the ticket lasts, and renews it at half of its life where it can be renewed.

    A ticket that somebody else renews, or that ``kinit`` replaces, is taken up as it is: the cache is looked at anew
    each time.

    Args:
        say: receives lines for the user.
        status: returns the ticket.
        renew: renews it.
        clocks: return seconds. One by which waiting goes on stands still while the machine is suspended, and the other
            one can be set, so a ticket's time has come when either says so.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        status: Callable[[], Ticket] = ticket_status,
        renew: Callable[[], None] = renew_ticket,
        clocks: Sequence[Callable[[], float]] = (time.monotonic, time.time),
    ) -> None:
        self._say = say
        self._status = status
        self._renew = renew
        self._clocks = clocks
        self._stopped = threading.Event()

    def start(self) -> None:
        """Say how long the ticket lasts and begin to keep it.

        Raises:
            ServiceError: there is no usable ticket.
        """
        ticket = self._status()
        self._say(describe(ticket))
        threading.Thread(target=self._run, args=(ticket,), name="frceapi-ticket", daemon=True).start()

    def stop(self) -> None:
        """Keep the ticket no longer."""
        self._stopped.set()

    def _run(self, ticket: Ticket | None) -> None:
        while self._wait(seconds_to_renewal(ticket, datetime.now(UTC))):
            ticket = self._keep(ticket)

    def _wait(self, seconds: float) -> bool:
        """Wait by the clock that is faster; return False once the ticket is kept no longer."""
        ends = [clock() + seconds for clock in self._clocks]
        while (left := min(end - clock() for end, clock in zip(ends, self._clocks, strict=True))) > 0:
            if self._stopped.wait(min(left, _SLEEP_SECONDS)):
                return False
        return not self._stopped.is_set()

    def _keep(self, ticket: Ticket | None) -> Ticket | None:
        """Renew the ticket if its time has come; without one, look again later: the calls tell the user."""
        try:
            if ticket and renewal_time(ticket, datetime.now(UTC)):
                self._renew()
            return self._status()
        except ServiceError:
            return None


def seconds_to_renewal(ticket: Ticket | None, now: datetime) -> float:
    """Return how long to wait before the ticket is looked at again, to be renewed where it can be.

    Args:
        ticket: the ticket as just seen, None where there is none.
        now: the time, with a zone.
    """
    due = renewal_time(ticket, now) if ticket else None
    return max(_SHORTEST_SECONDS, (due - now).total_seconds()) if due else _LOOK_SECONDS


def describe(ticket: Ticket) -> str:
    """Return a line that says how long a ticket lasts, in local time."""
    whose = f"Your ticket for {ticket.principal}"
    if ticket.end is None:
        return f"{whose} has no known end."
    text = f"{whose} ends on {_local(ticket.end)}"
    if ticket.renewable_until and ticket.renewable_until > ticket.end:
        return f"{text}; it is renewed as long as that is possible, until {_local(ticket.renewable_until)}."
    return f"{text}; jobs go on without it, but nothing is submitted until you type `kinit` again."


def _local(time: datetime) -> str:
    return f"{time.astimezone():%Y-%m-%d at %H:%M}"
