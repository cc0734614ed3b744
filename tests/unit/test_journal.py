"""Tests of the journal: nothing that may have been posted is lost, whatever is cut off, doubled or mixed into it."""

from __future__ import annotations

import errno
import fcntl
import itertools
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snakemake_executor_plugin_frceapi.job import JobRequest, Work
from snakemake_executor_plugin_frceapi.journal import Entry, Event, Journal, journals, lock, replay
from tests.journals import intend

TOKENS = ["a1", "b2", "c3"]
CLOSING = [Event.SETTLED, Event.REFUSED, Event.FAILED, Event.CANCELLED]


def entry(token: str = TOKENS[0], posts: int = 1) -> Entry:
    """A submission, whose names no encoding holds."""
    return Entry(
        token=token,
        rule="map",
        attempt=2,
        works=(Work("map", (f"{token}.bam", "a\udcff ü\u2028.txt"), "5eed"), Work("sort", ("b",), "")),
        request=JobRequest(partition="norm", ntasks=1, mem_mb_per_node=2000, dependency="afterok:7"),
        log_directory=Path("/logs/rule map"),
        wildcards={"unit": "2", "sample": "a\udcff ü"},
        upstream=("up", "stream"),
        posts=posts,
    )


def write(journal: Journal, event: Event, token: str, posts: int = 1) -> None:
    """Write one line about a submission."""
    match event:
        case Event.INTENT:
            intend(journal, entry(token, posts))
        case Event.NOT_SENT:
            journal.note(event, token, posts=posts)
            if not posts:
                journal.withdraw(token)
        case Event.ACCEPTED:
            journal.note(event, token, external_jobid="101")
        case _:
            journal.note(event, token)


def read(path: Path) -> dict[str, Entry]:
    """What a later run reads of a file."""
    return replay(path.read_text("utf-8", "replace").splitlines())


def opened(entries: dict[str, Entry]) -> set[str]:
    """The tokens of submissions of which a job may exist."""
    return {token for token, found in entries.items() if found.is_open}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal."""
    made = Journal(tmp_path)
    yield made
    with suppress(OSError):
        made.close()


@contextmanager
def quick_journals() -> Iterator[Callable[[], Journal]]:
    """A maker of journals in a directory of their own, not forced to the disk, which is what takes the time."""
    with TemporaryDirectory() as place, mock.patch.object(os, "fsync"), ExitStack() as stack:

        def make() -> Journal:
            journal = Journal(Path(place))
            stack.callback(journal.close)
            return journal

        yield make


# What lines mean ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([(Event.INTENT, 1)], {"posts": 1}),
        ([(Event.INTENT, 1), (Event.ACCEPTED, 0)], {"posts": 1, "external_jobid": "101"}),
        ([(Event.INTENT, 1), (Event.UNKNOWN, 0)], {"posts": 1}),
        ([(Event.INTENT, 1), (Event.NOT_SENT, 0)], {"posts": 0}),
        ([(Event.INTENT, 1), (Event.NOT_SENT, 0), (Event.INTENT, 1)], {"posts": 1}),
        ([(Event.INTENT, 1), (Event.UNKNOWN, 0), (Event.INTENT, 2), (Event.NOT_SENT, 1)], {"posts": 1}),
        ([(Event.INTENT, 1), (Event.ENDED, 0)], {"posts": 1, "ended": True}),
        ([(Event.INTENT, 1), (Event.ENDED, 0), (Event.SETTLED, 0)], {"posts": 1, "ended": True, "closed": True}),
        *[([(Event.INTENT, 1), (event, 0)], {"posts": 1, "closed": True}) for event in CLOSING],
        ([(Event.INTENT, 1), (Event.FAILED, 0), (Event.INTENT, 2)], {"posts": 2, "closed": True}),
    ],
)
def test_replays_what_was_written(
    lines: Sequence[tuple[Event, int]], expected: dict[str, object], journal: Journal
) -> None:
    """A submission is read back whole, with all that its lines say of it."""
    for event, posts in lines:
        write(journal, event, "a1", posts)

    assert read(journal.path) == {"a1": replace(entry(posts=0), **expected)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("known", "is_open"),
    [
        ({"posts": 0}, False),
        ({"posts": 1}, True),
        ({"posts": 1, "external_jobid": "101"}, True),
        ({"posts": 1, "ended": True}, True),
        ({"posts": 1, "closed": True}, False),
        ({"posts": 1, "ended": True, "closed": True}, False),
    ],
)
def test_submission_is_open_until_it_is_closed(known: dict[str, object], is_open: bool) -> None:  # noqa: FBT001 - a table
    """What was never posted is not, what has ended is until Snakemake knows."""
    assert replace(entry(), **known).is_open is is_open  # type: ignore[arg-type]


def test_can_stand_in_a_set() -> None:
    """An entry is a value like any other, though its wildcards are not compared by their hash."""
    assert len({entry("a1"), entry("a1"), entry("b2")}) == 2


def test_inherits_what_is_known_of_each(tmp_path: Path) -> None:
    """Nothing of an earlier run's submission is forgotten, however often it is passed on."""
    entries = [
        entry("a1"),
        replace(entry("b2", 3), external_jobid="7"),
        replace(entry("c3"), external_jobid="8", ended=True),
    ]
    for _ in range(2):
        journal = Journal(tmp_path)
        journal.inherit(entries)
        entries = list(read(journal.path).values())
        journal.close()

    assert [(found.token, found.posts, found.external_jobid, found.ended) for found in entries] == [
        ("a1", 1, None, False),
        ("b2", 3, "7", False),
        ("c3", 1, "8", True),
    ]


