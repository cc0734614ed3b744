"""Tests of the thread that asks for the listing. Calls are counted, never timed: the machine may be busy."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from itertools import pairwise

import pytest

from snakemake_executor_plugin_frceapi.errors import TransientFault
from snakemake_executor_plugin_frceapi.job import Listing
from snakemake_executor_plugin_frceapi.outage import OutageMonitor
from snakemake_executor_plugin_frceapi.polling import CALL, LONGEST_AGE_SECONDS, StatusPoller
from snakemake_executor_plugin_frceapi.threads import Loop, Threads
from tests.waiting import wait_until

LISTING = Listing({})
A_WHILE = 0.2


class World:
    """A poller, the jobs it asks about, and what it asked."""

    def __init__(self, interval: float = 0.01, first_delay: float = 0.0) -> None:
        self.jobs: set[str] = set()
        self.asked: list[tuple[float, set[str]]] = []
        self.fault: Exception | None = None
        self.notified = 0
        self.said: list[str] = []
        self.outages = OutageMonitor(self.said.append, time.monotonic)
        self.poller = StatusPoller(self._query, self._wanted, interval, first_delay, self.outages, self._notify)
        self.idle = False
        self._earlier = set(threading.enumerate())

    def _wanted(self) -> set[str] | None:
        self.idle = not self.jobs
        return set(self.jobs) or None

    def _query(self, wanted: Collection[str]) -> Listing:
        self.asked.append((time.monotonic(), set(wanted)))
        if self.fault is not None:
            raise self.fault
        return LISTING

    def _notify(self) -> None:
        self.notified += 1

    def threads(self) -> list[threading.Thread]:
        """The threads that ask."""
        now = set(threading.enumerate()) - self._earlier
        return [thread for thread in now if thread.name == "frceapi-status"]


@pytest.fixture
def worlds() -> Iterator[Callable[..., World]]:
    """Makes pollers and stops them with the test."""
    made: list[World] = []

    def make(*args: float) -> World:
        made.append(World(*args))
        return made[-1]

    yield make
    for world in made:
        world.poller.stop()
    wait_until(lambda: not made[0].threads())


def test_asks_nothing_while_there_are_no_jobs(worlds: Callable[..., World]) -> None:
    """Without jobs nobody is asked, before the first job and between jobs."""
    world = worlds()
    time.sleep(A_WHILE)
    assert world.threads() == []

    world.poller.wake()
    time.sleep(A_WHILE)
    assert world.asked == []

    world.jobs = {"1"}
    world.poller.wake()
    wait_until(lambda: len(world.asked) >= 2)
    world.jobs = set()
    wait_until(lambda: world.idle)
    asked = len(world.asked)
    time.sleep(A_WHILE)
    assert len(world.asked) == asked


def test_asks_once_for_all_jobs(worlds: Callable[..., World]) -> None:
    """One request names all jobs that are active at that time; many wakes make no more requests and no more threads."""
    world = worlds(0.05)
    world.jobs = {str(number) for number in range(200)}
    for _ in range(200):
        world.poller.wake()
    wait_until(lambda: len(world.asked) >= 5)

    assert len(world.threads()) == 1
    assert all(wanted == world.jobs for _, wanted in world.asked)
    times = [asked for asked, _ in world.asked]
    assert all(later - earlier >= 0.05 for earlier, later in pairwise(times))


def test_waits_before_the_first_request(worlds: Callable[..., World]) -> None:
    """The first request comes no earlier than the delay after the first job."""
    world = worlds(0.01, 0.3)
    world.jobs = {"1"}
    began = time.monotonic()
    world.poller.wake()
    wait_until(lambda: world.asked)

    assert world.asked[0][0] - began >= 0.3


def test_waits_again_after_an_idle_spell(worlds: Callable[..., World]) -> None:
    """The first job after an idle spell is given the delay as well."""
    world = worlds(0.01, 0.2)
    world.poller.wake()
    wait_until(lambda: world.idle)
    time.sleep(A_WHILE)
    world.jobs = {"1"}
    began = time.monotonic()
    world.poller.wake()
    wait_until(lambda: world.asked)

    assert world.asked[0][0] - began >= 0.2


def test_hands_each_listing_over_once(worlds: Callable[..., World]) -> None:
    """A listing is announced, taken once, and replaced by a newer one."""
    world = worlds(1000.0)
    assert world.poller.take() is None
    world.jobs = {"1"}
    world.poller.wake()
    wait_until(lambda: world.notified)

    assert world.poller.take() is LISTING
    assert world.poller.take() is None


@pytest.mark.parametrize(("seconds", "is_taken"), [(0.0, True), (LONGEST_AGE_SECONDS, True), (121.0, False)])
@pytest.mark.parametrize("slept_in", ["request", "queue"])
def test_takes_no_listing_that_was_held_up_with_the_machine(seconds: float, slept_in: str, *, is_taken: bool) -> None:
    """A listing that was asked for before the machine slept is none, whether the sleep fell into the request or not."""
    now = [1000.0]

    def query(_: Collection[str]) -> Listing:
        now[0] += seconds if slept_in == "request" else 0.0
        return LISTING

    loops: list[Loop] = []
    threads = Threads(clock=lambda: now[0], start=lambda loop, _: loops.append(loop))
    outages = OutageMonitor(lambda _: None, threads.clock)
    poller = StatusPoller(query, lambda: {"1"}, 10.0, 0.0, outages, lambda: None, threads)
    poller.wake()
    loops[0].step()
    now[0] += seconds if slept_in == "queue" else 0.0

    assert (poller.take() is LISTING) is is_taken
    now[0] += 10.0
    loops[0].step()
    assert slept_in == "request" or poller.take() is LISTING


@pytest.mark.parametrize("fault", [TransientFault("no answer"), RecursionError("too deep")])
def test_takes_a_failure_for_no_listing(fault: Exception, worlds: Callable[..., World]) -> None:
    """A request that failed, for whatever reason, gives no listing; it is known as an outage until one succeeds."""
    world = worlds()
    world.fault = fault
    world.jobs = {"1"}
    world.poller.wake()
    wait_until(lambda: world.said)
    assert (world.poller.take(), world.notified) == (None, 0)
    wait_until(lambda: world.outages.lasted(CALL) > 0)
    assert str(fault) in world.said[0]

    world.fault = None
    wait_until(lambda: world.notified)
    assert world.poller.take() is LISTING
    assert world.outages.lasted(CALL) == 0
    assert len(world.said) == 2


def test_forgets_an_outage_when_there_are_no_jobs_left(worlds: Callable[..., World]) -> None:
    """The idle time between two jobs does not count as time without an answer."""
    world = worlds()
    world.fault = TransientFault("no answer")
    world.jobs = {"1"}
    world.poller.wake()
    wait_until(lambda: world.outages.lasted(CALL) > 0)
    world.jobs = set()

    wait_until(lambda: world.outages.lasted(CALL) == 0)


def test_asks_no_more_once_stopped(worlds: Callable[..., World]) -> None:
    """A stopped poller ends its thread, in whatever wait, and starts no other."""
    waiting, idle, fresh = worlds(1000.0), worlds(), worlds()
    waiting.jobs = {"1"}
    waiting.poller.wake()
    idle.poller.wake()
    wait_until(lambda: waiting.asked)
    for world in (waiting, idle, fresh):
        world.poller.stop()
        world.jobs = {"1"}
        world.poller.wake()
    wait_until(lambda: not waiting.threads())

    assert (len(waiting.asked), len(idle.asked), len(fresh.asked)) == (1, 0, 0)
