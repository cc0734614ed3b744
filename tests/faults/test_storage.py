"""Rows 32 and 33 of the fault matrix: two runs over one run directory, and a file system that takes no more."""

from __future__ import annotations

import errno
import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from snakemake_executor_plugin_frceapi import private_files, recovery
from snakemake_executor_plugin_frceapi import spool as spool_module
from snakemake_executor_plugin_frceapi.errors import SettingsError
from snakemake_executor_plugin_frceapi.job import Refused
from snakemake_executor_plugin_frceapi.journal import Event, Journal, journals
from snakemake_executor_plugin_frceapi.policy import MOST_POSTS
from snakemake_executor_plugin_frceapi.recovery import take_over
from snakemake_executor_plugin_frceapi.spool import Spool
from tests.faults.dying import Fuse, release_files
from tests.faults.lives import LOST, TICK_SECONDS, Life, Scenario, World

WAITS = Scenario(jobs_run=False, jobs_run_alone=False)
THREE = ("a", "b", "c")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A workflow of three jobs."""
    return World(tmp_path, THREE)


def to_the_end(*living: Life) -> None:
    """Let runs that live at the same time look in turn, then end."""
    for _ in range(30):
        for life in living:
            life.tick()
    for life in living:
        life.end()


def killed(world: World, *names: str) -> None:
    """Let a run submit some jobs, which wait, and be killed."""
    life = Life(world, WAITS, names=names)
    life.tick()
    assert len(world.cluster.jobs) == len(names)
    release_files(world.spool.directory)


# Row 32 ---------------------------------------------------------------------------------------------------------------


@contextmanager
def interrupted(at: int, other: Callable[[], None]) -> Iterator[Fuse]:
    """Let something else happen at a step of a run that takes over what another one has left."""
    fuse = Fuse(at)

    def watched(function: Callable[..., Any], name: str, *arguments: Any, **keywords: Any) -> Any:
        if fuse.burns(f"before {name}"):
            other()
        result = function(*arguments, **keywords)
        if fuse.burns(f"after {name}"):
            other()
        return result

    with ExitStack() as stack:
        for owner, name in (
            (Spool, "tokens"),
            (recovery, "journals"),
            (recovery, "lock"),
            (Path, "read_text"),
            (Journal, "__init__"),
            (Journal, "inherit"),
            (Path, "unlink"),
            (Spool, "discard"),
        ):
            original = getattr(owner, name)

            def stand_in(*arguments: Any, original: Any = original, name: str = name, **keywords: Any) -> Any:
                return watched(original, name, *arguments, **keywords)

            stack.enter_context(patch.object(owner, name, stand_in))
        yield fuse


def test_row_32_stale_journal_is_taken_over_by_one_of_two_runs(tmp_path: Path) -> None:
    """Whenever the second one starts, what was left serves one of them, and neither cancels what is the other's."""
    seen = set()
    for at in itertools.count():
        top = tmp_path / str(at)
        top.mkdir()
        world = World(top, THREE)
        killed(world, "a", "b")
        second: list[Life] = []
        with interrupted(at, lambda: second.append(Life(world, names=("c",)))) as fuse:  # noqa: B023 - used at once
            first = Life(world, names=("a", "b"))
        if not second:
            break
        seen.add(fuse.passed[at])
        to_the_end(first, *second)
        assert world.failed == {}
        if len(world.posts) == 3:
            world.assert_each_once()
    assert seen >= {"after tokens", "after journals", "before lock", "after lock", "after read_text", "after inherit"}


def test_row_32_second_run_leaves_the_journal_of_the_first_alone(world: World) -> None:
    """A run on other outputs starts, works and ends beside it; the first is killed, and loses nothing."""
    first = Life(world, WAITS, names=("a", "b"))
    first.tick()
    (journal,) = journals(world.spool.directory)
    second = Life(world, Scenario(jobs_run=False), names=("c",))
    assert second.legacy.entries == []
    assert len(journals(world.spool.directory)) == 2
    while len(world.posts) < 3:
        second.tick()
    world.cluster.drain()
    second.to_the_end()
    assert journals(world.spool.directory) == [journal]
    assert world.recorded == ["c"]

    release_files(world.spool.directory)
    assert world.live()
    world.assert_each_once()


# Row 33: lines of the journal -----------------------------------------------------------------------------------------

