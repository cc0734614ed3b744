"""Tests of the process that does what takes time: its answers are those of `Client`, and its end loses no job."""

from __future__ import annotations

import json
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

from snakemake_executor_plugin_frceapi.client import ClientConfig
from snakemake_executor_plugin_frceapi.client.calls import Client
from snakemake_executor_plugin_frceapi.courier import Courier
from snakemake_executor_plugin_frceapi.courier.line import Line
from snakemake_executor_plugin_frceapi.errors import ConfigurationFault, ServiceError, TicketFault, TransientFault
from snakemake_executor_plugin_frceapi.job import Accepted, JobState, NotSent, Refused, SubmitOutcome, Unknown
from snakemake_executor_plugin_frceapi.job_table import JobRow
from snakemake_executor_plugin_frceapi.parcel import Parcel
from snakemake_executor_plugin_frceapi.run_directory import Leavings
from snakemake_executor_plugin_frceapi.spool import Spool
from tests.raw_server import SECRET, RawServer, answer, say, stay_silent
from tests.run_directories import a_run_directory
from tests.waiting import PATIENCE_SECONDS, wait_until

BODY = b'{"script-body":"#!/bin/sh\\n","partition":"norm"}'
PROGRAM = "snakemake_executor_plugin_frceapi.courier"
LISTED = b'{"status": "call_success", "12": {"state": "RUNNING"}, "13": {"state": "FAILED"}, "reason": "query_success"}'
REFUSED = b'{"status": "call_failed", "reason": "bad_partition"}'


@contextmanager
def courier_of(url: str, **settings: object) -> Iterator[Courier]:
    """Give a process for a service without authentication, and end it."""
    courier = Courier(ClientConfig(url, **{"auth": "none", **settings}))  # type: ignore[arg-type]
    try:
        yield courier
    finally:
        courier.close()


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
    with RawServer(say(reply)) as server, courier_of(server.url()) as courier:
        client = Client(ClientConfig(server.url(), auth="none"))
        outcome, expected = courier.submit_job(BODY), client.submit_job(BODY)
        client.close()

    assert isinstance(outcome, kind)
    assert told(outcome) == told(expected)
    if isinstance(outcome, NotSent):
        assert isinstance(outcome.fault, TransientFault)
        assert outcome.fault.retry_after_seconds == 7


def test_gives_the_listing() -> None:
    """A listing shows the jobs that were asked for, or all."""
    with RawServer(say(answer(LISTED))) as server, courier_of(server.url()) as courier:
        some, everything = courier.query_status({"12"}), courier.query_status()

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
    with courier_of(url) as courier:
        outcome = courier.submit_job(BODY)
        with pytest.raises(TransientFault, match="refused"):
            courier.query_status()

    assert isinstance(outcome, NotSent)
    assert "refused" in str(outcome.fault)


def test_says_which_setting_keeps_it_from_working(tmp_path: Path) -> None:
    """Certificates that cannot be used are an error of the settings, with every call."""
    with courier_of("https://api.example.org", auth="kerberos", ca_bundle=tmp_path / "none.pem") as courier:
        outcome = courier.submit_job(BODY)
        with pytest.raises(ConfigurationFault, match=r"--frceapi-ca-bundle is .*none\.pem"):
            courier.query_status()

    assert isinstance(outcome, NotSent)
    assert isinstance(outcome.fault, ConfigurationFault)


def test_answers_many_threads() -> None:
    """Each thread gets the answers to what it has asked."""
    with RawServer(say(answer())) as server, courier_of(server.url()) as courier, ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(courier.submit_job, [BODY] * 100))
        assert len(children()) == 1

    assert outcomes == [Accepted("12")] * 100


