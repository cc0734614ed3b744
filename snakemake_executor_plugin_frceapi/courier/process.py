"""Another process that does for a run what takes time: calls of the service, and the files of each job.

Python runs one thread at a time, and may change it at each call of the system. In Snakemake's process each request and
each file would hold up the scheduler, and the scheduler each request. The other process keeps nothing that could be
lost: what it is to submit is in the journal before it leaves.
"""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Collection
from contextlib import suppress
from typing import Any

from snakemake_executor_plugin_frceapi.client import ClientConfig
from snakemake_executor_plugin_frceapi.courier.line import Line
from snakemake_executor_plugin_frceapi.errors import ServiceError, TransientFault
from snakemake_executor_plugin_frceapi.job import Listing, NotSent, SubmitOutcome, Unknown
from snakemake_executor_plugin_frceapi.parcel import Parcel
from snakemake_executor_plugin_frceapi.run_directory import Leavings, clear_away

_PROGRAM = __package__
_ENDED = "the process that speaks to the service has ended before there was an answer"
_MORE_SECONDS = 120.0
"""How much longer than its deadline a call may take: Kerberos has limits of its own, and a 401 is tried once more."""
_END_SECONDS = 1.0


class Courier:
    """What another process does, which is started with the first call and whenever it has ended.

    Its methods may be called from any thread; each thread has a connection of its own there, as in `Client`.

    Args:
        config: how to reach the service.
    """

    def __init__(self, config: ClientConfig) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._local = threading.local()
        self._process: _Process | None = None
        self._closed = False

    def deliver(self, parcel: Parcel) -> SubmitOutcome:
        """Submit a job once, with what is written down of it; whatever happens is an outcome and not an exception."""
        return self._send("deliver", parcel)

    def submit_job(self, body: bytes) -> SubmitOutcome:
        """Hand a job over, once; whatever happens is an outcome and not an exception.

        Args:
            body: what `wire.encode_request` made.
        """
        return self._send("submit_job", body)

    def _send(self, call: str, argument: object) -> SubmitOutcome:
        try:
            desk = self._desk()
        except ServiceError as fault:
            return NotSent(fault)
        try:
            outcome: SubmitOutcome = desk.ask(call, argument)
        except (EOFError, OSError):
            return Unknown(f"{_ENDED}; the service may have taken the job")
        return outcome

    def clear_away(self, leavings: Leavings) -> None:
        """Remove what nobody needs any more of jobs that have ended; what cannot be removed stays."""
        try:
            self._desk().ask("clear_away", leavings)
        except (ServiceError, EOFError, OSError):
            clear_away(leavings)

    def query_status(self, wanted: Collection[str] | None = None) -> Listing:
        """Ask for the user's jobs of the previous 24 hours.

        Args:
            wanted: external jobids to look for, or None for all.

        Raises:
            ServiceError: there is no valid listing, which says nothing about any job.
        """
        try:
            listing: Listing = self._desk().ask("query_status", wanted)
        except (EOFError, OSError):
            raise TransientFault(f"{_ENDED}; there is no listing") from None
        return listing

    def close(self) -> None:
        """End the process, and what it is asked just now."""
        with self._lock:
            self._closed = True
            self._end_process()

    def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end()

    def _desk(self) -> _Desk:
        """Return what this thread asks at.

        Raises:
            ServiceError: there is no process, and none can be started.
        """
        desk: _Desk | None = getattr(self._local, "desk", None)
        if desk is None or not desk.process.is_alive:
            with self._lock:
                desk = self._local.desk = self._new_desk()
        return desk

    def _new_desk(self) -> _Desk:
        if self._closed:
            raise TransientFault("the run is over")
        if self._process is not None:
            with suppress(EOFError, OSError):
                return _Desk(self._process)
            self._end_process()
        try:
            self._process = _Process(self._config)
            return _Desk(self._process)
        except (EOFError, OSError) as error:
            self._end_process()
            reason = str(error) or type(error).__name__
            raise TransientFault(f"the process that speaks to the service cannot be started ({reason})") from None


class _Process:
    """A process that makes calls."""

    def __init__(self, config: ClientConfig) -> None:
        self._patience_seconds = max(config.submit_deadline_seconds, config.status_deadline_seconds) + _MORE_SECONDS
        self._lines: list[Line] = []
        # A socket that keeps messages apart: the first says how to reach the service, and who asks; then connections.
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Not among the arguments, where everybody could read the secret in the URL of a sandbox.
        self._control.send(pickle.dumps((config, os.getpid())))
        with theirs:
            self._popen = self._start(theirs)

    def _start(self, control: socket.socket) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", _PROGRAM]
        try:
            # In a session of its own, neither Ctrl-C nor the end of the terminal reaches it before Snakemake.
            return subprocess.Popen(command, stdin=control.fileno(), stdout=subprocess.DEVNULL, start_new_session=True)
        except OSError:
            self._control.close()
            raise

    @property
    def is_alive(self) -> bool:
        return self._popen.poll() is None

    def connect(self) -> Line:
        ours, theirs = socket.socketpair()
        self._lines.append(line := Line(ours, self._patience_seconds))
        with theirs:
            socket.send_fds(self._control, [b"."], [theirs.fileno()])
        return line

    def end(self) -> None:
        self._control.close()
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(_END_SECONDS)
        self.kill()
        for line in self._lines:
            line.close()

    def kill(self) -> None:
        self._popen.kill()
        self._popen.wait()


class _Desk:
    """Where one thread asks.

    Attributes:
        process: the process that answers.

    Raises:
        ServiceError: that cannot make calls.
        EOFError: it ends as soon as it is started.
        OSError: likewise.
    """

    def __init__(self, process: _Process) -> None:
        self.process = process
        self._line = process.connect()
        self._receive()

    def ask(self, call: str, argument: object) -> Any:
        """Let the process make a call.

        Args:
            call: name of a method of `__main__.Calls`.
            argument: what that is given.

        Raises:
            ServiceError: as the call does.
            EOFError: the process has ended.
            OSError: likewise, or it has not answered for far longer than any call takes, and was ended.
        """
        self._line.send((call, argument))
        return self._receive()

    def _receive(self) -> Any:
        try:
            answer = self._line.receive()
        except TimeoutError:
            self.process.kill()
            raise
        if isinstance(answer, Exception):
            raise answer
        return answer