TEARS: dict[str, Callable[[str], str]] = {
    "half": lambda line: line[: len(line) // 2],
    "zeros": lambda line: "\0" * len(line),
    "nothing": lambda _: "",
    "a line about nobody": lambda _: '{"event": "settled", "token": "nobody"}',
    "no object": lambda _: "[1, 2]",
}
OUTCOMES = {"accepted": 3, "ended": 5, "settled": 7}
"""How many lines that are no intents a journal has when two jobs have come so far."""


@pytest.mark.parametrize("tear", TEARS)
@pytest.mark.parametrize("stage", OUTCOMES)
def test_row_33_damaged_line_about_an_outcome_loses_nothing(stage: str, tear: str, tmp_path: Path) -> None:
    """Whichever line but an intent is gone, each command ends well once."""
    for number in range(OUTCOMES[stage]):
        top = tmp_path / str(number)
        top.mkdir()
        world = World(top)
        life = Life(world, WAITS if stage == "accepted" else Scenario(), records=stage == "settled")
        for _ in range(4):
            life.tick()
        (path,) = journals(world.spool.directory)
        lines = path.read_text().splitlines()
        outcomes = [line for line in lines if f'"event": "{Event.INTENT}"' not in line]
        assert len(outcomes) == OUTCOMES[stage]
        lines[lines.index(outcomes[number])] = TEARS[tear](outcomes[number])
        path.write_text("\n".join(lines) + "\n")
        release_files(world.spool.directory)
        assert world.live()
        world.assert_each_once()


# Row 33: errors of the file system ------------------------------------------------------------------------------------

ERRORS = [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE]
PLACES = {
    "the journal": (os, "write"),
    "the journal's way to the disk": (os, "fsync"),
    "a run directory": (Path, "mkdir"),
    "its files": (private_files, "write_file"),
    "its name": (Path, "rename"),
}


@pytest.mark.parametrize("number", ERRORS, ids=lambda number: errno.errorcode[number])
@pytest.mark.parametrize("place", PLACES)
def test_row_33_posts_nothing_that_cannot_be_written_down(place: str, number: int, world: World) -> None:
    """The user reads one line that says why; nothing is posted and nothing fails, and later all of it is sent."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    life = Life(world)
    owner, name = PLACES[place]
    with patch.object(owner, name, fail):
        for _ in range(20):
            life.tick()
    assert (world.posts, world.failed) == ([], {})
    (line,) = world.said
    assert os.strerror(number) in line
    assert "cannot be written" in line

    life.to_the_end()
    assert len(world.posts) == 3
    world.assert_each_once()


def test_row_33_posts_no_job_before_its_environment_is_written(world: World) -> None:
    """What jobs share, as the environment that they restore, is there before any of them can start."""
    write_file = private_files.write_file

    def write_or_fail(path: Path, content: str | bytes) -> None:
        if "env" in path.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_file(path, content)

    environment = world.spool.share("env", b"A=1\0")
    life = Life(world)
    with patch.object(private_files, "write_file", write_or_fail):
        for _ in range(20):
            life.tick()
    assert (world.posts, world.failed) == ([], {})
    assert ["No space left on device" in line for line in world.said] == [True]

    life.to_the_end()
    assert environment.read_bytes() == b"A=1\0"
    world.assert_each_once()


@pytest.mark.parametrize("place", PLACES)
def test_row_33_killed_while_nothing_can_be_written_loses_nothing(place: str, world: World) -> None:
    """The next run refuses to begin, in one line, for as long as it cannot write its journal; then it goes on."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    killed(world, "a")
    life = Life(world, WAITS)
    owner, name = PLACES[place]
    with patch.object(owner, name, fail):
        for _ in range(3):
            life.tick()
        release_files(world.spool.directory)
        if place.startswith("the journal") or name == "rename":
            with pytest.raises(SettingsError, match=r"cannot be written \(No space left on device\)"):
                take_over(world.spool)
            release_files(world.spool.directory)

    assert world.live()
    world.assert_each_once()


def test_row_33_ends_in_order_where_nothing_can_be_written(world: World) -> None:
    """What the end of a run cannot clear away is left to the next start, without a word."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    life = Life(world)
    for _ in range(10):
        life.tick()
    with patch.object(Path, "unlink", fail), patch.object(os, "write", fail):
        life.end()
    release_files(world.spool.directory)

    assert world.live()
    world.assert_each_once()


# Row 33: orders that cannot be written --------------------------------------------------------------------------------


@contextmanager
def no_orders(world: World) -> Iterator[None]:
    """No order can be written, as on a file system that is read-only."""
    with patch.object(spool_module.Spool, "order_cancel", lambda *_: False):
        yield


def test_row_33_replaces_no_job_that_it_cannot_forbid(world: World) -> None:
    """The new job is sent when the old one can never begin; until then it may run beside it."""
    life = Life(world, Scenario(jobs_run=False, signature="01d"), names=("a",))
    life.tick()
    release_files(world.spool.directory)
    with no_orders(world):
        life = Life(world, Scenario(jobs_run=False), names=("a",))
        for _ in range(20):
            life.tick()
        assert len(world.posts) == 1
    for _ in range(2):
        life.tick()
    assert len(world.posts) == 2
    life = Life(world, names=("b", "c"))
    life.to_the_end()

    assert [job.exit_code for job in world.cluster.jobs] == [143, 0, 0, 0]


@pytest.mark.parametrize("is_refused", [True, False])
def test_row_33_gives_up_no_submission_that_it_cannot_forbid(is_refused: bool, world: World) -> None:  # noqa: FBT001 - a row of the table
    """A submission that may have arrived fails when it can never begin; until then its retry could run beside it."""
    again = Refused("bad_partition", "no such partition") if is_refused else LOST
    life = Life(world, Scenario(outcome=LOST, outcome_again=again, jobs_run=False), names=("a",))
    with no_orders(world):
        for _ in range(4000 // int(TICK_SECONDS)):
            life.tick()
        assert world.failed == {}
        assert len(world.posts) == MOST_POSTS
    for _ in range(2000 // int(TICK_SECONDS)):
        life.tick()
    assert list(world.failed) == ["a"]
    world.cluster.drain()

    assert world.cluster.ledger == []


# Row 33: a real disk --------------------------------------------------------------------------------------------------


def mount(*arguments: str) -> None:
    """Mount a file system, or skip the test."""
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount("-t", "tmpfs", "-o", "size=256k", "none", str(place))
    yield place
    release_files(place)
    subprocess.run(["umount", "-R", "-l", str(place)], check=True)


def fill(disk: Path, spare: int) -> Path:
    """Fill a disk up, but for some pages, and return the file that does it."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            file.truncate(file.tell() - spare * 4096)
    return ballast


@pytest.mark.parametrize("spare", [0, 1, 3, 5])
def test_row_33_waits_for_space_on_a_full_disk(spare: int, disk: Path) -> None:
    """Whatever just fits, nothing is posted that is not written down; with space all of it is sent, once."""
    world = World(disk, THREE)
    life = Life(world, Scenario(jobs_run=False))
    ballast = fill(disk, spare)
    for _ in range(20):
        life.tick()
    assert len(world.posts) < 3
    assert world.failed == {}
    (line,) = world.said
    assert "No space left on device" in line
    assert len(list(disk.rglob("*"))) < 40

    ballast.unlink()
    world.cluster.drain()
    for _ in range(10):
        life.tick()
    assert len(world.posts) == 3
    world.cluster.drain()
    life.to_the_end()
    world.assert_each_once()


def test_row_33_begins_no_run_on_a_full_disk(disk: Path) -> None:
    """It is one line, and what an earlier run has left is still there for the next start."""
    world = World(disk, THREE)
    killed(world, "a")
    before = [path.read_bytes() for path in journals(world.spool.directory)]
    ballast = fill(disk, 0)
    with pytest.raises(SettingsError, match=r"cannot be written \(No space left on device\); go to a directory"):
        take_over(world.spool)
    assert [path.read_bytes() for path in journals(world.spool.directory)] == before

    ballast.unlink()
    assert world.live()
    world.assert_each_once()


def test_row_33_waits_for_the_right_to_write(disk: Path) -> None:
    """A part of the run directory that is read-only for a while holds submissions up and fails nothing."""
    world = World(disk, THREE)
    life = Life(world)
    jobs = str(world.spool.job_directory("x").parent)
    mount("--bind", jobs, jobs)
    mount("-o", "remount,bind,ro", jobs)
    for _ in range(20):
        life.tick()
    assert (world.posts, world.failed) == ([], {})
    (line,) = world.said
    assert "Read-only file system" in line

    mount("-o", "remount,bind,rw", jobs)
    life.to_the_end()
    world.assert_each_once()


def test_row_33_begins_no_run_on_a_read_only_file_system(disk: Path) -> None:
    """It is one line that says what cannot be written, and what to do."""
    Spool(disk / "here")
    mount("-o", "remount,ro", str(disk))
    for name in ("here", "there"):
        with pytest.raises(
            SettingsError, match=r"cannot be written \(Read-only file system\); go to a directory"
        ) as no:
            take_over(Spool(disk / name))
        assert "\n" not in str(no.value)
