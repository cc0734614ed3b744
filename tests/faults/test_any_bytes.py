"""Status requests answered with any bytes: no crash, no wrong verdict, bounded memory, and the deadline kept."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snakemake_executor_plugin_frceapi import assembly, outage
from snakemake_executor_plugin_frceapi.errors import ServiceError
from tests.raw_server import HEAD, SECRET, Handler, answer, drip, endless, say, say_and_close

if TYPE_CHECKING:
    from tests.faults.bench import Bench

Waits = list[tuple[ServiceError, float]]

_JOBID = "46186373"
"""Stands for the job in the bytes below."""
_LONGEST_MESSAGE = 500
_MIB = 1 << 20


class Eavesdropper:
    """A run with one job that goes on for ever, which hears of it what a test wants.

    Whatever end of the job is reported is wrong. All graces are 0, so that none is late.
    """

    def __init__(self, bench: Bench, waits: Waits) -> None:
        self._bench = bench
        self._waits = waits
        self._jobs = 0
        bench.start(marker_grace=0.0, requeue_grace=0.0)

    def hears(self, handler: Handler) -> list[str]:
        """Answer status requests so, and return what is reported of the job."""
        bench = self._bench
        told, asked = len(bench.events), len(bench.api.asked_at)
        bench.api.listing = handler
        # Of two requests that have come since then, the first has been answered. Without a job there are no more.
        bench.look_until(lambda: len(bench.api.asked_at) >= asked + 2 or len(bench.events) > told)
        bench.parts.run.look()
        for fault, _ in self._waits:
            assert str(fault).isprintable()
            assert len(str(fault)) <= _LONGEST_MESSAGE
            assert SECRET not in str(fault)
        self._waits.clear()
        return [kind for kind, _ in bench.events[told:]]

    def hears_body(self, body: bytes, status: str = "200 Success", headers: str = "") -> list[str]:
        """Answer status requests with a body, in which the job's own number is put in place of `_JOBID`."""
        return self.hears(say(answer(body.replace(_JOBID.encode(), self.external_jobid().encode()), status, headers)))

    def external_jobid(self) -> str:
        """Return the number of the job; submit another one if its end was reported."""
        run = self._bench.parts.run
        if not run.live:
            self._jobs += 1
            self._bench.submit(f"job-{self._jobs}", work="sleep 600")
            self._bench.look_until(lambda: run.live)
        return run.live[0].external_jobid or ""


@pytest.fixture
def eavesdropper(bench: Bench, waits: Waits, monkeypatch: pytest.MonkeyPatch) -> Eavesdropper:
    """A run whose status requests follow each other as fast as they can."""
    # The thread that asks takes random numbers whenever it likes, and Hypothesis wants its own for itself.
    monkeypatch.setattr(outage, "random", random.Random())  # noqa: S311 - spreads requests, guards nothing
    monkeypatch.setattr(assembly, "SHORTEST_INTERVAL_SECONDS", 0.002)
    return Eavesdropper(bench, waits)


keeps_its_run = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def listing(state: object) -> dict[str, Any]:
    """Return a valid document in which the job is in a state, beside others."""
    row = {"user": "someone", "name": "map-", "partition": "norm", "start": "2025-01-27T15:24:32", "end": "N/A"}
    others = {str(jobid): {**row, "state": "RUNNING"} for jobid in (46186371, 46186375)}
    return {"status": "call_success", _JOBID: {**row, "state": state}, **others, "reason": "query_success"}


def written(document: object) -> bytes:
    """Return a document as bytes, with whatever JSON has no words for."""
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


# Without letters no text is a word for a state by chance: Slurm has words of one letter.
_TEXTS = st.text(st.characters(exclude_characters="abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"), max_size=30)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(_TEXTS | st.just(_JOBID), inner, max_size=5),
)
_PLACES = [(key,) for key in listing("")] + [(_JOBID, key) for key in listing("")[_JOBID]]


