"""The ticket is announced, renewed at half of its life, and never a reason to stop."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from snakemake_executor_plugin_frceapi import keeper
from snakemake_executor_plugin_frceapi.auth import Ticket
from snakemake_executor_plugin_frceapi.errors import TicketFault
from snakemake_executor_plugin_frceapi.keeper import TicketKeeper, describe, seconds_to_renewal

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def ticket(hours: float | None, renewable_hours: float | None = None) -> Ticket:
    """A ticket that ends in so many hours."""
    return Ticket(
        principal="ada@EXAMPLE.ORG",
        cache="FILE:/tmp/krb5cc_1",
        end=None if hours is None else NOW + timedelta(hours=hours),
        renewable_until=None if renewable_hours is None else NOW + timedelta(hours=renewable_hours),
    )


@pytest.mark.parametrize(
    ("seen", "seconds"),
    [
        (ticket(10, 168), 5 * 3600),
        (ticket(0.001, 168), 30),
        (ticket(10), 300),
        (ticket(10, 10), 300),
        (ticket(None), 300),
        (None, 300),
    ],
)
def test_waits_for_half_of_a_renewable_life(seen: Ticket | None, seconds: float) -> None:
    """A renewable ticket is looked at again half-way to its end, any other every five minutes."""
    assert seconds_to_renewal(seen, NOW) == seconds


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (ticket(10, 168), "it is renewed as long as that is possible"),
        (ticket(10), "nothing is submitted until you type `kinit` again"),
        (ticket(None), "has no known end"),
    ],
)
def test_describes_how_long_a_ticket_lasts(seen: Ticket, words: str) -> None:
    """The line at the start names the principal and what happens at the ticket's end."""
    assert "ada@EXAMPLE.ORG" in describe(seen)
    assert words in describe(seen)


def test_says_nothing_and_fails_without_a_ticket() -> None:
    """The fault of the first look reaches the caller."""

    def status() -> Ticket:
        raise TicketFault("there is no ticket")

    said: list[str] = []
    with pytest.raises(TicketFault):
        TicketKeeper(said.append, status).start()

    assert said == []


def test_renews_again_and_again_until_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A renewal that fails, and a ticket that is gone for a while, end nothing."""
    enough = threading.Event()
    renewals: list[str] = []

    def status() -> Ticket:
        if len(renewals) == 2:
            renewals.append("looked in vain")
            raise TicketFault("gone")
        end = datetime.now(UTC) + timedelta(hours=1)
        return Ticket("ada@EXAMPLE.ORG", "FILE:/tmp/krb5cc_1", end, end + timedelta(hours=5))

    def renew() -> None:
        renewals.append("renewed")
        if len(renewals) >= 6:
            enough.set()
        if len(renewals) % 2:
            raise TicketFault("not now")

    monkeypatch.setattr(keeper, "_SHORTEST_SECONDS", 0.0)
    monkeypatch.setattr(keeper, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(keeper, "renewal_time", lambda _ticket, now: now)
    said: list[str] = []
    kept = TicketKeeper(said.append, status, renew)
    kept.start()
    assert enough.wait(60)
    kept.stop()

    assert len(said) == 1
    assert "looked in vain" in renewals


@pytest.mark.parametrize("jumping", [0, 1], ids=["suspended", "clock set back"])
def test_renews_in_time_though_one_clock_is_wrong(jumping: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a machine that slept, whose monotonic clock stood still, nor a clock that was set back, is too late."""
    renewed, waits = threading.Event(), threading.Semaphore(0)
    end = datetime.now(UTC) + timedelta(hours=10)
    status = Ticket("ada@EXAMPLE.ORG", "FILE:/tmp/krb5cc_1", end, end + timedelta(days=7))
    times = [1000.0, 1000.0]

    def second() -> float:
        waits.release()
        return times[1]

    monkeypatch.setattr(keeper, "_SLEEP_SECONDS", 0.01)
    kept = TicketKeeper(lambda _: None, lambda: status, renewed.set, (lambda: times[0], second))
    kept.start()
    assert all(waits.acquire(timeout=60) for _ in range(3))
    assert not renewed.is_set()
    times[jumping] -= jumping * 3600
    times[1 - jumping] += 5 * 3600
    assert renewed.wait(60)
    kept.stop()
