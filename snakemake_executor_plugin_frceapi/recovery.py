"""What earlier runs have left, and which of it a job of this run is.

A run that ended in order leaves no journal. The journals of runs that did not are read, locked and replaced by this
run's own; those of runs that are alive are left alone.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum, unique
from pathlib import Path

from snakemake_executor_plugin_frceapi.errors import SettingsError
from snakemake_executor_plugin_frceapi.job import JobRequest, JobState, Listing, Work
from snakemake_executor_plugin_frceapi.journal import Entry, Journal, journals, lock, replay
from snakemake_executor_plugin_frceapi.lookahead import GATE_MINUTES
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.tracker import Cause, End, History, is_over


@unique
class Step(Enum):
    """What to do with a job of which an earlier run may have submitted something."""

    SUBMIT = "nothing of it is known"
    ADOPT = "its job goes on"
    SHARE = "its job goes on and was taken up for another job of this run"
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

    One submission can be about several jobs of this run: the members of a group job are several jobs again when what
    joined them is done.

    Args:
        spool: the run directory.
        entries: the submissions.
    """

    def __init__(self, spool: Spool, entries: Iterable[Entry] = ()) -> None:
        self._spool = spool
        self._entries = {entry.token: entry for entry in entries}
        self._makers: dict[str, list[str]] = {}
        self._readers: dict[str, list[str]] = {}
        for entry in self._entries.values():
            for product in entry.products:
                self._makers.setdefault(product, []).append(entry.token)
            for file in entry.awaited:
                self._readers.setdefault(file, []).append(entry.token)
        self._claimed: dict[str, set[str]] = {}
        self._listing = Listing({})

    @property
    def entries(self) -> list[Entry]:
        """Those that no job of this run has claimed yet."""
        return [entry for entry in self._entries.values() if entry.token not in self._claimed]

    def note_listing(self, listing: Listing) -> None:
        """Note a listing: what it shows as over is not waited for."""
        self._listing = listing

    def remove(self, entry: Entry) -> None:
        """Forget one, because what becomes of it is known."""
        self.note_failed(entry.token)

    def note_ended(self, token: str) -> None:
        """Note that the job of a submission, of whatever run, has ended well: further jobs of this run may need it."""
        if token in self._entries:
            self._entries[token] = replace(self._entries[token], ended=True)

    def note_failed(self, token: str) -> None:
        """Note that the job of a submission, of whatever run, has failed: it is no other attempt's any more."""
        self._entries.pop(token, None)

    def match(
        self,
        works: Sequence[Work],
        request: JobRequest,
        attempt: int,
        works_with: Callable[[Collection[str]], Sequence[Work]],
        awaited: Collection[str] = (),
    ) -> Match:
        """Return what to do with a job; the submissions that it is about are claimed for it, unless it shares one.

        Args:
            works: what the job makes.
            request: what it asks for.
            attempt: which attempt of it this is.
            works_with: returns what the job makes, where the versions of the given files do not count.
            awaited: those of its inputs that are still to be made.
        """
        if not self._entries:
            return Match(Step.SUBMIT)
        products = {product for work in works for product in work.products}
        found = tuple(self._about(products))
        if len(found) > 1:
            match = Match(Step.REPLACE, found, "several jobs make the same")
        elif found:
            unversioned = {*found[0].products, *found[0].awaited}
            known = works if unversioned <= products else works_with(unversioned)
            match = self._match_one(found[0], known, request, attempt, awaited)
        else:
            match = Match(Step.SUBMIT)
        for entry in found if match.step is not Step.SHARE else ():
            self._claimed.setdefault(entry.token, set()).update(products)
        return match if match.step in (Step.ADOPT, Step.TAKE, Step.SHARE) else self._with_those_behind(match, products)

    def _with_those_behind(self, match: Match, products: Collection[str]) -> Match:
        """Return a match that also replaces what was submitted to run after this job: its input is made anew now."""
        entries, made = list(match.entries), deque(products)
        while made:
            for token in self._readers.get(made.popleft(), ()):
                if token in self._entries and token not in self._claimed:
                    entry = self._entries[token]
                    self._claimed[token] = set(entry.products)
                    entries.append(entry)
                    made.extend(entry.products)
        if match.step is Step.REPLACE or not entries:
            return replace(match, entries=tuple(entries))
        return Match(Step.REPLACE, tuple(entries), "it waits for a job that is submitted anew")

    def knows(self, products: Collection[str]) -> bool:
        """Return whether a submission that no job has claimed yet is about some of these products."""
        return any(self._about(products))

    def _match_one(
        self, entry: Entry, works: Sequence[Work], request: JobRequest, attempt: int, awaited: Collection[str]
    ) -> Match:
        is_claimed = entry.token in self._claimed
        if not {*awaited} <= {*entry.awaited, *entry.products}:
            return Match(Step.REPLACE, (entry,), "one of its inputs is made anew")
        if entry.awaited or entry.went_ahead:
            # What it waited for, and where, says nothing about what it asks for.
            request = request.behind(entry.request.dependency, GATE_MINUTES if entry.went_ahead else 0)
        end = self._spool.latest_end(entry.token)  # read once: the job may end while it is looked at
        if reason := self._why_not(entry, works, entry.request if is_claimed else request, attempt, end):
            return Match(Step.REPLACE, (entry,), reason)
        if self._is_ended_well(entry, end):
            return Match(Step.TAKE, (entry,))
        return Match(Step.SHARE if is_claimed else Step.ADOPT, (entry,))

    def _about(self, products: Collection[str]) -> Iterator[Entry]:
        """Yield the submissions of some of these products, unless they were claimed for the same job before."""
        tokens = dict.fromkeys(token for product in products for token in self._makers.get(product, ()))
        for token in tokens:
            entry = self._entries.get(token)
            if entry is not None and not entry.products.intersection(products) <= self._claimed.get(token, set()):
                yield entry

    def has_ended_well(self, entry: Entry) -> bool:
        """Return whether a submission's job command has ended by itself with exit code 0."""
        return self._is_ended_well(entry, self._spool.latest_end(entry.token))

    def _is_ended_well(self, entry: Entry, end: End | None) -> bool:
        if not self._spool.is_shared:
            return entry.ended or self._has_state(entry, JobState.COMPLETED)
        return entry.ended or (end is not None and end.cause is Cause.OWN and end.exit_code == 0)

    def is_listed_alive(self, entry: Entry) -> bool:
        """Return whether the listing shows its job as waiting or running."""
        status = self._listing.jobs.get(entry.external_jobid or "")
        return status is not None and not status.state.is_final

    def _has_state(self, entry: Entry, state: JobState) -> bool:
        status = self._listing.jobs.get(entry.external_jobid or "")
        return status is not None and status.state is state

    def _why_not(self, entry: Entry, works: Sequence[Work], request: JobRequest, attempt: int, end: End | None) -> str:
        """Return why a submission does not serve for a job, nothing if it does."""
        known = set(entry.works)
        if any(not work.signature or work not in known for work in works):
            return "its code, parameters, inputs or outputs are others now"
        if self._is_ended_well(entry, end):
            missing = [file for work in works for file in work.files if self._is_gone(file)]
            return f"its output {missing[0]} is gone" if missing else ""
        if self._spool.is_cancel_ordered(entry.token) or not self._spool.has_job(entry.token):
            return "it was cancelled"
        if self._spool.claimed_by(entry.token) is None and entry.attempt == attempt and entry.request != request:
            return "it waits with other resources"
        return self._how_it_failed(entry, end)

    def _is_gone(self, file: str) -> bool:
        """Whether an output is not here; what is in a storage Snakemake looks for when the job has ended for it."""
        return self._spool.is_shared and not os.path.lexists(file)

    def _how_it_failed(self, entry: Entry, end: End | None) -> str:
        if end is not None and end.cause is Cause.OWN:
            return f"it has failed meanwhile with exit code {end.exit_code}"
        owner = self._spool.claimed_by(entry.token) or entry.external_jobid
        status = self._listing.jobs.get(owner or "")
        start = self._spool.start(entry.token)
        if status is None and end is not None and (start is None or start.restart <= end.restart):
            upstream = end.cause is Cause.UPSTREAM
            return "its upstream job has not succeeded" if upstream else "it was ended by a signal from outside"
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
    with _journals(spool.directory) as found:
        opened = (entry for entry in replay(found.dead).values() if entry.is_open)
        left = [_now(entry, spool) for entry in opened if entry.ended or spool.has_job(entry.token)]
        journal = _begin(spool.directory, left)
        for path in found.paths:
            path.unlink(missing_ok=True)
            spool.remove_heartbeat(path.stem)
    keep = {token for entry in left for token in (entry.token, *entry.upstream)} | replay(found.living).keys()
    for token in on_disk - keep if found.is_complete else ():
        spool.discard(token)
    return journal, Legacy(spool, left)


