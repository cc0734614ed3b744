"""Faults on purpose, as a client sees them."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from snakemake_executor_plugin_frceapi.sandbox import Fault, Reply, Sandbox
from snakemake_executor_plugin_frceapi.sandbox.faults import Faults
from tests.ports import free_ports

from .conftest import Client, Serve

Arm = Callable[[Sandbox], None]


@pytest.mark.parametrize(("fault", "accepted"), [("drop_before", 0), ("drop_after", 1)])
@pytest.mark.parametrize(("reset", "error"), [(False, http.client.RemoteDisconnected), (True, ConnectionResetError)])
def test_drop_closes_connection(
    client: Client,
    fault: str,
    accepted: int,
    reset: bool,  # noqa: FBT001 -- a row of the table
    error: type[Exception],
) -> None:
    """No answer comes, in order or with a reset; whether the job was accepted is up to the fault."""
    getattr(client.sandbox.faults, fault)(call="submit_job", count=1, reset=reset)

    with pytest.raises(error):
        client.send()

    assert len(client.sandbox.jobs) == accepted
    assert client.sandbox.requests[0].status_code == 0
    assert client.send().code == 200


def test_unplugged_sandbox_refuses_connections(serve: Serve) -> None:
    """Whoever waits gets no answer, nobody can connect, jobs go on, and the same URL works again afterwards."""
    client = serve(port=free_ports(1)[0])
    job = client.submit("sleep 0.2")
    client.sandbox.faults.add(Fault(before=client.sandbox.unplug), count=1)

    with pytest.raises(http.client.RemoteDisconnected):
        client.status()
    with pytest.raises(ConnectionRefusedError):
        client.status()
    assert client.end(job) == "COMPLETED"
    client.sandbox.plug_in()
    assert client.rows()[str(job.job_id)]["state"] == "COMPLETED"


def test_unplugged_sandbox_can_be_stopped(client: Client) -> None:
    """Who stops a sandbox need not know whether it is reachable."""
    job = client.submit("sleep 60")
    client.sandbox.unplug()
    client.sandbox.stop()

    assert job.state == "CANCELLED"


@pytest.mark.parametrize(("after", "accepted"), [(False, 0), (True, 1)])
def test_status_code_is_answered(client: Client, after: bool, accepted: int) -> None:  # noqa: FBT001 -- a row
    """An error page comes before or after the job is accepted."""
    client.sandbox.faults.status_code(503, retry_after=7, after=after, call="submit_job")

    answer = client.send()

    assert (answer.code, answer.phrase, answer.headers["Retry-After"]) == (503, "Service Unavailable", "7")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert len(client.sandbox.jobs) == accepted


def test_status_code_401_asks_for_negotiate(client: Client) -> None:
    """As the service without a token."""
    client.sandbox.faults.status_code(401)

    answer = client.status()

    assert (answer.code, answer.headers["WWW-Authenticate"]) == (401, "Negotiate")
    assert b"<html>" in answer.body
    assert "Retry-After" not in answer.headers


@pytest.mark.parametrize(
    ("arm", "content_type", "body"),
    [
        (lambda sandbox: sandbox.faults.text("severe"), "text/plain", b"severe"),
        (lambda sandbox: sandbox.faults.html(after=True), "text/html; charset=iso-8859-1", b"<!DOCTYPE html>"),
        (lambda sandbox: sandbox.faults.junk_lines("one", "two"), "application/json", b'one\ntwo\n{"status"'),
        (lambda sandbox: sandbox.faults.answer(Reply(body=b"NaN")), "application/json", b"NaN"),
    ],
)
def test_other_bodies_are_answered(client: Client, arm: Arm, content_type: str, body: bytes) -> None:
    """Text, a page, junk or anything else comes with the status code of a success."""
    arm(client.sandbox)

    answer = client.status()

    assert (answer.code, answer.headers["Content-Type"]) == (200, content_type)
    assert answer.body.startswith(body)


def test_truncate_cuts_the_body(client: Client) -> None:
    """Fewer bytes come than were announced; the job was accepted."""
    client.sandbox.faults.truncate(5, call="submit_job")

    with pytest.raises(http.client.IncompleteRead) as caught:
        client.send()

    assert caught.value.partial == b'{"sta'
    assert len(client.sandbox.jobs) == 1


@pytest.mark.parametrize(("after", "accepted"), [(False, 0), (True, 1)])
def test_raw_sends_any_bytes(client: Client, after: bool, accepted: int) -> None:  # noqa: FBT001 -- a row
    """What comes need not be HTTP."""
    client.sandbox.faults.raw(b"SSH-2.0-OpenSSH\r\n", after=after)

    with pytest.raises(http.client.BadStatusLine):
        client.send()

    assert len(client.sandbox.jobs) == accepted


@pytest.mark.parametrize("after", [False, True])
def test_delay_holds_the_answer_back(client: Client, after: bool) -> None:  # noqa: FBT001 -- a row
    """The client waits; before or after the job is accepted."""
    client.sandbox.faults.delay(1000, after=after)
    connection = client.connect()
    connection.timeout = 0.3
    connection.request("GET", f"{urlsplit(client.sandbox.url).path}/query_status")

    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()


def test_delay_ends_with_the_sandbox(client: Client) -> None:
    """A sandbox that stops lets nobody wait; a short delay only takes its time."""
    client.sandbox.faults.delay(0.01, count=1)
    assert client.status().code == 200
    client.sandbox.faults.delay(1000)
    ended = threading.Event()

    def ask() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            client.status()
        ended.set()

    threading.Thread(target=ask, daemon=True).start()
    client.sandbox.stop()

    assert ended.wait(60)


def test_refuse_answers_with_any_reason(client: Client) -> None:
    """Reasons that nothing else produces can be had."""
    client.sandbox.faults.refuse("backend_query_malloc_failed", count=1)

    assert client.refusal() == "backend_query_malloc_failed"
    assert client.send().document["status"] == "call_success"


def test_ignore_key_drops_it(client: Client) -> None:
    """The job runs without what the key asked for."""
    client.sandbox.faults.ignore_key("cpus-per-task")

    assert client.submit(cpus_per_task=2).submission.cpus_per_task is None


def test_hide_and_empty_listing_forget_jobs(client: Client) -> None:
    """Some jobs, or all, are not listed."""
    first, second = client.submit(), client.submit()

    client.sandbox.faults.hide(first.job_id)
    assert set(client.rows()) == {str(second.job_id)}
    client.sandbox.faults.clear()
    client.sandbox.faults.empty_listing(count=1)
    assert client.rows() == {}
    assert set(client.rows()) == {str(first.job_id), str(second.job_id)}


def test_faults_work_together_and_end(client: Client) -> None:
    """Several faults change one call, each as often as it was told to, and only the call that was named."""
    client.sandbox.faults.ignore_key("mem-per-node", count=1)
    client.sandbox.faults.status_code(500, after=True, call="submit_job", count=2)

    codes = [client.send().code for _ in range(3)]

    assert codes == [500, 500, 200]
    assert [job.submission.mem_mb_per_node for job in client.sandbox.jobs.values()] == [None, 10, 10]


def test_fault_of_ones_own(client: Client) -> None:
    """A fault can change every step of a call."""
    client.sandbox.faults.add(Fault(rows=lambda rows: {"1": {"state": "ODD"}, **rows}), call="query_status")

    assert client.rows() == {"1": {"state": "ODD"}}


def test_probability_is_repeatable() -> None:
    """The same seed gives the same faults."""

    def pattern(seed: int) -> list[bool]:
        faults = Faults(seed)
        faults.html(probability=0.5)
        return [bool(faults.draw("submit_job")) for _ in range(64)]

    assert pattern(1) == pattern(1)
    assert pattern(1) != pattern(2)
    assert 10 < sum(pattern(1)) < 54
