"""Tests of the delivery of one parcel: what is on disk when the body leaves, and what is noted of the outcome."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from snakemake_executor_plugin_frceapi.courier.deliveries import Deliveries
from snakemake_executor_plugin_frceapi.errors import TransientFault
from snakemake_executor_plugin_frceapi.job import Accepted, NotSent, Refused, SubmitOutcome, Unknown
from snakemake_executor_plugin_frceapi.job_table import JobRow, read_jobs
from snakemake_executor_plugin_frceapi.journal import Entry, Journal, replay
from snakemake_executor_plugin_frceapi.parcel import Parcel
from snakemake_executor_plugin_frceapi.posting import Posting
from snakemake_executor_plugin_frceapi.spool import Spool
from tests.run_directories import a_run_directory
from tests.submissions import a_submission


class World:
    """A run with one submission, and a service that notes what is on disk when the body comes.

    Attributes:
        outcome: what becomes of it.
        wanted: whether the run lives.
        known: what the journal said at each post, and whether the run directory was there.
    """

    def __init__(self, top: Path) -> None:
        self.outcome: SubmitOutcome = Accepted("17")
        self.wanted = True
        self.known: list[tuple[Entry, bool]] = []
        self.spool = Spool(top / "spool")
        self.journal = Journal(self.spool.directory)
        self.table = top / "logs" / "jobs.tsv"
        self.deliveries = Deliveries(self._submit, lambda: self.wanted)
        self.item = a_submission(
            run_directory=a_run_directory(self.spool, "t"), row=JobRow(str(self.table), "map", "sample=a", "/logs")
        )
        self.posting = Posting(self.deliveries.deliver, self.journal, self.spool)

    def _submit(self, body: bytes) -> SubmitOutcome:
        assert body == self.item.body
        self.known.append((self.entry, self.spool.has_job("t")))
        return self.outcome

    @property
    def entry(self) -> Entry:
        """What a later run would read."""
        return replay(self.journal.path.read_text().splitlines())["t"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A run."""
    made = World(tmp_path)
    yield made
    made.deliveries.close()
    made.journal.close()


def test_writes_all_down_before_anything_leaves(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The intent is forced to the disk, then the run directory is there, then the body leaves."""
    forced: list[tuple[int, bool]] = []
    monkeypatch.setattr(os, "fsync", lambda _: forced.append((world.entry.posts, world.spool.has_job("t"))))

    assert world.posting(world.item) == Accepted("17")
    assert forced == [(1, False)]
    ((entry, has_directory),) = world.known
    assert (entry.posts, entry.external_jobid, has_directory) == (1, None, True)
    assert world.entry.external_jobid == "17"
    assert list(read_jobs(world.table)) == ["17"]


@pytest.mark.parametrize(
    ("outcome", "posts", "stays"),
    [
        (Accepted("17"), 1, True),
        (Unknown("no answer"), 1, True),
        (NotSent(TransientFault("no connection")), 0, False),
        (Refused("bad_partition", "no"), 1, True),
    ],
)
def test_counts_what_may_have_arrived(outcome: SubmitOutcome, posts: int, world: World, *, stays: bool) -> None:
    """The run and its journal agree on how often the body may have arrived; a journal of nothing does not stay."""
    world.outcome = outcome

    assert world.posting(world.item) is outcome
    assert (world.item.posts, world.entry.posts) == (posts, posts)
    world.journal.close()
    assert world.journal.path.exists() is stays


def test_posts_nothing_for_a_run_that_is_over(world: World) -> None:
    """Its journal may have been read by now, so nobody would know of the job."""
    world.wanted = False

    assert isinstance(world.posting(world.item), NotSent)
    assert (world.known, world.entry.posts) == ([], 0)


def test_takes_what_cannot_be_noted_for_what_it_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An outcome is one, and the job stands in the table, also where the journal has no room for it any more."""
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        if b"accepted" in data:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", full)

    assert world.posting(world.item) == Accepted("17")
    assert world.entry.external_jobid is None
    assert list(read_jobs(world.table)) == ["17"]


@pytest.mark.parametrize("gone", ["journal", "run directory"])
def test_says_what_cannot_be_written(gone: str, world: World) -> None:
    """Nothing leaves, and the line names the file."""
    path = world.journal.path if gone == "journal" else world.spool.job_directory("t").parent
    path.rename(path.with_name("away"))
    outcome = world.posting(world.item)

    assert isinstance(outcome, NotSent)
    assert str(path) in str(outcome.fault)
    assert "cannot be written (No such file or directory)" in str(outcome.fault)
    assert world.known == []


def test_needs_no_run_directory(world: World) -> None:
    """What an earlier run has written, or a job that sees no file of the run, is posted as it is."""
    world.item.run_directory = world.item.row = None

    assert world.posting(world.item) == Accepted("17")
    assert not world.spool.has_jobs()
    assert not world.table.exists()


def test_is_one_value(world: World) -> None:
    """A parcel is a tuple of plain values, which another process can be given."""
    parcels: list[Parcel] = []

    def deliver(parcel: Parcel) -> SubmitOutcome:
        parcels.append(parcel)
        return Accepted("17")

    Posting(deliver, world.journal, world.spool)(world.item)
    (parcel,) = parcels

    assert (parcel.token, parcel.posts, parcel.body) == ("t", 1, world.item.body)
    assert all(isinstance(value, str | int | bytes | tuple) for value in parcel)
