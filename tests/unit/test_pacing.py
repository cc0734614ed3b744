"""Tests of the pauses between rounds, with a clock that is set by hand."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from threading import Event

import pytest

from snakemake_executor_plugin_frceapi.pacing import LONGEST_ROUND_SECONDS, Pacing

PATIENCE_SECONDS = 30.0


@dataclass
class Clock:
    """A clock that is set by hand; events write down for how long they were waited for, and answer as a test says."""

    now: float = 1000.0
    waits: list[float | None] = field(default_factory=list)
    answer: bool = False

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock; nothing is really waited for."""
    clock = Clock()

    def wait(_: Event, timeout: float | None = None) -> bool:
        clock.waits.append(timeout)
        return clock.answer

    monkeypatch.setattr(Event, "wait", wait)
    return clock


@pytest.mark.parametrize(
    ("cost", "pause"), [(0.0, 0.1), (0.001, 0.1), (0.01, 0.2), (0.02, 0.4), (0.04, 0.8), (0.05, 1.0), (7.0, 1.0)]
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


@pytest.mark.parametrize(("since", "at_once", "moment"), [(0.0, False, 0.1), (0.07, False, 0.03), (5.0, False, 0.0)])
def test_gathers_what_comes_in_a_burst(since: float, moment: float, clock: Clock, *, at_once: bool) -> None:
    """A round that follows another one closely waits a moment for more of the same."""
    pacing = Pacing(clock)
    with pacing.round():
        pass
    clock.now += since
    clock.answer = True
    pacing.wake(at_once=at_once)
    pacing.wait(idle=True)

    assert clock.waits == [None, pytest.approx(moment)]


def test_gathers_nothing_that_is_wanted_at_once() -> None:
    """One wake that is urgent ends the moment, whether it comes before it or in it; the next burst has its own."""
    pacing = Pacing(lambda: 0.0)  # a clock that stands still: each round has just been
    for is_late in (False, True):
        pacing.wake(at_once=False)
        if not is_late:
            pacing.wake()
        woken = threading.Thread(target=pacing.wait, kwargs={"idle": True})
        begun = time.monotonic()
        woken.start()
        if is_late:
            pacing.wake()
        woken.join(PATIENCE_SECONDS)
        assert not woken.is_alive()
        assert time.monotonic() - begun < PATIENCE_SECONDS
    assert not pacing._at_once.is_set()  # noqa: SLF001 - or the next burst would be many rounds


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
