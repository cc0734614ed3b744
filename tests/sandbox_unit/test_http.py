"""The HTTP side of the sandbox: who is let in, what is answered, and how connections are kept."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from typing import Any
from urllib.parse import urlsplit

import pytest

from snakemake_executor_plugin_frceapi.sandbox import Sandbox, SandboxConfig

from .conftest import Client, Serve


def path(client: Client, call: str) -> str:
    """The path of a call."""
    return f"{urlsplit(client.sandbox.url).path}/{call}"


def test_success_has_the_services_status_line(client: Client) -> None:
    """A good answer says "200 Success" and is JSON, with the keys in the documented order and spelling."""
    answer = client.send()

    assert (answer.code, answer.phrase, answer.headers["Content-Type"]) == (200, "Success", "application/json")
    assert answer.body == b'{"status": "call_success", "reason": "67043329"}\n'


def test_refusal_has_the_services_words(client: Client) -> None:
    """A refusal is a successful response with the documented reason."""
    answer = client.send(partition="nowhere")

    assert (answer.code, answer.document) == (200, {"status": "call_failure", "reason": "bad_partition"})


def test_answers_follow_the_prose_where_told_so(serve: Serve) -> None:
    """With spelling="prose" keys and values are spelled as in the page's prose."""
    client = serve(spelling="prose")
    client.sandbox.hold()

    assert client.send().document == {"Status": "call success", "Reason": "67043329"}
    assert client.send(partition="").document == {"Status": "call failure", "Reason": "no_partition_given"}
    listing = client.status().document
    assert (list(listing), listing["Status"], listing["Reason"]) == (
        ["Status", "67043329", "Reason"],
        "call success",
        "query success",
    )


def test_listing_of_no_jobs_has_no_rows(client: Client) -> None:
    """A listing without jobs is a good answer."""
    assert client.status().body == b'{"status": "call_success", "reason": "query_success"}\n'


def test_listing_shows_rows_as_documented(client: Client) -> None:
    """A row has exactly the documented keys; an ended job's times carry no zone."""
    job = client.submit()
    client.end(job)

    row = client.rows()[str(job.job_id)]

    assert list(row) == ["user", "name", "partition", "start", "end", "state"]
    assert row["name"].endswith("-")
    assert len(row["start"]) == len("2025-01-27T15:24:32")


def test_listing_has_junk_lines_where_told_so(serve: Serve) -> None:
    """Lines stand before the JSON, as the page's own example suggests."""
    lines = serve(junk_lines=("Welcome", "")).status().body.decode().splitlines()

    assert lines[:2] == ["Welcome", ""]
    assert json.loads(lines[2])["status"] == "call_success"


def test_large_post_is_refused(client: Client) -> None:
    """4096 bytes are accepted, one more is too big, and so is what the server does not even read."""

    def padded(size: int) -> bytes:
        return json.dumps({"script-body": "#!/bin/sh\n", "partition": "norm"}).encode().ljust(size)

    assert client.post(padded(4096)).document["status"] == "call_success"
    assert client.post(padded(4097)).document["reason"] == "postdata_too_big"
    assert client.post(padded(2**20)).document["reason"] == "postdata_too_big"


@pytest.mark.parametrize("header", [("Content-Length", "99999999"), ("Content-Length", "x")])
def test_unreadable_post_closes_connection(client: Client, header: tuple[str, str]) -> None:
    """A body whose length cannot be or is not believed is not read, and the connection ends."""
    connection = client.connect()
    connection.putrequest("POST", path(client, "submit_job"))
    connection.putheader("Content-Type", "application/json")
    connection.putheader(*header)
    connection.endheaders()

    answer = connection.getresponse()

    assert json.loads(answer.read())["reason"] == "postdata_parse_error"
    assert answer.headers["Connection"] == "close"
    connection.close()


@pytest.mark.parametrize(("size", "reason"), [(10, "no_partition_given"), (2**20, "postdata_parse_error")])
def test_chunked_post_is_read(client: Client, size: int, reason: str) -> None:
    """A body without a length is read as well."""
    connection = client.connect()
    body = iter([b"{", b" " * size, b"}"])
    connection.request("POST", path(client, "submit_job"), body, client.headers, encode_chunked=True)

    answer = connection.getresponse()

    assert json.loads(answer.read())["reason"] == reason
    connection.close()


