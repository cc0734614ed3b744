"""Runs one command in the foreground, as a shell would: signals and the terminal are its own until it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType

NOT_FOUND = 127
NOT_EXECUTABLE = 126

_TO_THE_GROUP = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
_TO_THE_COMMAND = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


class CannotRun(Exception):
    """A command cannot be started.

    Attributes:
        exit_code: what a shell returns for it.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def run_in_foreground(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command and return its exit code, 128 + n if signal n ended it.

    It gets a process group of its own, and the terminal if this process has it: so Ctrl-C reaches it once, from the
    terminal; a signal to this process is passed on, once, too.

    Raises:
        CannotRun: there is no such command, or it may not be executed.
    """
    relay = _Relay()
    with relay.installed():
        process = _spawn(command, environment)
        relay.connect(process.pid)
        with _terminal_lent(process.pid):
            process.returncode = _wait(process.pid)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def _spawn(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(list(command), env=dict(environment), process_group=0)
    except FileNotFoundError as error:
        raise CannotRun(f"{command[0]}: command not found", NOT_FOUND) from error
    except OSError as error:
        raise CannotRun(f"{command[0]}: {error.strerror}", NOT_EXECUTABLE) from error


class _Relay:
    """Passes signals on to the command: those of a terminal to its process group, others to itself."""

    def __init__(self) -> None:
        self._pid: int | None = None
        self._early: list[int] = []

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Catch the signals; those that come before `connect` are kept until then."""
        before = {number: signal.signal(number, self._catch) for number in (*_TO_THE_GROUP, *_TO_THE_COMMAND)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def connect(self, pid: int) -> None:
        """Pass on to this process, the leader of its process group."""
        self._pid = pid
        for number in self._early:
            self._catch(number, None)

    def _catch(self, number: int, _: FrameType | None) -> None:
        if self._pid is None:
            self._early.append(number)
            return
        with contextlib.suppress(ProcessLookupError):
            if number in _TO_THE_GROUP:
                os.killpg(self._pid, number)
            else:
                os.kill(self._pid, number)


def _wait(pid: int) -> int:
    """Wait for the end of the command; when it is stopped (Ctrl-Z), stop with it and go on with it."""
    while True:
        _, status = os.waitpid(pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            return os.waitstatus_to_exitcode(status)
        _give_terminal(os.getpgrp())
        os.kill(os.getpid(), signal.SIGSTOP)
        _give_terminal(pid)
        os.killpg(pid, signal.SIGCONT)


@contextlib.contextmanager
def _terminal_lent(pid: int) -> Iterator[None]:
    if not _has_terminal():
        yield
        return
    # A process that is not in the foreground is stopped when it takes the terminal, unless it ignores SIGTTOU.
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    _give_terminal(pid)
    os.killpg(pid, signal.SIGCONT)
    try:
        yield
    finally:
        _give_terminal(os.getpgrp())
        signal.signal(signal.SIGTTOU, before)


def _has_terminal() -> bool:
    try:
        return os.tcgetpgrp(sys.__stdin__.fileno() if sys.__stdin__ else -1) == os.getpgrp()
    except OSError:
        return False


def _give_terminal(group: int) -> None:
    with contextlib.suppress(OSError):
        os.tcsetpgrp(0, group)
