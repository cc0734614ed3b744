"""Tests of the process that makes the calls: its answers are those of `Client`, and its end loses no job."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from snakemake_executor_plugin_frceapi.client import ClientConfig, ServiceProcess
from snakemake_executor_plugin_frceapi.client.calls import Client
from snakemake_executor_plugin_frceapi.client.line import Line
from snakemake_executor_plugin_frceapi.errors import ConfigurationFault, ServiceError, TicketFault, TransientFault
from snakemake_executor_plugin_frceapi.job import Accepted, JobState, NotSent, Refused, SubmitOutcome, Unknown
from tests.raw_server import SECRET, RawServer, answer, say, stay_silent
from tests.waiting import PATIENCE_SECONDS, wait_until

BODY = b'{"script-body":"#!/bin/sh\\n","partition":"norm"}'
PROGRAM = "snakemake_executor_plugin_frceapi.client"
LISTED = b'{"status": "call_success", "12": {"state": "RUNNING"}, "13": {"state": "FAILED"}, "reason": "query_success"}'
REFUSED = b'{"status": "call_failed", "reason": "bad_partition"}'


@contextmanager
def process_of(url: str, **settings: object) -> Iterator[ServiceProcess]:
    """Give a process for a service without authentication, and end it."""
    process = ServiceProcess(ClientConfig(url, **{"auth": "none", **settings}))  # type: ignore[arg-type]
    try:
        yield process
    finally:
        process.close()


def children() -> list[psutil.Process]:
    """The processes for calls that this one has started, those included that were not waited for."""
    found = psutil.Process().children()
    return [one for one in found if one.status() == psutil.STATUS_ZOMBIE or one.cmdline()[-1:] == [PROGRAM]]


def child() -> psutil.Process:
    """The one process for calls that this one has started."""
    (found,) = children()
    return found


def silent_at_first(connection: socket.socket, number: int) -> None:
    """Say nothing to the first request, and take the jobs of all others."""
    (stay_silent if number == 1 else say(answer()))(connection, number)


def told(outcome: SubmitOutcome) -> tuple[type, str]:
    """What an outcome says; a fault is no equal of another one."""
    return type(outcome), str(outcome.fault) if isinstance(outcome, NotSent) else repr(outcome)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (answer(), Accepted),
        (answer(REFUSED), Refused),
        (answer(b"{"), Unknown),
        (answer(b"", "503 Busy", "Retry-After: 7\r\n"), Unknown),
        (answer(b"", "429 Slow", "Retry-After: 7\r\n"), NotSent),
    ],
)
def test_gives_the_outcomes_of_the_client(reply: bytes, kind: type) -> None:
    """Whatever the service answers to a submission means the same here as in this process."""
    with RawServer(say(reply)) as server, process_of(server.url()) as process:
        client = Client(ClientConfig(server.url(), auth="none"))
        outcome, expected = process.submit_job(BODY), client.submit_job(BODY)
        client.close()

    assert isinstance(outcome, kind)
    assert told(outcome) == told(expected)
    if isinstance(outcome, NotSent):
        assert isinstance(outcome.fault, TransientFault)
        assert outcome.fault.retry_after_seconds == 7


def test_gives_the_listing() -> None:
    """A listing shows the jobs that were asked for, or all."""
    with RawServer(say(answer(LISTED))) as server, process_of(server.url()) as process:
        some, everything = process.query_status({"12"}), process.query_status()

    assert {jobid: status.state for jobid, status in some.jobs.items()} == {"12": JobState.RUNNING}
    assert set(everything.jobs) == {"12", "13"}
    assert everything.largest_jobid == 13


@pytest.mark.parametrize(
    "fault",
    [
        ServiceError("why"),
        ConfigurationFault("why"),
        TransientFault("why", 7.0),
        TransientFault("why"),
        TicketFault("why"),
    ],
    ids=repr,
)
def test_line_carries_each_kind_of_fault(fault: ServiceError) -> None:
    """What went wrong arrives as what it was, with the line that a user reads and the wait that was asked for."""
    one, other = map(Line, socket.socketpair())
    one.send(NotSent(fault))
    arrived = other.receive()

    assert told(arrived) == told(NotSent(fault))
    assert type(arrived.fault) is type(fault)
    assert vars(arrived.fault) == vars(fault)
    one.close()
    other.close()


def test_line_carries_what_is_larger_than_a_buffer() -> None:
    """A long listing arrives whole."""
    one, other = map(Line, socket.socketpair())
    rows = list(range(500_000))
    sending = threading.Thread(target=one.send, args=(rows,))
    sending.start()

    assert other.receive() == rows
    sending.join()
    one.close()
    other.close()


def test_says_what_cannot_be_reached() -> None:
    """A service that is not there is the same fault as in this process."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with process_of(url) as process:
        outcome = process.submit_job(BODY)
        with pytest.raises(TransientFault, match="refused"):
            process.query_status()

    assert isinstance(outcome, NotSent)
    assert "refused" in str(outcome.fault)


def test_says_which_setting_keeps_it_from_working(tmp_path: Path) -> None:
    """Certificates that cannot be used are an error of the settings, with every call."""
    with process_of("https://api.example.org", auth="kerberos", ca_bundle=tmp_path / "none.pem") as process:
        outcome = process.submit_job(BODY)
        with pytest.raises(ConfigurationFault, match=r"--frceapi-ca-bundle is .*none\.pem"):
            process.query_status()

    assert isinstance(outcome, NotSent)
    assert isinstance(outcome.fault, ConfigurationFault)