@st.composite
def spoiled_documents(draw: st.DrawFn) -> bytes:
    """Documents that differ from a valid one in up to three places, by their types, keys or values."""
    document = listing("RUNNING")
    for *above, key in draw(st.lists(st.sampled_from(_PLACES), max_size=3)):
        place = document.get(above[0]) if above else document
        if isinstance(place, dict):
            place.pop(key, None) if draw(st.booleans()) else place.update({key: draw(_VALUES)})
    return written(document)


@st.composite
def spoiled_bytes(draw: st.DrawFn) -> bytes:
    """The bytes of such a document, with some left out, repeated, or put in."""
    data = draw(spoiled_documents())
    begin, end = sorted(draw(st.tuples(st.integers(0, len(data)), st.integers(0, len(data)))))
    kept, repeated = data[:begin] + data[end:], data[:end] + data[begin:]
    return draw(st.sampled_from([data, kept, repeated, data[:begin] + draw(st.binary(max_size=20)) + data[begin:]]))


_BODIES = st.binary(max_size=300) | _VALUES.map(written) | spoiled_bytes()
_STATUSES = st.sampled_from(
    ["200 Success"] * 4 + ["206 Partial", "299 X", "302 Found", "401 No", "429 Many", "500 Bad"]
)


@keeps_its_run
@given(_BODIES, _STATUSES)
def test_no_body_ends_a_job_that_runs(eavesdropper: Eavesdropper, body: bytes, status: str) -> None:
    """Bytes, documents and listings that somebody has spoiled say of no job that it has ended."""
    eavesdropper.external_jobid()

    assert eavesdropper.hears_body(body, status) == []


@keeps_its_run
@given(st.binary(max_size=300), st.sampled_from([b"", HEAD, HEAD + b"Content-Length: 20\r\n\r\n", HEAD + b"\r\n"]))
def test_no_stream_ends_a_job_that_runs(eavesdropper: Eavesdropper, data: bytes, before: bytes) -> None:
    """Nor does what is no HTTP, or stops being it."""
    eavesdropper.external_jobid()

    assert eavesdropper.hears(say_and_close(before + data)) == []


_ENDED = st.sampled_from(
    ["COMPLETED", "FAILED", "TIMEOUT", "CANCELLED by 0", "OUT_OF_MEMORY", "NODE_FAIL", "PREEMPTED"]
)


def test_valid_listing_ends_a_job(eavesdropper: Eavesdropper) -> None:
    """What the tests below spoil would be believed."""
    eavesdropper.external_jobid()
    assert eavesdropper.hears_body(written(listing("RUNNING"))) == []
    assert eavesdropper.hears_body(written(listing("FAILED"))) == ["failed"]


_SPOIL_DOCUMENT: dict[str, Callable[[dict[str, Any]], object]] = {
    "refused": lambda document: {**document, "status": "call_failed"},
    "foreign status": lambda document: {**document, "status": "success"},
    "status of another type": lambda document: {**document, "status": True},
    "no status": lambda document: {key: value for key, value in document.items() if key != "status"},
    "two spellings of status": lambda document: {**document, "Status": "call_success"},
    "not a number": lambda document: {**document, "x": float("nan")},
    "infinity": lambda document: {**document, _JOBID: {**document[_JOBID], "x": float("-inf")}},
    "in a list": lambda document: [document],
    "in a field": lambda document: {"status": "call_success", "reason": document},
    "in a text": json.dumps,
    "row in a list": lambda document: {**document, _JOBID: [document[_JOBID]]},
    "no row": lambda document: {**document, _JOBID: document[_JOBID]["state"]},
    "state in a list": lambda document: {**document, _JOBID: {"state": [document[_JOBID]["state"]]}},
    "state in a key": lambda document: {**document, _JOBID: {document[_JOBID]["state"]: "state"}},
    "another key": lambda document: {**document, _JOBID: None, f"0{_JOBID}": document[_JOBID]},
    "a key with a space": lambda document: {**document, _JOBID: None, f"{_JOBID} ": document[_JOBID]},
}

_JOB, _STATE = f'"{_JOBID}": '.encode(), b'"state": "'

