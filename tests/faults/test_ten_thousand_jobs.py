"""Row 39 of the fault matrix: ten thousand jobs cost one status request an interval, a few looks at files, and no more.

File-system operations, requests and pieces of memory are counted; nothing is timed.
"""

from __future__ import annotations

import gc
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from snakemake_executor_plugin_frceapi.errors import TransientFault
from snakemake_executor_plugin_frceapi.job import JobState, Unknown
from snakemake_executor_plugin_frceapi.sightings import MOST_LOOKS
from snakemake_executor_plugin_frceapi.submission import Submission
from tests.faults.stepped import INTERVAL_SECONDS, SteppedRun

MakeRun = Callable[..., SteppedRun]
COUNT = 10_000
NIGHT = 6 * 3600.0
JOBIDS = [str(number) for number in range(1, COUNT + 1)]
AUDITED = {"open", "os.scandir", "os.listdir", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.chmod"}
UNAUDITED = ["stat", "lstat", "access", "readlink"]


class _Operations:
    """Counts file-system operations below a directory while it is switched on."""

    def __init__(self) -> None:
        self.below: str | None = None
        self.seen: Counter[str] = Counter()

    def note(self, event: str, path: object) -> None:
        """Count an operation on a path."""
        if self.below is not None and isinstance(path, str | os.PathLike) and str(path).startswith(self.below):
            self.seen[event] += 1


_OPERATIONS = _Operations()


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event in AUDITED and _OPERATIONS.below is not None:
        _OPERATIONS.note(event, arguments[0])


sys.addaudithook(_audit)  # it cannot be removed, so it does nothing while nobody counts


@contextmanager
def operations(monkeypatch: pytest.MonkeyPatch, directory: Path) -> Iterator[Counter[str]]:
    """Count what is done to files below a directory: by audit events, and by what has none."""
    with monkeypatch.context() as patch:
        for name in UNAUDITED:
            patch.setattr(os, name, _counted(name, getattr(os, name)))
        _OPERATIONS.below, _OPERATIONS.seen = str(directory), Counter()
        try:
            yield _OPERATIONS.seen
        finally:
            _OPERATIONS.below = None


def _counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def counted(path: object, *args: Any, **kwargs: Any) -> Any:
        _OPERATIONS.note(name, path)
        return function(path, *args, **kwargs)

    return counted


@pytest.fixture
def run(stepped: MakeRun, monkeypatch: pytest.MonkeyPatch) -> SteppedRun:
    """A run with ten thousand jobs that the cluster has taken; their run directories are not made."""
    monkeypatch.setattr(os, "fsync", lambda _: None)  # what a power failure would leave is not the question here
    run = stepped()
    for number in range(COUNT):
        run.run.submit(run.submission(f"job-{number}", has_directory=False))
    run.step()
    assert len(run.run.live) == COUNT
    return run


def test_row_39_looks_at_few_files_while_nothing_changes(run: SteppedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """A round looks once for ends, and a listing for a few starts, whatever the number of jobs and their states."""
    listings: list[dict[JobState, list[str]]] = [
        {JobState.PENDING: JOBIDS},
        {JobState.PENDING: JOBIDS[1000:], JobState.RUNNING: JOBIDS[:1000]},
        {JobState.RUNNING: JOBIDS},
        {},
    ]
    for listing in listings:
        run.service.listed.clear()
        for state, jobids in listing.items():
            run.service.lists(state, *jobids)
        run.steps(2 * INTERVAL_SECONDS)
        asked, rounds = len(run.service.asked), 40
        with operations(monkeypatch, run.top) as seen:
            run.steps(rounds)

        assert len(run.service.asked) - asked == rounds / INTERVAL_SECONDS
        assert 1 <= seen.pop("os.scandir") <= 2 * rounds
        assert sum(seen.values()) <= MOST_LOOKS * rounds / INTERVAL_SECONDS


def test_row_39_needs_no_more_memory_from_round_to_round(run: SteppedRun) -> None:
    """Listings of ten thousand jobs come and go without leaving anything."""
    run.service.lists(JobState.RUNNING, *JOBIDS)
    run.steps(10 * INTERVAL_SECONDS, every=INTERVAL_SECONDS)
    blocks = []
    for rounds in (10, 30):
        run.steps(rounds * INTERVAL_SECONDS, every=INTERVAL_SECONDS)
        gc.collect()
        blocks.append(sys.getallocatedblocks())

    assert len(run.service.asked) >= 45
    assert blocks[1] - blocks[0] < COUNT / 10


def test_row_39_works_for_the_jobs_that_ended_and_forgets_them(
    run: SteppedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work grows with the jobs that ended, not with those that go on; what was kept of a job goes with its end."""
    run.service.lists(JobState.RUNNING, *JOBIDS)
    run.steps(2 * INTERVAL_SECONDS)
    ended = run.run.live[:: COUNT // 100]
    end(run, ended)
    with operations(monkeypatch, run.top) as seen:
        run.steps(2)
    assert len(run.ended("succeeded") + run.ended("failed")) == len(ended) == 100
    assert sum(seen.values()) <= 12 * len(ended)

    ended.clear()
    end(run, run.run.live[:1000])
    run.steps(2)
    gc.collect()
    assert len(run.ended("succeeded") + run.ended("failed")) == 1100
    logs = run.top / "logs"
    kept = [found for found in gc.get_objects() if isinstance(found, Submission) and found.log_directory == logs]
    assert len(kept) == len(run.run.live) == COUNT - 1100
    assert not run.spool.has_jobs()


def test_row_39_needs_few_operations_for_a_job(stepped: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a network file system each is one or more round trips: some to write a run directory, some when it is over."""
    run = stepped()
    first, second = (run.submission(token).run_directory for token in ("first", "second"))
    assert first
    assert second
    first.write()
    with operations(monkeypatch, run.top) as seen:
        second.write()
    assert seen == {"os.mkdir": 1, "stat": 2, "open": 2, "os.rename": 1}
    (item,) = run.submit("job")
    run.service.lists(JobState.RUNNING, *JOBIDS[:1])
    run.starts(item)
    run.ends(item)
    with operations(monkeypatch, run.top) as seen:
        run.steps(2)
    assert run.ended("succeeded") == ["job"]
    assert seen.pop("os.scandir") >= 1  # the looks for ends, which are for all jobs
    assert sum(seen.values()) <= 8  # the end and its owner, then the directory, whose files go by their names in it


def test_row_39_looks_for_few_claims_of_submissions_without_an_answer(
    stepped: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a night of lost answers a round looks for some of the claims; each is found, and none is sent again."""
    run = stepped()
    run.service.answer, run.service.fault = Unknown("no answer came"), TransientFault("no answer")
    items = run.submit(*(f"job-{number}" for number in range(300)))
    run.steps(NIGHT, every=60)
    assert all(item.unknown_since is not None for item in items)
    with operations(monkeypatch, run.top) as seen:
        run.steps(40)
    assert sum(seen.values()) <= (MOST_LOOKS + 1) * 45

    posted, run.service.fault = len(run.service.posted), None
    for number, item in enumerate(items, start=1):
        item.external_jobid = str(number)
        run.starts(item)
    run.steps(40)
    assert len(run.ended("submitted")) == len(items)
    assert len(run.service.posted) == posted


def end(run: SteppedRun, items: list[Submission]) -> None:
    """Let jobs end, every other one well."""
    for item in items:
        run.spool.job_directory(item.token).mkdir()
        run.ends(item, exit_code=int(item.external_jobid or 0) % 2)
