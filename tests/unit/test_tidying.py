"""Run directories go as soon as nobody needs them, and not before."""

from __future__ import annotations

from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.tidying import Tidying


class World:
    """Run directories of three submissions, a, b and c."""

    def __init__(self, root: Path) -> None:
        self.spool = Spool(root)
        self.tidying = Tidying(self.spool)
        for token in "abc":
            self.spool.job_directory(token).mkdir()

    @property
    def left(self) -> str:
        """The tokens whose run directories are there."""
        return "".join(token for token in "abc" if self.spool.job_directory(token).exists())


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Three run directories."""
    return World(tmp_path)


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
    world.tidying.remove_settled()
    assert (world.left, world.tidying.is_held("a"), world.tidying.is_held("b")) == ("ac", True, False)
    world.tidying.release(["a"])

    assert (world.left, world.tidying.is_held("a")) == ("c", False)
