"""Rows 31 to 33 of the fault matrix: a run that is killed at any step, two runs at a time, and a disk that is full."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi.errors import TransientFault
from snakemake_executor_plugin_frceapi.job import NotSent, Refused
from snakemake_executor_plugin_frceapi.journal import Event
from tests.faults.dying import Fuse
from tests.faults.lives import LOST, WELL, Scenario, World

MakeWorld = Callable[[], World]

NOT_SENT = NotSent(TransientFault("no connection"))
REFUSED = Refused("bad_partition", "no such partition")
WAITS = Scenario(jobs_run=False, jobs_run_alone=False)
DEATHS = {
    "jobs run": Scenario(),
    "jobs begin when it is dead": Scenario(jobs_run=False),
    "jobs wait": WAITS,
    "jobs fail": Scenario(exit_code=3),
    "no answer, jobs run": Scenario(outcome=LOST),
    "no answer, jobs begin when it is dead": Scenario(outcome=LOST, jobs_run=False),
    "no answer, jobs wait": replace(WAITS, outcome=LOST),
    "first posts are lost": Scenario(outcome=LOST, arrives=False),
    "first posts are lost, jobs wait": replace(WAITS, outcome=LOST, arrives=False),
    "first posts are not sent": Scenario(outcome=NOT_SENT, arrives=False),
    "posts are refused": Scenario(outcome=REFUSED, arrives=False),
    "recipe changes, jobs wait": replace(WAITS, signature="01d"),
}
FAILING, CHANGES = ("jobs fail", "posts are refused"), "recipe changes, jobs wait"


@pytest.fixture
def make(tmp_path: Path) -> MakeWorld:
    """A maker of worlds without a run so far."""
    numbers = itertools.count()

    def make() -> World:
        top = tmp_path / str(next(numbers))
        top.mkdir()
        return World(top)

    return make


def steps(make: MakeWorld, scenario: Scenario) -> list[str]:
    """The steps that a run makes which is not killed."""
    fuse = Fuse()
    assert make().live(scenario, fuse)
    return fuse.passed


def lives(make: MakeWorld, *deaths: tuple[Scenario, int]) -> World | None:
    """A world in which runs were killed, each at its step, and one ended in order; None if a step is not reached."""
    world = make()
    for scenario, at in deaths:
        if world.live(scenario, Fuse(at)):
            return None
    assert world.live()
    if deaths[0][0].signature != WELL.signature:
        assert world.live()  # what was replaced before it began is cleared away by the next start
    return world


# Row 31 ---------------------------------------------------------------------------------------------------------------


def test_row_31_dies_at_every_kind_of_step(make: MakeWorld) -> None:
    """The tests below kill a run after each kind of line that ends well, and between any two files."""
    seen = {step for scenario in DEATHS.values() for step in steps(make, scenario)}
    world, fuse = make(), Fuse()
    world.live(DEATHS[CHANGES], Fuse(steps(make, DEATHS[CHANGES]).index("accepted")))
    world.live(fuse=fuse)
    seen.update(fuse.passed)
    written = {"begin", *(event.value for event in Event)} - {Event.ATTACHED}  # no job goes ahead here

    assert seen >= written | {f"half of {event}" for event in written}
    assert seen >= {"control is empty", "control", "job-job.a", "before a post", "after a post", "recorded", "removed"}


@pytest.mark.parametrize("name", DEATHS)
def test_row_31_killed_at_any_step_loses_nothing_and_runs_nothing_twice(name: str, make: MakeWorld) -> None:
    """Each command ends well once, what was surely accepted is never posted again, and nothing is left."""
    for at, step in enumerate(steps(make, DEATHS[name])):
        world = lives(make, (DEATHS[name], at))
        assert world is not None, step
        world.assert_each_once()
        assert not world.failed or name in FAILING, step


def deaths_of_two(make: MakeWorld, scenario: Scenario, stride: int) -> Iterator[World]:
    """Worlds in which a run was killed, and the next one, at any two of their steps."""
    # Of a recipe that has changed the old job must not run to its end between the two, or its output is made twice.
    later = WELL if scenario.signature == WELL.signature else WAITS
    for at in range(len(steps(make, scenario))):
        for second in itertools.count(at % stride, stride):
            world = lives(make, (scenario, at), (later, second))
            if world is None:
                break
            yield world


@pytest.mark.parametrize("name", ["jobs run", "no answer, jobs wait"])
def test_row_31_killed_twice_loses_nothing_and_runs_nothing_twice(name: str, make: MakeWorld) -> None:
    """The same where the run that takes up what is left is killed as well, at some steps of each."""
    for world in deaths_of_two(make, DEATHS[name], stride=17):
        world.assert_each_once()


@pytest.mark.long
@pytest.mark.parametrize("name", DEATHS)
def test_row_31_killed_twice_at_any_two_steps(name: str, make: MakeWorld) -> None:
    """The same at all steps of each."""
    for world in deaths_of_two(make, DEATHS[name], stride=1):
        world.assert_each_once()
