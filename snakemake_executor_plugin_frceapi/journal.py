"""The journal of a run: what was about to be sent, what came of it, what is over; written before it happens.

One file a run, only ever appended to, and locked as long as the run lives. A later run reads what a dead one left. No
order between files is needed: an entry only ever moves forward.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum, unique
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_frceapi.job import JobRequest, Work
from snakemake_executor_plugin_frceapi.journal_file import JournalFile, line_of

_PATTERN = "journal-*.jsonl"
_KNOWN_LATER = frozenset({"token", "external_jobid", "ended", "closed"})
"""What an intent does not say of a submission: its token stands beside it, the rest comes with other lines."""


@unique
class Event(StrEnum):
    """What a line of the journal says of a submission."""

    INTENT = "intent"
    """It is about to be posted; the line is on disk before the request leaves."""
    ACCEPTED = "accepted"
    ATTACHED = "attached"
    """Its job, which has gone ahead, has begun or is about to: what it is made from is known now."""
    UNKNOWN = "unknown"
    NOT_SENT = "not sent"
    ENDED = "ended"
    """Its job has ended well; Snakemake has not yet recorded it."""
    SETTLED = "settled"
    """Snakemake has recorded its job."""
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def closes(self) -> bool:
        """Whether nothing is left to do for a submission after it."""
        return self in _CLOSING


_CLOSING = frozenset({Event.SETTLED, Event.REFUSED, Event.FAILED, Event.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What journals know of one submission.

    Attributes:
        token: name of its run directory.
        rule: name of its rule or group.
        attempt: which attempt of the job it was, from 1.
        works: what its job makes.
        request: what was asked of the scheduler.
        log_directory: directory of its log.
        wildcards: its wildcards by name, none of a group.
        upstream: tokens of the submissions whose jobs must have ended well before its own begins.
        awaited: those of its inputs that were still to be made when `works` was noted.
        went_ahead: whether it was sent before Snakemake asked for its job; then its request has time for the gate.
        posts: how often its body may have reached the API.
        external_jobid: the job's number at Slurm, once known.
        ended: whether its job has ended well.
        closed: whether nothing is left to do for it.
    """

    token: str
    rule: str
    attempt: int
    works: tuple[Work, ...]
    request: JobRequest
    log_directory: Path
    wildcards: Mapping[str, str] = field(default_factory=dict, hash=False)
    upstream: tuple[str, ...] = ()
    awaited: tuple[str, ...] = ()
    went_ahead: bool = False
    posts: int = 0
    external_jobid: str | None = None
    ended: bool = False
    closed: bool = False

    @property
    def is_open(self) -> bool:
        """Whether a job of it may exist, or Snakemake may not know yet that it has ended."""
        return not self.closed and self.posts > 0

    @property
    def products(self) -> frozenset[str]:
        """All that its job makes."""
        return frozenset(product for work in self.works for product in work.products)

    def facts(self) -> dict[str, object]:
        """Return what an intent says of it."""
        return {name: getattr(self, name) for name in _INTENDED}

    def after(self, event: Event, line: Mapping[str, Any]) -> Entry:
        """Return the entry after another line about it."""
        match event:
            case Event.INTENT:
                return replace(self, posts=max(self.posts, int(line["posts"])))
            case Event.NOT_SENT:
                return replace(self, posts=min(self.posts, int(line["posts"])))
            case Event.ACCEPTED:
                return replace(self, external_jobid=str(line["external_jobid"]))
            case Event.ATTACHED:
                return replace(self, works=tuple(_works(line["works"])), awaited=())
            case Event.ENDED:
                return replace(self, ended=True)
            case _:
                return replace(self, closed=self.closed or event.closes)


_INTENDED = tuple(item.name for item in fields(Entry) if item.name not in _KNOWN_LATER)