# Whatever is cut off, doubled or mixed in -----------------------------------------------------------------------------

EVENTS = st.sampled_from([*Event])
HISTORIES = st.lists(st.tuples(st.sampled_from(TOKENS), EVENTS), max_size=25)


def told(journal: Journal, history: Sequence[tuple[str, Event]], known: dict[str, Entry]) -> None:
    """Write a history as a run does: each token begins with an intent, and what was not sent was posted before."""
    posts = {token: found.posts for token, found in known.items()}
    for token, event in history:
        if event is Event.INTENT or token not in posts:
            posts[token] = posts.get(token, 0) + 1
            write(journal, Event.INTENT, token, posts[token])
        elif event is not Event.NOT_SENT:
            write(journal, event, token)
        elif posts[token] > (known[token].posts if token in known else 0):
            posts[token] -= 1
            write(journal, event, token, posts[token])


def lines_of(path: Path) -> list[bytes]:
    """The lines of a file."""
    return path.read_bytes().splitlines(keepends=True)


@given(history=HISTORIES, cut=st.integers(0, 10_000))
@example(history=[("a1", Event.INTENT)], cut=1)
def test_any_prefix_loses_nothing_that_may_have_been_posted(history: list[tuple[str, Event]], cut: int) -> None:
    """However little of a journal has reached the disk: what a complete intent names is open until it is closed."""
    with quick_journals() as make:
        journal = make()
        told(journal, history, {})
        data = journal.path.read_bytes()
    data = data[: cut % (len(data) + 1)]
    entries = replay(data.decode("utf-8", "replace").splitlines())
    posts: dict[str, int] = {}
    closed = set()
    for line in data.decode().splitlines(keepends=True):
        for token, event in itertools.product(TOKENS, Event):
            if f'"event": "{event}", "token": "{token}"' in line and line.endswith("}\n"):
                number = line.partition('"posts": ')[2].partition(",")[0]
                posts[token] = int(number) if number else posts[token]
                closed |= {token} if event in CLOSING else set()

    assert {token for token, found in entries.items() if found.posts} >= {token for token in posts if posts[token]}
    assert opened(entries) >= {token for token in posts if posts[token]} - closed


@given(history=HISTORIES)
def test_entry_only_moves_forward(history: list[tuple[str, Event]]) -> None:
    """No further line takes back that a job is known, has ended or is closed."""
    with quick_journals() as make:
        journal = make()
        told(journal, history, {})
        lines = [line.decode() for line in lines_of(journal.path)]
    states = [replay(lines[:number]) for number in range(len(lines) + 1)]

    for before, after in itertools.pairwise(states):
        for token, was in before.items():
            now = after[token]
            assert (now.closed, now.ended) >= (was.closed, was.ended)
            assert now.ended >= was.ended
            assert now.external_jobid == was.external_jobid or was.external_jobid is None
            assert now.works == was.works


