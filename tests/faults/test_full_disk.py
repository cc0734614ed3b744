"""Row 33 of the fault matrix: a disk that is full, by errors of the kernel and not of a double."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from snakemake_executor_plugin_frceapi.journal import Entry, journals, replay
from snakemake_executor_plugin_frceapi.outage import GaveUp
from tests.faults.stepped import SteppedRun

MakeRun = Callable[..., SteppedRun]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size: setrlimit(2), RLIMIT_FSIZE; Python ignores the signal."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


# No space for a line of the journal, for a whole one, or for more than that: the run script has some 20 KB.
@pytest.mark.parametrize("space", [0, 100, 2000])
def test_row_33_posts_nothing_while_the_disk_is_full(space: int, stepped: MakeRun) -> None:
    """No job fails and none is posted; the user reads why, once; when there is space again every job is sent, once."""
    run = stepped()
    used = run.journal.path.stat().st_size
    with largest_file(used + space):
        run.submit("a", "b", "c")
        run.steps(600)
    assert (run.service.posted, run.events) == ([], [])
    assert len(run.said) == 1
    assert "cannot be written (File too large); nothing is submitted until there is space" in run.said[0]

    run.steps(120)
    assert sorted(run.ended("submitted")) == ["a", "b", "c"]
    assert len(run.service.posted) == 3
    assert sorted(entry.token for entry in entries(run) if entry.is_open) == ["a", "b", "c"]


@pytest.mark.parametrize("space", [0, 100])
def test_row_33_ends_a_run_whose_disk_stays_full(space: int, stepped: MakeRun) -> None:
    """A full disk is an outage like another: it is waited for, and the end of the wait names it."""
    run = stepped(outage_hours=2)
    (before,) = run.submit("before")
    used = run.journal.path.stat().st_size
    with largest_file(used + space):
        run.submit("a")
        with pytest.raises(GaveUp, match=r"No submit_job has worked for 2\.0 h .*cannot be written \(File too large\)"):
            run.steps(8000, every=10)

    assert run.run.live == [before]
    assert [entry.token for entry in entries(run) if entry.is_open] == ["before"]


def test_row_33_reports_jobs_that_end_while_the_disk_is_full(stepped: MakeRun) -> None:
    """Ends need no space here."""
    run = stepped()
    items = run.submit("a", "b")
    for item, exit_code in zip(items, (0, 3), strict=True):
        run.ends(item, exit_code)
    with largest_file(0):
        run.steps(2)

    assert sorted(run.events[2:]) == [("failed", "b"), ("succeeded", "a")]


def entries(run: SteppedRun) -> list[Entry]:
    """What a later run would read in the journal."""
    lines = [line for path in journals(run.spool.directory) for line in path.read_text().splitlines()]
    return list(replay(lines).values())
