"""Tests of the thread in which Snakemake lets an executor check its jobs: it does rounds as long as the run goes on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from snakemake_executor_plugin_frceapi import Executor
from tests.waiting import PATIENCE_SECONDS, wait_until


class Run:
    """Stands for the parts of a run: counts rounds, and never waits for long."""

    def __init__(self) -> None:
        self.rounds = 0
        self.run = self.vanguard = self.chronicle = self
        self.departure = SimpleNamespace(begun=False)

    def look(self) -> None:
        """Count a round."""
        self.rounds += 1

    def take_started(self) -> list[object]:
        """Nothing has started."""
        return []

    def round(self) -> None:
        """Nothing goes ahead."""

    def wait(self) -> None:
        """Wait a little for the next round."""
        threading.Event().wait(0.01)


class Over(threading.Event):
    """The end of the executor, which tells whether anybody waits for it."""

    is_awaited = False

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for it."""
        self.is_awaited = True
        return super().wait(timeout)


class Thread:
    """The thread of the base class, around an executor whose run is set by hand."""

    def __init__(self) -> None:
        self.executor: Any = Executor.__new__(Executor)
        self.over = Over()
        vars(self.executor).update(wait=True, _over=self.over)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._loop()))

    async def _loop(self) -> None:
        """Do what `RemoteExecutor` does between two changes of its list of jobs."""
        while self.executor.wait:
            async for _ in self.executor.check_active_jobs([]):
                pass
            await self.executor.sleep()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """End, as `shutdown` does it."""
        self.executor.wait = False
        self.over.set()
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive()


@pytest.fixture
def thread() -> Iterator[Thread]:
    """A thread, which ends with the test."""
    made = Thread()
    yield made
    made.end()


def test_does_rounds_whenever_the_run_begins(thread: Thread) -> None:
    """The thread is there before the run, which may begin just between its check and its pause."""
    run = Run()
    asyncio.run(_check_and_begin(thread.executor, run))
    thread.start()

    wait_until(lambda: run.rounds > 2)


async def _check_and_begin(executor: Any, run: Run) -> None:
    """Let the thread find no run, and pause when there is one; the pause may not be for ever."""
    async for _ in executor.check_active_jobs([]):
        pass
    vars(executor)["_parts"] = run
    pause = threading.Thread(target=lambda: asyncio.run(executor.sleep()))
    pause.start()
    pause.join(PATIENCE_SECONDS)
    assert not pause.is_alive()


def test_does_no_round_when_the_run_is_over(thread: Thread) -> None:
    """It stands still then, instead of asking again and again whether it is to end."""
    run = vars(thread.executor)["_parts"] = Run()
    thread.start()
    wait_until(lambda: run.rounds > 2)
    run.departure.begun = True
    wait_until(lambda: thread.over.is_awaited)
    rounds = run.rounds
    thread.end()

    assert run.rounds == rounds