def test_does_not_know_what_became_of_a_submission_when_it_is_killed() -> None:
    """The service may have taken the job; the next call is made by another process."""
    with RawServer(silent_at_first) as server, courier_of(server.url()) as courier, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(courier.submit_job, BODY)
        wait_until(lambda: server.requests)
        child().kill()
        outcome = waiting.result(PATIENCE_SECONDS)
        again = courier.submit_job(BODY)

    assert isinstance(outcome, Unknown)
    assert "the service may have taken the job" in outcome.message
    assert again == Accepted("12")


def test_has_no_listing_when_it_is_killed() -> None:
    """A listing that did not come says nothing about any job."""
    with RawServer(stay_silent) as server, courier_of(server.url()) as courier, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(courier.query_status)
        wait_until(lambda: server.requests)
        child().kill()
        with pytest.raises(TransientFault, match="there is no listing"):
            waiting.result(PATIENCE_SECONDS)


def test_starts_another_process_for_one_that_has_ended() -> None:
    """What ends between two calls is told to nobody and loses nothing."""
    with RawServer(say(answer())) as server, courier_of(server.url()) as courier:
        assert courier.submit_job(BODY) == Accepted("12")
        first = child()
        first.kill()
        first.wait()

        assert courier.submit_job(BODY) == Accepted("12")
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
    with RawServer(say(answer())) as server, courier_of(server.url()) as courier:
        outcome = courier.submit_job(BODY)
        with pytest.raises(TransientFault, match="cannot be started"):
            courier.query_status()
        assert server.requests == []

        monkeypatch.undo()
        assert courier.submit_job(BODY) == Accepted("12")

    assert isinstance(outcome, NotSent)
    assert isinstance(outcome.fault, TransientFault)


def test_is_not_waited_for_for_ever() -> None:
    """A process that stands still for far longer than any call may take is ended, and another one started."""
    with RawServer(say(answer())) as server, courier_of(server.url()) as courier:
        assert courier.submit_job(BODY) == Accepted("12")
        first = child()
        first.suspend()
        wait_until(lambda: first.status() == psutil.STATUS_STOPPED, "the process stands still")
        courier._desk()._line._connection.settimeout(0.2)  # noqa: SLF001 - instead of minutes
        outcome = courier.submit_job(BODY)

        assert isinstance(outcome, Unknown)
        assert not first.is_running()
        assert courier.submit_job(BODY) == Accepted("12")


def test_ends_with_the_run() -> None:
    """Closed, it leaves no process behind, ends what is under way, and begins nothing any more."""
    with RawServer(stay_silent) as server, courier_of(server.url()) as courier, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(courier.submit_job, BODY)
        wait_until(lambda: server.requests)
        courier.close()

        assert isinstance(waiting.result(PATIENCE_SECONDS), Unknown)
        assert isinstance(courier.submit_job(BODY), NotSent)
        assert children() == []


def test_ends_with_the_process_that_has_started_it() -> None:
    """Killed, that leaves nobody who could submit anything."""
    with RawServer(stay_silent) as server:
        pid = os.fork()
        if not pid:
            Courier(ClientConfig(server.url(), auth="none")).submit_job(BODY)
            os._exit(1)
        wait_until(lambda: server.requests)
        (made,) = psutil.Process(pid).children()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

        wait_until(lambda: not made.is_running() or made.status() == psutil.STATUS_ZOMBIE)
        assert len(server.requests) == 1


def test_is_not_reached_by_the_keys_of_a_terminal() -> None:
    """Ctrl-C goes to all processes of a session in the foreground; what Snakemake still has to send is sent."""
    with RawServer(say(answer())) as server, courier_of(server.url()) as courier:
        courier.submit_job(BODY)

        assert os.getsid(child().pid) == child().pid


def test_shows_no_secret_among_its_arguments() -> None:
    """Whoever looks at the processes of this machine does not see the secret in the URL of a sandbox."""
    with RawServer(say(answer())) as server, courier_of(server.url()) as courier:
        courier.submit_job(BODY)

        assert SECRET not in " ".join(child().cmdline())


