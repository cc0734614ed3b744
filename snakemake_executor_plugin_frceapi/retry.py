"""When to try again: decisions and waiting times, without a clock and without sleeping.

A listing may be asked for as often as one likes. A submission is sent again only when it surely did not reach the
service, because the API has no way to recognise a request that it has seen before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, unique

from snakemake_executor_plugin_frceapi.errors import ConfigurationFault, ServiceError, TicketFault, TransientFault
from snakemake_executor_plugin_frceapi.job import Accepted, Refused, SubmitOutcome, Unknown

MAX_RETRY_AFTER_SECONDS = 300.0
"""A service that asks for more is asked again after this time all the same."""

_TICKET_CAP_SECONDS = 15.0


@unique
class Step(Enum):
    """What to do after a call."""

    DONE = "done"
    """The service has decided: accepted or refused."""
    WAIT = "wait"
    """Try again after `Decision.seconds`."""
    RECONCILE = "reconcile"
    """Find out whether the job exists; do not send it again before that."""
    GIVE_UP = "give up"
    """It will not work without a change by the user, or it has not worked for too long."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A step, and for WAIT how many seconds to wait first."""

    step: Step
    seconds: float = 0.0


def backoff_seconds(try_number: int, *, initial: float = 1.0, cap: float = 60.0, jitter: float = 0.0) -> float:
    """Returns how long to wait after the n-th try: doubling, at most `cap`, and up to half of it taken off.

    Args:
        try_number: 1 for the first try.
        initial: seconds after the first try.
        cap: most seconds.
        jitter: a random number in [0, 1), so that many clients do not come back at once.
    """
    doublings = min(max(try_number, 1) - 1, 60)
    return min(initial * 2.0**doublings, cap) * (1.0 - jitter / 2.0)


def parse_retry_after(value: str, now: datetime) -> float | None:
    """Returns the seconds that a ``Retry-After`` header asks for (RFC 9110, 10.2.3), or None when it makes no sense.

    Args:
        value: whole seconds, or an HTTP date.
        now: the time of the answer, with a time zone.
    """
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MAX_RETRY_AFTER_SECONDS)
    try:
        date = parsedate_to_datetime(text)
        zoned = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
        return min(max((zoned - now).total_seconds(), 0.0), MAX_RETRY_AFTER_SECONDS)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def after_submission(outcome: SubmitOutcome, try_number: int, *, jitter: float, seen: bool) -> Decision:
    """Decides what follows a ``submit_job``.

    Args:
        outcome: what came of it.
        try_number: 1 for the first try.
        jitter: a random number in [0, 1).
        seen: whether the service has ever answered in this run; a certificate or a host name that worked before may
            work again, so that such a fault ends a run only at its start.
    """
    if isinstance(outcome, (Accepted, Refused)):
        return Decision(Step.DONE)
    if isinstance(outcome, Unknown):
        return Decision(Step.RECONCILE)
    return _after_fault(outcome.fault, try_number, jitter, seen)


def after_status(
    fault: ServiceError,
    try_number: int,
    *,
    jitter: float,
    seen: bool,
    outage_seconds: float,
    tolerance_seconds: float,
) -> Decision:
    """Decides what follows a ``query_status`` that failed.

    Args:
        fault: why it failed.
        try_number: 1 for the first failure in a row.
        jitter: a random number in [0, 1).
        seen: as in `after_submission`.
        outage_seconds: how long there has been no valid listing.
        tolerance_seconds: how long that may last.
    """
    if outage_seconds >= tolerance_seconds:
        return Decision(Step.GIVE_UP)
    return _after_fault(fault, try_number, jitter, seen)


def _after_fault(fault: ServiceError, try_number: int, jitter: float, seen: bool) -> Decision:
    if isinstance(fault, ConfigurationFault) and not seen:
        return Decision(Step.GIVE_UP)
    # Looking for a ticket asks nobody, and a user who has just typed kinit expects work to go on.
    cap = _TICKET_CAP_SECONDS if isinstance(fault, TicketFault) else 60.0
    wait = backoff_seconds(try_number, cap=cap, jitter=jitter)
    asked = fault.retry_after_seconds if isinstance(fault, TransientFault) else None
    return Decision(Step.WAIT, max(wait, asked or 0.0))
