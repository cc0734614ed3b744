"""A client of the sandbox for its tests, written against the API's page with the standard library alone."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from snakemake_executor_plugin_frceapi.sandbox import Job, Sandbox, SandboxConfig


@dataclass
class Answer:
    """Status code, phrase, headers and body of a response."""

    code: int
    phrase: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """The parsed body."""
        return json.loads(self.body)


@dataclass
class Client:
    """Speaks HTTP with one sandbox, one connection a request."""

    sandbox: Sandbox
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})

    def connect(self) -> http.client.HTTPConnection:
        """A connection to the sandbox."""
        return http.client.HTTPConnection(urlsplit(self.sandbox.url).netloc, timeout=30)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """One request; `path` starts at the server's root."""
        connection = self.connect()
        try:
            connection.request(method, path, body, self.headers | (headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, answer.reason, dict(answer.headers), answer.read())
        finally:
            connection.close()

    def post(self, body: bytes) -> Answer:
        """``POST submit_job`` with any body."""
        return self.request("POST", f"{urlsplit(self.sandbox.url).path}/submit_job", body)

    def send(self, script: str = "exit 0", **keys: object) -> Answer:
        """``POST submit_job`` with a small bash script; underscores in keys stand for dashes."""
        document = {"script-body": f"#!/bin/bash\n{script}\n", "partition": "norm", "mem-per-node": 10}
        document |= {key.replace("_", "-"): value for key, value in keys.items()}
        return self.post(json.dumps({key: value for key, value in document.items() if value is not None}).encode())

    def submit(self, script: str = "exit 0", **keys: object) -> Job:
        """Submit a job that is accepted."""
        document = self.send(script, **keys).document
        assert document["status"] == "call_success", document
        return self.sandbox.jobs[document["reason"]]

    def refusal(self, script: str = "exit 0", **keys: object) -> str:
        """The reason for which a submission is refused."""
        document = self.send(script, **keys).document
        assert document["status"] == "call_failure", document
        return str(document["reason"])

    def status(self) -> Answer:
        """``GET query_status``."""
        return self.request("GET", f"{urlsplit(self.sandbox.url).path}/query_status")

    def rows(self) -> dict[str, dict[str, str]]:
        """The rows of the listing by external jobid."""
        document = self.status().document
        assert (document.pop("status"), document.pop("reason")) == ("call_success", "query_success")
        return dict(document)

    def end(self, job: Job) -> str:
        """Wait for the end of a job and return its state."""
        return str(self.sandbox.wait(job.job_id).state)

    def output(self, job: Job) -> str:
        """What a job printed, without bash's remark that SIGTERM ended a program of its own."""
        lines = self.sandbox.output(job.job_id).splitlines(keepends=True)
        return "".join(line for line in lines if "Terminated" not in line)


Serve = Callable[..., Client]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a sandbox with the given settings, small and quick unless they say otherwise; stopped after the test."""
    with ExitStack() as stack:

        def start(**settings: Any) -> Client:
            config = SandboxConfig(**{"cpus": 2, "mem_mb": 1000, "kill_wait": 30.0, "memory_interval": 0.1, **settings})
            return Client(stack.enter_context(Sandbox(config)))

        yield start


@pytest.fixture
def client(serve: Serve) -> Client:
    """A client of a sandbox with two CPUs."""
    return serve()
