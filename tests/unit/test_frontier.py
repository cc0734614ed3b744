"""What waits for jobs that are in the queue, over a stand-in for Snakemake's DAG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from snakemake_executor_plugin_frceapi.frontier import Frontier
from tests.submissions import a_submission


class Job:
    """A job; no two are alike."""

    def is_group(self) -> bool:
        """Whether it is a group job."""
        return False


class Dag:
    """A DAG in which one job waits for others.

    Attributes:
        over: the jobs that are finished.
        looks: how often somebody asked whether a job is finished.
    """

    def __init__(self, upstream: Sequence[Job], job: Job) -> None:
        self.depending: Any = {other: {job: set()} for other in upstream}
        self.dependencies = {job: {other: set[str]() for other in upstream}}
        self.over: set[Job] = set()
        self.looks = 0

    def needrun(self, _: Job) -> bool:
        """Whether a job has to run."""
        return True

    def finished(self, job: Job) -> bool:
        """Whether a job is finished."""
        self.looks += 1
        return job in self.over

    def get_job_group(self, _: Job) -> None:
        """The group of a job."""


class World:
    """Some jobs, one that waits for all of them, and the frontier under test."""

    def __init__(self, number: int) -> None:
        self.upstream = [Job() for _ in range(number)]
        self.last = Job()
        self.dag = Dag(self.upstream, self.last)
        self.frontier = Frontier(cast("Any", self))

    def enter(self, *jobs: Job) -> None:
        """Let the queue hold some jobs."""
        for job in jobs:
            self.frontier.enter(job, a_submission())


def test_finds_a_job_when_the_queue_holds_all_that_it_waits_for() -> None:
    """One that is finished is not waited for; the job is found once."""
    world = World(3)
    first, second, third = world.upstream
    world.dag.over = {first}
    world.enter(second)
    assert world.frontier.next() is None
    world.enter(third)

    assert world.frontier.next() == (world.last, [second, third])
    assert len(world.frontier.submissions([second, third])) == 2
    assert world.frontier.next() is None


def test_does_not_find_a_job_behind_one_that_has_left() -> None:
    """What waits for a job that has failed waits for its retry."""
    world = World(2)
    first, second = world.upstream
    world.enter(first)
    world.frontier.leave(first)
    world.enter(second)
    assert world.frontier.next() is None
    world.enter(first)

    assert world.frontier.next() == (world.last, [first, second])


def test_finds_a_job_whose_last_blocker_has_finished() -> None:
    """A job that was missed in the queue need not come there to be waited for no longer."""
    world = World(2)
    first, second = world.upstream
    world.enter(first)
    assert world.frontier.next() is None
    world.dag.over = {second}
    world.enter(first)

    assert world.frontier.next() == (world.last, [first])


def test_keeps_what_there_is_no_room_for() -> None:
    """Each job behind another one is found, however long it takes until the next one is asked for."""
    world = World(1)
    others = [Job() for _ in range(3)]
    world.dag.depending = {world.upstream[0]: {other: set[str]() for other in others}}
    world.dag.dependencies = {other: {world.upstream[0]: set[str]()} for other in others}
    world.enter(*world.upstream)

    assert [world.frontier.next() for _ in range(4)] == [*((other, world.upstream) for other in others), None]


def test_passes_over_what_is_strange() -> None:
    """An error inside Snakemake's objects keeps no other job from being found."""
    world = World(1)
    strange = Job()
    world.dag.depending[strange] = 7
    world.enter(strange, *world.upstream)

    assert world.frontier.next() == (world.last, world.upstream)


@pytest.mark.parametrize(
    "order",
    [list, lambda jobs: jobs[::-1], lambda jobs: jobs[::2] + jobs[::-2]],
    ids=["forwards", "backwards", "from both ends"],
)
def test_looks_at_many_upstream_jobs_only_a_few_times(order: Callable[[list[Job]], list[Job]]) -> None:
    """A job that gathers what 512 make is not compared with all of them at each, in whatever order they come."""
    world = World(512)
    for job in order(world.upstream):
        assert world.frontier.next() is None
        world.enter(job)

    assert world.frontier.next() == (world.last, world.upstream)
    assert world.dag.looks < 20 * 512
