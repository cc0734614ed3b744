"""A whole run with the real client, on a service of raw sockets that runs what it takes; Snakemake alone is missing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil

from snakemake_executor_plugin_frceapi.ahead import Horizon
from snakemake_executor_plugin_frceapi.assembly import Assembly, Surroundings, assemble
from snakemake_executor_plugin_frceapi.job import Work
from snakemake_executor_plugin_frceapi.preparation import ReadyJob
from snakemake_executor_plugin_frceapi.settings import ExecutorSettings
from snakemake_executor_plugin_frceapi.sharing import Sharing
from snakemake_executor_plugin_frceapi.spawning import Spawning
from snakemake_executor_plugin_frceapi.submission import Submission
from tests.raw_server import SECRET, Handler, RawServer, answer

PATIENCE_SECONDS = 60.0
_PAUSE_SECONDS = 0.01

_GIVEN = {
    "PATH": os.environ["PATH"],
    "SLURM_NTASKS": "1",
    "SLURM_CPUS_PER_TASK": "1",
    "SLURM_MEM_PER_CPU": "4000",
}
"""What each job finds in its environment: what it asked for."""

Accept = Callable[[], bytes]
"""Takes the job that was posted, runs it, and returns the answer that says so."""

Reaction = Callable[[socket.socket, Accept], object]
"""What the service does with a submission."""


def instead(handler: Handler) -> Reaction:
    """Return a reaction that does not take the job."""
    return lambda connection, _: handler(connection, 1)


def after(handler: Handler) -> Reaction:
    """Return a reaction that takes the job before it goes wrong."""

    def react(connection: socket.socket, accept: Accept) -> None:
        accept()
        handler(connection, 1)

    return react


class Api:
    """What stands behind the server: takes scripts, runs them as processes of this machine, and lists them.

    Attributes:
        posted: the bodies of all submissions, as they came.
        posted_at: when they came, in seconds of the monotonic clock.
        asked_at: when status requests came, likewise.
        reactions: what to do with the submissions to come; with those after the last, what the API's page says.
        listing: answers status requests in place of the listing, or None.
    """

    def __init__(self, directory: Path) -> None:
        self.posted: list[bytes] = []
        self.posted_at: list[float] = []
        self.asked_at: list[float] = []
        self.reactions: deque[Reaction] = deque()
        self.listing: Handler | None = None
        self._directory = directory
        self._jobs: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def handle(self, connection: socket.socket, request: bytes) -> None:
        """Answer a request."""
        head, _, body = request.partition(b"\r\n\r\n")
        if not head.startswith(b"POST"):
            self.asked_at.append(time.monotonic())
            handler = self.listing or (lambda connection, _: connection.sendall(answer(self._listing())))
            handler(connection, len(self.asked_at))
            return
        with self._lock:
            self.posted.append(body)
            self.posted_at.append(time.monotonic())
            reaction = self.reactions.popleft() if self.reactions else None
        if reaction:
            reaction(connection, lambda: self._accept(body))
        else:
            connection.sendall(self._accept(body))

    def exit_codes(self) -> list[int | None]:
        """Return the exit code of each job that was taken; None: it runs."""
        return [job.poll() for job in self._jobs.values()]

    def end_jobs(self) -> None:
        """Kill what still runs: a job is a session, in which its command has a process group of its own."""
        sessions = {job.pid for job in self._jobs.values()}
        for pid in psutil.pids():
            with suppress(ProcessLookupError, PermissionError):
                if os.getsid(pid) in sessions:
                    os.kill(pid, signal.SIGKILL)
        for job in self._jobs.values():
            job.wait()

    def _accept(self, body: bytes) -> bytes:
        # A job that does not find its run directory need not be sure.
        script = json.loads(body)["script-body"].replace("sleep 5", "sleep 0.1")
        with self._lock:
            external_jobid = str(101 + len(self._jobs))
            path = self._directory / f"script-{external_jobid}"
            path.write_text(script, encoding="utf-8")
            self._jobs[external_jobid] = subprocess.Popen(
                ["/bin/bash", str(path)],
                cwd=self._directory,
                env={**_GIVEN, "SLURM_JOB_ID": external_jobid},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        return answer(json.dumps({"status": "call_success", "reason": external_jobid}).encode())

    def _listing(self) -> bytes:
        states = {None: "RUNNING", 0: "COMPLETED"}
        rows = {jobid: {"state": states.get(job.poll(), "FAILED")} for jobid, job in list(self._jobs.items())}
        return json.dumps({"status": "call_success", **rows, "reason": "query_success"}).encode()


class Bench:
    """A run, its service, and what became of both.

    Attributes:
        server: the server.
        api: what stands behind it.
        events: what was reported, in order: the kind and the job's name.
        failures: the messages of failures by the job's name.
        said: lines for the user.
        directory: the working directory of the run; a test may change it before the run begins.
    """

    def __init__(self, directory: Path) -> None:
        self.api = Api(directory)
        self.server = RawServer(
            lambda connection, number: self.api.handle(connection, self.server.requests[number - 1])
        )
        self.events: list[tuple[str, str]] = []
        self.failures: dict[str, str] = {}
        self.said: list[str] = []
        self.directory = directory
        self._parts: Assembly | None = None

    def _answer(self, connection: socket.socket, number: int) -> None:
        self.api.handle(connection, self.server.requests[number - 1])

    def start(self, *, url: str | None = None, **settings: object) -> None:
        """Begin a run, as Snakemake does.

        Args:
            url: the base URL; None: that of the server.
            settings: those that differ from the settings of all tests.

        Raises:
            FrceapiError: it cannot begin.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        common: dict[str, Any] = {
            "url": url or self.server.url(),
            "auth": "none",
            "partition": "norm",
            "init_seconds_before_status_checks": 0,
            "marker_grace": 1.0,
            "requeue_grace": 1.0,
        }
        around = Surroundings(
            settings=ExecutorSettings(**{**common, **settings}),
            persistence=self.directory / ".snakemake",
            workdir=self.directory,
            sharing=Sharing(software=False),
            envvars={},
            seconds_between_status_checks=0.0,
            max_status_checks_per_second=1000.0,
            spawning=partial(Spawning, SimpleNamespace(workflow=None)),
            ahead=Horizon(workflow=None, ahead=0, jobs=None, keeps_going=False),
            is_immediate=False,
            show_error=print,
            detail=print,
        )
        self._parts = assemble(around, self)

    def submit(self, *names: str, work: str = ":") -> None:
        """Hand over jobs that write their names to a ledger, do some work and end.

        Args:
            names: the names.
            work: shell lines.

        Raises:
            JobError: a job cannot be expressed.
        """
        for name in names:
            text = f"#!/bin/bash\necho {name} >>ledger\n{work}\n"
            job = ReadyJob(
                name=name,
                is_group=False,
                works=(Work(rule=name, products=(name,), signature=""),),
                wildcards={},
                attempt=1,
                resources={},
                threads=1,
                jobname=name,
                command=text,
                jobscript=text,
            )
            item, _ = self.parts.preparation.prepare(job, name)
            self.parts.admission.admit(item)

    def look_until(self, condition: Callable[[], object]) -> None:
        """Look, as Snakemake does again and again, until something holds.

        Raises:
            TimeoutError: it does not.
            FrceapiError: the run gives up.
        """
        until = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if time.monotonic() > until:
                raise TimeoutError(f"{self.events}, {self.said}")
            self.parts.run.look()
            time.sleep(_PAUSE_SECONDS)

    def finish(self, *names: str) -> None:
        """Look until jobs have an end, reported as a success or as a failure."""
        self.look_until(lambda: set(names) <= {name for kind, name in self.events if kind != "submitted"})

    def close(self) -> None:
        """End the run, its jobs and the service."""
        if self._parts:
            self._parts.departure.close()
            self._parts.close()
        self.api.end_jobs()

    @property
    def parts(self) -> Assembly:
        """The parts of the run."""
        assert self._parts is not None
        return self._parts

    @property
    def ledger(self) -> list[str]:
        """The names of the jobs that have begun, in that order."""
        path = self.directory / "ledger"
        return path.read_text("utf-8").split() if path.exists() else []

    def lines(self, *words: str) -> list[str]:
        """Return the lines for the user that hold all of some words."""
        return [line for line in self.said if all(word in line for word in words)]

    def submitted(self, submission: Submission) -> None:
        """Note that a job was taken."""
        self.events.append(("submitted", submission.job_info))

    def succeeded(self, submission: Submission) -> None:
        """Note that a job has ended well."""
        self.events.append(("succeeded", submission.job_info))

    def failed(self, submission: Submission, message: str) -> None:
        """Note that a job has failed, and why."""
        self.events.append(("failed", submission.job_info))
        self.failures[submission.job_info] = message

    def say(self, line: str) -> None:
        """Note a line, which is one and keeps the secret."""
        assert line.isprintable()
        assert SECRET not in line
        self.said.append(line)

    warn = progress = say


def accepted_once(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return what is reported of jobs that are taken and end well, sorted."""
    return sorted((kind, name) for name in names for kind in ("submitted", "succeeded"))
