"""Fault matrix, rows 4 to 12 and 16: a submission that may have arrived is looked for, and never sent again blindly.

Each fault is tried twice: after the service has taken the job, which is then followed, and in its place.
"""

from __future__ import annotations

import gzip
import json
import re
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.faults.bench import after, instead
from tests.raw_server import ACCEPTED, HEAD, Handler, answer, drip, reset, say, say_and_close, stay_silent

if TYPE_CHECKING:
    from tests.faults.bench import Bench

taken_or_not = pytest.mark.parametrize("taken", [True, False], ids=["taken", "lost"])


def assert_reconciled(bench: Bench, fault: Handler, said: str, *, taken: bool) -> None:
    """Let one submission go wrong and see that its job runs once, whether the service took it or not."""
    bench.api.reactions.append(after(fault) if taken else instead(fault))
    bench.start(unknown_grace=60.0 if taken else 0.2)
    bench.submit("one")
    bench.finish("one")

    assert bench.events == [("submitted", "one"), ("succeeded", "one")]
    assert bench.ledger == ["one"]
    assert len(bench.api.posted) == (1 if taken else 2)
    assert len(set(bench.api.posted)) == 1
    (line,) = bench.lines("Nobody knows whether a job of rule one was submitted: ")
    assert said in line
    assert "/***/hpcapi/submit_job" in line
    assert len(bench.lines("was submitted after all, as job 101")) == taken
    assert len(bench.lines("it is submitted again under its token")) == (not taken)


def test_row_04_reset_before_the_request_is_read_is_unknown(bench: Bench) -> None:
    """It looks like a reset after the request was executed."""

    def reset_unread(connection: socket.socket, number: int) -> None:
        connection.recv(1, socket.MSG_PEEK)
        reset(connection, number)

    bench.start(unknown_grace=0.2)
    bench.server.ambush = reset_unread
    bench.submit("one")
    bench.finish("one")

    assert bench.events == [("submitted", "one"), ("succeeded", "one")]
    (line,) = bench.lines("Nobody knows whether a job of rule one was submitted: ")
    # Which one it is depends on how much of the request was on its way.
    broken = "Connection reset by peer|Broken pipe|it closed the connection without an answer"
    assert re.search(f"({broken}); the service may have taken the job$", line)
    assert len(bench.api.posted) == len(bench.ledger) == 1


@taken_or_not
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        pytest.param(reset, "Connection reset by peer", id="reset"),
        pytest.param(say_and_close(b""), "it closed the connection without an answer", id="close"),
    ],
)
def test_row_05_connection_that_breaks_after_the_request_is_unknown(
    bench: Bench, fault: Handler, said: str, *, taken: bool
) -> None:
    """Neither a reset nor an end of the connection says whether the request was executed."""
    assert_reconciled(bench, fault, said, taken=taken)


# Where the job was taken there is no second request, which a short deadline could hit on a busy machine.
deadlines = pytest.mark.parametrize(("taken", "seconds"), [(True, 0.5), (False, 8.0)], ids=["taken", "lost"])


@deadlines
def test_row_06_read_timeout_is_unknown(
    bench: Bench, patience: Callable[..., None], seconds: float, *, taken: bool
) -> None:
    """A service that says nothing is waited for until the deadline of the call."""
    patience(submit_deadline_seconds=seconds)
    assert_reconciled(bench, stay_silent, f"it did not answer in {seconds:g} s", taken=taken)


