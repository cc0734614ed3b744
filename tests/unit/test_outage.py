"""Tests of outages: what the user is told, how long they last, and when a call is tried again."""

from __future__ import annotations

import pytest

from snakemake_executor_plugin_frceapi.errors import TicketFault, TransientFault
from snakemake_executor_plugin_frceapi.outage import OutageMonitor

FAULT = TransientFault("hpcapi does not answer.")


class World:
    """A monitor with a clock that is set by hand, and what it said."""

    def __init__(self) -> None:
        self.now = 100.0
        self.said: list[str] = []
        self.monitor = OutageMonitor(self.said.append, lambda: self.now)


@pytest.fixture
def world() -> World:
    """A monitor that has seen nothing yet."""
    return World()


def test_says_one_line_when_an_outage_begins_and_one_when_it_ends(world: World) -> None:
    """However often and whatever calls fail in between, the user reads two lines."""
    world.monitor.failed("one", FAULT)
    world.now += 50
    world.monitor.failed("one", FAULT)
    world.monitor.failed("other", TransientFault("another reason"))
    world.monitor.succeeded("one")
    assert len(world.said) == 1

    world.now += 25
    world.monitor.succeeded("other")
    assert world.said == [
        "hpcapi does not answer. Jobs that were submitted go on; the call is tried again until it works.",
        "The API answers again, after 75 s.",
    ]


def test_says_nothing_of_calls_that_work(world: World) -> None:
    """An answer is no news without an outage before it."""
    world.monitor.succeeded("one")

    assert world.said == []


def test_tells_a_second_outage_from_the_first(world: World) -> None:
    """Each outage has its own beginning."""
    for _ in range(2):
        world.monitor.failed("one", FAULT)
        world.now += 10
        world.monitor.succeeded("one")

    assert world.said[1::2] == ["The API answers again, after 10 s."] * 2


def test_measures_each_call_from_its_first_failure(world: World) -> None:
    """A call counts as unanswered since its first failure after its last answer; the other calls do not matter."""
    assert world.monitor.lasted("one") == 0.0
    world.monitor.failed("one", FAULT)
    world.now += 30
    world.monitor.failed("one", FAULT)
    world.monitor.failed("other", FAULT)
    world.now += 5
    assert (world.monitor.lasted("one"), world.monitor.lasted("other")) == (35.0, 5.0)

    world.monitor.succeeded("one")
    assert (world.monitor.lasted("one"), world.monitor.lasted("other")) == (0.0, 5.0)


def test_forgets_a_call_that_nobody_waits_for(world: World) -> None:
    """A call that is not needed any more counts as answered; its next failure counts from then on."""
    world.monitor.failed("one", FAULT)
    world.monitor.forget("one")
    world.monitor.forget("other")
    world.now += 1e6
    assert world.monitor.lasted("one") == 0.0

    world.monitor.failed("one", FAULT)
    world.now += 7
    assert world.monitor.lasted("one") == 7.0
    world.monitor.succeeded("one")
    assert world.said[-1].startswith("The API answers again, after ")


def test_tells_the_end_of_each_outage_that_it_told_the_begin_of(world: World) -> None:
    """A call that was forgotten meanwhile, or fails again before any answer, leaves no line alone or twice."""
    world.monitor.failed("one", FAULT)
    world.monitor.forget("one")
    world.monitor.failed("one", FAULT)
    world.monitor.forget("one")
    assert len(world.said) == 1
    world.monitor.succeeded("other")
    world.monitor.succeeded("one")

    assert len(world.said) == 2


def test_waits_longer_from_try_to_try(world: World) -> None:
    """Waits grow up to a minute, begin anew after an answer, and differ so that clients do not come back at once."""
    waits = [world.monitor.failed("one", FAULT) for _ in range(12)]

    assert 0.5 <= waits[0] <= 1.0
    assert all(30.0 <= wait <= 60.0 for wait in waits[6:])
    assert len(set(waits)) == len(waits)

    world.monitor.succeeded("one")
    assert world.monitor.failed("one", FAULT) <= 1.0


def test_waits_as_long_as_the_service_asks(world: World) -> None:
    """``Retry-After`` is a lower bound; for a ticket nobody waits longer than a quarter of a minute."""
    assert world.monitor.failed("one", TransientFault("busy", retry_after_seconds=200.0)) == 200.0
    assert max(world.monitor.failed("other", TicketFault("no ticket")) for _ in range(12)) <= 15.0
