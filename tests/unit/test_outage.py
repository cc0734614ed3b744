"""Tests of outages: what the user is told, how long they last, and when a call is tried again."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_frceapi.errors import ConfigurationFault, ServiceError, TicketFault, TransientFault
from snakemake_executor_plugin_frceapi.outage import LONGEST_GAP_SECONDS, OutageMonitor, duration

FAULT = TransientFault("hpcapi does not answer.")
TICKET = TicketFault("there is no ticket: type `kinit`")
CERTIFICATE = ConfigurationFault("its certificate is not trusted")
BACK = "The API can be used again, after "


class World:
    """A monitor with a clock that is set by hand, and what it said."""

    def __init__(self) -> None:
        self.now = 100.0
        self.said: list[str] = []
        self.monitor = OutageMonitor(self.said.append, lambda: self.now)

    def fails(self, call: str = "one", fault: ServiceError = FAULT, after: float = 0.0) -> float:
        """Let a call fail after some seconds, and return the pause."""
        self.now += after
        return self.monitor.failed(call, fault)

    def works(self, call: str = "one", after: float = 0.0) -> None:
        """Let a call be answered after some seconds."""
        self.now += after
        self.monitor.succeeded(call)


@pytest.fixture
def world() -> World:
    """A monitor that has seen nothing yet."""
    return World()


# What the user is told ------------------------------------------------------------------------------------------------


def test_says_one_line_when_an_outage_begins_and_one_when_it_ends(world: World) -> None:
    """However often and whatever calls fail in between, the user reads two lines."""
    world.fails()
    world.fails(after=50)
    world.fails("other", TransientFault("another reason"))
    world.works("one")
    assert len(world.said) == 1

    world.works("other", after=25)
    assert world.said == [
        "hpcapi does not answer. Jobs that were submitted go on; the call is tried again until it works.",
        "The API can be used again, after 75 s.",
    ]


def test_says_nothing_of_calls_that_work(world: World) -> None:
    """An answer is no news without an outage before it."""
    world.works()

    assert world.said == []


def test_tells_a_second_outage_from_the_first(world: World) -> None:
    """Each outage has its own beginning."""
    for _ in range(2):
        world.fails(after=600)
        world.works(after=10)

    assert world.said[1::2] == [f"{BACK}10 s."] * 2


def test_tells_of_a_service_that_fails_now_and_then_once_in_ten_minutes(world: World) -> None:
    """A service that misses every other request for hours does not fill the screen, nor is it forgotten."""
    for _ in range(6 * 3600 // 60):
        world.fails(after=30)
        world.works(after=30)

    assert len(world.said) == 2 * len(world.said[1::2])
    assert 30 <= len(world.said[1::2]) <= 36


def test_tells_of_an_outage_that_follows_another_once_it_lasts(world: World) -> None:
    """Soon after another outage a new one is told when it has lasted for a minute, and so is its end."""
    world.fails()
    world.works(after=1)
    for seconds in (30, 29):
        world.fails(after=seconds)
    assert len(world.said) == 2
    world.fails(after=31)
    assert len(world.said) == 3
    world.fails(after=31)
    world.works(after=600)

    assert world.said[3:] == [f"{BACK}12 min."]


@pytest.mark.parametrize("fault", [TICKET, CERTIFICATE])
def test_tells_at_once_what_only_the_user_can_mend(fault: ServiceError, world: World) -> None:
    """A ticket or a setting is named once an outage, however short the time since the last, whatever began it."""
    world.fails()
    world.works(after=1)
    world.fails(after=1)
    for _ in range(3):
        world.fails(fault=fault, after=1)
    world.works(after=1)

    assert [line.split(".")[0] for line in world.said[2:]] == [str(fault), f"{BACK}4 s"]


def test_names_a_second_remedy_in_the_same_outage(world: World) -> None:
    """Who comes back from a broken network without a ticket reads what to type."""
    world.fails()
    world.fails(fault=TICKET, after=36_000)
    world.fails(fault=FAULT, after=10)
    world.fails(fault=TICKET, after=10)
    world.works(after=10)

    assert [line[:20] for line in world.said] == [str(FAULT)[:20], str(TICKET)[:20], BACK[:20]]


def test_tells_the_end_of_each_outage_that_it_told_the_begin_of(world: World) -> None:
    """A call that was forgotten meanwhile, or fails again before any answer, leaves no line alone or twice."""
    world.fails()
    world.monitor.forget("one")
    world.fails()
    world.monitor.forget("one")
    assert len(world.said) == 1
    world.works("other")
    world.works("one")

    assert len(world.said) == 2


@given(st.lists(st.tuples(st.floats(0, 1e5), st.sampled_from([None, FAULT, TICKET, CERTIFICATE]), st.booleans())))
def test_tells_each_end_after_its_begin(history: list[tuple[float, ServiceError | None, bool]]) -> None:
    """Whatever happens when: each line about an end follows one about a begin, and after an answer nothing is open."""
    world = World()
    for seconds, fault, other in history:
        call = "other" if other else "one"
        if fault is None:
            world.works(call, after=seconds)
        else:
            world.fails(call, fault, after=seconds)
    world.works("one")
    world.works("other")
    ends = [line.startswith(BACK) for line in world.said]

    assert not ends or (not ends[0] and ends[-1])
    assert not any(first and second for first, second in pairwise(ends))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (75, "75 s"), (119.4, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2.0 h"), (3e5, "83.3 h")],
)
def test_says_times_as_people_do(seconds: float, text: str) -> None:
    """Seconds, minutes or hours."""
    assert duration(seconds) == text


# How long an outage has lasted ----------------------------------------------------------------------------------------


def test_measures_each_call_from_its_first_failure(world: World) -> None:
    """A call counts as unanswered from its first failure to its last; the other calls do not matter."""
    assert world.monitor.lasted("one") == 0.0
    world.fails()
    world.fails(after=30)
    world.fails("other")
    world.fails("other", after=5)
    assert (world.monitor.lasted("one"), world.monitor.lasted("other")) == (30.0, 5.0)
    assert world.monitor.last_fault("one") == "hpcapi does not answer"

    world.works("one")
    assert (world.monitor.lasted("one"), world.monitor.lasted("other")) == (0.0, 5.0)
    assert world.monitor.last_fault("one") == ""


def test_forgets_a_call_that_nobody_waits_for(world: World) -> None:
    """A call that is not needed any more counts as answered; its next failure counts from then on."""
    world.fails()
    world.monitor.forget("one")
    world.monitor.forget("other")
    world.now += 100
    assert world.monitor.lasted("one") == 0.0

    world.fails()
    world.fails(after=7)
    assert world.monitor.lasted("one") == 7.0
    world.works("one")
    assert world.said[-1].startswith(BACK)


def test_counts_no_time_in_which_nobody_asked(world: World) -> None:
    """Neither the clock alone nor a gap that only sleep explains makes an outage longer."""
    world.fails()
    world.fails(after=60)
    world.now += 1e6
    assert world.monitor.lasted("one") == 60.0

    world.fails()
    assert world.monitor.lasted("one") == 60.0
    world.fails(after=60)
    assert world.monitor.lasted("one") == 120.0


@given(st.lists(st.floats(0, 3 * LONGEST_GAP_SECONDS), max_size=20))
def test_lasts_for_the_sum_of_the_gaps_between_its_failures(gaps: list[float]) -> None:
    """An outage lasts as long as it was seen to: the gaps between failures, those left out in which nobody asked."""
    world = World()
    world.fails()
    for gap in gaps:
        world.fails(after=gap)

    expected = sum(gap for gap in gaps if gap <= LONGEST_GAP_SECONDS)
    assert world.monitor.lasted("one") == pytest.approx(expected, abs=1e-6)


# When a call is tried again -------------------------------------------------------------------------------------------


def test_waits_longer_from_try_to_try(world: World) -> None:
    """Waits grow up to a minute, begin anew after an answer, and differ so that clients do not come back at once."""
    waits = [0.0]
    for _ in range(12):
        waits.append(world.fails(after=waits[-1]))
    assert 0.5 <= waits[1] <= 1.0
    assert all(30.0 <= wait <= 60.0 for wait in waits[7:])
    assert len(set(waits)) == len(waits)

    world.works()
    assert world.fails() <= 1.0


def test_counts_calls_that_fail_together_as_one_try(world: World) -> None:
    """Four connections that break in the same moment do not wait as after four tries."""
    assert all(world.fails() <= 1.0 for _ in range(4))

    assert 1.0 <= world.fails(after=1.0) <= 2.0


def test_waits_as_long_as_the_service_asks(world: World) -> None:
    """``Retry-After`` is a lower bound for all; for a ticket nobody waits longer than a quarter of a minute."""
    assert world.fails(fault=TransientFault("busy", retry_after_seconds=200.0)) == 200.0
    assert world.fails(after=50) == 150.0

    wait = 0.0
    for _ in range(12):
        wait = world.fails("other", TICKET, after=wait)
        assert wait <= 15.0


def test_takes_a_single_lost_answer_for_an_accident(world: World) -> None:
    """One lost answer slows nothing down and is told elsewhere; those that follow are as those of any outage."""
    assert world.monitor.lost("one", FAULT) == 0.0
    world.works()
    assert world.monitor.lost("one", FAULT) == 0.0
    assert 0.5 <= world.monitor.lost("one", FAULT) <= 1.0
    world.now += 1.0
    assert 1.0 <= world.monitor.lost("one", FAULT) <= 2.0
    assert world.said == []

    world.now += 60.0
    world.monitor.lost("one", FAULT)
    world.works()
    assert len(world.said) == 2


def test_obeys_the_service_that_lost_an_answer(world: World) -> None:
    """``Retry-After`` counts also where nobody knows whether the job was taken."""
    assert world.monitor.lost("one", TransientFault("busy", retry_after_seconds=200.0)) == 200.0
