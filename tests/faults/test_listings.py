"""Fault matrix, row 17: a status request that fails says nothing about any job, and is made again, later and later."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from snakemake_executor_plugin_frceapi.errors import ServiceError
from tests.raw_server import HEAD, Handler, answer, drip, reset, say, say_and_close

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.bench import Bench

Waits = list[tuple[ServiceError, float]]

_TRIES = 5
_LISTED = b'{"status": "call_success", "reason": "query_success"}'


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        *(
            pytest.param(say(answer(_LISTED, status)), f"status code {status[:3]}", id=status[:3])
            for status in ("408 Timeout", "429 Too Many", "500 Error", "502 Bad", "503 Unavailable", "504 Timeout")
        ),
        pytest.param(reset, "Connection reset by peer; there is no listing", id="reset"),
        pytest.param(say_and_close(b""), "without an answer; there is no listing", id="close"),
        pytest.param(say_and_close(HEAD), "which is no listing", id="headers"),
        pytest.param(say_and_close(HEAD + b"Content-Length: 99\r\n\r\n{"), "cut off; there is no listing", id="body"),
        pytest.param(say_and_close(HEAD + b"\r\n" + _LISTED[:-1]), "which is no listing", id="half"),
        pytest.param(say_and_close(b"SSH-2.0-x\r\n"), "is no HTTP (BadStatusLine); there is no listing", id="SSH"),
        pytest.param(say(answer(b"x" * 4097)), "has more than 4,096 bytes; there is no listing", id="too large"),
        pytest.param(say(answer(b"Cannot connect to the job database.")), "which is no listing", id="text"),
        pytest.param(
            say(answer(b'{"status": "call_failed", "reason": "no_database"}')), "not list the jobs: no_da", id="refusal"
        ),
    ],
)
def test_row_17_status_request_that_fails_changes_nothing(
    bench: Bench, waits: Waits, patience: Callable[..., None], tmp_path: Path, fault: Handler, said: str
) -> None:
    """What is known of a job stays, its end is seen all the same, and the user reads one line about the outage."""
    patience(max_listing_bytes=4096)
    bench.start()
    assert_nothing_changes(bench, fault, lambda: len(waits) >= _TRIES, tmp_path / "go")

    assert waits[0][1] <= 1.0
    assert waits[_TRIES - 1][1] >= 4.0
    assert len(bench.lines("/***/hpcapi/query_status", said, "Jobs that were submitted go on")) == len(bench.said) == 1


def test_row_17_drip_ends_at_the_deadline(
    bench: Bench, waits: Waits, patience: Callable[..., None], tmp_path: Path
) -> None:
    """A listing that comes a byte now and then is none, and holds no other up."""
    patience(status_deadline_seconds=3.0)
    bench.start()
    assert_nothing_changes(bench, drip(HEAD), lambda: waits, tmp_path / "go")

    assert len(bench.lines("in 3 s; there is no listing")) == len(bench.said) == 1


def assert_nothing_changes(bench: Bench, fault: Handler, enough: Callable[[], object], go: Path) -> None:
    """Let status requests fail while jobs run, and see that they have no end before their own.

    Args:
        bench: the bench, whose run has begun.
        fault: what answers status requests.
        enough: whether enough of them have failed.
        go: the file that ends the jobs.
    """
    bench.submit("one", "two", work="while [ ! -e go ]; do sleep 0.02; done")
    bench.look_until(lambda: len(bench.ledger) == 2 and all(item.history.listed for item in bench.parts.run.live))
    bench.api.listing, asked = fault, len(bench.api.asked_at)
    bench.look_until(lambda: len(bench.api.asked_at) > asked + 1 or enough())
    known = {item.token: item.history for item in bench.parts.run.live}
    bench.look_until(enough)

    assert {item.token: item.history for item in bench.parts.run.live} == known
    assert sorted(bench.events) == [("submitted", "one"), ("submitted", "two")]
    go.touch()
    bench.finish("one", "two")
    assert [kind for kind, _ in bench.events[2:]] == ["succeeded", "succeeded"]
