"""Programs that serve until they are stopped, each ended by its own process id whatever happens."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_STOP_SECONDS = 30.0
_START_SECONDS = 60.0
_COMMAND_SECONDS = 60.0
_PAUSE_SECONDS = 0.05
_LAST_LINES = 15


class RigError(RuntimeError):
    """A part of the test cluster does not work; the message holds the end of its log."""


class Daemon:
    """A program that runs in the foreground, with its output in a file.

    Attributes:
        name: its name, for messages.
        log: the file with its output.
    """

    def __init__(self, name: str, command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> None:
        """Start it.

        Args:
            name: its name, which also names its log.
            command: the program, which must stay in the foreground, and its arguments.
            directory: where the log goes; also its working directory.
            environment: variables that are added to this process's.
        """
        self.name = name
        self.log = directory / f"{name}.out"
        with self.log.open("ab") as output:
            # With pdeathsig it ends even if this process is killed in a way that leaves it no time to clear up.
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "--", *command],
                cwd=directory,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        atexit.register(self.stop)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def wait_until(self, is_up: Callable[[], bool], timeout: float = _START_SECONDS) -> None:
        """Wait until it serves.

        Raises:
            RigError: it ended, or does not serve after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while not is_up():
            if self._process.poll() is not None:
                raise RigError(
                    f"{self.name} ended with exit code {self._process.returncode}; its log ends:\n{self.tail()}"
                )
            if time.monotonic() > deadline:
                raise RigError(f"{self.name} does not serve after {timeout:g} s; its log ends:\n{self.tail()}")
            time.sleep(_PAUSE_SECONDS)

    def tail(self) -> str:
        """Return the last lines of its log."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-_LAST_LINES:])

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def stop(self) -> None:
        """End it: SIGTERM, a grace, SIGKILL; nothing happens if it has ended."""
        atexit.unregister(self.stop)
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_SECONDS)
            return
        self._process.kill()
        self._process.wait()


def run(command: Sequence[str], environment: Mapping[str, str], text: str = "") -> str:
    """Run a program to its end and return its standard output.

    Args:
        command: the program and its arguments.
        environment: variables that are added to this process's.
        text: its standard input.

    Raises:
        RigError: its exit code is not 0.
    """
    try:
        done = _finished(command, environment, text)
    except subprocess.TimeoutExpired as error:
        raise RigError(f"`{' '.join(command)}` has not ended after {error.timeout:g} s") from error
    if done.returncode != 0:
        raise RigError(f"`{' '.join(command)}` ended with exit code {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def succeeds(command: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Return whether a program ends with exit code 0."""
    try:
        return _finished(command, environment).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _finished(
    command: Sequence[str], environment: Mapping[str, str], text: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env={**os.environ, **environment},
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=_COMMAND_SECONDS,
    )


def listens(port: int) -> bool:
    """Return whether somebody accepts connections on a TCP port of the loopback address."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False