class Journal:
    """The journal of this run. Its methods may be called from any thread.

    Args:
        directory: where journals stand.

    Raises:
        OSError: it cannot be made.

    Attributes:
        path: its file.
    """

    def __init__(self, directory: Path) -> None:
        name = f"journal-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}.jsonl"
        self.path = directory / name
        self._open_tokens: set[str] = set()
        self._lock = threading.Lock()
        # Under this name no other run finds it before it is locked, and takes it for that of a dead run.
        hidden = directory / f".{name}"
        descriptor = os.open(hidden, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        self._file = JournalFile(descriptor)
        try:
            os.fchmod(descriptor, 0o600)
            lock(descriptor)
            self._file.append(line_of("begin", host=socket.gethostname(), pid=os.getpid()).lstrip())
            hidden.rename(self.path)
            _sync_directory(directory)
        except OSError:
            self._file.close()
            hidden.unlink(missing_ok=True)
            raise

    def announce(self, entry: Entry) -> bytes:
        """Take a submission for open, and return the line that must be on disk before it is posted.

        Args:
            entry: what is to be known of it, which counts that post.
        """
        with self._lock:
            self._open_tokens.add(entry.token)
        return line_of(Event.INTENT, token=entry.token, **entry.facts())

    def withdraw(self, token: str) -> None:
        """Take a submission for what it was before it was announced, because nothing of it has left."""
        with self._lock:
            self._open_tokens.discard(token)

    def note(self, event: Event, *tokens: str, **facts: object) -> None:
        """Write down what became of submissions.

        What cannot be written is left out: a later run then finds it out by itself, from the run directory.
        """
        lines = [line_of(event, token=token, **facts) for token in tokens]
        with self._lock, suppress(OSError):
            if event.closes:
                self._open_tokens.difference_update(tokens)
            self._file.append(*lines)

    def inherit(self, entries: Iterable[Entry]) -> None:
        """Write down, for good, what earlier runs have left open.

        Raises:
            OSError: it cannot be written; then the earlier journals must stay.
        """
        for entry in entries:
            self._file.append(self.announce(entry), *_later_lines(entry))
        self._file.sync()

    def close(self) -> None:
        """End the journal, and remove it if nothing is left open; the next run does what this one cannot."""
        with self._lock:
            if not self._open_tokens:
                with suppress(OSError):
                    self.path.unlink(missing_ok=True)
            with suppress(OSError):
                self._file.close()


def _later_lines(entry: Entry) -> Iterator[bytes]:
    """Yield the lines that say of an entry what an intent does not."""
    if entry.external_jobid:
        yield line_of(Event.ACCEPTED, token=entry.token, external_jobid=entry.external_jobid)
    if entry.ended:
        yield line_of(Event.ENDED, token=entry.token)


def _sync_directory(directory: Path) -> None:
    """Make the name of a new file outlive a power failure, which fsync(2) of the file does not promise."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # there are file systems that cannot, fsync(2), EINVAL
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock(descriptor: int) -> bool:
    """Lock an open journal, if nobody else holds it, until it is closed.

    Returns:
        False if another process holds it. Where the file system knows no locks it is True: there, Snakemake's own lock
        of the working directory keeps two runs apart.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def journals(directory: Path) -> list[Path]:
    """Return the journals that stand in a directory, oldest first."""
    return sorted(directory.glob(_PATTERN))


def replay(lines: Iterable[str]) -> dict[str, Entry]:
    """Return what journals say, by token; a line that is torn or strange is passed over."""
    entries: dict[str, Entry] = {}
    for line in lines:
        with suppress(KeyError, TypeError, ValueError, OverflowError, RecursionError):
            _apply(entries, json.loads(line))
    return entries


def _apply(entries: dict[str, Entry], line: Mapping[str, Any]) -> None:
    event, token = Event(line["event"]), str(line["token"])
    if event is Event.INTENT and token not in entries:
        entries[token] = _entry(token, line)
    entries[token] = entries[token].after(event, line)


def _entry(token: str, line: Mapping[str, Any]) -> Entry:
    return Entry(
        token=token,
        rule=line["rule"],
        attempt=int(line["attempt"]),
        works=tuple(_works(line["works"])),
        request=JobRequest(**line["request"]),
        log_directory=Path(line["log_directory"]),
        wildcards={str(name): str(value) for name, value in dict(line.get("wildcards", {})).items()},
        upstream=tuple(map(str, line["upstream"])),
        awaited=tuple(map(str, line.get("awaited", ()))),
        went_ahead=bool(line.get("went_ahead")),
    )


def _works(found: Iterable[Mapping[str, Any]]) -> Iterator[Work]:
    for work in found:
        yield Work(str(work["rule"]), tuple(map(str, work["products"])), str(work["signature"]))