@given(first=HISTORIES, second=HISTORIES, order=st.lists(st.integers(0, 1), min_size=2, max_size=5))
def test_any_order_and_number_of_files_gives_the_same_open_set(
    first: list[tuple[str, Event]], second: list[tuple[str, Event]], order: list[int]
) -> None:
    """A run that dies after it has taken a journal over and before it has removed it harms nothing."""
    with quick_journals() as make:
        journal, heir = make(), make()
        told(journal, first, {})
        former = read(journal.path)
        taken = [found for found in former.values() if found.is_open]
        heir.inherit(taken)
        strangers = former.keys() - {found.token for found in taken}
        told(heir, [(token, event) for token, event in second if token not in strangers], former)
        files = [[line.decode() for line in lines_of(made.path)] for made in (journal, heir)]
    order = [*order, *({0, 1} - set(order))]

    assert opened(replay(line for number in order for line in files[number])) == opened(replay(files[0] + files[1]))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
ODD = {
    "event": "intent",
    "token": 5,
    "posts": 1,
    "rule": "map",
    "attempt": 1,
    "works": [{"rule": 1, "products": [["x"]], "signature": None}],
    "request": {"partition": "norm"},
    "log_directory": "/",
    "upstream": [{}],
}
STRANGE = st.fixed_dictionaries(
    {},
    optional={
        "event": EVENTS.map(str) | JSON,
        "token": st.just("strange") | JSON,
        "posts": JSON,
        "rule": JSON,
        "attempt": JSON,
        "works": JSON
        | st.lists(st.fixed_dictionaries({"rule": JSON, "products": JSON, "signature": JSON}), max_size=2),
        "request": JSON | st.just({"partition": "norm"}),
        "log_directory": JSON,
        "wildcards": JSON,
        "upstream": JSON,
        "external_jobid": JSON,
    },
)


@given(
    history=HISTORIES,
    junk=st.lists(
        st.tuples(st.integers(0, 30), st.text() | JSON.map(json.dumps) | STRANGE.map(json.dumps)), max_size=8
    ),
)
@example(history=[("a1", Event.INTENT)], junk=[(1, "[" * 200_000)])
@example(history=[("a1", Event.INTENT)], junk=[(2, '{"event": "intent", "token": "a1", "posts": 1e999}')])
@example(history=[("a1", Event.INTENT)], junk=[(2, '{"event": "intent", "token": "a1", "posts": ' + "9" * 5000 + "}")])
@example(history=[], junk=[(1, json.dumps(ODD))])
def test_passes_over_any_line_that_is_not_one_of_ours(
    history: list[tuple[str, Event]], junk: list[tuple[int, str]]
) -> None:
    """Lines of any text, and of any JSON, change nothing of what the others say; what is read can be worked with."""
    with quick_journals() as make:
        journal = make()
        told(journal, history, {})
        lines = [line.decode() for line in lines_of(journal.path)]
    expected = replay(lines)
    for number, text in junk:
        lines.insert(number, text)
    entries = replay(lines)

    assert {token: entries[token] for token in expected} == expected
    for found in entries.values():
        assert isinstance(hash((found.products, found.works, found.upstream)), int)
        assert isinstance(found.log_directory / found.token, Path)


# The disk -------------------------------------------------------------------------------------------------------------


class Disk:
    """A disk that has room for so many bytes.

    Attributes:
        room: bytes that still fit.
    """

    def __init__(self, room: int) -> None:
        self.room = room
        self._write = os.write

    def write(self, descriptor: int, data: bytes) -> int:
        """Stand for `os.write`: what fits is written, and nothing more."""
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self._write(descriptor, data[: self.room])
        self.room -= written
        return written