def parcel(top: Path, number: int = 1, posts: int = 1) -> Parcel:
    """A submission of a run below a directory."""
    spool = Spool(top)
    journal = spool.directory / "journal"
    journal.touch()
    row = JobRow(str(top / "jobs.tsv"), "map", "", "/logs")
    directory = a_run_directory(spool, f"t{number}")
    return Parcel(f"t{number}", posts, str(journal), f'\n{{"n": {number}}}'.encode(), directory, BODY, row)


def test_delivers_what_many_threads_hand_over(tmp_path: Path) -> None:
    """Each parcel is written down and posted; the journal has its intent before its outcome, each on a line."""
    parcels = [parcel(tmp_path, number) for number in range(40)]
    with RawServer(say(answer())) as server, courier_of(server.url()) as courier, ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(courier.deliver, parcels))
        assert len(server.requests) == 40
    lines = list(map(json.loads, Path(parcels[0].journal).read_text().splitlines()[1:]))

    assert outcomes == [Accepted("12")] * 40
    assert Spool(tmp_path).tokens() == {f"t{number}" for number in range(40)}
    for number in range(40):
        intent, accepted = (line for line in lines if number == line.get("n") or line.get("token") == f"t{number}")
        assert "n" in intent
        assert (accepted["event"], accepted["external_jobid"]) == ("accepted", "12")
    assert len((tmp_path / "jobs.tsv").read_text().splitlines()) == 41


def test_delivers_again_what_was_under_way_when_it_was_killed(tmp_path: Path) -> None:
    """Nobody knows what became of it; the run directory that the dead process has written stays as it is."""
    with RawServer(silent_at_first) as server, courier_of(server.url()) as courier, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(courier.deliver, parcel(tmp_path))
        wait_until(lambda: server.requests)
        child().kill()
        assert isinstance(waiting.result(PATIENCE_SECONDS), Unknown)
        claim = Spool(tmp_path).job_directory("t1") / "claim"
        claim.touch()

        assert courier.deliver(parcel(tmp_path, posts=2)) == Accepted("12")
        assert claim.exists()


def test_delivers_nothing_for_a_process_that_was_killed(tmp_path: Path) -> None:
    """A journal that cannot be opened for now, as on a file server that is away, holds the intent up: too long."""
    held = parcel(tmp_path)
    Path(held.journal).unlink()
    os.mkfifo(held.journal)  # an open file for writing waits until somebody reads
    with RawServer(say(answer())) as server:
        pid = os.fork()
        if not pid:
            Courier(ClientConfig(server.url(), auth="none")).deliver(held)
            os._exit(1)
        wait_until(lambda: psutil.Process(pid).children())
        (made,) = psutil.Process(pid).children()
        wait_until(lambda: made.num_threads() > 1)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        wait_until(lambda: not made.is_running() or made.status() == psutil.STATUS_ZOMBIE)

        assert server.requests == []


@pytest.mark.parametrize("closed", [False, True])
def test_clears_away(tmp_path: Path, *, closed: bool) -> None:
    """What jobs have left is removed, by this process where there is no other one any more."""
    spool = Spool(tmp_path)
    a_run_directory(spool, "t").write()
    spool.done_entry("t").touch()
    leavings = Leavings((str(spool.done_entry("t")), "/nowhere/at/all"), (str(spool.job_directory("t")),))
    with RawServer(say(answer())) as server, courier_of(server.url()) as courier:
        if closed:
            courier.close()
        courier.clear_away(leavings)
        assert len(children()) == (not closed)

    assert spool.tokens() == set()


def test_does_not_hide_an_error_of_its_own() -> None:
    """What is no outcome of a call is raised where it was asked for."""
    with RawServer(say(answer(LISTED))) as server, courier_of(server.url()) as courier:
        with pytest.raises(RuntimeError, match="TypeError"):
            courier.query_status(5)  # type: ignore[arg-type]

        assert set(courier.query_status().jobs) == {"12", "13"}
