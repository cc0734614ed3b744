"""Run directories go as soon as nobody needs them, and not before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi.journal import Journal
from snakemake_executor_plugin_frceapi.run_directory import Leavings, clear_away
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.tidying import Tidying


class World:
    """Run directories of three submissions, a, b and c."""

    def __init__(self, root: Path) -> None:
        self.spool = Spool(root)
        self.journal = Journal(root)
        self.tidying = Tidying(self.spool, self.journal, clear_away)
        for token in "abc":
            self.spool.job_directory(token).mkdir()

    @property
    def left(self) -> str:
        """The tokens whose run directories are there."""
        return "".join(token for token in "abc" if self.spool.job_directory(token).exists())


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Three run directories."""
    world = World(tmp_path)
    yield world
    world.journal.close()


def test_removes_what_nobody_needs(world: World) -> None:
    """A job that nothing depends on leaves nothing."""
    world.tidying.remove("a")

    assert world.left == "bc"


def test_keeps_what_a_downstream_job_looks_into(world: World) -> None:
    """The last of two readers lets the run directory go."""
    world.tidying.hold(["a"])
    world.tidying.hold(["a", "b"])
    world.tidying.remove("a")
    world.tidying.release(["a", "b"])
    assert world.left == "abc"
    world.tidying.release(["a"])

    assert world.left == "bc"


def test_keeps_for_twins_until_the_run_ends(world: World) -> None:
    """A twin that starts after its owner has ended finds the claim; the end of the run waits for no twin."""
    for token in "ab":
        world.tidying.keep_for_twins(token)
    world.tidying.remove("a")
    assert world.left == "abc"
    world.tidying.close()

    assert world.left == "bc"
    world.tidying.remove("b")
    assert world.left == "c"


def test_readers_outlast_the_run(world: World) -> None:
    """What a job that is left to run looks into stays, though its own twins are waited for no more."""
    world.tidying.keep_for_twins("a")
    world.tidying.hold(["a"])
    world.tidying.remove("a")
    world.tidying.close()

    assert world.left == "abc"


def test_removes_what_was_recorded_when_nobody_looks_into_it(world: World) -> None:
    """Recorded jobs are noted at any time, and removed when it is time to, unless a job that waits needs them."""
    world.tidying.hold(["a"])
    for token in "ab":
        world.tidying.note_settled(token)
    assert world.left == "abc"
    world.tidying.tidy()
    assert (world.left, world.tidying.is_held("a"), world.tidying.is_held("b")) == ("ac", True, False)
    world.tidying.release(["a"])

    assert (world.left, world.tidying.is_held("a")) == ("c", False)


def test_writes_down_what_has_come_of_many_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One write tells of all that have ended, one of all that were recorded, before their directories go."""
    writes: list[tuple[bytes, str]] = []

    def note(_: int, data: bytes) -> int:
        writes.append((data, world.left))
        return len(data)

    monkeypatch.setattr(os, "write", note)
    for token in "ab":
        world.tidying.note_ended(token)
        world.tidying.note_settled(token)
    world.tidying.tidy()
    monkeypatch.undo()

    assert [(data.count(b"ended"), data.count(b"settled"), left) for data, left in writes] == [
        (2, 0, "abc"),
        (0, 2, "abc"),
    ]
    assert world.left == "c"


def test_clears_away_all_at_once(world: World, tmp_path: Path) -> None:
    """Files and run directories that nobody needs any more are one order; where there is nothing, there is none."""
    orders: list[Leavings] = []
    tidying = Tidying(world.spool, world.journal, orders.append)
    tidying.tidy()
    tidying.drop(tmp_path / "log")
    for token in "ab":
        tidying.note_settled(token)
    tidying.tidy()
    tidying.tidy()

    directories = tuple(str(world.spool.job_directory(token)) for token in "ab")
    assert orders == [Leavings((str(tmp_path / "log"),), directories)]
