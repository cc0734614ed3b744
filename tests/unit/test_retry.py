"""Tests of waiting times, by tables and by properties."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_frceapi.errors import ConfigurationFault, ServiceError, TicketFault, TransientFault
from snakemake_executor_plugin_frceapi.retry import (
    MAX_RETRY_AFTER_SECONDS,
    backoff_seconds,
    parse_retry_after,
    wait_seconds,
)

NOW = datetime(2025, 1, 27, 15, 24, 32, tzinfo=UTC)
JITTER = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("try_number", "seconds"),
    [(0, 1.0), (1, 1.0), (2, 2.0), (3, 4.0), (6, 32.0), (7, 60.0), (10**9, 60.0)],
)
def test_doubles_up_to_the_cap(try_number: int, seconds: float) -> None:
    """Each wait is twice the one before, until the cap."""
    assert backoff_seconds(try_number) == seconds


def test_takes_off_up_to_half() -> None:
    """Jitter spreads the waits over the upper half."""
    assert backoff_seconds(3, initial=2.0, cap=5.0, jitter=0.5) == 3.75


@given(st.integers(), JITTER)
def test_stays_between_half_and_all_of_the_wait(try_number: int, jitter: float) -> None:
    """No wait is over the cap or under half of the first."""
    assert 0.5 <= backoff_seconds(try_number, jitter=jitter) <= 60.0


@given(st.integers(1, 100))
def test_never_waits_less_after_more_tries(try_number: int) -> None:
    """Waits grow or stay."""
    assert backoff_seconds(try_number) <= backoff_seconds(try_number + 1)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("100000", MAX_RETRY_AFTER_SECONDS),
        ("9" * 5000, MAX_RETRY_AFTER_SECONDS),
        ("Mon, 27 Jan 2025 15:25:02 GMT", 30.0),
        ("Mon, 27 Jan 2025 15:25:02 -0000", 30.0),
        ("Mon, 27 Jan 2025 15:24:02 GMT", 0.0),
        ("Mon, 27 Jan 2035 15:24:02 GMT", MAX_RETRY_AFTER_SECONDS),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
        ("Mon, 99 Jan 2025 15:25:02 GMT", None),
        ("Mon, 27 Jan 99999999 15:25:02 GMT", None),
    ],
)
def test_reads_retry_after(value: str, seconds: float | None) -> None:
    """Seconds and HTTP dates are understood, never negative and never long; nonsense is nothing."""
    assert parse_retry_after(value, NOW) == seconds


_DAYS = st.sampled_from(["", "Mon, ", "Monday, ", "Xyz, "])
_NUMBERS = st.integers(-1, 10**6).map(str) | st.sampled_from(["", "x", "9" * 400])
_MONTHS = st.sampled_from(["Jan", "January", "Feb", "13", ""])
_ZONES = st.sampled_from(["GMT", "-0000", "+2359", "-9999", "+999999999", "EST", ""])
_NEARLY_DATES = st.builds(
    "{}{} {} {} {}:{}:{} {}".format, _DAYS, _NUMBERS, _MONTHS, _NUMBERS, _NUMBERS, _NUMBERS, _NUMBERS, _ZONES
)


@given(st.text() | _NEARLY_DATES)
def test_survives_any_retry_after(value: str) -> None:
    """No header of a service raises, and none lets anybody wait for more than minutes."""
    seconds = parse_retry_after(value, NOW)

    assert seconds is None or 0.0 <= seconds <= MAX_RETRY_AFTER_SECONDS


@given(st.integers(0, 300))
def test_reads_its_own_dates(seconds: int) -> None:
    """A date so many seconds ahead means so many seconds."""
    assert parse_retry_after(format_datetime(NOW + timedelta(seconds=seconds), usegmt=True), NOW) == seconds


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        (TransientFault("full"), 60.0),
        (TransientFault("full", retry_after_seconds=7.0), 60.0),
        (TransientFault("full", retry_after_seconds=300.0), 300.0),
        (TransientFault("full", retry_after_seconds=1e9), 300.0),
        (TransientFault("full", retry_after_seconds=-1e9), 60.0),
        (ConfigurationFault("certificate"), 60.0),
        (TicketFault("no ticket"), 15.0),
    ],
)
def test_waits_as_the_fault_asks(fault: ServiceError, seconds: float) -> None:
    """Retry-After is a least wait; a ticket is looked for more often than the service is asked."""
    assert wait_seconds(fault, 20, jitter=0.0) == seconds
