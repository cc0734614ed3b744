"""Status requests take no more memory than the limit on their answers allows, whatever the answer is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.raw_server import HEAD, Handler, RawServer, answer, endless, say

_MIB = 1 << 20
_SHORT, _LONG = 4 * _MIB, 32 * _MIB
"""Limits on an answer: of the short form, and the client's own."""

_SLACK = 4 * _MIB
_EMPTY = answer(b'{"status": "call_success", "reason": "query_success"}')
_CHUNK = b"10000\r\n" + b"x" * 65_536 + b"\r\n"

_ENDLESS = {
    "50 MB": say(answer(b"x" * 50_000_000)),
    "chunks": endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", _CHUNK),
    "no length": endless(HEAD + b"Connection: close\r\n\r\n", _CHUNK),
    "header": endless(HEAD + b"X: ", _CHUNK),
    "headers": endless(HEAD, b"X: y\r\n" * 1000),
    "trailers": endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n", b"X: y\r\n" * 1000),
    "interim answers": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
}


def growth(handler: Handler, max_bytes: int, deadline_seconds: float) -> int:
    """Return by how many bytes a client grows at most in a status request that is answered so."""
    root = Path(__file__).parents[2]
    with RawServer(
        lambda connection, number: say(_EMPTY)(connection, 1) if number == 1 else handler(connection, 1)
    ) as server:
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults.peak_memory", server.url(), str(max_bytes), str(deadline_seconds)],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.parametrize("max_bytes", [_SHORT, pytest.param(_LONG, marks=pytest.mark.long)])
@pytest.mark.parametrize("handler", _ENDLESS.values(), ids=_ENDLESS)
def test_answer_without_an_end_takes_no_more_than_the_limit(handler: Handler, max_bytes: int) -> None:
    """What is cut off was held once, and nothing was made of it."""
    assert growth(handler, max_bytes, deadline_seconds=2.0) <= 2 * max_bytes + _SLACK


def filled(pattern: str, max_bytes: int) -> bytes:
    """Return a document of about as many bytes as allowed, made of one piece again and again.

    Args:
        pattern: the piece, which may hold its number.
        max_bytes: the limit.
    """
    count = (max_bytes - 100) // (len((pattern % 0 if "%" in pattern else pattern).encode()) + 1)
    pieces = [pattern % number if "%" in pattern else pattern for number in range(count)]
    return f'{{"status": "call_success", {",".join(pieces)}}}'.encode()


_ROW = json.dumps(
    {"user": "someone", "name": "map-", "partition": "norm", "start": "2025-01-27T15:24:32", "state": "RUNNING"}
)
_HUGE = {
    "jobs": f'"%08d": {_ROW}',
    "lists": '"x":[[[]],[[]],[[]],[[]],[[]],[[]],[[]],[[]]]',
    "rows without anything": '"%08d": {}',
    "numbers": '"%08d": 0',
    "letters": '"%08d": "\U0001f600"',
}


@pytest.mark.parametrize("max_bytes", [_SHORT, pytest.param(_LONG, marks=pytest.mark.long)])
@pytest.mark.parametrize("pattern", _HUGE.values(), ids=_HUGE)
def test_answer_within_the_limit_takes_a_few_times_its_size(pattern: str, max_bytes: int) -> None:
    """A listing of a hundred thousand jobs is read; what is denser than any listing is not."""
    body = filled(pattern, max_bytes)
    assert max_bytes * 0.9 <= len(body) <= max_bytes

    assert growth(say(answer(body)), max_bytes, deadline_seconds=60.0) <= 24 * max_bytes + _SLACK
