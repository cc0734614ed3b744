"""Tests of the pauses between rounds, with a clock that is set by hand."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from threading import Event

import pytest

from snakemake_executor_plugin_frceapi.pacing import LONGEST_ROUND_SECONDS, Pacing

PATIENCE_SECONDS = 30.0


@dataclass
class Clock:
    """A clock that is set by hand, and an event that writes down for how long it was waited for."""

    now: float = 1000.0
    waits: list[float | None] = field(default_factory=list)

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock; nothing is really waited for."""
    clock = Clock()
    monkeypatch.setattr(Event, "wait", lambda _, timeout=None: clock.waits.append(timeout))
    return clock


@pytest.mark.parametrize(
    ("cost", "pause"), [(0.0, 0.2), (0.001, 0.2), (0.01, 0.2), (0.02, 0.4), (0.04, 0.8), (0.05, 1.0), (7.0, 1.0)]
)
def test_pauses_longer_when_a_round_costs_more(cost: float, pause: float, clock: Clock) -> None:
    """Rounds take a twentieth of the time, and at least a second lies between two that are slow."""
    pacing = Pacing(clock)
    with pacing.round():
        clock.now += cost
    pacing.wait(idle=False)

    assert clock.waits == [pytest.approx(pause)]


def test_waits_for_a_reason_when_idle(clock: Clock) -> None:
    """Without jobs nothing can change by itself."""
    Pacing(clock).wait(idle=True)

    assert clock.waits == [None]


def test_does_not_wait_after_the_end(clock: Clock) -> None:
    """A closed run has nothing to wait for."""
    pacing = Pacing(clock)
    pacing.close()
    pacing.wait(idle=True)

    assert clock.waits == []


def test_does_not_wait_when_something_has_happened_meanwhile() -> None:
    """What came during a round is looked at at once, and one wake is for one wait."""
    pacing = Pacing(lambda: 0.0)
    pacing.wake()
    woken = threading.Thread(target=pacing.wait, kwargs={"idle": True})
    woken.start()
    woken.join(PATIENCE_SECONDS)
    assert not woken.is_alive()

    idle = threading.Thread(target=pacing.wait, kwargs={"idle": True})
    idle.start()
    idle.join(0.1)
    assert idle.is_alive()
    pacing.close()
    idle.join(PATIENCE_SECONDS)


@pytest.mark.parametrize(("away", "slept"), [(0.0, 0.0), (LONGEST_ROUND_SECONDS, 0.0), (LONGEST_ROUND_SECONDS + 5, 5)])
def test_tells_how_long_the_machine_slept(away: float, slept: float, clock: Clock) -> None:
    """Up to a minute between two rounds is no sleep."""
    pacing = Pacing(clock)
    clock.now += away
    with pacing.round() as seconds:
        assert seconds == slept