_SPOIL_BYTES: dict[str, Callable[[bytes, int], bytes]] = {
    "cut": lambda data, place: data[:place],
    "no UTF-8": lambda data, place: data[:place] + b"\xff" + data[place:],
    "control character": lambda data, place: data[:place] + b"\x00" + data[place:],
    "another document": lambda data, _: data + b"\n" + data,
    "the same document": lambda data, _: data + data,
    "repeated job": lambda data, _: data.replace(_JOB, _JOB + b'{"state": "RUNNING"}, ' + _JOB, 1),
    "repeated state": lambda data, _: data.replace(_STATE, _STATE + b'RUNNING", ' + _STATE),
    "deep": lambda data, _: data[:-1] + b', "x": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "compressed": lambda data, _: gzip.compress(data),
}


@keeps_its_run
@given(_ENDED, st.sampled_from(sorted(_SPOIL_DOCUMENT)))
def test_no_spoilt_document_ends_a_job(eavesdropper: Eavesdropper, state: str, spoil: str) -> None:
    """A listing that calls the job ended, and is not quite as documented, is no evidence."""
    eavesdropper.external_jobid()

    assert eavesdropper.hears_body(written(_SPOIL_DOCUMENT[spoil](listing(state)))) == []


@keeps_its_run
@given(_ENDED, st.sampled_from(sorted(_SPOIL_BYTES)), st.floats(0, 1, exclude_max=True))
def test_no_spoilt_bytes_end_a_job(eavesdropper: Eavesdropper, state: str, spoil: str, place: float) -> None:
    """Nor are bytes that are not quite such a listing."""
    eavesdropper.external_jobid()
    data = written(listing(state))

    assert eavesdropper.hears_body(_SPOIL_BYTES[spoil](data, int(place * len(data)))) == []


@given(_ENDED, st.sampled_from([*range(101, 200), *range(300, 600)]))
@keeps_its_run
def test_no_status_code_but_success_ends_a_job(eavesdropper: Eavesdropper, state: str, status_code: int) -> None:
    """A page of an error is no listing, however it looks."""
    eavesdropper.external_jobid()

    assert eavesdropper.hears_body(written(listing(state)), f"{status_code} X") == []


CHUNK = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
TOO_LARGE = {
    "50 MB": say(answer(b"x" * 50_000_000)),
    "50 MB of a listing": say(answer(written(listing("FAILED"))[:-1] + b" " * 50_000_000 + b"}")),
    "chunks": endless(CHUNKED, CHUNK),
    "no length": endless(HEAD + b"Connection: close\r\n\r\n", CHUNK),
    "header": endless(HEAD + b"X: ", CHUNK),
    "headers": endless(HEAD, b"X: y\r\n" * 1000),
}
ENDLESS = {
    "continue": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "trailers": endless(CHUNKED + b"1\r\nx\r\n0\r\n", b"X: y\r\n" * 1000),
    "drip of a status line": drip(b"HTTP/1.1 200"),
    "drip of a header": drip(HEAD + b"X: "),
    "drip of a body": drip(HEAD + b"\r\n" + written(listing("FAILED"))[:-1]),
    "drip of chunks": drip(CHUNKED + b"1;"),
}


@pytest.mark.parametrize("handler", TOO_LARGE.values(), ids=TOO_LARGE)
def test_no_answer_without_an_end_ends_a_job(eavesdropper: Eavesdropper, handler: Handler) -> None:
    """An answer that is too large is cut off, and is none."""
    eavesdropper.external_jobid()

    assert eavesdropper.hears(handler) == []


@pytest.mark.parametrize("handler", ENDLESS.values(), ids=ENDLESS)
def test_no_answer_outlasts_the_deadline(
    patience: Callable[..., None], bench: Bench, waits: Waits, handler: Handler
) -> None:
    """An answer that goes on for ever ends at the deadline, and another request is made."""
    patience(status_deadline_seconds=3.0)
    eavesdropper = Eavesdropper(bench, waits)
    eavesdropper.external_jobid()

    assert eavesdropper.hears(handler) == []
    assert len(bench.lines("in 3 s; there is no listing")) == 1
