"""Tests of the threads that send jobs: each job is prepared once, sent until it has an outcome, and never lost."""

from __future__ import annotations

import errno
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi.courier.deliveries import Deliveries
from snakemake_executor_plugin_frceapi.errors import TransientFault
from snakemake_executor_plugin_frceapi.job import Accepted, NotSent, Refused, SubmitOutcome, Unknown
from snakemake_executor_plugin_frceapi.journal import Journal, replay
from snakemake_executor_plugin_frceapi.outage import OutageMonitor
from snakemake_executor_plugin_frceapi.posting import Posting
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.submission import CALL, Submission, Submitter
from snakemake_executor_plugin_frceapi.threads import Loop, Threads
from tests.submissions import a_submission
from tests.waiting import PATIENCE_SECONDS, wait_until

NOT_SENT = NotSent(TransientFault("no connection"))


class Directory:
    """A run directory that is written once, and not while there is a fault."""

    def __init__(self, world: World, token: str) -> None:
        self._world = world
        self._token = token

    def write(self) -> None:
        """Write it."""
        self._world.tries += 1
        if self._world.fault is not None:
            raise self._world.fault
        if self._token not in self._world.prepared:
            self._world.prepared.append(self._token)


class World:
    """A submitter, a service that answers as a test wants, and what happened."""

    def __init__(self, top: Path, connections: int = 2) -> None:
        self.answers: dict[str, list[SubmitOutcome | Exception]] = {}
        self.posted: list[tuple[float, str]] = []
        self.prepared: list[str] = []
        self.tries = 0
        self.fault: Exception | None = None
        self.open = threading.Event()
        self.open.set()
        self.now_sending = 0
        self.most_sending = 0
        self.notified = 0
        self.last = 0
        self.said: list[str] = []
        self.lock = threading.Lock()
        self.outages = OutageMonitor(self.said.append, time.monotonic)
        self.journal = Journal(top)
        self.deliveries = Deliveries(self._post)
        self.posting = Posting(self.deliveries.deliver, self.journal, Spool(top / "spool"))
        self.submitter = Submitter(self.posting, connections, self.outages, self._notify)

    def _post(self, body: bytes) -> SubmitOutcome:
        token = body.decode()
        with self.lock:
            self.posted.append((time.monotonic(), token))
            self.now_sending += 1
            self.most_sending = max(self.most_sending, self.now_sending)
            answers = self.answers.get(token, [])
            answer = answers.pop(0) if answers else Accepted("1" + token)
        assert self.open.wait(PATIENCE_SECONDS)
        with self.lock:
            self.now_sending -= 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _notify(self, *, at_once: bool) -> None:
        self.notified += 1
        self.last += at_once

    def open_when_stopped(self) -> None:
        """Let the service answer when the submitter has been told to stop."""
        wait_until(lambda: self.submitter._stopped)  # noqa: SLF001 - only `stop` itself tells, when it is over
        self.open.set()

    def submission(self, number: int, *answers: SubmitOutcome | Exception) -> Submission:
        """A submission to which the service answers in this order, then with its acceptance."""
        token = str(number)
        self.answers[token] = list(answers)
        return a_submission(token, run_directory=Directory(self, token))

    def outcomes(self, count: int) -> dict[str, SubmitOutcome]:
        """Wait for so many outcomes and return them by token."""
        found: dict[str, SubmitOutcome] = {}

        def enough() -> bool:
            found.update((item.token, outcome) for item, outcome in self.submitter.outcomes())
            return len(found) >= count

        wait_until(enough)
        return found


