"""How long to wait before a call is tried again, without a clock and without sleeping.

Whether it may be tried again is in the type of its outcome: a listing always, a submission only after `NotSent`,
because the API has no way to recognise a request that it has seen before.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from snakemake_executor_plugin_frceapi.errors import ServiceError, TicketFault, TransientFault

MAX_RETRY_AFTER_SECONDS = 300.0
"""A service that asks for more is asked again after this time all the same."""

_CAP_SECONDS = 60.0
_TICKET_CAP_SECONDS = 15.0


def backoff_seconds(try_number: int, *, initial: float = 1.0, cap: float = _CAP_SECONDS, jitter: float = 0.0) -> float:
    """Return how long to wait after the n-th try: doubling, at most `cap`, and up to half of it taken off.

    Args:
        try_number: 1 for the first try.
        initial: seconds after the first try.
        cap: most seconds.
        jitter: a random number in [0, 1), so that many clients do not come back at once.
    """
    doublings = min(max(try_number, 1) - 1, 60)
    return min(initial * 2.0**doublings, cap) * (1.0 - jitter / 2.0)


def parse_retry_after(value: str, now: datetime) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for (RFC 9110, 10.2.3), or None when it makes no sense.

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


def wait_seconds(fault: ServiceError, try_number: int, *, jitter: float) -> float:
    """Return how long to wait before a call that failed is tried again: minutes at most, whatever the service says.

    Args:
        fault: why it failed.
        try_number: 1 for the first failure in a row.
        jitter: a random number in [0, 1).
    """
    # Looking for a ticket asks nobody, and a user who has just typed kinit expects work to go on.
    cap = _TICKET_CAP_SECONDS if isinstance(fault, TicketFault) else _CAP_SECONDS
    asked = fault.retry_after_seconds if isinstance(fault, TransientFault) else None
    return max(backoff_seconds(try_number, cap=cap, jitter=jitter), min(asked or 0.0, MAX_RETRY_AFTER_SECONDS))