@dataclass(slots=True)
class _Found:
    """The journals that were found.

    Attributes:
        paths: those of dead runs.
        dead: their lines.
        living: the lines of those of living runs.
        is_complete: whether all could be read: one may be taken over by another run that starts just now, and what it
            said stands in that run's journal only.
    """

    paths: list[Path] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)
    living: list[str] = field(default_factory=list)
    is_complete: bool = True


@contextmanager
def _journals(directory: Path) -> Iterator[_Found]:
    """Read all journals, and hold those of dead runs."""
    found = _Found()
    with ExitStack() as stack:
        for path in journals(directory):
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
                stack.callback(os.close, descriptor)
                is_dead = lock(descriptor)
                lines = path.read_text("utf-8", "replace").splitlines()
            except FileNotFoundError:
                found.is_complete = False
            except OSError as error:
                raise SettingsError(
                    f"{path} cannot be read ({error.strerror}), which tells what earlier runs have submitted; start "
                    "Snakemake again when it can"
                ) from None
            else:
                (found.dead if is_dead else found.living).extend(lines)
                found.paths += [path] if is_dead else []
        yield found


def _begin(directory: Path, left: Sequence[Entry]) -> Journal:
    try:
        journal = Journal(directory)
        journal.inherit(left)
    except OSError as error:
        raise SettingsError(
            f"{directory} cannot be written ({error.strerror}); go to a directory of yours with free space"
        ) from None
    return journal


def _now(entry: Entry, spool: Spool) -> Entry:
    """Return an entry with what the run directory says of it."""
    owner = spool.claimed_by(entry.token)
    return replace(entry, external_jobid=owner) if owner else entry