@given(room=st.integers(0, 1200))
@example(room=0)
def test_line_that_did_not_fit_spoils_no_other(room: int) -> None:
    """A disk that is full for a while tears lines in the middle of a journal; those before and after are read."""
    with quick_journals() as make:
        journal = make()
        intend(journal, entry("a1"))
        disk = Disk(room)
        with mock.patch.object(os, "write", disk.write):
            journal.note(Event.ACCEPTED, "a1", external_jobid="101")
            with suppress(OSError):
                for number in range(10):
                    intend(journal, entry(f"full-{number}"))
            with pytest.raises(OSError, match="No space left"):
                intend(journal, entry("full-too"))
            journal.note(Event.ENDED, "a1")
        intend(journal, entry("b2"))
        entries = read(journal.path)

    assert opened(entries) >= {"a1", "b2"}
    assert "full-too" not in entries
    assert entries["b2"] == entry("b2")
    assert entries["a1"].external_jobid in ("101", None)


def test_intent_is_on_the_disk_before_anything_can_be_posted(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """`intend` returns only after the whole line was forced to the disk, in a file that bears its name already."""
    forced: list[set[str]] = []
    monkeypatch.setattr(os, "fsync", lambda _: forced.append(opened(read(journal.path))))
    intend(journal, entry("a1"))
    journal.inherit([entry("b2"), entry("c3")])

    assert forced == [{"a1"}, {"a1", "b2", "c3"}]


def test_intent_fails_if_the_disk_does(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be posted whose intent may not be on the disk."""

    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output error"):
        intend(journal, entry())
    with pytest.raises(OSError, match="Input/output error"):
        journal.inherit([entry()])


def test_name_is_on_the_disk_when_the_journal_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory is forced to the disk as well, when the file has its name."""
    forced: list[tuple[bool, list[Path]]] = []
    monkeypatch.setattr(os, "fsync", lambda number: forced.append((is_directory(number), journals(tmp_path))))
    made = Journal(tmp_path)
    made.close()

    assert forced == [(True, [made.path])]


def is_directory(descriptor: int) -> bool:
    """Whether an open file is a directory."""
    return stat.S_ISDIR(os.fstat(descriptor).st_mode)


def test_goes_without_where_directories_cannot_be_forced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that knows no fsync of directories is no reason to stop."""

    def refuse(_: int) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "fsync", refuse)
    made = Journal(tmp_path)

    assert journals(tmp_path) == [made.path]
    made.close()


def open_files() -> int:
    """How many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_leaves_nothing_where_it_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full from the start leaves no half a journal and no open file."""
    before = open_files()
    monkeypatch.setattr(os, "write", Disk(10).write)
    with pytest.raises(OSError, match="No space left"):
        Journal(tmp_path)

    assert list(tmp_path.iterdir()) == []
    assert open_files() == before


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o277, 0o777], ids=oct)
def test_is_private_whatever_the_umask(umask: int, tmp_path: Path) -> None:
    """Nobody else reads it, and a later run of its owner can lock it."""
    former = os.umask(umask)
    try:
        journal = Journal(tmp_path)
    finally:
        os.umask(former)

    assert stat.S_IMODE(journal.path.lstat().st_mode) == 0o600
    journal.close()


# Its life -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "stays"),
    [
        ([], False),
        ([(Event.INTENT, 1)], True),
        ([(Event.INTENT, 1), (Event.ACCEPTED, 0)], True),
        ([(Event.INTENT, 1), (Event.UNKNOWN, 0)], True),
        ([(Event.INTENT, 1), (Event.ENDED, 0)], True),
        ([(Event.INTENT, 1), (Event.NOT_SENT, 0)], False),
        ([(Event.INTENT, 1), (Event.INTENT, 2), (Event.NOT_SENT, 1)], True),
        *[([(Event.INTENT, 1), (event, 0)], False) for event in CLOSING],
    ],
)
def test_stays_while_something_is_open(lines: Sequence[tuple[Event, int]], stays: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a table
    """A journal of which a later run would learn nothing is removed, any other one is kept."""
    journal = Journal(tmp_path)
    for event, posts in lines:
        write(journal, event, "a1", posts)
    journal.close()

    assert journals(tmp_path) == ([journal.path] if stays else [])
    if stays:
        assert opened(read(journal.path)) == {"a1"}


@pytest.mark.parametrize("others", [0, 1])
def test_stays_for_one_of_several(others: int, tmp_path: Path) -> None:
    """One that is left open is enough, whether it is this run's or was inherited."""
    journal = Journal(tmp_path)
    journal.inherit([entry("b2")])
    intend(journal, entry("a1"))
    journal.note(Event.SETTLED, TOKENS[others])
    journal.close()

    assert opened(read(journal.path)) == {TOKENS[1 - others]}


def test_takes_nothing_after_its_end(journal: Journal, tmp_path: Path) -> None:
    """A thread that comes late writes into no file that has got the number of this one's."""
    intend(journal, entry("a1"))
    number = journal._file._descriptor  # noqa: SLF001 - what is tested is that it is not used
    journal.close()
    with (tmp_path / "other").open("wb") as other:
        os.dup2(other.fileno(), number)
        journal.note(Event.FAILED, "a1")
        if number != other.fileno():
            os.close(number)

    assert (tmp_path / "other").read_bytes() == b""
    assert opened(read(journal.path)) == {"a1"}


def test_takes_lines_of_many_threads(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """No line of one thread stands inside that of another."""
    monkeypatch.setattr(os, "fsync", lambda _: None)

    def work(name: str) -> None:
        for number in range(50):
            intend(journal, entry(f"{name}-{number}"))
            journal.note(Event.ACCEPTED, f"{name}-{number}", external_jobid="7")

    threads = [threading.Thread(target=work, args=(str(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(opened(read(journal.path))) == 200
    assert len(lines_of(journal.path)) == 401


def test_lists_journals_oldest_first(tmp_path: Path) -> None:
    """Nothing else that stands beside them is taken for one."""
    names = ["journal-20260102T000000-b.jsonl", "journal-20260101T000000-a.jsonl", "journal-20260102T000000-a.jsonl"]
    for name in [*names, ".journal-20260101T000000-c.jsonl", "journal-x.json", "jobs"]:
        (tmp_path / name).touch()

    assert [path.name for path in journals(tmp_path)] == sorted(names)


# Locks ----------------------------------------------------------------------------------------------------------------

HOLDER = """
import subprocess, sys
from pathlib import Path
from snakemake_executor_plugin_frceapi.journal import Journal
journal = Journal(Path(sys.argv[1]))
child = subprocess.Popen(["sleep", "60"])
print(child.pid, flush=True)
sys.stdin.read()
journal.note("x", "y")
print("noted", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has a journal, and a child of its own."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        yield process
        process.kill()
        os.kill(child, 9)


def is_free(path: Path) -> bool:
    """Whether a journal can be locked."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        return lock(descriptor)
    finally:
        os.close(descriptor)


def test_is_locked_as_long_as_its_process_lives(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    """Another process sees that it lives; after a kill it is free, though a child of the dead one goes on."""
    (path,) = journals(tmp_path)
    assert [is_free(path) for _ in range(2)] == [False, False]

    holder.kill()
    holder.wait()

    assert is_free(path)


def test_is_free_after_its_end(tmp_path: Path) -> None:
    """What was left open by a run that ended in order can be taken over at once."""
    journal = Journal(tmp_path)
    intend(journal, entry())
    assert not is_free(journal.path)
    journal.close()

    assert is_free(journal.path)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL], ids=errno.errorcode.get)
def test_counts_as_free_where_nobody_can_tell(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without locks does not keep a run from what the last one has left."""

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    journal = Journal(tmp_path)

    assert is_free(journal.path)
    journal.close()


def test_cannot_be_found_before_it_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No other run takes a journal that was just made for that of a dead one, and removes it."""
    seen: list[list[Path]] = []
    flock: Callable[[int, int], None] = fcntl.flock

    def look(descriptor: int, operation: int) -> None:
        seen.append(journals(tmp_path))
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", look)
    journal = Journal(tmp_path)

    assert seen == [[]]
    assert journals(tmp_path) == [journal.path]
    journal.close()
