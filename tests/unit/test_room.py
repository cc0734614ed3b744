"""Who has a place in the queue, and who waits for one."""

from __future__ import annotations

import threading
import time

import pytest

from snakemake_executor_plugin_frceapi.room import Room


class Queue:
    """A queue with room for some jobs; a test sets how many others it holds.

    Attributes:
        others: how many jobs it holds that Snakemake has not asked for.
        entered: the jobs that were let in, in order.
        entered_locked: whether one was let in while the lock was held.
    """

    def __init__(self, jobs: int | None) -> None:
        self.others = 0
        self.entered: list[str] = []
        self.entered_locked = False
        self._lock = threading.RLock()
        self.room = Room(jobs, lambda: self.others, self._lock)

    def send(self, *names: str) -> None:
        """Send jobs that Snakemake has asked for."""
        for name in names:
            self.room.send(lambda name=name: self._enter(name))  # type: ignore[misc]

    def _enter(self, name: str) -> None:
        self.entered.append(name)
        other = threading.Thread(target=self._try_lock)
        other.start()
        other.join()

    def _try_lock(self) -> None:
        free = self._lock.acquire(blocking=False)
        self.entered_locked |= not free
        if free:
            self._lock.release()


def test_lets_all_in_without_a_limit() -> None:
    """Where --jobs says nothing, nobody waits."""
    queue = Queue(None)
    queue.others = 1000
    queue.send("a", "b")

    assert queue.entered == ["a", "b"]
    assert queue.room.has_place()


def test_holds_back_what_does_not_fit() -> None:
    """Jobs that went ahead have places; who comes then waits, in order, until one is free."""
    queue = Queue(3)
    queue.others = 2
    assert queue.room.has_place()
    queue.send("a", "b", "c")
    assert queue.entered == ["a"]
    assert not queue.room.has_place()

    queue.room.fill()
    assert queue.entered == ["a"]
    queue.others = 1
    queue.room.fill()
    assert queue.entered == ["a", "b"]
    queue.room.note_ended()
    queue.room.fill()
    assert queue.entered == ["a", "b", "c"]


def test_counts_what_snakemake_comes_to_once() -> None:
    """A job that went ahead and is asked for keeps its place."""
    queue = Queue(2)
    queue.others = 1
    queue.send("a")
    queue.others -= 1
    queue.room.note_attached()
    queue.send("b")

    assert queue.entered == ["a"]
    queue.room.note_ended()
    queue.room.fill()
    assert queue.entered == ["a", "b"]


def test_lets_nobody_in_while_it_holds_its_lock() -> None:
    """Letting a job in can wait for a lock of Snakemake's, whose owner may be waiting for this one."""
    queue = Queue(1)
    queue.others = 1
    queue.send("a", "b")
    queue.others = 0
    queue.room.fill()
    queue.room.note_ended()
    queue.room.fill()

    assert queue.entered == ["a", "b"]
    assert not queue.entered_locked


def test_keeps_the_place_of_a_job_that_has_just_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Snakemake hands over next can begin at once, while what goes ahead would have to be cancelled for it."""
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    queue = Queue(2)
    queue.send("a", "b")
    queue.room.note_ended()
    assert not queue.room.has_place()
    now += 3
    assert queue.room.has_place()
    queue.send("c")
    assert queue.entered == ["a", "b", "c"]