@pytest.mark.parametrize(
    ("method", "place", "code"),
    [
        ("GET", "/", 404),
        ("GET", "/hpcapi/query_status", 404),
        ("GET", "/wrong-secret-wrong/hpcapi/query_status", 404),
        ("GET", "/S/hpcapi", 404),
        ("GET", "/S/hpcapi/other", 404),
        ("GET", "/S/query_status", 404),
        ("GET", "/S%C3%A9/hpcapi/query_status", 404),
        ("GET", "/S/hpcapi/submit_job", 405),
        ("POST", "/S/hpcapi/query_status", 405),
        ("DELETE", "/S/hpcapi/query_status", 405),
    ],
)
def test_other_places_are_not_served(client: Client, method: str, place: str, code: int) -> None:
    """Only the two calls behind the secret exist, each with its method."""
    secret = urlsplit(client.sandbox.url).path.split("/")[1]

    assert client.request(method, place.replace("S", secret)).code == code


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Host": "localhost:P"}, 200),
        ({"Host": "[::1]:P"}, 200),
        ({"Origin": "http://127.0.0.1:P"}, 200),
        ({"Host": "evil.example:P"}, 403),
        ({"Host": "127.0.0.1"}, 403),
        ({"Host": "127.0.0.1:1"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_foreign_pages_are_refused(client: Client, headers: dict[str, str], code: int) -> None:
    """What a browser sends for a foreign page, or after DNS rebinding, is refused; no answer allows one to read it."""
    port = str(urlsplit(client.sandbox.url).port)

    sent = {name: value.replace("P", port) for name, value in headers.items()}
    answer = client.request("GET", path(client, "query_status"), headers=sent)

    assert answer.code == code
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_connection_is_kept_alive(client: Client) -> None:
    """Many requests go over one connection, refused ones included."""
    connection = client.connect()
    sockets = set()
    for method, call in [("POST", "submit_job"), ("GET", "query_status"), ("GET", "nothing"), ("GET", "query_status")]:
        connection.request(method, path(client, call), b"{}" if method == "POST" else None, client.headers)
        connection.getresponse().read()
        assert connection.sock is not None
        sockets.add(connection.sock.getsockname())

    assert len(sockets) == 1
    connection.close()


def test_requests_are_recorded(client: Client) -> None:
    """Each request is noted with method, call, status code and time, without the secret."""
    client.send()
    client.status()
    client.request("GET", "/nothing?x=1")

    records = client.sandbox.requests

    assert [(record.method, record.call, record.status_code) for record in records] == [
        ("POST", "submit_job", 200),
        ("GET", "query_status", 200),
        ("GET", "nothing", 404),
    ]
    assert records[0].time <= records[2].time


def test_garbage_ends_only_its_connection(client: Client, capfd: pytest.CaptureFixture[str]) -> None:
    """What is no HTTP is answered with an error, says nothing on the terminal and harms nobody else."""
    parts = urlsplit(client.sandbox.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        connection.sendall(b"\x00\x01garbage\r\n\r\n")
        assert b"400" in connection.recv(1000)

    assert client.status().code == 200
    assert capfd.readouterr().err == ""


def test_stop_closes_idle_connections(client: Client) -> None:
    """A client that keeps its connection sees its end, and the port is free again."""
    connection = client.connect()
    connection.request("GET", path(client, "query_status"))
    connection.getresponse().read()
    port = urlsplit(client.sandbox.url).port or 0

    client.sandbox.stop()

    assert connection.sock is not None
    assert connection.sock.recv(1) == b""
    connection.close()
    with Sandbox(SandboxConfig(port=port)) as again:
        assert urlsplit(again.url).port == port


def test_submissions_in_parallel_get_ids_of_their_own(client: Client) -> None:
    """Threads that submit at the same time never share an id."""
    seen: list[str] = []

    def submit() -> None:
        seen.extend(client.send().document["reason"] for _ in range(10))

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(seen)) == 80


def test_public_url_masks_secret(client: Client) -> None:
    """The URL for logs differs from the real one in the secret only, and the configuration does not print it."""
    real, public = client.sandbox.url.split("/"), client.sandbox.public_url.split("/")

    assert [one == other for one, other in zip(real, public, strict=True)] == [True, True, True, False, True]
    assert public[3] == "***"
    assert "sixteen-letters-long" not in repr(SandboxConfig(secret="sixteen-letters-long"))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])  # noqa: S104 -- must be refused
def test_sandbox_refuses_other_addresses(host: str) -> None:
    """Only loopback addresses are served."""
    with pytest.raises(ValueError, match="not this machine's own"):
        Sandbox(SandboxConfig(host=host))


def test_sandbox_needs_a_start() -> None:
    """What only a running sandbox has says so before, and a stopped one does not start again."""
    sandbox = Sandbox(SandboxConfig(mem_mb=100))
    for ask in ("url", "jobs", "directory"):
        with pytest.raises(RuntimeError, match="start"):
            getattr(sandbox, ask)
    with sandbox, pytest.raises(RuntimeError, match="make a new one"):
        sandbox.start()


def test_sandbox_reports_a_taken_port(client: Client) -> None:
    """A port in use is an OSError, and leaves nothing behind."""
    with pytest.raises(OSError, match="in use"):
        Sandbox(SandboxConfig(port=urlsplit(client.sandbox.url).port or 0)).start()


def test_sandbox_serves_ipv6(serve: Serve) -> None:
    """The other loopback address works where the machine has it."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("no IPv6 loopback here")
    client = serve(host="::1")

    assert "http://[::1]:" in client.sandbox.url
    assert client.status().code == 200


def test_submission_after_stop_is_refused(client: Client) -> None:
    """A request that comes while the sandbox stops is not accepted."""
    scheduler: Any = client.sandbox._scheduler  # noqa: SLF001 -- the server is gone by the time stop() returns
    scheduler.stop()

    assert client.refusal() == "backend_query_job_submission_failed"


def test_client_that_goes_away_harms_nobody(client: Client, capfd: pytest.CaptureFixture[str]) -> None:
    """A client that resets the connection in the middle of a request is forgotten."""
    connection = http.client.HTTPConnection(urlsplit(client.sandbox.url).netloc)
    connection.putrequest("POST", path(client, "submit_job"))
    connection.putheader("Content-Length", "1000")
    connection.endheaders(b"{")
    connection.close()

    assert client.status().code == 200
    assert capfd.readouterr().err == ""