@pytest.fixture
def worlds(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes submitters and stops them with the test."""
    made: list[World] = []

    def make(connections: int = 2) -> World:
        made.append(World(tmp_path, connections))
        return made[-1]

    yield make
    for world in made:
        world.open.set()
        world.submitter.stop(PATIENCE_SECONDS)
        world.deliveries.close()
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("frceapi-submit")])


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the pauses between tries short: the random part takes off at most half."""
    monkeypatch.setattr("snakemake_executor_plugin_frceapi.outage.wait_seconds", lambda *_, **__: 0.01)


@pytest.mark.parametrize("outcome", [Accepted("17"), Refused("bad_partition", "no"), Unknown("no answer")])
def test_delivers_what_came_of_a_submission(outcome: SubmitOutcome, worlds: Callable[..., World]) -> None:
    """Each outcome is announced and delivered once, after one preparation and one request."""
    world = worlds()
    item = world.submission(1, outcome)
    world.submitter.put(item)

    assert world.outcomes(1) == {"1": outcome}
    wait_until(lambda: world.notified == 1)
    assert world.submitter.outcomes() == []
    assert (world.prepared, [token for _, token in world.posted]) == (["1"], ["1"])
    assert item.posts == 1


def test_delivers_the_outcome_of_each_of_many(worlds: Callable[..., World]) -> None:
    """All jobs have an outcome, and there are never more requests at the same time than connections."""
    world = worlds(3)
    for number in range(100):
        world.submitter.put(world.submission(number))

    assert world.outcomes(100) == {str(number): Accepted(f"1{number}") for number in range(100)}
    assert sorted(map(int, world.prepared)) == list(range(100))
    assert 1 <= world.most_sending <= 3


def test_tells_when_no_more_outcomes_are_to_come(worlds: Callable[..., World]) -> None:
    """Of a burst only the last outcome wants a look at once; of those that come one at a time each does."""
    world = worlds(2)
    world.submitter.hold()
    for number in range(20):
        world.submitter.put(world.submission(number))
    world.submitter.release()
    world.outcomes(20)
    wait_until(lambda: world.notified == 20)
    assert 1 <= world.last <= 2  # the two threads may both see that nothing is left

    for number in range(20, 23):
        last = world.last
        world.submitter.put(world.submission(number))
        wait_until(lambda: world.last == last + 1)  # noqa: B023 - called at once


def test_uses_all_connections_and_no_more(worlds: Callable[..., World]) -> None:
    """While no answer comes, as many requests are under way as there are connections."""
    world = worlds(3)
    world.open.clear()
    for number in range(10):
        world.submitter.put(world.submission(number))
    wait_until(lambda: world.now_sending == 3)
    time.sleep(0.1)
    assert world.now_sending == 3

    world.open.set()
    world.outcomes(10)
    assert world.most_sending == 3


def test_starts_no_thread_that_it_does_not_need(worlds: Callable[..., World]) -> None:
    """Jobs that come one at a time are sent by the thread that is there."""
    world = worlds(4)
    for number in range(5):
        world.submitter.put(world.submission(number))
        world.outcomes(1)
        wait_until(lambda: not world.submitter.busy)

    assert len([thread for thread in threading.enumerate() if thread.name.startswith("frceapi-submit")]) == 1


def test_sends_again_what_was_not_sent(no_pause: None, worlds: Callable[..., World]) -> None:
    """What surely did not arrive is sent until it does, and is prepared and counted once."""
    world = worlds()
    item = world.submission(1, *[NOT_SENT] * 5)
    world.submitter.put(item)

    assert world.outcomes(1) == {"1": Accepted("11")}
    assert (len(world.posted), world.prepared, item.posts) == (6, ["1"], 1)
    assert len(world.said) == 2
    assert world.outages.lasted(CALL) == 0


def test_pauses_all_when_one_cannot_be_sent(worlds: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failure nothing at all is sent until the pause is over."""
    monkeypatch.setattr("snakemake_executor_plugin_frceapi.outage.wait_seconds", lambda *_, **__: 0.5)
    world = worlds(2)
    world.submitter.put(world.submission(1, NOT_SENT))
    wait_until(lambda: world.said)
    failed = world.posted[0][0]
    for number in (2, 3):
        world.submitter.put(world.submission(number))
    world.outcomes(3)

    assert all(posted - failed >= 0.5 for posted, _ in world.posted[1:])


def test_waits_longer_with_each_failure(worlds: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause is the one that the back-off gives, not a constant."""
    monkeypatch.setattr(random, "random", lambda: 0.0)
    world = worlds(1)
    world.submitter.put(world.submission(1, NOT_SENT))
    world.outcomes(1)

    assert world.posted[1][0] - world.posted[0][0] >= 1.0


def test_refuses_what_it_cannot_prepare_and_goes_on(worlds: Callable[..., World]) -> None:
    """A job whose run directory cannot be written whatever happens is not sent and fails; the next one is sent."""
    world = worlds(1)
    world.fault = fault = UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
    world.submitter.put(world.submission(1))
    assert world.outcomes(1) == {"1": Refused("run_directory", str(fault))}
    assert world.posted == []

    world.fault = None
    world.submitter.put(world.submission(2))
    assert world.outcomes(1) == {"2": Accepted("12")}


def test_row_33_waits_for_space_in_the_run_directory(no_pause: None, worlds: Callable[..., World]) -> None:
    """Nothing is posted while the run directory cannot be written; the user reads why, once; then it goes on."""
    world = worlds(1)
    world.fault = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/w/jobs/1")
    item = world.submission(1)
    world.submitter.put(item)
    wait_until(lambda: world.tries > 2)
    assert world.posted == []
    assert len(world.said) == 1
    assert "/w/jobs/1 cannot be written (No space left on device); nothing is submitted until" in world.said[0]

    world.fault = None
    assert world.outcomes(1) == {"1": Accepted("11")}
    assert item.posts == 1


def test_row_33_posts_nothing_that_is_not_in_the_journal(
    no_pause: None, worlds: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the journal cannot be written nothing is posted and nothing prepared."""
    world = worlds(1)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        world.submitter.put(world.submission(1))
        wait_until(lambda: world.said)
        assert (world.posted, world.prepared) == ([], [])
    assert world.outcomes(1) == {"1": Accepted("11")}


def test_writes_down_what_it_sends_and_what_comes_of_it(worlds: Callable[..., World]) -> None:
    """Each post has its line before it leaves, and its outcome after it."""
    world = worlds(1)
    outcomes: list[SubmitOutcome] = [Accepted("17"), Unknown("no answer")]
    for number, outcome in enumerate(outcomes, 1):
        world.submitter.put(world.submission(number, outcome))
    world.outcomes(2)
    entries = replay(world.journal.path.read_text().splitlines())

    assert (entries["1"].external_jobid, entries["1"].posts) == ("17", 1)
    assert (entries["2"].external_jobid, entries["2"].posts) == (None, 1)


@pytest.mark.parametrize("sent", [False, True], ids=["before", "between"])
def test_is_busy_until_the_outcome_is_fetched(sent: bool, worlds: Callable[..., World]) -> None:  # noqa: FBT001
    """It is busy from the hand-over until the last outcome has been fetched."""
    world = worlds(1)
    world.open.clear()
    for number in (1, 2):
        world.submitter.put(world.submission(number))
    if sent:
        wait_until(lambda: world.now_sending)
    assert world.submitter.busy

    world.open.set()
    wait_until(lambda: world.notified == 2)
    assert world.submitter.busy
    world.submitter.outcomes()
    wait_until(lambda: not world.submitter.busy)


def test_takes_an_internal_error_for_an_unknown_outcome(worlds: Callable[..., World]) -> None:
    """Whatever goes wrong in a request, the job has an outcome and the next one is sent."""
    world = worlds(1)
    world.submitter.put(world.submission(1, RecursionError("too deep")))
    world.submitter.put(world.submission(2))

    assert world.outcomes(2) == {"1": Unknown("internal error: RecursionError: too deep"), "2": Accepted("12")}


def test_stops_with_what_was_never_sent(worlds: Callable[..., World]) -> None:
    """Stopping waits for what is under way, whose outcome is delivered, and returns the rest."""
    world = worlds(1)
    world.open.clear()
    items = [world.submission(number) for number in (1, 2, 3)]
    for item in items:
        world.submitter.put(item)
    wait_until(lambda: world.now_sending)
    opener = threading.Thread(target=world.open_when_stopped)
    opener.start()
    unsent = world.submitter.stop(PATIENCE_SECONDS)
    opener.join()

    assert unsent == items[1:]
    assert world.outcomes(1) == {"1": Accepted("11")}
    assert [token for _, token in world.posted] == ["1"]


def test_delivers_what_was_not_sent_when_it_is_stopped(worlds: Callable[..., World]) -> None:
    """What is under way as it stops and does not arrive is not sent again; that is its outcome."""
    world = worlds(1)
    world.open.clear()
    world.submitter.put(world.submission(1, NOT_SENT))
    wait_until(lambda: world.now_sending)
    assert world.submitter.stop(0.0) == []

    world.open.set()
    assert world.outcomes(1) == {"1": NOT_SENT}
    assert len(world.posted) == 1


def test_stops_in_the_middle_of_a_pause(worlds: Callable[..., World]) -> None:
    """A pause ends at once when it stops, and what waited for its end is returned."""
    world = worlds(1)
    item = world.submission(1, NotSent(TransientFault("busy", retry_after_seconds=300.0)))
    world.submitter.put(item)
    wait_until(lambda: world.notified)

    assert world.submitter.stop(PATIENCE_SECONDS) == [item]
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("frceapi-submit")])


def test_names_the_log_of_a_job(worlds: Callable[..., World]) -> None:
    """The log is named by the number that the job has at Slurm."""
    item = worlds().submission(1)
    item.external_jobid = "17"

    assert item.log == Path("/logs/17.log")


def test_holds_back_what_was_not_sent_until_it_is_released(worlds: Callable[..., World]) -> None:
    """What is being sent goes on and has its outcome; the rest waits, nothing is lost."""
    world = worlds(1)
    world.open.clear()
    world.submitter.put(world.submission(1))
    wait_until(lambda: world.now_sending == 1)
    world.submitter.hold()
    world.submitter.put(world.submission(2))
    sending = [world.submitter.is_sending]
    world.open.set()
    assert world.outcomes(1) == {"1": Accepted("11")}
    time.sleep(0.1)
    assert [token for _, token in world.posted] == ["1"]
    assert [*sending, world.submitter.is_sending] == [True, False]

    world.submitter.release()
    assert world.outcomes(1) == {"2": Accepted("12")}


def test_stops_while_it_holds_back(worlds: Callable[..., World]) -> None:
    """What was held back is returned as never sent."""
    world = worlds(1)
    world.submitter.hold()
    item = world.submission(1)
    world.submitter.put(item)

    assert world.submitter.stop(PATIENCE_SECONDS) == [item]
    assert world.posted == []


@pytest.mark.parametrize(("lost", "sent"), [(0, 3), (1, 3), (2, 2)])
def test_slows_down_after_lost_answers_in_a_row(lost: int, sent: int, worlds: Callable[..., World]) -> None:
    """One lost answer is an accident; after a second one nothing is sent until a pause is over."""
    world, now, loops = worlds(), 1000.0, list[Loop]()
    threads = Threads(clock=lambda: now, start=lambda loop, _: loops.append(loop))
    outages = OutageMonitor(world.said.append, threads.clock)
    submitter = Submitter(world.posting, 1, outages, lambda **_: None, threads)
    for number in range(3):
        submitter.put(world.submission(number, *[Unknown("no answer")] * (number < lost)))
    for _ in range(5):
        loops[0].step()
    assert len(world.posted) == sent

    now += 1.0
    loops[0].step()
    assert len(world.posted) == 3