def test_answers_many_threads() -> None:
    """Each thread gets the answers to what it has asked."""
    with RawServer(say(answer())) as server, process_of(server.url()) as process, ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(process.submit_job, [BODY] * 100))
        assert len(children()) == 1

    assert outcomes == [Accepted("12")] * 100


def test_does_not_know_what_became_of_a_submission_when_it_is_killed() -> None:
    """The service may have taken the job; the next call is made by another process."""
    with RawServer(silent_at_first) as server, process_of(server.url()) as process, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(process.submit_job, BODY)
        wait_until(lambda: server.requests)
        child().kill()
        outcome = waiting.result(PATIENCE_SECONDS)
        again = process.submit_job(BODY)

    assert isinstance(outcome, Unknown)
    assert "the service may have taken the job" in outcome.message
    assert again == Accepted("12")


def test_has_no_listing_when_it_is_killed() -> None:
    """A listing that did not come says nothing about any job."""
    with RawServer(stay_silent) as server, process_of(server.url()) as process, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(process.query_status)
        wait_until(lambda: server.requests)
        child().kill()
        with pytest.raises(TransientFault, match="there is no listing"):
            waiting.result(PATIENCE_SECONDS)


def test_starts_another_process_for_one_that_has_ended() -> None:
    """What ends between two calls is told to nobody and loses nothing."""
    with RawServer(say(answer())) as server, process_of(server.url()) as process:
        assert process.submit_job(BODY) == Accepted("12")
        first = child()
        first.kill()
        first.wait()

        assert process.submit_job(BODY) == Accepted("12")
        assert child().pid != first.pid


@pytest.mark.parametrize("size", [0, 1, 100, 5000])
def test_line_ends_in_the_middle_of_a_value(size: int) -> None:
    """A process that is killed while it answers has not answered."""
    one, other = socket.socketpair()
    line = Line(other)
    one.sendall(pickle.dumps(list(range(10_000)))[:size])
    one.close()
    with pytest.raises(EOFError):
        line.receive()
    line.close()


@pytest.mark.parametrize("program", ["/nowhere/python", "/bin/false"])
def test_sends_nothing_when_it_cannot_be_started(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the process nothing leaves this machine, and it is tried again later."""
    monkeypatch.setattr(sys, "executable", program)
    with RawServer(say(answer())) as server, process_of(server.url()) as process:
        outcome = process.submit_job(BODY)
        with pytest.raises(TransientFault, match="cannot be started"):
            process.query_status()
        assert server.requests == []

        monkeypatch.undo()
        assert process.submit_job(BODY) == Accepted("12")

    assert isinstance(outcome, NotSent)
    assert isinstance(outcome.fault, TransientFault)


def test_is_not_waited_for_for_ever() -> None:
    """A process that stands still for far longer than any call may take is ended, and another one started."""
    with RawServer(say(answer())) as server, process_of(server.url()) as process:
        assert process.submit_job(BODY) == Accepted("12")
        first = child()
        first.suspend()
        process._desk()._line._connection.settimeout(0.2)  # noqa: SLF001 - instead of minutes
        outcome = process.submit_job(BODY)

        assert isinstance(outcome, Unknown)
        assert not first.is_running()
        assert process.submit_job(BODY) == Accepted("12")


def test_ends_with_the_run() -> None:
    """Closed, it leaves no process behind, ends what is under way, and begins nothing any more."""
    with RawServer(stay_silent) as server, process_of(server.url()) as process, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(process.submit_job, BODY)
        wait_until(lambda: server.requests)
        process.close()

        assert isinstance(waiting.result(PATIENCE_SECONDS), Unknown)
        assert isinstance(process.submit_job(BODY), NotSent)
        assert children() == []


def test_ends_with_the_process_that_has_started_it() -> None:
    """Killed, that leaves nobody who could submit anything."""
    with RawServer(stay_silent) as server:
        pid = os.fork()
        if not pid:
            ServiceProcess(ClientConfig(server.url(), auth="none")).submit_job(BODY)
            os._exit(1)
        wait_until(lambda: server.requests)
        (made,) = psutil.Process(pid).children()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

        wait_until(lambda: not made.is_running() or made.status() == psutil.STATUS_ZOMBIE)


def test_is_not_reached_by_the_keys_of_a_terminal() -> None:
    """Ctrl-C goes to all processes of a session in the foreground; what Snakemake still has to send is sent."""
    with RawServer(say(answer())) as server, process_of(server.url()) as process:
        process.submit_job(BODY)

        assert os.getsid(child().pid) == child().pid


def test_shows_no_secret_among_its_arguments() -> None:
    """Whoever looks at the processes of this machine does not see the secret in the URL of a sandbox."""
    with RawServer(say(answer())) as server, process_of(server.url()) as process:
        process.submit_job(BODY)

        assert SECRET not in " ".join(child().cmdline())


def test_does_not_hide_an_error_of_its_own() -> None:
    """What is no outcome of a call is raised where it was asked for."""
    with RawServer(say(answer(LISTED))) as server, process_of(server.url()) as process:
        with pytest.raises(RuntimeError, match="TypeError"):
            process.query_status(5)  # type: ignore[arg-type]

        assert set(process.query_status().jobs) == {"12", "13"}
