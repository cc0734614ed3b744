"""What earlier runs have left, and which of it a job of this run is.

A run that ended in order leaves no journal. The journals of runs that did not are read, locked and replaced by this
run's own; those of runs that are alive are left alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from enum import Enum, unique
from pathlib import Path

from snakemake_executor_plugin_frceapi.errors import SettingsError
from snakemake_executor_plugin_frceapi.job import JobRequest, JobState, Listing, Work
from snakemake_executor_plugin_frceapi.journal import Entry, Journal, journals, lock, replay
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.tracker import Cause, History, is_over


@unique
class Step(Enum):
    """What to do with a job of which an earlier run may have submitted something."""

    SUBMIT = "nothing of it is known"
    ADOPT = "its job goes on"
    TAKE = "its job has ended well"
    REPLACE = "what is known of it must be over first"


@dataclass(frozen=True, slots=True)
class Match:
    """What earlier runs have of a job.

    Attributes:
        step: what to do.
        entries: the submissions that it is about.
        reason: for `Step.REPLACE`, why they do not serve.
    """

    step: Step
    entries: tuple[Entry, ...] = ()
    reason: str = ""


class Legacy:
    """The open submissions of earlier runs.

    Args:
        spool: the run directory.
        entries: the submissions.
    """

    def __init__(self, spool: Spool, entries: Iterable[Entry] = ()) -> None:
        self._spool = spool
        self._entries = {entry.token: entry for entry in entries}
        self._listing = Listing({})

    @property
    def entries(self) -> list[Entry]:
        """Those that no job of this run has claimed yet."""
        return list(self._entries.values())

    def note_listing(self, listing: Listing) -> None:
        """Note a listing: what it shows as over is not waited for."""
        self._listing = listing

    def remove(self, entry: Entry) -> None:
        """Forget one, because what becomes of it is known."""
        self._entries.pop(entry.token, None)

    def match(self, works: Sequence[Work], request: JobRequest, attempt: int) -> Match:
        """Return what to do with a job, and forget the submissions that it is about.

        Args:
            works: what the job makes.
            request: what it asks for.
            attempt: which attempt of it this is.
        """
        products = {product for work in works for product in work.products}
        found = tuple(entry for entry in self._entries.values() if products & entry.products)
        for entry in found:
            self.remove(entry)
        if not found:
            return Match(Step.SUBMIT)
        reasons = [reason for entry in found if (reason := self._why_not(entry, works, request, attempt))]
        if len(found) > 1 or reasons:
            return Match(Step.REPLACE, found, reasons[0] if reasons else "several jobs make the same")
        return Match(Step.TAKE if self.has_ended_well(found[0]) else Step.ADOPT, found)

    def has_ended_well(self, entry: Entry) -> bool:
        """Return whether a submission's job command has ended by itself with exit code 0."""
        end = self._spool.latest_end(entry.token)
        return entry.ended or (end is not None and end.cause is Cause.OWN and end.exit_code == 0)

    def is_listed_alive(self, entry: Entry) -> bool:
        """Return whether the listing shows its job as waiting or running."""
        status = self._listing.jobs.get(entry.external_jobid or "")
        return status is not None and not status.state.is_final

    def _why_not(self, entry: Entry, works: Sequence[Work], request: JobRequest, attempt: int) -> str:
        """Return why a submission does not serve for a job, nothing if it does."""
        known = set(entry.works)
        if any(not work.signature or work not in known for work in works):
            return "its code, parameters, inputs or outputs are others now"
        if self.has_ended_well(entry):
            missing = [file for work in works for file in work.files if not os.path.lexists(file)]
            return f"its output {missing[0]} is gone" if missing else ""
        if self._spool.is_cancel_ordered(entry.token) or not self._spool.has_job(entry.token):
            return "it was cancelled"
        if self._spool.claimed_by(entry.token) is None and entry.attempt == attempt and entry.request != request:
            return "it waits with other resources"
        return self._how_it_failed(entry)

    def _how_it_failed(self, entry: Entry) -> str:
        end = self._spool.latest_end(entry.token)
        if end is not None and end.cause is Cause.OWN:
            return f"it has failed meanwhile with exit code {end.exit_code}"
        owner = self._spool.claimed_by(entry.token) or entry.external_jobid
        status = self._listing.jobs.get(owner or "")
        if status is None or status.state is JobState.COMPLETED or not is_over(History().with_listing(status, 0.0)):
            return ""
        return f"it has ended meanwhile: {status.state_word}"


def take_over(spool: Spool) -> tuple[Journal, Legacy]:
    """Begin this run's journal with what earlier runs have left open, and clear away what they need no more.

    Raises:
        SettingsError: the journal cannot be written.
    """
    # Before the journals are read: whatever has a directory by now had its line before.
    on_disk = spool.tokens()
    with _locked(spool.directory) as (mine, others):
        entries = {token: _now(entry, spool) for token, entry in mine.entries.items()}
        left = [entry for entry in entries.values() if entry.is_open and (entry.ended or spool.has_job(entry.token))]
        journal = _begin(spool.directory, left)
        for path in mine.paths:
            path.unlink(missing_ok=True)
    keep = {token for entry in left for token in (entry.token, *entry.upstream)} | others.keys()
    for token in on_disk - keep:
        spool.discard(token)
    return journal, Legacy(spool, left)


@dataclass(slots=True)
class _Found:
    paths: list[Path] = field(default_factory=list)
    entries: dict[str, Entry] = field(default_factory=dict)


@contextmanager
def _locked(directory: Path) -> Iterator[tuple[_Found, Mapping[str, Entry]]]:
    """Hold the journals of dead runs; yield what they say, and what those of living runs say."""
    found = _Found()
    lines: list[str] = []
    others: dict[str, Entry] = {}
    descriptors = []
    try:
        for path in journals(directory):
            with suppress(FileNotFoundError):  # another run has just ended, or has taken it over
                descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
                descriptors.append(descriptor)
                is_free = lock(descriptor)
                text = path.read_text("utf-8", "replace").splitlines()
                if is_free:
                    found.paths.append(path)
                    lines += text
                else:
                    others |= replay(text)
        found.entries = replay(lines)
        yield found, others
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _begin(directory: Path, left: Sequence[Entry]) -> Journal:
    try:
        journal = Journal(directory)
        journal.inherit(left)
    except OSError as error:
        raise SettingsError(
            f"{directory} cannot be written ({error.strerror}); start Snakemake in a directory of yours with free space"
        ) from None
    return journal


def _now(entry: Entry, spool: Spool) -> Entry:
    """Return an entry with what the run directory says of it."""
    owner = spool.claimed_by(entry.token)
    return replace(entry, external_jobid=owner) if owner else entry