@taken_or_not
@pytest.mark.parametrize(
    ("rest", "said"),
    [
        pytest.param(b"Content-Length: 99\r\n\r\n{", "its answer was cut off", id="length"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n9\r\n{", "its answer was cut off", id="chunk"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{", "its answer is no HTTP", id="size of a chunk"),
        pytest.param(b"\r\n" + ACCEPTED[:-1], "names no job id", id="no length"),
    ],
)
def test_row_07_truncated_body_is_unknown(bench: Bench, rest: bytes, said: str, *, taken: bool) -> None:
    """Half an answer is none, however its length was announced."""
    assert_reconciled(bench, say_and_close(HEAD + rest), said, taken=taken)


@taken_or_not
@pytest.mark.parametrize("head", [HEAD, HEAD[:30], HEAD + b"Content-Le"], ids=["whole", "half", "more"])
def test_row_08_truncated_headers_are_unknown(bench: Bench, head: bytes, *, taken: bool) -> None:
    """They look like an answer with status code 200 and an empty body."""
    assert_reconciled(bench, say_and_close(head), "names no job id", taken=taken)


@taken_or_not
@pytest.mark.parametrize(
    ("status_line", "said"),
    [
        pytest.param(b"SSH-2.0-x\r\n\r\n", "its answer is no HTTP (BadStatusLine)", id="foreign"),
        pytest.param(b"HTTP/1.1 20", "its answer is no HTTP (BadStatusLine)", id="cut"),
        pytest.param(b"HTTP/1.1 200 " + b"x" * 70_000, "its answer is no HTTP (LineTooLong)", id="endless"),
    ],
)
def test_row_09_garbage_status_line_is_unknown(bench: Bench, status_line: bytes, said: str, *, taken: bool) -> None:
    """What is no HTTP says nothing about the job."""
    assert_reconciled(bench, say_and_close(status_line), said, taken=taken)


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(b"HTTP/1.1 200 Suc", id="status line"),
        pytest.param(HEAD + b"X: ", id="header"),
        pytest.param(HEAD + b"Content-Length: 1000000\r\n\r\n", id="body"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", id="chunk"),
        pytest.param(HEAD + b"Connection: close\r\n\r\n" + ACCEPTED, id="body without an end"),
    ],
)
def test_row_10_drip_ends_at_the_deadline_and_is_unknown(
    bench: Bench, patience: Callable[..., None], before: bytes
) -> None:
    """A byte now and then holds a submission up no longer than silence does."""
    patience(submit_deadline_seconds=0.5)
    assert_reconciled(bench, drip(before), "in 0.5 s", taken=True)


def test_row_10_drip_is_looked_for_before_the_job_is_sent_again(bench: Bench, patience: Callable[..., None]) -> None:
    """A service that drips without having taken the job gets it again."""
    patience(submit_deadline_seconds=8.0)
    assert_reconciled(bench, drip(HEAD), "in 8 s", taken=False)


@taken_or_not
@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(
            answer(b"<html>in</html>").replace(b"application/json", b"text/html"), "200 with text/html", id="html"
        ),
        pytest.param(answer(b""), "status code 200 with application/json, which names no job id", id="empty"),
        pytest.param(answer(gzip.compress(ACCEPTED), headers="Content-Encoding: gzip\r\n"), "no job id", id="gzip"),
        pytest.param(answer(b"x" * 65_537), "its answer has more than 65,536 bytes", id="too large"),
    ],
)
def test_row_11_success_without_json_is_unknown(bench: Bench, data: bytes, said: str, *, taken: bool) -> None:
    """A page for people, nothing, or something that was not asked for is no success, and no refusal."""
    assert_reconciled(bench, say(data), said, taken=taken)


@taken_or_not
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"status": "call_success", "reason": ["12"]}', id="wrong type"),
        pytest.param(b'{"status": "call_success", "reason": "12", "x": NaN}', id="NaN"),
        pytest.param(b'{"status": "call_success", "reason": "12", "reason": "13"}', id="repeated key"),
        pytest.param(b'{"status": "call_success", "reason": "12a"}', id="no digits"),
    ],
)
def test_row_12_success_that_is_not_as_documented_is_unknown(bench: Bench, body: bytes, *, taken: bool) -> None:
    """Only one clear job id is believed."""
    assert_reconciled(bench, say(answer(body)), "which names no job id", taken=taken)


@taken_or_not
@pytest.mark.parametrize(
    ("status", "headers"),
    [
        ("408 Request Timeout", ""),
        ("500 Internal Server Error", ""),
        ("502 Bad Gateway", ""),
        ("503 Service Unavailable", ""),
        ("503 Service Unavailable", "Retry-After: 1\r\n"),
        ("504 Gateway Timeout", ""),
    ],
)
def test_row_16_server_error_is_unknown(bench: Bench, status: str, headers: str, *, taken: bool) -> None:
    """What stands before the service gives up while the service goes on, whatever the answer says."""
    refusal = json.dumps({"status": "call_failed", "reason": "bad_partition"}).encode()
    assert_reconciled(bench, say(answer(refusal, status, headers)), f"status code {status[:3]}", taken=taken)
