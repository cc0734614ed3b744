"""Fault matrix, rows 13 to 15, 18 and 24: answers that say no, for good or for now."""

from __future__ import annotations

import json
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest

from snakemake_executor_plugin_frceapi.client.calls import Client
from snakemake_executor_plugin_frceapi.errors import ConfigurationFault, ServiceError, TicketFault, TransientFault
from tests.faults.bench import after, instead
from tests.raw_server import RawServer, answer, say

if TYPE_CHECKING:
    from tests.faults.bench import Accept, Bench

Waits = list[tuple[ServiceError, float]]

SUCCESS = [("submitted", "one"), ("succeeded", "one")]


class CountingAuth:
    """Gives each request the next number as its token.

    Attributes:
        padding: what stands behind the number.
    """

    padding = ""

    def __init__(self) -> None:
        self.tokens = 0

    def __call__(self, _: str) -> str:
        """Return the header."""
        self.tokens += 1
        return f"Negotiate {self.tokens}{self.padding}"


@pytest.fixture
def tokens(calls_here: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each thread tokens that can be told apart, in place of Kerberos."""
    monkeypatch.setattr(Client, "_auth", lambda _: CountingAuth())


def refusal(reason: str, status: str = "200 Success") -> bytes:
    """Return an answer that says why the service does not take a job."""
    return answer(json.dumps({"status": "call_failed", "reason": reason}).encode(), status)


def test_row_13_refusal_fails_the_job_with_its_reason(bench: Bench) -> None:
    """A job that the service does not want is over at once, and the others go on."""
    bench.api.reactions.append(instead(say(refusal("bad_partition"))))
    bench.start(max_connections=1)
    bench.submit("bad", "good")
    bench.finish("bad", "good")

    assert bench.events == [("failed", "bad"), ("submitted", "good"), ("succeeded", "good")]
    assert "was not submitted to partition 'norm': the service refused the job (bad_partition)" in bench.failures["bad"]
    assert len(bench.api.posted) == 2
    assert bench.said == []


@pytest.mark.parametrize("taken", [True, False], ids=["taken", "lost"])
@pytest.mark.parametrize(
    "reason", ["Socket timed out on send/recv operation", "Unable to contact slurm controller (receive failure)"]
)
def test_row_13_refusal_that_lost_slurm_is_unknown(bench: Bench, reason: str, *, taken: bool) -> None:
    """Where the service itself does not know, the job is looked for before it is sent again."""
    no = say(refusal(reason))
    bench.api.reactions.append(after(no) if taken else instead(no))
    bench.start(unknown_grace=60.0 if taken else 0.2)
    bench.submit("one")
    bench.finish("one")

    assert bench.events == SUCCESS
    assert bench.ledger == ["one"]
    assert len(bench.api.posted) == (1 if taken else 2)
    assert len(bench.lines("Nobody knows", "the service lost Slurm while it submitted", reason)) == 1


def test_row_13_full_queue_is_waited_for(bench: Bench, waits: Waits) -> None:
    """A no that is meant for now only does not fail the job."""
    bench.api.reactions += [instead(say(refusal("Slurm job queue full, sleeping and retrying")))] * 3
    bench.start()
    bench.submit("one")
    bench.finish("one")

    assert bench.events == SUCCESS
    assert len(bench.api.posted) == 4
    assert [type(fault) for fault, _ in waits] == [TransientFault] * 3
    assert len(bench.lines("Slurm takes no jobs at the moment: Slurm job queue full")) == 1


def test_row_13_job_of_a_refused_submission_runs_nothing(bench: Bench) -> None:
    """Should a job exist all the same, it finds nothing that it may run, so that it cannot run beside its retry."""
    late = threading.Event()

    def refuse_and_accept_later(connection: socket.socket, accept: Accept) -> None:
        say(refusal("backend_query_job_submission_failed"))(connection, 1)
        late.wait(60.0)
        accept()

    bench.api.reactions.append(refuse_and_accept_later)
    bench.start()
    bench.submit("one")
    bench.finish("one")
    late.set()
    bench.look_until(lambda: bench.api.exit_codes() == [66])

    assert bench.events == [("failed", "one")]
    assert bench.ledger == []


FATAL = [
    pytest.param("403 Forbidden", b"", "this account may not use the API", id="403"),
    pytest.param("404 Not Found", b"", "there is no such call at this address; check --frceapi-url", id="404"),
    pytest.param(
        "431 Request Header Fields Too Large", b"", "the Kerberos token is larger than the server takes", id="431"
    ),
    pytest.param(
        "400 Bad Request",
        b"Size of a request header field exceeds server limit.",
        "the Kerberos token is larger than the server takes",
        id="400",
    ),
]


@pytest.mark.parametrize(("status", "body", "said"), FATAL)
def test_row_14_client_error_is_fatal_at_the_start(bench: Bench, status: str, body: bytes, said: str) -> None:
    """A service that cannot be used without a change ends the run before anything is submitted."""
    bench.api.listing = say(answer(body, status))
    with pytest.raises(ConfigurationFault, match=f"status code {status[:3]} .*{said}"):
        bench.start()

    assert len(bench.server.requests) == 1


@pytest.mark.parametrize(("status", "body", "said"), FATAL)
def test_row_14_client_error_later_loses_no_job(
    bench: Bench, waits: Waits, status: str, body: bytes, said: str
) -> None:
    """In mid-run the remedy is told once, and the job is sent when somebody has mended it."""
    bench.api.reactions += [instead(say(answer(body, status)))] * 3
    bench.start()
    bench.submit("one")
    bench.finish("one")

    assert bench.events == SUCCESS
    assert bench.ledger == ["one"]
    assert [type(fault) for fault, _ in waits] == [ConfigurationFault] * 3
    assert len(bench.lines(f"status code {status[:3]}", said)) == 1


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("413 Request Entity Too Large", "over its limit of 4 KB"),
        ("400 Bad Request", "it could not read the request"),
    ],
)
def test_row_14_request_that_the_service_cannot_take_fails_the_job(bench: Bench, status: str, said: str) -> None:
    """What is wrong with a request is wrong with its job, and with no other."""
    bench.api.reactions.append(instead(say(answer(b"<html>", status))))
    bench.start(max_connections=1)
    bench.submit("bad", "good")
    bench.finish("bad", "good")

    assert bench.events == [("failed", "bad"), ("submitted", "good"), ("succeeded", "good")]
    assert said in bench.failures["bad"]


@pytest.mark.usefixtures("tokens")
def test_row_14_bad_request_with_a_large_token_is_about_the_token(
    bench: Bench, waits: Waits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many a proxy says no more than "bad request" to a header that is too large: that is not the job's fault."""
    monkeypatch.setattr(CountingAuth, "padding", "x" * 8000)
    bench.api.reactions.append(instead(say(answer(b"<html>", "400 Bad Request"))))
    bench.start()
    bench.submit("one")
    bench.finish("one")

    assert bench.events == SUCCESS
    assert [type(fault) for fault, _ in waits] == [ConfigurationFault]
    assert len(bench.lines("the Kerberos token is larger than the server takes (many group memberships)")) == 1


NAMES = ["one", "two", "three", "four", "five", "six"]


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_row_15_retry_after_slows_all_submissions_down(bench: Bench, form: str) -> None:
    """After one 429 nothing at all is posted before the time that the service names, whichever way it does."""
    until: list[float] = []

    def too_many(connection: socket.socket, accept: Accept) -> None:
        # A date has whole seconds: of these two at least one is left.
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
        asked, least = {"seconds": ("1", 1.0), "date": (date, 0.9)}[form]
        until.append(time.monotonic() + least)
        say(answer(b"", "429 Too Many Requests", f"Retry-After: {asked}\r\n"))(connection, 1)

    bench.api.reactions.append(too_many)
    bench.start(max_connections=4)
    bench.submit(NAMES[0])
    bench.look_until(lambda: bench.said)
    bench.submit(*NAMES[1:])
    bench.finish(*NAMES)

    assert all(posted > until[0] for posted in bench.api.posted_at[1:])
    assert len(bench.api.posted) == len(NAMES) + 1
    assert sorted(bench.ledger) == sorted(NAMES)
    assert len(bench.lines("status code 429")) == 1


UNAUTHORIZED = instead(say(answer(b"", "401 Unauthorized", "WWW-Authenticate: Negotiate\r\n")))


@pytest.mark.usefixtures("tokens")
def test_row_18_refused_token_gets_one_new_one(bench: Bench) -> None:
    """A 401 in spite of a ticket is answered with a new token at once, of which nobody has to know."""
    bench.api.reactions.append(UNAUTHORIZED)
    bench.start()
    bench.submit("one")
    bench.finish("one")

    assert bench.events == SUCCESS
    assert bench.said == []
    first, second = (request for request in bench.server.requests if request.startswith(b"POST"))
    assert b"\r\nAuthorization: Negotiate 1\r\n" in first
    assert b"\r\nAuthorization: Negotiate 2\r\n" in second


@pytest.mark.usefixtures("tokens")
def test_row_18_second_refused_token_is_a_fault_of_the_ticket(bench: Bench, waits: Waits) -> None:
    """A second 401 in a row pauses submissions until the ticket is good, and the user is told what to type."""
    bench.api.reactions += [UNAUTHORIZED] * 4
    bench.start()
    bench.submit("one")
    bench.finish("one")

    assert bench.events == SUCCESS
    assert bench.ledger == ["one"]
    assert [type(fault) for fault, _ in waits] == [TicketFault] * 2
    assert len(bench.lines("it did not accept the Kerberos ticket; type `kinit`")) == 1


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect"])
def test_row_24_redirect_is_fatal_at_the_start(bench: Bench, status: str) -> None:
    """Nothing is sent where the service points, and the line shows no more of it than the host."""
    with RawServer(say(answer())) as other:
        location = f"Location: {other.url(host='localhost')}/login?secret\r\n"
        bench.api.listing = say(answer(b"", status, location))
        with pytest.raises(ConfigurationFault) as caught:
            bench.start()

        assert other.connections == 0
    said = "a redirect to localhost is not followed; set --frceapi-url to the API itself"
    assert str(caught.value).endswith(f"status code {status[:3]} with application/json: {said}")


@pytest.mark.parametrize("taken", [True, False], ids=["taken", "lost"])
@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "303 See Other"])
def test_row_24_redirect_of_a_submission_is_unknown(bench: Bench, status: str, *, taken: bool) -> None:
    """A service may answer so after it has taken the job, so the job is looked for."""
    with RawServer(say(answer())) as other:
        redirect = say(answer(b"", status, f"Location: {other.url(host='localhost')}\r\n"))
        bench.api.reactions.append(after(redirect) if taken else instead(redirect))
        bench.start(unknown_grace=60.0 if taken else 0.2)
        bench.submit("one")
        bench.finish("one")

        assert other.connections == 0
    assert bench.events == SUCCESS
    assert bench.ledger == ["one"]
    assert len(bench.api.posted) == (1 if taken else 2)
    assert len(bench.lines("Nobody knows", "a redirect to localhost is not followed; set --frceapi-url")) == 1


@pytest.mark.parametrize(
    ("location", "named"),
    [("http://localhost/hpcapi?secret", "localhost"), ("http://[", "nowhere"), ("/elsewhere", "nowhere")],
)
def test_row_24_redirect_that_changes_nothing_else_loses_no_job(
    bench: Bench, waits: Waits, location: str, named: str
) -> None:
    """What is to be sent to another place was not taken here: it is sent when somebody has mended that."""
    redirect = answer(b"", "308 Permanent Redirect", f"Location: {location}\r\n")
    bench.api.reactions += [instead(say(redirect))] * 2
    bench.start()
    bench.submit("one")
    bench.finish("one")

    assert bench.events == SUCCESS
    assert len(bench.api.posted) == 3
    assert [type(fault) for fault, _ in waits] == [ConfigurationFault] * 2
    assert len(bench.lines(f"a redirect to {named} is not followed")) == 1
